"""The JSON Schema of a profile file, for editors: completes names, tells types. Made from the reader's own tables.

It is looser than the reader where a schema would need to repeat a parser (paths, types of the cursor,
expressions); `dutyroom check` has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from dutyroom.model.telemetry import DeviceClass, Kind
from dutyroom.profiles.binary.form import MEANING_FIELDS, READ_FIELDS, STEPS, TLV_FIELDS
from dutyroom.profiles.binary.types import ORDERS
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.conditions import TESTS, TYPES
from dutyroom.profiles.counterforms import WIDTHS
from dutyroom.profiles.decoders import DECODERS
from dutyroom.profiles.envelopes import ENVELOPES
from dutyroom.profiles.examples import FIELDS as EXAMPLE_FIELDS
from dutyroom.profiles.layouts import EVENT_FIELDS, LAYOUT_FIELDS, OWN_FIELDS, REST_FIELDS, SEQUENCE_FIELDS
from dutyroom.profiles.loading import TOP_FIELDS
from dutyroom.profiles.pointforms import POINT_FIELDS, TIME_FIELDS
from dutyroom.profiles.textform import ENCODINGS
from dutyroom.profiles.times import FORMATS
from dutyroom.profiles.unwrap import PLAIN_STAGES
from dutyroom.quantities import QUANTITIES

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_FACTOR: Schema = {"type": ["number", "string"]}
_TRUTH: Schema = {"type": "boolean"}
_ANY: Schema = {}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_PATHS: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_EXPRESSION: Schema = {"type": ["string", "number", "boolean"]}
_SCALARS: Schema = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _one_of(values: Iterable[str]) -> Schema:
    return {"enum": list(values)}


def _fields(names: Iterable[str], known: Mapping[str, Schema], needed: Iterable[str] = ()) -> Schema:
    """A mapping with these fields only; those that `known` does not describe may hold anything."""
    found: Schema = {
        "type": "object",
        "properties": {name: known.get(name, _ANY) for name in names},
        "additionalProperties": False,
    }
    if required := list(needed):
        found["required"] = required
    return found


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def _or_many(of: Schema) -> Schema:
    return {"anyOf": [of, {"type": "array", "items": of}]}


def profile_schema() -> Schema:
    """The whole schema, draft 2020-12."""
    top = _top()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Dutyroom device profile",
        **_fields(TOP_FIELDS, top),
        "$defs": {
            "time": {"anyOf": [_PATHS, _fields(TIME_FIELDS, _time())]},
            "when": _map({"anyOf": [_SCALARS, _fields(TESTS, _tests())]}),
            "point": {"anyOf": [_PATHS, {"type": "null"}, _fields(POINT_FIELDS, _point())]},
            "event": _fields(EVENT_FIELDS, _event()),
            "layout": _fields(OWN_FIELDS, {**top, **_layout()}),
            "example": {
                **_fields(EXAMPLE_FIELDS, _example(), ("topic",)),
                "anyOf": [{"required": ["payload"]}, {"required": ["hex"]}],
            },
            "field": {"anyOf": [_TEXT, _fields(READ_FIELDS, _meaning() | {"as": _TEXT, "bits": _bits()})]},
            "step": {"anyOf": [*_steps(), _map(_ref("field"))]},
            "steps": {"anyOf": [_TEXT, {"type": "array", "items": _ref("step")}, _ref("step")]},
            "table": _fields(TLV_FIELDS, _table(), ("types",)),
        },
    }


def _top() -> dict[str, Schema]:
    return {
        "name": {"anyOf": [_TEXT, _map(_TEXT)]},
        "class": _one_of(c.value for c in DeviceClass),
        "products": _or_many(_TEXT),
        "extends": _TEXT,
        "lane": _one_of(("normal", "priority")),
        "interval": _TEXT,
        "parameters": _map({"type": ["string", "number", "boolean", "null"]}),
        "privacy": _map(_one_of(("drop", "hash", "keep"))),
        "fallback": _TRUTH,
        "envelope": _one_of(ENVELOPES),
        "match": _fields(("topics", "when"), {"topics": _or_many(_TEXT), "when": _ref("when")}),
        "when": _ref("when"),
        "layouts": {"type": "array", "items": _ref("layout")},
        "groups": _map(_ref("steps")),
        "examples": {"type": "array", "items": _ref("example")},
        **_message(),
    }


def _message() -> dict[str, Schema]:
    """The fields that a layout may set, at the top or for itself."""
    source = {"from": _PATHS, "encoding": _one_of(("base64", "hex")), "port": _PATHS, "each": _TEXT}
    text = {"pattern": _or_many(_TEXT), "lines": _TRUTH, "encoding": _one_of(ENCODINGS)}
    stage: Schema = {
        "anyOf": [
            _one_of(PLAIN_STAGES),
            _fields(("take", "parse", "as", "under"), dict.fromkeys(("take", "parse", "as", "under"), _TEXT)),
        ]
    }
    known: dict[str, Schema] = {
        "unwrap": _or_many(stage),
        "each": _PATHS,
        "identity": _or_many(_TEXT),
        "time": _ref("time"),
        "points": {"anyOf": [{"type": "array", "items": _TEXT}, _map(_ref("point"))]},
        "events": _map(_ref("event")),
        "attributes": _map(_PATHS),
        "rest": {"anyOf": [_TRUTH, _fields(REST_FIELDS, {"suffix": _TRUTH, "units": _map(_TEXT)})]},
        "bytes": _fields(("from", "encoding", "port", "each"), source, ("from",)),
        "sequence": {
            "anyOf": [
                _PATHS,
                _fields(SEQUENCE_FIELDS, {"from": _PATHS, "modulus": {"type": "integer"}}, ("from",)),
            ]
        },
        "order": _one_of(ORDERS[:2]),
        "codec": {"anyOf": [_one_of(CODECS), *(_codec(name) for name in CODECS)]},
        "binary": _ref("steps"),
        "tlv": _ref("table"),
        "text": {"anyOf": [_or_many(_TEXT), _fields(("pattern", "lines", "encoding"), text, ("pattern",))]},
    }
    assert known.keys() == {*LAYOUT_FIELDS, *DECODERS}
    return known


def _codec(name: str) -> Schema:
    """A codec with its settings."""
    return _fields(("name", *CODECS[name].options), {"name": {"const": name}}, ("name",))


def _layout() -> dict[str, Schema]:
    return {"name": _TEXT, "topic": _or_many(_TEXT), "when": _ref("when"), "ignore": _TEXT, "reject": _TEXT}


def _time() -> dict[str, Schema]:
    return {
        "from": _PATHS,
        "format": {"anyOf": [_one_of(FORMATS), _TEXT]},
        "zone": _TEXT,
        "since": _TEXT,
        "ago": _one_of(("ms", "s", "min", "h", "d")),
        "every": _TEXT,
        "first": {"type": "integer"},
    }


def _tests() -> dict[str, Schema]:
    return {
        "in": _SCALARS,
        "not": _SCALARS,
        "match": _or_many(_TEXT),
        "exists": _TRUTH,
        "above": _NUMBER,
        "below": _NUMBER,
        "type": _or_many(_one_of(TYPES)),
    }


def _point() -> dict[str, Schema]:
    units = sorted({unit for quantity in QUANTITIES.values() for unit in quantity.units})
    return {
        "from": _PATHS,
        "quantity": _one_of(QUANTITIES),
        "unit": _one_of(units),
        "unit_from": _TEXT,
        "kind": _one_of(k.value for k in Kind),
        "step": _NUMBER,
        "digits": {"type": "integer", "minimum": 1, "maximum": 15},
        "resets": _TRUTH,
        "reset_when": _ref("when"),
        "wrap": {"anyOf": [_one_of(WIDTHS), {"type": "integer"}]},
        "interval": _TEXT,
        "low": _NUMBER,
        "high": _NUMBER,
        "labels": _map({"anyOf": [_TEXT, _map(_TEXT)]}),
        "scale": {"anyOf": [_FACTOR, {"type": "array", "items": _FACTOR, "minItems": 1}]},
        "offset": _NUMBER,
        "linear": _fields(("from", "to"), {}, ("from", "to")),
        "map": {"anyOf": [_one_of(("boolean",)), _map(_SCALAR)]},
        "otherwise": _SCALAR,
        "invert": _TRUTH,
        "none": _SCALARS,
        "when": _ref("when"),
        "time": _ref("time"),
        "absent": _SCALAR,
        "value": _EXPRESSION,
        "names": _map(_TEXT),
        "each": _TEXT,
        "sum": _fields(
            ("from", "direction"), {"from": _TEXT, "direction": _one_of(("up", "down"))}, ("from",)
        ),
    }


def _event() -> dict[str, Schema]:
    return {
        "each": _TEXT,
        "when": _ref("when"),
        "id": _TEXT,
        "code": _TEXT,
        "codes": _map({"type": ["string", "number"]}),
        "time": _ref("time"),
        "arguments": _map(_PATHS),
    }


def _example() -> dict[str, Schema]:
    values = _map(_map(_SCALAR))
    return {
        "title": _TEXT,
        "topic": _TEXT,
        "hex": _TEXT,
        "received": _TEXT,
        "parameters": _map(_SCALAR),
        "expect": values,
        "attributes": values,
        "events": {"type": "array", "items": {"type": "object"}},
        "time": _TEXT,
        "findings": _or_many(_TEXT),
        "ignored": _TEXT,
        "refused": _TEXT,
    }


def _meaning() -> dict[str, Schema]:
    known: dict[str, Schema] = {
        "none": _SCALARS,
        "map": _map(_SCALAR),
        "otherwise": _SCALAR,
        "scale": _NUMBER,
        "offset": _NUMBER,
        "when": _EXPRESSION,
        "at": _EXPRESSION,
    }
    return known


def _bits() -> Schema:
    return _map({"anyOf": [_TEXT, _fields(("name", "invert", *MEANING_FIELDS), _meaning(), ("name",))]})


def _table() -> dict[str, Schema]:
    return {
        "key": {"anyOf": [{"enum": [1, 2, 3]}, {"type": "array", "items": _TEXT}]},
        "length": _TEXT,
        "unknown": _one_of(("stop", "skip", "reject")),
        "types": _map({"anyOf": [{"type": "null"}, _ref("steps")]}),
    }


def _steps() -> list[Schema]:
    known: dict[str, Schema] = {
        **_meaning(),
        "value": _EXPRESSION,
        "name": _TEXT,
        "length": _EXPRESSION,
        "times": _EXPRESSION,
        "read": _ref("steps"),
        "group": _ref("steps"),
        "cases": _map(_ref("steps")),
        "parts": {"type": "array", "items": _EXPRESSION},
        "over": {"type": "array", "items": _EXPRESSION},
        "equals": _EXPRESSION,
        "check": _one_of((*CHECKSUMS, "holds")),
        "tlv": _ref("table"),
        "switch": _EXPRESSION,
    }
    return [_fields((step, *fields), known, (step,)) for step, fields in STEPS.items()]
