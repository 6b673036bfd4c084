"""Whether a message of which nothing was read says things that its profile knows nothing of.

A device that has no value now (null, no echo) names its fields and has nothing to say; one whose new firmware names
them otherwise says something, and a mended profile may read it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from dutyroom.profiles.conditions import all_of
from dutyroom.profiles.naming import key_of, naming_of
from dutyroom.profiles.paths import MISSING, Path, as_text, getter, walker
from dutyroom.profiles.profile import EventRule, Layout, PointRule
from dutyroom.profiles.wanted import names_read

_MOST: Final = 1_000  # fields of a document, and items of a message, that are looked at

Names = Callable[[object, object], bool]  # (item, document): whether a field that a rule reads is there


class Unnamed:
    """Of one layout without a decoder; made when the first such message comes."""

    def __init__(self, layout: Layout) -> None:
        self._known, found = names_read(layout)
        naming = naming_of(layout.points)
        self._chosen = {
            key: found.get(key, frozenset()) | naming.get(key, frozenset()) for key in {*found, *naming}
        }
        rules = [*(_point(rule, naming) for rule in layout.points), *map(_event, layout.events)]
        rules += [_any_of(paths) for paths in layout.attributes.values()]
        self._names = tuple(rules)
        self._walks = tuple(walker(path) for path in layout.each)

    def __call__(self, content: object, document: object) -> bool:
        """True: it has fields with a value that no part of the layout reads, and none that one of its points, events
        or attributes reads."""
        if self._any_there(self._items(content, document), document):
            return False
        return any(self._new(*field) for field in _with_value(content))

    def of_items(self, items: Sequence[object], document: object) -> bool:
        """The same of some of the items: those of one device."""
        if self._any_there(items, document):
            return False
        return any(self._new(*field) for item in items for field in _with_value(item, element=True))

    def _any_there(self, items: Iterable[object], document: object) -> bool:
        """Whether a point, event or attribute reads a field that is there; also where there are too many to look."""
        return any(
            number >= _MOST or any(there(item, document) for there in self._names)
            for number, item in enumerate(items)
        )

    def _new(self, name: str, value: object, element: bool) -> bool:
        """Also where an element of a list, `{name: etage, value: 3}`, is none of those that the layout looks for."""
        if name not in self._known:
            return True
        looked_for = self._chosen.get(name) if element else None
        return looked_for is not None and as_text(value) not in looked_for

    def _items(self, content: object, document: object) -> Iterator[object]:
        if not self._walks:
            yield content
        for walk in self._walks:
            for _, item in walk(content, document):
                yield item


def _point(rule: PointRule, naming: Collection[str]) -> Names:
    by_name = [c for c in rule.when if key_of(c) in naming]
    if by_name and (named := all_of(by_name)) is not None:
        if rule.each is None:
            return lambda item, document: named({}, item, document)
        walk = walker(rule.each)
        return lambda item, document: any(named({}, found, document) for _, found in walk(item, document))
    tests = [_any_of(rule.paths)]
    if rule.each is not None:
        tests.append(_any_of((rule.each,)))
    if rule.value is not None:
        tests.append(_any_of(tuple(rule.names.values())))
        tests.append(_own(frozenset(rule.value.names) - frozenset(rule.names)))
    return lambda item, document: any(test(item, document) for test in tests)


def _event(rule: EventRule) -> Names:
    paths = [path for named in rule.arguments.values() for path in named]
    paths += [condition.path for condition in rule.when if condition.path is not None]
    return _any_of((*paths, *((rule.each,) if rule.each is not None else ())))


def _any_of(paths: tuple[Path, ...]) -> Names:
    gets = tuple(getter([path]) for path in paths)
    return lambda item, document: any(get(item, document) is not MISSING for get in gets)


def _own(names: frozenset[str]) -> Names:
    return lambda item, document: isinstance(item, dict) and not names.isdisjoint(item)


def _with_value(document: object, element: bool = False) -> Iterator[tuple[str, object, bool]]:
    """Names of a document's fields that have a value of their own, that value, and whether they are an element's of a
    list; what stands in a list by itself has the list's name, or none. element: the document is one itself."""
    left: list[tuple[str, object, bool]] = [("", document, element)]
    seen = 0
    while left and seen < _MOST:
        name, found, element = left.pop()
        seen += 1
        if isinstance(found, dict):
            for key, value in found.items():
                if isinstance(value, dict | list):
                    left.append((str(key), value, False))
                elif _says(value):
                    yield str(key), value, element
        elif isinstance(found, list):
            left += [(name, value, True) for value in found[:_MOST] if isinstance(value, dict | list)]
            yield from ((name, value, False) for value in found[:_MOST] if _says(value))
        elif not element and _says(found):
            yield name, found, False


def _says(value: object) -> bool:
    return value is not None and value != "" and not isinstance(value, dict | list | bytes)
