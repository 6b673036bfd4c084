"""Topics of Sparkplug B, and the command that asks a node for its births."""

from __future__ import annotations

from dataclasses import dataclass

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.sparkplug_payload import BOOLEAN, Written, write_payload
from dutyroom.timebase import Ms

NAMESPACE = "spBv1.0"
BIRTHS, DATA, DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
OTHERS = ("NCMD", "DCMD", "STATE")  # what is sent to devices, and whether a host is there
REBIRTH = "Node Control/Rebirth"


@dataclass(frozen=True, slots=True)
class Place:
    """device "" = the edge node itself."""

    group: str
    kind: str
    node: str
    device: str = ""

    @property
    def address(self) -> str:
        return f"{self.group}/{self.node}/{self.device}" if self.device else f"{self.group}/{self.node}"

    @property
    def node_key(self) -> str:
        # Changes with every message: "." says that it need not be stored for that.
        return f".sparkplug/{self.group}/{self.node}"

    def birth_key(self, device: str) -> str:
        return f"sparkplug/{self.group}/{self.node}/{device}"


def place(topic: str) -> Place:
    """Raises Rejected for a topic that is no Sparkplug topic."""
    levels = topic.split("/")
    if NAMESPACE in levels:
        levels = levels[levels.index(NAMESPACE) + 1 :]
        if len(levels) >= 2 and levels[0] == "STATE":
            return Place("", "STATE", levels[1])
        if len(levels) in (3, 4) and levels[1] in (*BIRTHS, *DATA, *DEATHS, *OTHERS) and all(levels):
            found = Place(levels[0], levels[1], *levels[2:])
            if (found.kind[0] == "D") == bool(found.device):
                return found
    raise Rejected(f"topic {topic[:200]!r} is none of {NAMESPACE}/group/type/node/device")


def rebirth_topic(group: str, node: str) -> str:
    return f"{NAMESPACE}/{group}/NCMD/{node}"


def rebirth(now: Ms) -> bytes:
    """The command that asks a node for its births and those of its devices."""
    return write_payload((Written(REBIRTH, time=now, type=BOOLEAN, value=True),), now)
