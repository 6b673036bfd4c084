"""A site in memory: its places, its broker, and what its other files say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from dutyroom.metering.tariff import PublicShare, Tariff
from dutyroom.model.duty import Device, Person
from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.plans import Plan
from dutyroom.rules.spec import Rule
from dutyroom.topology import Topology


@dataclass(frozen=True, slots=True)
class Space:
    """A place: building, zone or unit, by path ("A/12/1204")."""

    path: str
    kind: str  # building | zone | unit
    name: Mapping[str, str]
    area: Decimal | None = None  # m2, for public shares


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a site's devices publish. Secrets come from files, not from YAML.

    priority: topic filters that a session of their own reads; no topic matches both these and `topics`.
    """

    host: str
    port: int = 1883
    tls: bool = False
    ca_file: str = ""
    username: str = ""
    password_file: str = ""
    topics: tuple[str, ...] = ("#",)
    priority: tuple[str, ...] = ()
    version: str = "3.1.1"  # of MQTT: 3.1.1 or 5
    certificate_file: str = ""  # of the client
    key_file: str = ""  # "" = in the certificate's file
    key_password_file: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One site, read and checked."""

    id: str
    name: Mapping[str, str]
    time_zone: str
    currency: str = "CNY"
    language: str = "zh-CN"
    brokers: tuple[BrokerAddress, ...] = ()
    adopt_unknown: bool = False
    cut_off_day: int = 1  # period reads at local midnight of this day of the month
    calendar: Workdays = WEEK
    spaces: Mapping[str, Space] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    topology: Topology = field(default_factory=Topology)  # of topology.yaml and of the devices' own rows
    drawn: Topology | None = None  # what topology.yaml alone says; None = the same
    rules: tuple[Rule, ...] = ()
    plans: tuple[Plan, ...] = ()
    tariffs: tuple[Tariff, ...] = ()
    shares: tuple[PublicShare, ...] = ()
    people: tuple[Person, ...] = ()
    scenarios: bool = False  # a simulated estate: pages offer its scenarios

    @property
    def broker(self) -> BrokerAddress | None:
        """The first of its brokers."""
        return self.brokers[0] if self.brokers else None
