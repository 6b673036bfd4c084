"""Ademco Contact ID (SIA DC-05): "Q EEE GG ZZZ", a qualifier, an event code, a group and a zone or user.

Qualifier 1 = new event or opening, 3 = restore or closing, 6 = reported before and still so. Codes of the same
meaning in SIA DC-03 stand beside them, so that one profile reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NEW, RESTORE, STATUS = 1, 3, 6


@dataclass(frozen=True, slots=True)
class Event:
    """What a three-digit code says. pair: SIA codes of the new event and of its end."""

    name: str
    category: str
    pair: tuple[str, str]


# Runs of codes that share category and SIA codes (new, end): the names count up from the first number.
_RUNS: Final[tuple[tuple[int, str, str, str], ...]] = (
    (100, "medical", "MA MH", "Medical alarm; Personal emergency; Failure to report in"),
    (110, "fire", "FA FH", "Fire alarm; Smoke alarm; Combustion alarm"),
    (113, "fire", "SA SH", "Water flow alarm"),
    (114, "fire", "KA KH", "Heat alarm"),
    (115, "fire", "FA FH", "Pull station alarm; Duct alarm; Flame alarm; Near alarm"),
    (120, "panic", "PA PH", "Panic alarm"),
    (121, "panic", "HA HH", "Duress; Silent panic alarm; Audible panic alarm; Duress, access granted; "
     "Duress, egress granted"),
    (129, "panic", "PA PH", "Panic verification"),
    (130, "burglary", "BA BH", "Burglary alarm; Perimeter alarm; Interior alarm; 24 hour alarm; Entry or exit alarm; "
     "Day or night alarm; Outdoor alarm"),
    (137, "tamper", "TA TR", "Tamper alarm"),
    (138, "burglary", "BA BH", "Near alarm of burglary; Intrusion verified; General alarm"),
    (141, "trouble", "ET ER", "Polling loop open; Polling loop shorted; Expansion module failure"),
    (144, "tamper", "TA TR", "Sensor tamper; Expansion module tamper"),
    (146, "burglary", "BA BH", "Silent burglary alarm"),
    (147, "trouble", "ET ER", "Sensor supervision failure"),
    (150, "burglary", "UA UH", "24 hour non-burglary alarm"),
    (151, "gas", "GA GH", "Gas detected"),
    (152, "freeze", "ZA ZH", "Refrigeration alarm; Loss of heat"),
    (154, "water", "WA WH", "Water leakage"),
    (155, "burglary", "UA UH", "Foil break; Day trouble"),
    (157, "gas", "GA GH", "Low bottled gas level"),
    (158, "fire", "KA KH", "High temperature"),
    (159, "freeze", "ZA ZH", "Low temperature"),
    (161, "trouble", "IA IR", "Loss of air flow"),
    (162, "gas", "GA GH", "Carbon monoxide detected"),
    (163, "water", "WA WH", "Tank level"),
    (200, "fire", "FS FV", "Fire supervisory; Low water pressure; Low CO2; Gate valve sensor; Low water level; "
     "Pump activated; Pump failure"),
    (300, "trouble", "YX YZ", "System trouble"),
    (301, "power", "AT AR", "AC loss"),
    (302, "battery", "YT YR", "Low system battery"),
    (303, "trouble", "YX YZ", "RAM checksum bad; ROM checksum bad; System reset; Panel programming changed; "
     "Self-test failure; System shutdown"),
    (309, "battery", "YT YR", "Battery test failure"),
    (310, "trouble", "YX YZ", "Ground fault"),
    (311, "battery", "YM YR", "Battery missing or dead"),
    (312, "trouble", "YP YQ", "Power supply overcurrent; Engineer reset"),
    (320, "trouble", "YA YH", "Sounder or relay trouble; Bell 1 trouble; Bell 2 trouble; Alarm relay trouble; "
     "Trouble relay trouble; Reversing relay trouble; Notification appliance 3 trouble; "
     "Notification appliance 4 trouble"),
    (330, "trouble", "ET ER", "System peripheral trouble; Polling loop open; Polling loop shorted; "
     "Expansion module failure; Repeater failure"),
    (335, "trouble", "VO VI", "Printer out of paper"),
    (336, "trouble", "VT VR", "Printer failure"),
    (337, "trouble", "ET ER", "Expansion module DC loss; Expansion module low battery; Expansion module reset"),
    (341, "tamper", "ES EJ", "Expansion module tamper"),
    (342, "trouble", "ET ER", "Expansion module AC loss; Expansion module self-test failure"),
    (344, "communication", "XQ XH", "Radio receiver jam detected"),
    (350, "communication", "YC YK", "Communication trouble"),
    (351, "communication", "LT LR", "Telephone line 1 fault; Telephone line 2 fault"),
    (353, "communication", "YC YK", "Long range radio fault; Failure to communicate event; "
     "Loss of radio supervision; Loss of central polling; Radio antenna fault"),
    (370, "trouble", "UT UJ", "Protection loop trouble; Protection loop open; Protection loop short"),
    (373, "fire", "FT FJ", "Fire trouble"),
    (374, "burglary", "EA BH", "Exit error alarm"),
    (375, "trouble", "PT PJ", "Panic zone trouble; Holdup zone trouble; Swinger trouble; Cross zone trouble"),
    (380, "trouble", "UT UJ", "Sensor trouble; Loss of supervision of a radio sensor; "
     "Loss of supervision of a bus sensor"),
    (383, "tamper", "TA TR", "Sensor tamper"),
    (384, "battery", "XT XR", "Radio sensor low battery"),
    (385, "fire", "FT FJ", "Smoke detector high sensitivity; Smoke detector low sensitivity"),
    (387, "trouble", "BT BJ", "Intrusion detector high sensitivity; Intrusion detector low sensitivity; "
     "Sensor self-test failure"),
    (391, "trouble", "BT BJ", "Sensor watch trouble; Drift compensation error; Maintenance alert"),
    (400, "arming", "OP CL", "Open or close; Open or close by user; Group open or close"),
    (403, "arming", "OA CA", "Automatic open or close"),
    (404, "arming", "OJ CJ", "Late open or close"),
    (406, "arming", "OC OC", "Cancel"),
    (407, "arming", "OQ CQ", "Remote arm or disarm"),
    (408, "arming", "OP CL", "Quick arm"),
    (409, "arming", "OS CS", "Keyswitch open or close"),
    (411, "programming", "RB RS", "Callback requested; Download successful; Access unsuccessful; System shut down; "
     "Dialler shut down"),
    (421, "access", "DD DD", "Access denied; Access granted; Forced access; Egress denied; Egress granted; "
     "Access door propped open"),
    (441, "arming", "OP CL", "Armed stay; Keyswitch armed stay"),
    (450, "arming", "OP CL", "Exception open or close; Early open or close; Late open or close"),
    (453, "arming", "OI OI", "Failed to open"),
    (454, "arming", "CI CI", "Failed to close"),
    (455, "arming", "CI CI", "Automatic arming failed"),
    (456, "arming", "OG CG", "Partial arm"),
    (457, "arming", "EE EE", "Exit error by user"),
    (459, "arming", "CR CR", "Recent closing"),
    (461, "access", "DD DD", "Wrong code entry"),
    (501, "access", "DK DK", "Access reader disabled"),
    (520, "trouble", "YA YH", "Sounder or relay disabled; Bell 1 disabled; Bell 2 disabled; Alarm relay disabled"),
    (551, "communication", "YS YK", "Dialler disabled; Radio transmitter disabled"),
    (570, "burglary", "BB BU", "Zone bypassed"),
    (571, "fire", "FB FU", "Fire zone bypassed"),
    (572, "burglary", "UB UU", "24 hour zone bypassed; Burglary zone bypassed; Group bypassed; "
     "Swinger bypassed; Access zone shunted; Access point bypassed"),
    (601, "test", "RX RX", "Manual trigger test"),
    (602, "test", "RP RP", "Periodic test report; Periodic radio transmission"),
    (604, "test", "FI FK", "Fire test"),
    (605, "test", "TX TX", "Status report follows"),
    (606, "communication", "LF LE", "Listen-in follows"),
    (607, "test", "TS TE", "Walk test mode"),
    (608, "test", "TX TX", "Periodic test, trouble present"),
    (611, "test", "TP TP", "Point tested and in order; Point not tested"),
    (621, "programming", "JO JO", "Event log reset; Event log half full; Event log nearly full; Event log overflow"),
    (625, "programming", "JT JT", "Time or date reset; Time or date inaccurate"),
    (627, "programming", "LB LX", "Programming mode entered; Programming mode left"),
    (654, "burglary", "NA NS", "System inactivity"),
)  # fmt: skip


def _table() -> dict[int, Event]:
    found = {}
    for first, category, pair, names in _RUNS:
        new, end = pair.split()
        for number, name in enumerate(names.split("; ")):
            found[first + number] = Event(name, category, (new, end))
    return found


CONTACT_ID: Final[Mapping[int, Event]] = _table()
