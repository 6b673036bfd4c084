"""A table of devices against the registry: what it adds, changes and withdraws, and every flaw.

Pure: nothing is written here. All or nothing is the caller's: with a flaw it takes none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass, Kind, Scalar
from dutyroom.profiles.meter import meter_of
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.ratios import MULTIPLIER
from dutyroom.rules.kind import Limit
from dutyroom.rules.parse import default_rules
from dutyroom.rules.side import tests_in
from dutyroom.rules.spec import Rule, makes
from dutyroom.site.addresses import example, may_be, spelled, usual_digits
from dutyroom.site.drafts import ID, Draft
from dutyroom.site.feeding import together
from dutyroom.site.flaws import Flaw, flaw, near, quoted
from dutyroom.site.ratios import lacking, no_number, other_multiplier, with_multiplier, wrong_ratio
from dutyroom.site.table import CellKind
from dutyroom.topology import Topology

MOST_HINTS = 50  # looking for names that are alike is slow
# What billing, pages and the shipped rules ask a device for, whatever its profile.
COMMON = frozenset(
    {
        MULTIPLIER,
        "rated",
        "vacant",
        "use",
        "height",
        "area",
        "backs",
        "transfer_switch",
        "tank",
        "name_en",
        "name_zh-CN",
    }
)
MEASURES = frozenset({"height", "area", "rated"})  # of these, numbers
_FIELDS = {
    "name": "name", "class": "device_class", "model": "model", "profile": "profile", "address": "address",
    "space": "space", "fed_by": "fed_by", "interval_s": "interval_s", "digits": "digits", "resolution": "resolution",
    "serial": "serial", "parameters": "parameters", "status": "status",
}  # fmt: skip
NEEDED = ("class", "profile", "address")


@dataclass(frozen=True, slots=True)
class Estate:
    """What a row may name. parameters: those that a rule of the site asks for; numbers: of which it makes a limit."""

    site: str
    profiles: Mapping[str, Profile]
    spaces: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    drawn: Topology = field(default_factory=Topology)
    numbers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table means. changed: (before, after)."""

    added: tuple[Device, ...] = ()
    changed: tuple[tuple[Device, Device], ...] = ()
    withdrawn: tuple[tuple[Device, Device], ...] = ()
    unchanged: int = 0
    flaws: tuple[Flaw, ...] = ()
    notes: tuple[Flaw, ...] = ()
    rows: Mapping[str, Draft] = field(default_factory=dict)  # device -> where it stands

    @property
    def devices(self) -> list[Device]:
        """Every device that is to be written, as it will be."""
        return [*self.added, *(after for _, after in (*self.changed, *self.withdrawn))]


def asked_of_devices(rules: Sequence[Rule]) -> frozenset[str]:
    """The names of the device parameters that rules look at, or the shipped ones do: a device does not become wrong because
    the site has switched such a rule off or given it a number."""
    return _shipped_ask() | _asked(rules)


@cache
def _shipped_ask() -> frozenset[str]:
    return _asked(default_rules())


def _asked(rules: Sequence[Rule]) -> frozenset[str]:
    found: set[str] = set()
    for rule in (make for one in rules for make in makes(one)):
        for select in (rule.select, *(v.select for v in rule.variants)):
            found |= {*select.where, *select.unless, *select.having}
        found |= {name for test in tests_in(rule) for name in test.parameters}
        found |= {str(p) for v in rule.parameters.values() if (p := getattr(v, "parameter", ""))}
        found |= {str(rule.parameters["other"])} if isinstance(rule.parameters.get("other"), str) else set()
        found |= {name for c in (*rule.explained_by, *rule.joins) if (name := c.parameter or c.naming)}
    return frozenset(found)


def numbers_of(rules: Sequence[Rule]) -> frozenset[str]:
    """Those of which rules, or the shipped ones, make a limit: a rule does not run on a device where it is no number."""
    return MEASURES | _shipped_limits() | _limits(rules)


@cache
def _shipped_limits() -> frozenset[str]:
    return _limits(default_rules())


def _limits(rules: Sequence[Rule]) -> frozenset[str]:
    every = [make for rule in rules for make in makes(rule)]
    values = (v for rule in every for v in rule.parameters.values() if isinstance(v, Limit))
    tested = (name for rule in every for test in tests_in(rule) for name in test.parameters)
    return frozenset({*(limit.parameter for limit in values if limit.parameter), *tested})


def plan(
    file: str,
    drafts: Sequence[Draft],
    flaws: Sequence[Flaw],
    known: Mapping[str, Device],
    estate: Estate,
    withdraw_missing: bool = False,
) -> Plan:
    """known: every device of the registry, withdrawn ones too. flaws: of reading the drafts."""
    work = _Work(file, known, estate, list(flaws))
    for draft in drafts:
        if draft.id:
            work.take(draft)
    withdrawn = []
    if withdraw_missing:
        withdrawn = [
            (d, replace(d, status=DeviceStatus.WITHDRAWN))
            for d in known.values()
            if d.id not in work.rows and d.status is not DeviceStatus.WITHDRAWN
        ]
    after = {**known, **work.after, **{d.id: d for _, d in withdrawn}}
    work.together(after)
    fresh = [d for d in work.after.values() if d.id not in known]
    changed = [(known[d.id], d) for d in work.after.values() if d.id in known and known[d.id] != d]
    same = len(work.after) - len(fresh) - len(changed)
    withdrawn += [pair for pair in changed if _leaves(*pair)]
    changed = [pair for pair in changed if not _leaves(*pair)]
    ordered = sorted(work.flaws, key=lambda f: f.line)
    return Plan(
        tuple(fresh), tuple(changed), tuple(withdrawn), same, tuple(ordered), tuple(work.notes), work.rows
    )


def _leaves(before: Device, after: Device) -> bool:
    return after.status is DeviceStatus.WITHDRAWN and before.status is not DeviceStatus.WITHDRAWN


class _Work:
    """A table on its way to a plan."""

    def __init__(self, file: str, known: Mapping[str, Device], estate: Estate, flaws: list[Flaw]) -> None:
        self.file, self.known, self.estate, self.flaws = file, known, estate, flaws
        self.notes: list[Flaw] = []
        self.rows: dict[str, Draft] = {}
        self.after: dict[str, Device] = {}
        self.again: dict[str, tuple[Draft, Device]] = {}  # rows whose id stands above: judged, never taken

    def wrong(self, draft: Draft | None, name: str, key: str, near: str = "", **said: str | int) -> None:
        self.flaws.append(self._at(draft, name, key, near, said))

    def note(self, draft: Draft, name: str, key: str, **said: str | int) -> None:
        self.notes.append(self._at(draft, name, key, "", said))

    def _at(self, draft: Draft | None, name: str, key: str, near: str, said: Mapping[str, str | int]) -> Flaw:
        if draft is None:
            return flaw(self.file, 0, "", key, near, **said)
        return flaw(self.file, draft.row, draft.titles.get(name, name), key, near, **said)

    def near(self, word: str, names: Sequence[str] | frozenset[str] | Mapping[str, Any]) -> str:
        return near(word, names) if len(self.flaws) < MOST_HINTS else ""

    # ------------------------------------------------------------ one row

    def take(self, draft: Draft) -> None:
        """The device that a row means, checked by itself. Of an id that stands twice only the first counts; what else is wrong
        with the second is told at once, too."""
        if draft.id in self.rows:
            name = f"{draft.id} ({draft.row})"
            self.again[name] = draft, replace(self._checked(draft), id=name)
        else:
            self.rows[draft.id] = draft
            self.after[draft.id] = self._checked(draft)

    def _checked(self, draft: Draft) -> Device:
        before = self.known.get(draft.id)
        if before is None and not ID.fullmatch(draft.id):
            self.wrong(draft, "id", "id_form", value=quoted(draft.id))
        device = spelled(self._device(draft, before), before, self.estate.profiles)
        if (profile := self.estate.profiles.get(device.profile)) is not None:
            device = self._multiplied(draft, device, before, profile)
        if before is not None and device != before and device.address != before.address:
            device = self._as_before(draft, device, before)
        if device != before:
            device = self._address(draft, device, before)
            self._check(draft, device, before)
        return device

    def _device(self, draft: Draft, before: Device | None) -> Device:
        given = {_FIELDS[name]: value for name, value in draft.given.items() if name in _FIELDS}
        if given.get("status") is None:
            given.pop("status", None)
        if "parameters" in given:
            given["parameters"] = _merged(given["parameters"], before, bool(draft.given.get("some")))
        if not given.get("name"):
            given["name"] = before.name if before is not None and "name" not in given else draft.id
        if before is not None:
            for name in ("device_class", "profile", "address"):
                if given.get(name) == "":  # these cannot be cleared
                    self.wrong(draft, "class" if name == "device_class" else name, "needed")
                    given.pop(name)
            if before.status is DeviceStatus.WITHDRAWN:  # who lists it takes it back
                given.setdefault("status", DeviceStatus.ACTIVE)
            return replace(before, **given)
        profile = self.estate.profiles.get(given.get("profile", ""))
        if not given.get("device_class") and profile is not None:
            given["device_class"] = profile.device_class.value
        for name in NEEDED:
            if not given.get(_FIELDS[name]) and not (name == "class" and given.get("profile")):
                self.wrong(draft, name, "new_needs" if name not in draft.given else "needed")
        empty = {"name": draft.id, "device_class": "", "profile": "", "address": "", "space": ""}
        return Device(**{**empty, **given, "site": self.estate.site, "id": draft.id})

    def _multiplied(self, draft: Draft, device: Device, before: Device | None, profile: Profile) -> Device:
        """With the multiplier of its bill, which must be that of its readings, also in a row that changes nothing."""
        given = (draft.given.get("parameters") or {}).get(MULTIPLIER)
        device = with_multiplier(device, before if given is None else None, profile)
        if (other := other_multiplier(profile, device.parameters)) is not None:
            self.wrong(draft, _column(draft, MULTIPLIER), "multiplier_other", value=other[0], wanted=other[1])
        return device

    def _as_before(self, draft: Draft, device: Device, before: Device) -> Device:
        """An address that lost its zeros on the way through a spreadsheet is still the same."""
        cell = draft.cells.get("address")
        lost = cell is not None and cell.kind is CellKind.NUMBER and device.profile == before.profile
        if lost and before.address.lstrip("0") == device.address.lstrip("0"):
            return replace(device, address=before.address)
        return device

    def _address(self, draft: Draft, device: Device, before: Device | None) -> Device:
        """Leading zeros that a spreadsheet took away, where the profile tells how many."""
        cell, profile = draft.cells.get("address"), self.estate.profiles.get(device.profile)
        same = before is not None and before.address == device.address
        if cell is None or profile is None or same or not device.address.isdecimal():
            return device
        length, digits = usual_digits(profile), len(device.address)
        number = cell.kind is CellKind.NUMBER
        if length is None and number and "{" not in example(profile) and digits < 15:
            self.note(draft, "address", "zeros_lost", value=device.address)
        elif length is not None and digits < length and number:
            full = device.address.zfill(length)
            self.note(draft, "address", "padded", value=device.address, padded=full, length=length)
            return replace(device, address=full)
        elif length is not None and digits < length:
            self.note(draft, "address", "short_address", value=device.address, found=digits, length=length)
        return device

    def _check(self, draft: Draft, device: Device, before: Device | None) -> None:
        """What a row names must exist. What it leaves as it was is not judged anew."""
        estate = self.estate
        profile = estate.profiles.get(device.profile)
        if device.profile and profile is None:
            self.wrong(
                draft,
                "profile",
                "no_profile",
                self.near(device.profile, estate.profiles),
                value=quoted(device.profile),
            )
        if device.space and device.space not in estate.spaces and _new(device, before, "space"):
            self.wrong(
                draft, "space", "no_space", self.near(device.space, estate.spaces), value=quoted(device.space)
            )
        if profile is None or device.device_class not in set(DeviceClass):
            return
        if (
            _new(device, before, "address", "profile")
            and not may_be(device.address, profile)
            and device.address
        ):
            like = example(profile)
            self.wrong(
                draft, "address", "address_shape", like, profile=profile.id, value=quoted(device.address)
            )
        if (
            _new(device, before, "device_class", "profile")
            and device.device_class != profile.device_class.value
        ):
            said = {"value": device.device_class, "profile": profile.id, "other": profile.device_class.value}
            self.note(draft, "class", "class_other", **said)
        self._parameters(draft, device, before, profile)
        for name in ("digits", "resolution"):
            if getattr(device, name) is not None and not _has_register(device, profile):
                self.wrong(draft, name, "no_register", profile=profile.id)

    def _parameters(self, draft: Draft, device: Device, before: Device | None, profile: Profile) -> None:
        allowed = {*profile.parameters, *profile.needed, *COMMON, *self.estate.parameters}
        kept = before.parameters if before is not None and before.profile == device.profile else {}
        for name, value in device.parameters.items():
            at = _column(draft, name)
            if kept.get(name) != value and (wrong := wrong_ratio(profile, name, value)):
                self.wrong(draft, at, "number_wanted", value=quoted(wrong))
            elif kept.get(name) != value and (wrong := no_number(profile, name, value, self.estate.numbers)):
                self.wrong(draft, at, "parameter_number", value=quoted(wrong))
            if name not in allowed and not name.startswith("name_") and name not in kept:
                hint = self.near(name, frozenset(allowed))
                self.wrong(draft, at, "no_parameter", hint, profile=profile.id, value=quoted(name))
        if device.status is not DeviceStatus.WITHDRAWN:
            for name in lacking(profile, device.parameters):
                if _new(device, before, "profile") or name in kept:
                    said = {"profile": profile.id, "value": quoted(name)}
                    self.wrong(draft, _column(draft, name), "parameter_needed", **said)

    # ------------------------------------------------------------ all of them

    def together(self, after: Mapping[str, Device]) -> None:
        """What holds only between devices: addresses, feeds."""
        owners: dict[tuple[str, str], Device] = {}
        rows = {**self.rows, **{name: draft for name, (draft, _) in self.again.items()}}
        after = {**after, **{name: device for name, (_, device) in self.again.items()}}
        touched = {d.id for d in self.after.values() if self.known.get(d.id) != d} | set(self.again)
        for device in sorted(after.values(), key=lambda d: d.id in touched):
            if device.status is DeviceStatus.WITHDRAWN or not device.address:
                continue
            owner = owners.setdefault((device.profile, device.address), device)
            if owner is not device and device.id in touched and self._other(owner, device):
                said = {"profile": device.profile, "value": quoted(device.address), "owner": owner.id}
                self.wrong(rows.get(device.id), "address", "address_taken", **said)
        _, wrong = together(self.estate.drawn, after.values())
        _, before = together(self.estate.drawn, self.known.values())
        for one in wrong:
            if one not in before or one.device in touched:
                said = {
                    k: quoted(v) if k == "value" and one.key == "no_feeder" else v
                    for k, v in one.arguments.items()
                }
                hint = self.near(one.arguments["value"], after) if one.key == "no_feeder" else ""
                row, key = rows.get(one.device), one.key
                if row is None:  # another device, which this table leaves without its feed
                    row, key = self.rows.get(one.arguments.get("value", "")), "still_feeds"
                    said["device"] = one.device
                self.wrong(row, "fed_by", key, hint, **said)

    def _other(self, first: Device, second: Device) -> bool:
        """Not two rows of one id, of which that is told already."""
        ids = [self.again[d.id][0].id if d.id in self.again else d.id for d in (first, second)]
        return ids[0] != ids[1]


def _column(draft: Draft, parameter: str) -> str:
    """Where a table says a parameter: in a column of its own, or with the others."""
    own = f"parameter.{parameter}"
    return own if own in draft.titles else "parameters"


def _new(device: Device, before: Device | None, *names: str) -> bool:
    return before is None or any(getattr(device, n) != getattr(before, n) for n in names)


def _merged(given: Mapping[str, Scalar | None], before: Device | None, some: bool) -> dict[str, Scalar]:
    """some: the table names single parameters; the others that a device has stay."""
    base: dict[str, Scalar | None] = dict(before.parameters) if some and before is not None else {}
    return {name: value for name, value in {**base, **given}.items() if value is not None}


def _has_register(device: Device, profile: Profile) -> bool:
    meter = meter_of(device.device_class, device.digits, device.resolution)
    mine = (meter.quantity,) if meter is not None and meter.quantity else ("volume", "energy")
    return any(
        rule.spec.kind is Kind.COUNTER and rule.spec.quantity in mine
        for layout in profile.layouts
        for rule in layout.points
    )
