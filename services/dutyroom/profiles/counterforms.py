"""When the register of a point begins again at 0: fields that only counters have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dutyroom.model.telemetry import Kind
from dutyroom.profiles.form import Form, join
from dutyroom.profiles.profile import MAX_WRAP, PointRule
from dutyroom.profiles.yamlnode import Node

WIDTHS: Mapping[str, int] = {f"u{bits}": 2**bits for bits in (8, 16, 24, 32, 40, 48)}
COUNTER_FIELDS = frozenset({"wrap", "resets", "reset_when"})
_NOT_WITH = {  # field: why no whole number of steps follows from the payload's count then
    "digits": "the register wraps at one of them",
    "offset": "a register that wraps begins at 0",
    "linear": "use scale",
    "unit_from": "the payload may change what it counts",
    "map": "codes do not wrap",
}


def read_wrap(form: Form, node: Node, where: str) -> int | None:
    """u8 to u48, or a whole number: the payload's count at which it begins again at 0."""
    if isinstance(node.value, str):
        name = form.choice(node, where, WIDTHS)
        return WIDTHS[name] if name is not None else None
    return form.integer(node, where, 2, MAX_WRAP)


def with_counter(form: Form, own: Mapping[str, Node], where: str, rule: PointRule) -> PointRule:
    """The rule of a counter with what it says of its wrap and of resets."""
    if rule.spec.kind is not Kind.COUNTER:
        for name in sorted(COUNTER_FIELDS & own.keys()):
            form.note(own[name], join(where, name), "only a counter wraps or resets")
        return rule
    if "resets" in own and form.boolean(own["resets"], join(where, "resets")):
        return _resetting(form, own, where, rule)
    return _wrapped(form, own, where, rule) if rule.wrap is not None else rule


def _resetting(form: Form, own: Mapping[str, Node], where: str, rule: PointRule) -> PointRule:
    """A counter that starts again by itself; with a wrap it would be taken for a register to bill."""
    for name in ("digits", "wrap", "reset_when"):
        if name in own:
            told = f"not together with {name}: a counter that starts again by itself is no register to bill"
            form.note(own["resets"], join(where, "resets"), told)
    return replace(rule, spec=replace(rule.spec, resets=True))


def _wrapped(form: Form, own: Mapping[str, Node], where: str, rule: PointRule) -> PointRule:
    """The rule with the steps at which its register wraps; what cannot be exact is a mistake.

    Where a parameter of the device says what a count is, each device has its own; see
    `PointRule.spec_of`.
    """
    node, place = own["wrap"], join(where, "wrap")
    found = next((name for name in _NOT_WITH if name in own), None)
    if found is not None:
        form.note(node, place, f"not together with {found}: {_NOT_WITH[found]}")
        return rule
    if rule.scale_by or rule.spec.step is None:
        return rule
    steps = rule.wrap_steps()
    if steps is None:
        form.note(
            node, place, f"{rule.wrap} counts of the payload are no whole number of steps of {rule.spec.step}"
        )
    return replace(rule, spec=replace(rule.spec, wrap=steps))
