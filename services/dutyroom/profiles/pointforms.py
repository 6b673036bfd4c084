"""Reads points, conditions, paths and times of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Kind, Label, PointSpec
from dutyroom.profiles.conditions import TESTS, TYPES
from dutyroom.profiles.counterforms import COUNTER_FIELDS, read_wrap, with_counter
from dutyroom.profiles.expressions import Expression, parse_expression
from dutyroom.profiles.form import Form, code_text, join
from dutyroom.profiles.paths import Key, Path, parse
from dutyroom.profiles.profile import Condition, PointRule, TimeRule
from dutyroom.profiles.templates import template
from dutyroom.profiles.times import reader, unit_of_time
from dutyroom.profiles.values import BOOLEANS
from dutyroom.profiles.yamlnode import Node
from dutyroom.quantities import QUANTITIES, unit_of
from dutyroom.timebase import duration, zone

HEX_PATHS = ("bytes.hex",)

POINT_FIELDS = (
    "from", "quantity", "unit", "unit_from", "kind", "step", "digits", "interval", "low", "high", "labels",
    "scale", "offset", "linear", "map", "otherwise", "invert", "none", "when", "time",
    "absent", "value", "names", "each", "sum", "wrap", "resets", "reset_when",
)  # fmt: skip


def read_paths(form: Form, node: Node, where: str) -> tuple[Path, ...]:
    """One path, or several: the first present counts."""
    found = [form.parsed(n, where, parse) for n in form.items(node, where)]
    return tuple(p for p in found if p is not None)


TIME_FIELDS = ("from", "format", "zone", "since", "ago", "every", "first")


def read_time(form: Form, node: Node, where: str) -> TimeRule | None:
    """A path, a list of paths, or {from, format, zone, since, ago, every, first}."""
    if not isinstance(node.value, dict):
        return TimeRule(read_paths(form, node, where))
    own = form.fields(node, where, TIME_FIELDS)
    if "from" not in own and "every" not in own:
        form.note(node, join(where, "from"), "is missing: where is the time?")
        return None
    pattern = form.text(own["format"], join(where, "format")) if "format" in own else "auto"
    since = form.text(own["since"], join(where, "since")) if "since" in own else ""
    if "format" in own or since:
        field = "format" if "format" in own else "since"
        form.parsed(own[field], join(where, field), lambda text: reader(pattern, zone("UTC"), since))
    name = form.text(own["zone"], join(where, "zone")) if "zone" in own else ""
    if name:
        form.parsed(own["zone"], join(where, "zone"), zone)
    return TimeRule(
        read_paths(form, own["from"], join(where, "from")) if "from" in own else (),
        pattern,
        name,
        since,
        form.parsed(own["ago"], join(where, "ago"), unit_of_time) if "ago" in own else None,
        form.parsed(own["every"], join(where, "every"), _every) if "every" in own else None,
        form.integer(own["first"], join(where, "first"), -10_000, 10_000) or 0 if "first" in own else 0,
    )


def _every(text: str) -> int | Expression:
    """-15min, or an expression that gives seconds."""
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * duration(text.removeprefix("-"))
    except Rejected:
        return parse_expression(text)


def read_conditions(form: Form, node: Node, where: str) -> tuple[Condition, ...]:
    """{path: value} or {path: [values]} or {path: {test: value}}; "{name}" tests a topic level."""
    result: list[Condition] = []
    for key, child in form.mapping(node, where).items():
        place = join(where, key)
        path, capture = None, ""
        if key.startswith("{"):
            capture = key
            _try_template(form, child, place, key)
        else:
            try:
                path = parse(key)
            except Rejected as err:
                form.note(child, place, err.reason)
                continue
        for test, values in _tests(form, child, place):
            result.append(Condition(test, _as_compared(key, values), path, capture))
    return tuple(result)


def _as_compared(path: str, values: tuple[str | float, ...]) -> tuple[str | float, ...]:
    """`bytes.hex` has small letters and no blanks; a data sheet's "5A 01" means the same bytes."""
    if path not in HEX_PATHS:
        return values
    return tuple("".join(v.lower().split()) if isinstance(v, str) else v for v in values)


def _try_template(form: Form, node: Node, where: str, text: str) -> None:
    try:
        template(text)
    except Rejected as err:
        form.note(node, where, err.reason)


def _tests(form: Form, node: Node, where: str) -> list[tuple[str, tuple[str | float, ...]]]:
    if not isinstance(node.value, dict):
        return [("in", tuple(form.texts(node, where)))]
    found: list[tuple[str, tuple[str | float, ...]]] = []
    for test, child in form.fields(node, where, TESTS).items():
        place = join(where, test)
        if test in ("above", "below"):
            number = form.number(child, place)
            found.append((test, (float(number or 0),)))
        elif test == "exists":
            found.append((test, ("true" if form.boolean(child, place) else "false",)))
        elif test == "type":
            kinds = [form.choice(n, place, TYPES) or "null" for n in form.items(child, place)]
            found.append((test, tuple(kinds)))
        else:
            found.append((test, tuple(form.texts(child, place))))
    return found


def read_points(
    form: Form, top: Node | None, own: Node | None, where: str, interval: int | None
) -> tuple[PointRule, ...]:
    """The points of a layout: all of the profile's, or those it names, with its own settings over them. A
    point without `from` reads the field of its own name."""
    shared = form.mapping(top, "points") if top is not None else {}
    if own is None:
        return tuple(
            rule
            for name, node in shared.items()
            if (rule := _point(form, name, expanded(node), join("points", name), interval)) is not None
        )
    place = join(where, "points")
    rules = []
    for name, node in _named(form, own, place, shared).items():
        rule = _point(form, name, node, join(place, name), interval)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _named(form: Form, own: Node, place: str, shared: Mapping[str, Node]) -> dict[str, Node]:
    if isinstance(own.value, list):
        result: dict[str, Node] = {}
        for child in own.value:
            name = form.text(child, place)
            if name in shared:
                result[name] = expanded(shared[name])
            else:
                form.note(child, place, f"{name!r} is not one of the profile's points")
        return result
    merged: dict[str, Node] = {}
    for name, node in form.mapping(own, place).items():
        base, over = shared.get(name), expanded(node)
        if base is not None and isinstance(over.value, dict):
            inner = expanded(base)
            inherited = inner.value if isinstance(inner.value, dict) else {}
            merged[name] = Node({**inherited, **over.value}, node.file, node.line)
        else:
            merged[name] = over
    return merged


def expanded(node: Node) -> Node:
    """`volume: total_m3` is short for `volume: {from: total_m3}`."""
    if node.value is None:
        return Node({}, node.file, node.line)
    return node if isinstance(node.value, dict) else Node({"from": node}, node.file, node.line)


def _point(form: Form, name: str, node: Node, where: str, interval: int | None) -> PointRule | None:
    own = form.fields(node, where, POINT_FIELDS)
    _check_name(form, name, node, where)
    quantity = (
        form.choice(own["quantity"], join(where, "quantity"), QUANTITIES) if "quantity" in own else "number"
    )
    kind_name = (
        form.choice(own["kind"], join(where, "kind"), [k.value for k in Kind]) if "kind" in own else "gauge"
    )
    if quantity is None or kind_name is None:
        return None
    kind = Kind(kind_name)
    unit = ""
    if "unit" in own:
        unit = form.text(own["unit"], join(where, "unit"))
        form.parsed(own["unit"], join(where, "unit"), lambda text: unit_of(quantity, text))
    mapping = _mapping(form, own, where, kind)
    scale, scale_by = _scale(form, own, where)
    factor, offset = (
        _linear(form, own["linear"], join(where, "linear")) if "linear" in own else (Fraction(1), Fraction(0))
    )
    shift = form.number(own["offset"], join(where, "offset")) if "offset" in own else None
    paths = read_paths(form, own["from"], join(where, "from")) if "from" in own else ()
    if not own.keys() & {"from", "value"}:
        paths = (parse("@"),) if "each" in own else (Path(name, (Key(name),)),)
    base, down = _sum(form, own["sum"], join(where, "sum")) if "sum" in own else (None, False)
    rule = PointRule(
        spec=_spec(form, name, own, where, kind, quantity, interval),
        paths=paths,
        unit=unit,
        unit_path=form.parsed(own["unit_from"], join(where, "unit_from"), parse)
        if "unit_from" in own
        else None,
        scale=factor * scale,
        scale_by=scale_by,
        offset=offset * scale + Fraction(shift or 0),
        mapping=mapping,
        otherwise=_code(form, own["otherwise"], join(where, "otherwise"), kind)
        if "otherwise" in own
        else None,
        none=form.sentinels(own["none"], join(where, "none")) if "none" in own else frozenset(),
        when=read_conditions(form, own["when"], join(where, "when")) if "when" in own else (),
        time=read_time(form, own["time"], join(where, "time")) if "time" in own else None,
        absent=_absent(form, own["absent"], join(where, "absent")) if "absent" in own else None,
        value=form.parsed(own["value"], join(where, "value"), parse_expression) if "value" in own else None,
        names=_names(form, own["names"], join(where, "names")) if "names" in own else {},
        each=_each(form, own["each"], join(where, "each")) if "each" in own else None,
        sum_from=base,
        sum_down=down,
        wrap=read_wrap(form, own["wrap"], join(where, "wrap")) if "wrap" in own else None,
        reset_when=read_conditions(form, own["reset_when"], join(where, "reset_when"))
        if "reset_when" in own
        else (),
    )
    return with_counter(form, own, where, rule) if own.keys() & COUNTER_FIELDS else rule


def _each(form: Form, node: Node, where: str) -> Path | None:
    found = form.parsed(node, where, parse)
    if found is not None and found.single:
        form.note(node, where, f"names one value; write {found.text}[*] for every element of a list")
        return None
    return found


def _absent(form: Form, node: Node, where: str) -> str | float | bool | None:
    if isinstance(node.value, list | dict):
        form.note(node, where, "must be a single value")
        return None
    return node.value


def _names(form: Form, node: Node, where: str) -> dict[str, Path]:
    found = {n: form.parsed(child, join(where, n), parse) for n, child in form.mapping(node, where).items()}
    return {name: path for name, path in found.items() if path is not None}


def _sum(form: Form, node: Node, where: str) -> tuple[Path | None, bool]:
    """{from: register, direction: up | down}: a series of differences becomes registers."""
    own = form.fields(node, where, ("from", "direction"))
    if "from" not in own:
        form.note(node, join(where, "from"), "is missing: the register to start from")
        return None, False
    direction = (
        form.choice(own["direction"], join(where, "direction"), ("up", "down"))
        if "direction" in own
        else "up"
    )
    return form.parsed(own["from"], join(where, "from"), parse), direction == "down"


def _check_name(form: Form, name: str, node: Node, where: str) -> None:
    if not name or len(name) > 120:
        form.note(node, where, "a point's name has 1 to 120 characters")
    elif "{" in name:
        _try_template(form, node, where, name)


def _spec(
    form: Form,
    name: str,
    own: Mapping[str, Node],
    where: str,
    kind: Kind,
    quantity: str,
    interval: int | None,
) -> PointSpec:
    def number(field: str) -> float | None:
        value = form.number(own[field], join(where, field)) if field in own else None
        return None if value is None else float(value)

    step = form.number(own["step"], join(where, "step")) if "step" in own else None
    if kind is Kind.COUNTER and (step is None or step <= 0):
        node = own.get("step") or own.get("kind") or next(iter(own.values()))
        form.note(node, join(where, "step"), "a counter needs the size of its step, for example 0.001")
        step = None
    low, high = number("low"), number("high")
    if low is not None and high is not None and low >= high:
        form.note(own["high"], join(where, "high"), f"must be above `low`, {low:g}")
    own_interval = _interval(form, own["interval"], join(where, "interval")) if "interval" in own else None
    regular = kind in (Kind.GAUGE, Kind.COUNTER)
    return PointSpec(
        name=name,
        quantity=quantity,
        unit=QUANTITIES[quantity].unit,
        kind=kind,
        step=step if kind is Kind.COUNTER else None,
        digits=form.integer(own["digits"], join(where, "digits"), 1, 15) if "digits" in own else None,
        interval_s=own_interval if "interval" in own else (interval if regular else None),
        low=low,
        high=high,
        labels=_labels(form, own["labels"], join(where, "labels")) if "labels" in own else {},
    )


def _interval(form: Form, node: Node, where: str) -> int | None:
    return None if node.value == "none" else read_interval(form, node, where)


def read_interval(form: Form, node: Node, where: str) -> int | None:
    """Seconds of "15min"; the unit must be there."""
    ms = form.parsed(node, where, _with_unit)
    return None if ms is None else max(1, ms // 1000)


def _with_unit(text: str) -> int:
    if text.replace(".", "", 1).isdigit():
        raise Rejected("needs a unit, for example 15min")
    found = duration(text)
    if found <= 0:
        raise Rejected(f"{text!r} is no time between two readings; write for example 15min")
    return found


def _label(form: Form, node: Node, where: str) -> Label:
    """One text, or one per language: {zh-CN: 门锁断开, en: Door lock open}."""
    if not isinstance(node.value, dict):
        return form.text(node, where)
    return {
        language: form.text(n, join(where, language)) for language, n in form.mapping(node, where).items()
    }


def _labels(form: Form, node: Node, where: str) -> dict[int, Label]:
    result: dict[int, Label] = {}
    for code, child in form.mapping(node, where).items():
        if code.lstrip("-").isdigit() and len(code) < 12:
            result[int(code)] = _label(form, child, join(where, code))
        else:
            form.note(child, join(where, code), "a label belongs to a whole number")
    return result


def _mapping(form: Form, own: Mapping[str, Node], where: str, kind: Kind) -> dict[str, str | float]:
    if "map" not in own:
        if "invert" not in own:
            return {}
        result: dict[str, str | float] = dict(BOOLEANS)
    elif not isinstance(own["map"].value, dict):
        form.choice(own["map"], join(where, "map"), ("boolean",))
        result = dict(BOOLEANS)
    else:
        found = form.mapping(own["map"], join(where, "map"))
        result = {
            code_text(text): _code(form, n, join(where, f"map.{text}"), kind) for text, n in found.items()
        }
    if "invert" in own and form.boolean(own["invert"], join(where, "invert")):
        result = {k: 1.0 - v for k, v in result.items() if isinstance(v, float)}
    return result


def _code(form: Form, node: Node, where: str, kind: Kind) -> str | float:
    if kind is Kind.TEXT:
        return form.text(node, where)
    if isinstance(node.value, bool):
        return float(node.value)
    number = form.number(node, where)
    return float(number or 0)


def _scale(form: Form, own: Mapping[str, Node], where: str) -> tuple[Fraction, tuple[str, ...]]:
    """A number, the name of a device parameter, or a list of them, which multiply."""
    if "scale" not in own:
        return Fraction(1), ()
    node, place = own["scale"], join(where, "scale")
    product, names = Fraction(1), list[str]()
    for part in form.items(node, place):
        if isinstance(part.value, str):
            if part.raw in names:
                form.note(part, place, f"{part.raw!r} stands there twice")
            names.append(part.raw)
            continue
        number = form.number(part, place)
        if number == 0:
            form.note(part, place, "0 would make every value 0")
        product *= Fraction(number or 1)
    if node.value == []:
        form.note(node, place, "is an empty list: name parameters or numbers, for example [ct, pt]")
    return product, tuple(names)


def _linear(form: Form, node: Node, where: str) -> tuple[Fraction, Fraction]:
    """{from: [4, 20], to: [0, 5]} -> factor and offset."""
    own = form.fields(node, where, ("from", "to"))
    ends = []
    for field in ("from", "to"):
        numbers = (
            [form.number(n, join(where, field)) for n in form.items(own[field], where)]
            if field in own
            else []
        )
        if len(numbers) != 2 or None in numbers:
            form.note(own.get(field, node), join(where, field), "must be two numbers")
            return Fraction(1), Fraction(0)
        ends.append([Fraction(n) for n in numbers if n is not None])
    (x0, x1), (y0, y1) = ends
    if x0 == x1:
        form.note(own["from"], join(where, "from"), "the two numbers must differ")
        return Fraction(1), Fraction(0)
    factor = (y1 - y0) / (x1 - x0)
    return factor, y0 - x0 * factor
