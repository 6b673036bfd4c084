"""The schema that editors complete from accepts what the reader accepts, and names mistakes."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dutyroom.profiles.schema import profile_schema
from dutyroom.profiles.yamlnode import read_node

SCHEMA = profile_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
FOLDER = Path(__file__).parents[3] / "device_profiles"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_shipped_profile_is_valid() -> None:
    wrong = []
    for file in sorted(FOLDER.glob("*/*.yaml")):
        document = read_node(file.read_text(encoding="utf-8"), file.name).plain()
        wrong += [
            f"{file}: {list(e.absolute_path)}: {e.message[:200]}" for e in VALIDATOR.iter_errors(document)
        ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "clas: tank",
        "class: tanks",
        "points: {a: {quantity: lenght}}",
        "points: {a: {kind: gage}}",
        "envelope: loriot",
        "binary: [{skp: 1, x: 2}]",
        "binary: [a: {as: u8, scal: 1}]",
        "tlv: {key: 9, types: {}}",
        "tlv: {key: 1}",
        "layouts: [{whn: {}}]",
        "examples: [{topic: x}]",
        "codec: dlt",
        "codec: {name: dlt645, extr: 1}",
        "points: {a: {digits: 16}}",
    ],
)
def test_mistakes_are_marked(text: str) -> None:
    assert list(VALIDATOR.iter_errors(read_node(text, "x.yaml").plain()))
