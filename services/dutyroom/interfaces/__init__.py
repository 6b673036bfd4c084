"""The contracts between the flows and the outside: what a backend must do, in a few methods each.

All of them may raise `Unavailable` (try again) or `Rejected` (never as it is) and nothing else.
"""

from dutyroom.interfaces.channel import Channel, Wake
from dutyroom.interfaces.duty_books import (
    AlarmBook,
    AnnouncementBook,
    CheckBook,
    OccurrenceBook,
    Outbox,
    TicketBook,
)
from dutyroom.interfaces.inbound import Inbound, Parcel
from dutyroom.interfaces.journal import FindingRow, Journal, PushedOut, QuarantineRow, Spool, StrangerRow
from dutyroom.interfaces.ledger import LedgerPage, LedgerQuestion, LedgerRow, LedgerSum, Tally
from dutyroom.interfaces.readings import ManyAtOnce, ReadingStore, Restarts, Run, Tended
from dutyroom.interfaces.records import Leases, Records, Tx
from dutyroom.interfaces.site_books import DeviceBook, MeteringBook, PeopleBook

__all__ = [
    "AlarmBook",
    "AnnouncementBook",
    "Channel",
    "CheckBook",
    "DeviceBook",
    "FindingRow",
    "Inbound",
    "Journal",
    "Leases",
    "LedgerPage",
    "LedgerQuestion",
    "LedgerRow",
    "LedgerSum",
    "ManyAtOnce",
    "MeteringBook",
    "OccurrenceBook",
    "Outbox",
    "Parcel",
    "PeopleBook",
    "PushedOut",
    "QuarantineRow",
    "ReadingStore",
    "Records",
    "Restarts",
    "Run",
    "Spool",
    "StrangerRow",
    "Tally",
    "Tended",
    "TicketBook",
    "Tx",
    "Wake",
]
