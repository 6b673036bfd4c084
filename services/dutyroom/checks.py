"""`dutyroom check`: a site folder against itself and against the device profiles. No network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dutyroom.errors import Mistake, Rejected
from dutyroom.fields import Fields, nearest
from dutyroom.metering.tariff import METER_CLASSES
from dutyroom.model.duty import Device
from dutyroom.profiles.checking import check_profile
from dutyroom.profiles.labels import Keys, wrong_labels
from dutyroom.profiles.loading import load_own, load_profiles, load_some
from dutyroom.profiles.profile import Profile, filters_of
from dutyroom.profiles.ratios import MULTIPLIER
from dutyroom.rules.kind import Limit
from dutyroom.rules.sane import SPANS
from dutyroom.rules.side import tests_in
from dutyroom.rules.spec import Rule, Select, makes, matches, on
from dutyroom.rules.trial import failures
from dutyroom.rules.trial_text import read_trial
from dutyroom.site.addresses import example, may_be
from dutyroom.site.brokers import crossings, doubts
from dutyroom.site.devices import Row
from dutyroom.site.flaws import TEXTS
from dutyroom.site.folder import read_site
from dutyroom.site.model import BrokerAddress, Site
from dutyroom.site.names import written
from dutyroom.site.ratios import lacking, no_number, other_multiplier, wrong_ratio
from dutyroom.site.roll import COMMON, asked_of_devices, numbers_of
from dutyroom.site.source import Source
from dutyroom.timebase import DAY

_FAR = 60  # days: a rule that looks farther back says nothing for a season


def check_site(folder: Path, profiles: Path, keys: Keys | None = None) -> list[Mistake]:
    """Every mistake of a site folder; `profiles`: the shipped device profiles.

    A site's own profiles, in its folder `device_profiles`, are checked with their examples. keys: what
    their labels may be, by language.
    """
    site, source, rows = read_site(folder)
    if site is None:
        return source.mistakes
    own = folder / "device_profiles"
    found, wrong = load_profiles(profiles, own) if own.is_dir() else load_profiles(profiles)
    library = {profile.id: profile for profile in found}
    for profile in found:
        if Path(profile.file).is_relative_to(own):
            wrong += check_profile(profile)
    wrong += [m for file in sorted(own.glob("*/*.yaml")) for m in wrong_labels(file, keys or {})]
    unreadable = {str(Path(mistake.file)) for mistake in wrong}
    asked = COMMON | asked_of_devices(site.rules) if site.rules else None
    _devices(rows, library, unreadable, asked, numbers_of(site.rules))
    _rules(source, site, library)
    _prices(source, site)
    every = [*source.mistakes, *(m for m in wrong if Path(m.file).is_relative_to(own) or _concerns(m, rows))]
    return sorted(every, key=lambda mistake: (mistake.file, mistake.line))


def doubts_of(folder: Path, profiles: Path) -> list[str]:
    """What a site says that is no mistake but hardly meant so. profiles: the shipped device profiles."""
    site, _, _ = read_site(folder)
    if site is None:
        return []
    said = [*doubts(site.brokers), *crossed(folder, profiles, site.brokers)]
    library = load_some({d.profile for d in site.devices}, profiles, folder / "device_profiles")
    listed = next((f for f in (folder / "devices.csv", folder / "devices.yaml") if f.exists()), folder)
    return [
        *(f"{folder / 'site.yaml'}: {sentence}" for sentence in said),
        *(
            f"{folder / 'rules.yaml'}: {sentence}"
            for sentence in (*_misnamed(site, library), *_far(site), *_idle(site))
        ),
        *(f"{listed}: {sentence}" for sentence in _unlimited(site, library)),
    ]


def _far(site: Site) -> list[str]:
    """The site's own rules that look so far back that who wrote them may wait for them in vain."""
    found = []
    for rule in (make for one in site.rules if not one.shipped for make in makes(one)):
        spans = [span for name in SPANS if isinstance(span := rule.parameters.get(name), int)]
        if (days := max(spans, default=0) // DAY) > _FAR:
            found.append(
                f"{rule.id}: looks at {days} days; it says nothing of a device that was heard for less"
            )
    return found


def _idle(site: Site) -> list[str]:
    """Variants that hold on no device: none fits, or an earlier one of the rule fits wherever they do."""
    found = []
    for rule in (one for one in site.rules if one.variants):
        left = [device for device in site.devices if matches(rule.select, device)]
        if not left:
            continue
        for number, variant in enumerate(rule.variants):
            fit = {device.id for device in left if matches(variant.select, device)}
            if not fit:
                all_of = (d for d in site.devices if matches(rule.select, d) and matches(variant.select, d))
                why = "earlier ones hold where it fits" if any(all_of) else "fits none of the rule's devices"
                found.append(f"{rule.id}: variants[{number}]: {why}")
            left = [device for device in left if device.id not in fit]
    return found


def _unlimited(site: Site, library: Mapping[str, Profile]) -> list[str]:
    """Devices without a parameter of which a rule makes its limit: it does not stand there."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for device in site.devices:
        profile = library.get(device.profile)
        points = {spec.name for spec in profile.points} if profile else set()
        for rule in (on(one, device) for one in site.rules if matches(one.select, device)):
            limits = [value for value in rule.parameters.values() if isinstance(value, Limit)]
            # Of a limit on another device's point it is that one's parameter that counts.
            here = "other" not in rule.parameters and (not rule.point or rule.point in points)
            for limit in limits if here else ():
                if limit.unknown(device):
                    lacking.setdefault((device.id, limit.parameter), []).append(rule.id)
    return [
        f"{device}: has no {name}; without it these rules do not run on it: {', '.join(dict.fromkeys(rules))}"
        for (device, name), rules in lacking.items()
    ]


def _misnamed(site: Site, library: Mapping[str, Profile]) -> list[str]:
    """Points of the site's own rules that look like one of their devices' and are none, where messages may name more."""
    found = []
    for rule in (rule for rule in site.rules if not rule.shipped):
        of = {d.profile for d in site.devices if matches(rule.select, d)} & library.keys()
        known = {spec.name for profile in of for spec in library[profile].points}
        for _, points in _named(rule) if of else ():
            if not known & set(points) and (hint := nearest(points[0], known)):
                said = f"no profile of its devices names a point {points[0]!r}{hint}"
                found.append(f"{rule.id}: {said}")
    return found


def crossed(folder: Path, profiles: Path, brokers: Sequence[BrokerAddress]) -> list[str]:
    """What the site's own profiles read that meets a priority filter: it comes twice."""
    if not any(broker.priority for broker in brokers):
        return []
    return list(crossings(brokers, filters_of(load_own(profiles, folder / "device_profiles"))))


def _concerns(mistake: Mistake, rows: Sequence[Row]) -> bool:
    """Whether a mistake in a profile matters to this site: one of its devices uses the profile."""
    path = Path(mistake.file)
    return f"{path.parent.name}/{path.stem}" in {row.device.profile for row in rows}


def _devices(
    rows: Iterable[Row],
    library: Mapping[str, Profile],
    unreadable: set[str],
    asked: frozenset[str] | None,
    numbers: frozenset[str],
) -> None:
    """asked: parameters that a device may have whatever its profile; None = rules.yaml has mistakes, nobody knows.
    numbers: those of which rules make limits."""
    broken = {f"{Path(file).parent.name}/{Path(file).stem}" for file in unreadable}
    for row in rows:
        device = row.device
        profile = library.get(device.profile)
        if profile is not None:
            if device.address and not may_be(device.address, profile):
                like = f"; an address looks like {known!r}" if (known := example(profile)) else ""
                row.wrong("address", f"{device.profile} calls no device {device.address!r}{like}")
            _parameters(row, profile, asked, numbers)
        elif device.profile and device.profile not in broken:
            row.wrong("profile", f"there is no profile {device.profile!r}{nearest(device.profile, library)}")


def _parameters(row: Row, profile: Profile, asked: frozenset[str] | None, numbers: frozenset[str]) -> None:
    """A ratio that is misspelt or no number would make bills wrong, silently; a limit, that its rule does not run."""
    allowed = {*profile.parameters, *profile.needed, *(asked or ())}
    for name, value in row.device.parameters.items():
        if asked is not None and name not in allowed and not name.startswith("name_"):
            said = f"neither {profile.id} nor any rule has a parameter {name!r}{nearest(name, allowed)}"
            row.wrong("parameters", said)
        elif wrong := wrong_ratio(profile, name, value):
            row.wrong("parameters", f"must be a number above 0, not {wrong}")
        elif wrong := no_number(profile, name, value, numbers):
            row.wrong("parameters", TEXTS["parameter_number"].format(value=wrong))
    for name in lacking(profile, row.device.parameters):
        row.wrong("parameters", TEXTS["parameter_needed"].format(profile=profile.id, value=name))
    other = other_multiplier(profile, row.device.parameters) if MULTIPLIER in row.device.parameters else None
    if other is not None:
        row.wrong("parameters", TEXTS["multiplier_other"].format(value=other[0], wanted=other[1]))


def _rules(source: Source, site: Site, library: Mapping[str, Profile]) -> None:
    """Notes rules whose tests fail, and those that look at a point which none of their devices has."""
    rules = {rule.id: rule for rule in site.rules}
    for entry in written(source, "rules.yaml", "rules") if rules else ():
        rule = rules.get(str(entry.data.get("id")))
        if rule is None:
            continue
        _selected(entry, rule.select, site.devices)
        for written_, variant in zip(entry.children("variants"), rule.variants, strict=False):
            _selected(written_, variant.select, site.devices)
        _tests(entry, rule)
        named = _named(rule)
        known = _points(rule, site.devices, library) if named else None
        for where, points in named if known is not None else ():
            if known is not None and not known & set(points):
                hint = nearest(points[0], known) or f" (they have {', '.join(sorted(known))})"
                entry.wrong(where, f"none of the rule's devices has a point {points[0]!r}{hint}")


def _selected(entry: Fields, select: Select, devices: Sequence[Device]) -> None:
    """Notes what the row itself selects by and no device of the site has, or is: it would wait for ever."""
    given = entry.data.get("select")
    if not devices or not isinstance(given, dict):
        return
    known = {
        name for device in devices for name, value in device.parameters.items() if value not in (None, "")
    }
    for name in (str(n) for part in ("where", "unless", "having") for n in _names(given.get(part))):
        if name not in known:
            entry.wrong("select", f"no device has a parameter {name!r}{nearest(name, known)}")
    for name, wanted in select.where.items():
        values = {str(v) for d in devices if (v := d.parameters.get(name)) not in (None, "")}
        if values and name in _names(given.get("where")) and not any(str(v) in values for v in wanted):
            said = ", ".join(repr(v) for v in wanted)
            entry.wrong(
                "select", f"where: no device has {name} {said} (they have {', '.join(sorted(values)[:10])})"
            )
    used = {device.profile for device in devices}
    for profile in select.profiles if "profiles" in given else ():
        if profile not in used:
            entry.wrong("select", f"profiles: no device has {profile!r}{nearest(profile, used)}")


def _names(part: object) -> Iterable[object]:
    return part if isinstance(part, dict | list) else () if part is None else (part,)


def _named(rule: Rule) -> list[tuple[str, tuple[str, ...]]]:
    """Points that a rule looks at on its device: (field, names of which there must be one)."""
    others = rule.parameters.get("otherwise") if rule.kind == "state" else ()
    first = (rule.point, *(str(name) for name in others)) if isinstance(others, tuple) else (rule.point,)
    found: list[tuple[str, tuple[str, ...]]] = [("point", first)] if rule.point else []
    found += [("parameters", (test.point,)) for test in tests_in(rule) if test.point and not test.optional]
    lists = [rule.parameters.get(name) for name in ("points", "otherwise")]
    several = tuple(str(p) for names in lists if isinstance(names, tuple) for p in names)
    return [*found, ("parameters", several)] if rule.kind == "several" and several else found


def _tests(entry: Fields, rule: Rule) -> None:
    """Runs the tests that stand beside a rule."""
    for test in entry.children("tests"):
        trial = read_trial(test)
        if trial is None:
            continue
        try:
            wrong = failures(rule, trial)
        except Rejected as err:
            entry.wrong("tests", err.reason)
            return
        for name, message in wrong:
            test.wrong(name, message)


def _points(rule: Rule, devices: Iterable[Device], library: Mapping[str, Profile]) -> set[str] | None:
    """The points of the devices that a rule concerns; None = it has none, or they cannot be known."""
    ids = {device.profile for device in devices if matches(rule.select, device)}
    found = [library[i] for i in ids if i in library]
    if not found or len(found) < len(ids) or any(_open(profile) for profile in found):
        return None
    return {spec.name for profile in found for spec in profile.points}


def _open(profile: Profile) -> bool:
    """Whether a profile makes points that only a message names."""
    return any(
        layout.rest is not None or any("{" in rule.spec.name for rule in layout.points)
        for layout in profile.layouts
    )


def _prices(source: Source, site: Site) -> None:
    """Notes meter classes of units that a site with tariffs has no tariff for."""
    if not site.tariffs:
        return
    units = {space.path for space in site.spaces.values() if space.kind == "unit"}
    metered = Counter(
        device.device_class
        for device in site.devices
        if device.space in units and device.device_class in {str(c) for c in METER_CLASSES}
    )
    for device_class in metered.keys() - {tariff.device_class for tariff in site.tariffs}:
        source.wrong(
            "tariffs.yaml",
            f"has no tariff for {device_class}, which {metered[device_class]} units have",
            field="tariffs",
        )
