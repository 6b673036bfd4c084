"""Event codes of SIA DC-03 (two letters) and Ademco Contact ID (SIA DC-05, three digits) in words.

A code is a group and an ending for most of the alphabet: FA = Fire + Alarm, FR = Fire + Restoral. What does
not follow that is listed. Categories are keys that rules and pages know: fire, gas, burglary, panic, medical,
emergency, water, freeze, tamper, supervision, arming, access, power, battery, communication, trouble, test,
programming, other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """What a code says. action: alarm | restore | trouble | trouble_restore | bypass | unbypass | supervisory |
    test | cancel | open | close | report."""

    name: str
    category: str
    action: str


GROUPS: Final[Mapping[str, tuple[str, str]]] = {
    "B": ("Burglary", "burglary"), "F": ("Fire", "fire"), "G": ("Gas", "gas"), "H": ("Holdup", "panic"),
    "K": ("Heat", "fire"), "M": ("Medical", "medical"), "P": ("Panic", "panic"), "Q": ("Emergency", "emergency"),
    "S": ("Sprinkler", "fire"), "T": ("Tamper", "tamper"), "U": ("Untyped Zone", "burglary"),
    "W": ("Water", "water"), "Z": ("Freeze", "freeze"),
}  # fmt: skip

ENDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "A": ("Alarm", "alarm"), "B": ("Bypass", "bypass"), "H": ("Alarm Restore", "restore"),
    "J": ("Trouble Restore", "trouble_restore"), "R": ("Restoral", "restore"),
    "S": ("Supervisory", "supervisory"), "T": ("Trouble", "trouble"), "U": ("Unbypass", "unbypass"),
}  # fmt: skip

# code: name; grouped by category and action. Read by `_listed`.
_LISTS: Final[Mapping[tuple[str, str], str]] = {
    ("fire", "report"): "FL Fire Alarm Silenced; FG Unverified Event – Fire",
    ("fire", "alarm"): "FM Fire Alarm - Cross Point",
    ("fire", "cancel"): "FC Fire Cancel",
    ("fire", "trouble"): "FW Fire Supervisory Trouble; FY Missing Fire Trouble; FZ Missing Fire Supervision",
    ("fire", "trouble_restore"): "FQ Fire Supervisory Trouble Restore; FV Fire Supervision Restore",
    ("fire", "test"): "FI Fire Test Begin; FK Fire Test End; FX Fire Test",
    ("gas", "test"): "GX Gas Test",
    ("burglary", "alarm"): "BM Burglary Alarm - Cross Point; BV Burglary Verified; EA Exit Alarm; "
    "AA Alarm – Panel Substitution",
    ("burglary", "restore"): "UH Untyped Alarm Restore",
    ("burglary", "trouble"): "BD Swinger Trouble; BZ Missing Supervision; UY Untyped Missing Trouble",
    ("burglary", "trouble_restore"): "BE Swinger Trouble Restore; UJ Untyped Trouble Restore",
    ("burglary", "cancel"): "BC Burglary Cancel; OC Cancel Report; AB Abort",
    (
        "burglary",
        "report",
    ): "BG Unverified Event - Burglary; CM Missing Alarm - Recent Closing; CR Recent Closing; "
    "EE Exit Error; EZ Missing Alarm - Exit Error; UG Unverified Event – Untyped; UX Undefined; "
    "UZ Untyped Missing Alarm; XM Missing Alarm - Cross Point; XW Forced Point; NA No Activity; NS Activity Resumed",
    ("burglary", "test"): "BX Burglary Test; TW Area Watch Start; TZ Area Watch End",
    (
        "arming",
        "close",
    ): "AF Arming Event; CA Automatic Closing; CB Arming Event; CC Arming Event; CF Forced Closing; "
    "CG Close Area; CJ Late Close; CK Early Close; CL Closing Report; CP Automatic Closing; CQ Remote Closing; "
    "CS Closing Keyswitch; CW Was Force Armed; CZ Point Closing; NB Arming Event; ND Arming Event; NE Arming Event; "
    "NF Forced Perimeter Arm; NL Perimeter Armed; NM Perimeter Armed, User Defined; NO Arming Event; NP Arming Event",
    ("arming", "open"): "OA Automatic Opening; OB Arming Event; OG Open Area; OH Early to Open from Alarm; "
    "OJ Late Open; OK Early Open; OL Late to Open from Alarm; OP Opening Report; OQ Remote Opening; "
    "OR Disarm From Alarm; OS Opening Keyswitch; OZ Point Opening",
    ("arming", "report"): "CD Closing Delinquent; CE Closing Extend; CI Fail to Close; CT Late to Open; "
    "OI Fail to Open; OT Late To Close; JK Latchkey Alert; JP User On Premises",
    ("access", "alarm"): "DF Door Forced; DL Door Left Open - Alarm",
    ("access", "restore"): "DH Door Left Open - Restoral; DR Door Restoral",
    ("access", "trouble"): "DJ Door Forced - Trouble; DM Door Left Open - Trouble; DT Access Trouble",
    (
        "access",
        "report",
    ): "DA Card Assigned; DB Card Deleted; DC Access Closed; DD Access Denied; DE Request to Enter; "
    "DG Access Granted; DI Access Denied – Passback; DK Access Lockout; "
    "DN Door Left Open (non-alarm, non-trouble); DO Access Open; DP Access Denied - Unauthorized Time; "
    "DQ Access Denied - Unauthorized Arming State; DS Door Station; DU Dealer ID; "
    "DV Access Denied - Unauthorized Entry Level; DW Access Denied - Interlock; DX Request to Exit; DY Door Locked; "
    "DZ Access Denied - Door Secured",
    ("tamper", "alarm"): "ES Expansion Device Tamper; JA User code Tamper; XS RF Receiver Tamper",
    (
        "tamper",
        "restore",
    ): "EJ Expansion Tamper Restore; XJ RF Receiver Tamper Restoral; JC User code tamper canceled",
    ("power", "trouble"): "AT AC Trouble",
    ("power", "trouble_restore"): "AR AC Restoral",
    ("power", "report"): "RR Power Up",
    (
        "battery",
        "trouble",
    ): "YT System Battery Trouble; YM System Battery Missing; XT Transmitter Battery Trouble",
    ("battery", "trouble_restore"): "YR System Battery Restoral; XR Transmitter Battery Restoral",
    (
        "communication",
        "trouble",
    ): "LT Phone Line Trouble; NC Network Condition; NT Network Failure; RT Data Lost; "
    "XL Low Received Signal Strength/Connection Lost; XQ RF Interference; YC Communications Fail; "
    "YD Receiver Line Card Trouble; YS Communications Trouble; RA Remote Programmer Call Failed",
    (
        "communication",
        "trouble_restore",
    ): "LR Phone Line Restoral; NR Network Restoral; XH RF Interference Restoral; "
    "YE Receiver Line Card Restored; YK Communications Restoral",
    (
        "communication",
        "report",
    ): "LE Listen-in Ended; LF Listen-in Begin; MI Message; XA Extra Account Report; "
    "YB Busy Seconds; YN Invalid Report; YO Unknown Message; YY Status Report",
    ("trouble", "trouble"): "AS Analog Service; EM Expansion Device Missing; ET Expansion Trouble; "
    "EX External Device Condition; IA Equipment Failure Condition; OU Output State – Trouble; PF Malfunction; "
    "SM Malfunction; VO Printer Paper Out; VT Printer Trouble; VZ Printer Offline; YA Bell Fault; "
    "YF Parameter Checksum Fail; YI Overcurrent Trouble; YP Power Supply Trouble; YU Diagnostic Error; "
    "YW Watchdog Reset; YX Service Required",
    (
        "trouble",
        "trouble_restore",
    ): "AN Analog Restoral; EN Expansion Missing Restore; ER Expansion Restoral; "
    "IR Equipment Fail - Restoral; OV Output State – Restore; PO Malfunction restore; XC Malfunction restore; "
    "VI Printer Paper In; VR Printer Restore; VY Printer Online; YH Bell Restored; YJ Overcurrent Restore; "
    "YQ Power Supply Restored; YZ Service Completed",
    (
        "test",
        "test",
    ): "RP Automatic Test; RX Manual Test; RY Test Off Normal; TC All Points Tested; TE Test End; "
    "TP Walk Test Point; TS Test Start; TX Test Report; VX Printer Test; XX Fail to Test; XI Sensor Reset",
    ("programming", "report"): "JD Date Changed; JH Holiday Changed; JL Log Threshold; JO Log Overflow; "
    "JR Schedule Executed; JS Schedule Changed; JT Time Changed; JV User code Changed; JX User code Deleted; "
    "JY User code Added; JZ User Level Set; LB Local Program; LD Local Program Denied; LS Local Program Success; "
    "LU Local Program Fail; LX Local Programming Ended; RB Remote Program Begin; RD Remote Program Denied; "
    "RN Remote Reset; RS Remote Program Success; RU Remote Program Fail; YG Parameter Changed",
    ("other", "report"): "CO Command Sent; CX Custom Function Executed; RC Relay Close; RO Relay Open; "
    "SC Change of State; XE Extra Point; XF Extra RF Point; PC Photo on demand enabled; PD Photo on demand disabled; "
    "PE Photo by scenario enable; PG Photo by scenario disable; ZY Common Event; ZZ Common Event",
}


def _regular() -> dict[str, Code]:
    return {
        group + ending: Code(f"{noun} {words}", category, action)
        for group, (noun, category) in GROUPS.items()
        for ending, (words, action) in ENDINGS.items()
    }


def _listed() -> dict[str, Code]:
    return {
        entry[:2]: Code(entry[3:], category, action)
        for (category, action), names in _LISTS.items()
        for entry in names.split("; ")
    }


SIA: Final[Mapping[str, Code]] = {**_regular(), **_listed()}
