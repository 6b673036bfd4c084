"""Which fields of a decoded document a layout reads: what no point, test or event asks for need not be made.

The rule of a layout is gone through whole, whatever its parts are called, so that a part that is added to the
language is not forgotten here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace

import orjson

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Kind
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Codec, Finish, Wanted
from dutyroom.profiles.expressions import Expression
from dutyroom.profiles.paths import Elements, Key, Keys, Path, Where, parse
from dutyroom.profiles.profile import CodecRule, Layout, PointRule, Profile, RestRule

_IN_TEXT = re.compile(r"\{([@$][^{}|]*)")
# What does not read the decoded document: how it is found and made.
_OUTSIDE = frozenset({"name", "filters", "unwrap", "ignore", "reject", "decoder", "source", "rest"})


REASONS = Key("reasons")  # field of an item: name of another field -> why that has no value


@dataclass(slots=True)
class _Found:
    """everything: some path has a wildcard for the name of a field. open: ... of a field of the item, or is the item.
    exact: of the names, those whose values may be read; not of those whose reasons are. chosen: (field, text) by which
    elements of lists are found."""

    names: set[str] = field(default_factory=set)
    exact: set[str] = field(default_factory=set)
    chosen: set[tuple[str, str]] = field(default_factory=set)
    everything: bool = False
    open: bool = False

    def add(self, value: object) -> None:
        """All paths and names below a value of a rule."""
        if isinstance(value, Path):
            self._path(value)
        elif isinstance(value, Expression):
            self.names |= value.names
            self.exact |= value.names
        elif isinstance(value, str):
            self._text(value)
        elif isinstance(value, Mapping):
            self.add(tuple(value.values()))
        elif isinstance(value, Sequence | frozenset):
            for inner in value:
                self.add(inner)
        elif is_dataclass(value):
            for part in fields(value):
                self.add(getattr(value, part.name))

    def _path(self, path: Path) -> None:
        keys = [step.name for step in path.steps if isinstance(step, Key)]
        self.names.update(keys)
        self.exact.update(keys[:1] if path.steps[:1] == (REASONS,) and not path.whole else keys)
        chosen = [step for step in path.steps if isinstance(step, Where)]
        self.names.update(step.key for step in chosen)
        self.chosen.update((step.key, step.text) for step in chosen)
        if path.steps and isinstance(path.steps[-1], Keys):
            self.everything = True
        first = path.steps[: 2 if path.whole else 1]  # `$` may have the item as `decoded`
        if not first or not all(isinstance(step, Key) for step in first):
            self.open = True

    def _text(self, text: str) -> None:
        """A template: "{@.id}"."""
        for place in _IN_TEXT.findall(text):
            try:
                self._path(parse(place))
            except Rejected:
                self.everything = self.open = True


def names_read(layout: Layout) -> tuple[frozenset[str], Mapping[str, frozenset[str]]]:
    """Of fields, all that any part of the layout reads; and of those by which it chooses elements of lists, as `name` in
    `tags[name==floor].value`, the texts that it looks for."""
    found = _Found()
    for part in fields(layout):
        if part.name not in _OUTSIDE:
            found.add(getattr(layout, part.name))
    keys = {key for key, _ in found.chosen}
    return frozenset(found.names), {
        key: frozenset(text for other, text in found.chosen if other == key) for key in keys
    }


def wanted(layouts: Sequence[Layout], finishes: Mapping[str, Finish] | None = None) -> Wanted | None:
    """What any of the layouts reads; None where that cannot be said by name. finishes: see `Wanted`, of the points of
    one of them."""
    found, others, exact, digested = _Found(), _Found(), _Found(), set[str]()
    for layout in layouts:
        digested.update(_digested(layout))
        for part in fields(layout):
            if part.name not in _OUTSIDE | {"points"}:
                others.add(getattr(layout, part.name))
                exact.add(getattr(layout, part.name))
        for rule in layout.points:
            found.add(rule.paths)
            others.add(replace(rule, paths=()) if _pure(rule) else rule)
            exact.add(_looked_at(rule))
    passed_over = {_passed_over(layout.rest) for layout in layouts}
    if found.everything or others.everything or "" in digested or len(passed_over) > 1 or () in passed_over:
        return None
    names = frozenset(found.names | others.names)
    numbers = names - others.names
    computed = names - numbers - exact.exact
    same = finishes is not None and all(layout.points == layouts[0].points for layout in layouts)
    return Wanted(
        names,
        numbers,
        frozenset(digested),
        passed_over.pop() if passed_over else None,
        computed,
        tuple(
            (n, f)
            for n, f in (finishes or {}).items()
            if same and (n in numbers or n in computed) and _once(layouts[0], n)
        ),
    )


def _once(layout: Layout, name: str) -> bool:
    """True where one point alone reads the field, whoever reads why it has no value."""
    paths = [[p for p in rule.paths if p.whole or p.steps[:1] != (REASONS,)] for rule in layout.points]
    return sum(any(Key(name) in path.steps for path in listed) for listed in paths) == 1


def _looked_at(rule: PointRule) -> PointRule:
    """The rule without what it reads as a number, in an expression too, or looks whether it is there."""
    paths = {n: p for n, p in rule.names.items() if p.whole or len(p.steps) != 1}
    when = tuple(c for c in rule.when if c.test != "exists" or c.path is None or len(c.path.steps) != 1)
    return replace(rule, paths=() if _pure(rule) else rule.paths, value=None, names=paths, when=when)


def _passed_over(rule: RestRule | None) -> tuple[str, ...] | None:
    """() where it goes through everything."""
    if rule is None:
        return None
    if rule.source is None or rule.source.text != "$":
        return ()
    return tuple(g[:-1] for g in rule.skip if g.endswith("*") and not set(g[:-1]) & set("*?["))


def _pure(rule: PointRule) -> bool:
    """True when the field gives a number and nothing else: neither a text nor a code that is looked up."""
    number = rule.spec.kind in (Kind.GAUGE, Kind.COUNTER, Kind.STATE)
    looked_up = rule.mapping or rule.none or rule.value is not None or rule.sum_from is not None
    plain = len(rule.paths) == 1 and not rule.paths[0].whole and len(rule.paths[0].steps) == 1
    return number and not looked_up and plain and rule.each is None and "{" not in rule.spec.name


def _digested(layout: Layout) -> Iterator[str]:
    """Lists whose elements are events: without an id of its own, an event is known by all that its element
    holds. "" where that is something else than the elements of a list."""
    for event in layout.events:
        steps = event.each.steps if event.each is not None else ()
        if len(steps) < 2 or not isinstance(steps[-1], Elements) or not isinstance(steps[-2], Key):
            yield ""
        else:
            yield steps[-2].name


def left_out(layouts: Sequence[Layout], optional: frozenset[str]) -> frozenset[str]:
    """Those fields of the document that none of the layouts reads."""
    found = _Found()
    for layout in layouts:
        for part in fields(layout):
            if part.name not in _OUTSIDE:
                found.add(getattr(layout, part.name))
        source = None if layout.rest is None else layout.rest.source
        if source is not None:
            found.add(source)
        if "" in _digested(layout) or (layout.rest is not None and source is None):
            return frozenset()
    if found.open or "decoded" in found.names:  # an outer document may have the whole item there
        return frozenset()
    return optional - found.names


def narrowed_codec(
    profile: Profile, layout: Layout, finishes: Mapping[str, Finish]
) -> tuple[object, Codec | None]:
    """What the layout, and others of the profile that share what its codec makes, read of that (what says this is equal
    for layouts that read the same); and the codec that makes no more. (None, None) where there is none."""
    rule = layout.decoder
    if not isinstance(rule, CodecRule):
        return None, None
    kind, settings = CODECS[rule.name], orjson.loads(rule.options) if rule.options else {}
    sharing = [other for other in profile.layouts if other.decoder == rule and other.source == layout.source]
    sharing = sharing if layout in sharing else [layout, *sharing]
    if kind.without is not None and (unread := left_out(sharing, kind.optional)):
        return unread, kind.without(settings, unread)
    read = wanted(sharing, finishes if kind.finishing else None) if kind.narrow is not None else None
    if kind.narrow is not None and read is not None and (codec := kind.narrow(settings, read)) is not None:
        return read, codec
    return None, None
