"""Reads the message part of a profile: match, unwrap, identity, time, events, rest, layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.profiles.decoders import DECODERS, read_decoder, read_source
from dutyroom.profiles.form import Form, join
from dutyroom.profiles.paths import Key, Path, parse
from dutyroom.profiles.pointforms import read_conditions, read_paths, read_points, read_time
from dutyroom.profiles.profile import EventRule, Layout, RestRule, SequenceRule, Stage
from dutyroom.profiles.templates import first_template, template
from dutyroom.profiles.topics import Filter, parse_filter
from dutyroom.profiles.unwrap import PLAIN_STAGES
from dutyroom.profiles.yamlnode import Node
from dutyroom.quantities import quantities_of

# Fields that a layout may set for itself; at the top of a file they are the default of all layouts.
LAYOUT_FIELDS = (
    "unwrap",
    "each",
    "identity",
    "time",
    "points",
    "events",
    "attributes",
    "rest",
    "bytes",
    "sequence",
    "order",
    *DECODERS,
)
SEQUENCE_FIELDS = ("from", "modulus")
OWN_FIELDS = ("name", "topic", "when", "ignore", "reject", *LAYOUT_FIELDS)
EVENT_FIELDS = ("each", "when", "id", "code", "codes", "time", "arguments")
REST_FIELDS = ("from", "attributes", "texts", "skip", "suffix", "units", "name", "value")


def read_layouts(form: Form, node: Node, top: Mapping[str, Node], interval: int | None) -> tuple[Layout, ...]:
    """The layouts of a profile; without `layouts` the whole file is one."""
    match = form.fields(top["match"], "match", ("topics", "when")) if "match" in top else {}
    filters = _filters(form, match["topics"], "match.topics") if "topics" in match else ()
    when = tuple(
        (n, w) for n, w in ((match.get("when"), "match.when"), (top.get("when"), "when")) if n is not None
    )
    if "layouts" not in top:
        if not filters:
            form.note(node, "match.topics", "is missing: on which topics do the messages come?")
        return (_layout(form, node, "", top, top, {}, filters, when, interval),)
    result = []
    for number, child in enumerate(form.items(top["layouts"], "layouts")):
        where = f"layouts[{number}]"
        own = form.fields(child, where, OWN_FIELDS)
        result.append(_layout(form, child, where, own, top, own, filters, when, interval))
    return tuple(result)


def _layout(
    form: Form, node: Node, where: str, own: Mapping[str, Node], top: Mapping[str, Node],
    extra: Mapping[str, Node], filters: tuple[Filter, ...], when: Sequence[tuple[Node, str]], interval: int | None,
) -> Layout:  # fmt: skip
    def place(name: str) -> str:
        return join(where, name) if name in own else name

    fields = {
        **{k: v for k, v in top.items() if k in LAYOUT_FIELDS},
        **{k: v for k, v in own.items() if k in LAYOUT_FIELDS},
    }
    if "topic" in extra:
        filters = _filters(form, extra["topic"], join(where, "topic"))
    if not filters:
        form.note(node, join(where, "topic"), "is missing: on which topic does this message come?")
    conditions = tuple(c for child, named in when for c in read_conditions(form, child, named))
    if "when" in extra:
        conditions += read_conditions(form, extra["when"], join(where, "when"))
    outcome = "ignore" in extra or "reject" in extra
    if not outcome and "identity" not in fields:
        form.note(
            node, join(where, "identity"), 'is missing: whose message is it? for example "{id}" of the topic'
        )
    layout_points = own.get("points") if where else None
    decoder = read_decoder(form, fields, own, top, place)
    return Layout(
        name=form.text(extra["name"], join(where, "name")) if "name" in extra else "",
        filters=filters,
        unwrap=_stages(form, fields["unwrap"], place("unwrap")) if "unwrap" in fields else (Stage("json"),),
        when=conditions,
        ignore=form.text(extra["ignore"], join(where, "ignore")) if "ignore" in extra else None,
        reject=form.text(extra["reject"], join(where, "reject")) if "reject" in extra else None,
        each=read_paths(form, fields["each"], place("each")) if "each" in fields else (),
        identity=_templates(form, fields["identity"], place("identity")) if "identity" in fields else (),
        time=read_time(form, fields["time"], place("time")) if "time" in fields else None,
        points=() if outcome else read_points(form, top.get("points"), layout_points, where, interval),
        events=_events(form, fields["events"], place("events")) if "events" in fields else (),
        attributes=_attributes(form, fields["attributes"], place("attributes"))
        if "attributes" in fields
        else {},
        rest=_rest(form, fields["rest"], place("rest")) if "rest" in fields else None,
        decoder=decoder,
        source=read_source(form, fields["bytes"], place("bytes")) if "bytes" in fields else None,
        sequence=read_sequence(form, fields["sequence"], place("sequence")) if "sequence" in fields else None,
    )


def read_sequence(form: Form, node: Node, where: str) -> SequenceRule | None:
    """A path, a list of paths, or {from, modulus}."""
    if not isinstance(node.value, dict):
        return SequenceRule(read_paths(form, node, where))
    own = form.fields(node, where, SEQUENCE_FIELDS)
    if "from" not in own:
        form.note(node, join(where, "from"), "is missing: where does the device count its messages?")
        return None
    modulus = form.integer(own["modulus"], join(where, "modulus"), 2, 2**63) if "modulus" in own else None
    return SequenceRule(read_paths(form, own["from"], join(where, "from")), modulus)


def _filters(form: Form, node: Node, where: str) -> tuple[Filter, ...]:
    found = [form.parsed(n, where, parse_filter) for n in form.items(node, where)]
    return tuple(f for f in found if f is not None)


def _templates(form: Form, node: Node, where: str) -> tuple[str, ...]:
    texts = form.texts(node, where)
    for text, child in zip(texts, form.items(node, where), strict=True):
        form.parsed(child, where, lambda _, text=text: first_template([text]))  # type: ignore[misc]
    return texts


def _stages(form: Form, node: Node, where: str) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    for child in form.items(node, where):
        if isinstance(child.value, dict):
            stages += _stage(form, child, where)
        else:
            kind = form.choice(child, where, PLAIN_STAGES) or "json"
            stages.append(Stage(kind))
    return tuple(stages)


def _stage(form: Form, node: Node, where: str) -> Iterator[Stage]:
    fields = form.fields(node, where, ("take", "parse", "as", "under"))
    if "as" in fields and "parse" not in fields:
        form.note(fields["as"], join(where, "as"), "goes with `parse`")
    if "take" in fields:
        yield Stage("take", form.parsed(fields["take"], join(where, "take"), parse))
    if "parse" in fields:
        path = form.parsed(fields["parse"], join(where, "parse"), parse)
        if path is not None and (not path.single or not _named(path)):
            form.note(fields["parse"], join(where, "parse"), "a path to one named field")
        yield Stage("parse", path, form.text(fields["as"], join(where, "as")) if "as" in fields else "")
    if "under" in fields:
        yield Stage("under", None, _template(form, fields["under"], join(where, "under")))


def _named(path: Path) -> bool:
    """Ends with a key: the place of the value has a name."""
    return bool(path.steps) and isinstance(path.steps[-1], Key)


def _template(form: Form, node: Node, where: str) -> str:
    text = form.text(node, where)
    form.parsed(node, where, template)
    return text


def _attributes(form: Form, node: Node, where: str) -> dict[str, tuple[Path, ...]]:
    return {
        name: read_paths(form, child, join(where, name)) for name, child in form.mapping(node, where).items()
    }


def _events(form: Form, node: Node, where: str) -> tuple[EventRule, ...]:
    rules = []
    for name, child in form.mapping(node, where).items():
        place = join(where, name)
        own = form.fields(child, place, EVENT_FIELDS)
        codes = form.mapping(own["codes"], join(place, "codes")) if "codes" in own else {}
        arguments = form.mapping(own["arguments"], join(place, "arguments")) if "arguments" in own else {}
        rules.append(
            EventRule(
                spec=PointSpec(name, kind=Kind.TEXT),
                each=form.parsed(own["each"], join(place, "each"), parse) if "each" in own else None,
                code=_template(form, own["code"], join(place, "code")) if "code" in own else name,
                codes={code: form.text(n, join(place, f"codes.{code}")) for code, n in codes.items()},
                id=_template(form, own["id"], join(place, "id")) if "id" in own else None,
                time=read_time(form, own["time"], join(place, "time")) if "time" in own else None,
                when=read_conditions(form, own["when"], join(place, "when")) if "when" in own else (),
                arguments={
                    a: read_paths(form, n, join(place, f"arguments.{a}")) for a, n in arguments.items()
                },
            )
        )
    return tuple(rules)


def _rest(form: Form, node: Node, where: str) -> RestRule | None:
    if isinstance(node.value, bool):
        return RestRule() if node.value else None
    own = form.fields(node, where, REST_FIELDS)

    def texts(name: str) -> tuple[str, ...]:
        return form.texts(own[name], join(where, name)) if name in own else ()

    units = form.mapping(own["units"], join(where, "units")) if "units" in own else {}
    return RestRule(
        source=form.parsed(own["from"], join(where, "from"), parse) if "from" in own else None,
        attributes=texts("attributes"),
        texts=texts("texts"),
        skip=texts("skip"),
        suffix=form.boolean(own["suffix"], join(where, "suffix")) if "suffix" in own else False,
        units={g: form.parsed(n, join(where, f"units.{g}"), _unit) or "" for g, n in units.items()},
        list_name=form.text(own["name"], join(where, "name")) if "name" in own else "",
        list_value=form.text(own["value"], join(where, "value")) if "value" in own else "value",
    )


def _unit(text: str) -> str:
    if not quantities_of(text):
        raise Rejected(f"unknown unit {text!r}")
    return text
