"""What a person wrote wrong is told with file, line and field."""

from pathlib import Path
from textwrap import dedent

import pytest

from dutyroom.errors import Invalid
from dutyroom.model.telemetry import DeviceClass, Kind, Lane
from dutyroom.profiles.loading import load_profiles, read_profile

GOOD = """
name: {en: Water meter, zh-CN: 水表}
class: water_meter
interval: 15min
match: {topics: ["meters/{id}"]}
identity: "{id}"
points:
  volume: {from: total, quantity: volume, kind: counter, step: 0.001, digits: 8}
  status: {from: status, kind: text}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        read_profile(dedent(text), file="p.yaml")
    return [str(m) for m in caught.value.mistakes]


def test_a_profile_says_what_it_measures() -> None:
    profile = read_profile(GOOD, "acme/w1")
    assert profile.id == "acme/w1"
    assert profile.device_class is DeviceClass.WATER_METER
    assert profile.lane is Lane.NORMAL
    volume, status = profile.points
    assert (volume.name, volume.unit, volume.kind, str(volume.step), volume.digits, volume.interval_s) == (
        "volume", "m3", Kind.COUNTER, "0.001", 8, 900,
    )  # fmt: skip
    assert (status.kind, status.interval_s) == (Kind.TEXT, None)


@pytest.mark.parametrize(
    ("change", "to", "told"),
    [
        ("class: water_meter", "class: water", "p.yaml:3: class: 'water' is not one of water_meter,"),
        ("class: water_meter", "clas: water_meter", "clas: unknown field; did you mean 'class'?"),
        ("class: water_meter", "lane: normal", "class: is missing"),
        ("quantity: volume", "quantity: volum", "points.volume.quantity: 'volum' is not known; did you mean 'volume'?"),
        ("kind: counter, step: 0.001", "kind: counter", "points.volume.step: a counter needs the size of its step"),
        ("step: 0.001", "step: -1", "points.volume.step: a counter needs the size of its step"),
        ("from: total", "form: total", "points.volume.form: unknown field; did you mean 'from'?"),
        ("from: total", "from: a..b", "points.volume.from: path 'a..b' cannot be read"),
        ("digits: 8", "digits: 40", "points.volume.digits: must be a whole number from 1 to 15"),
        ("from: total", "from: total, unit: kWh", "points.volume.unit: 'kWh' is no unit of volume"),
        ("interval: 15min", "interval: 15", "p.yaml:4: interval: needs a unit, for example 15min"),
        ("interval: 15min", 'time: {from: ts, format: "%d.%d.%y"}', "time.format: time format '%d.%d.%y': the same part stands there twice"),
        ("interval: 15min", 'time: {from: ts, format: "%Y-%Q"}', "time.format: time format '%Y-%Q': 'Q' is a bad directive"),
        ("interval: 15min", 'time: {from: ts, format: "%Y-%"}', "time.format: time format '%Y-%': stray %"),
        ("interval: 15min", "interval: 0min", "p.yaml:4: interval: '0min' is no time between two readings"),
        ("interval: 15min", "interval: -5min", "p.yaml:4: interval: '-5min' is no time between two readings"),
        ("from: total", "from: total, interval: 15", "points.volume.interval: needs a unit, for example 15min"),
        ("from: total", "from: total, low: 5, high: 1", "points.volume.high: must be above `low`, 5"),
        ("from: total", "from: total, scale: 0", "points.volume.scale: 0 would make every value 0"),
        ("from: total", "from: total, scale: ct", "p.yaml:8: points.volume.scale: 'ct' is no device parameter of this profile"),
        ('identity: "{id}"', 'identity: "{id"', "identity: '{id' has a brace without its partner"),
        ('identity: "{id}"', "", "identity: is missing: whose message is it?"),
        ('["meters/{id}"]', '["meters/#/x"]', "match.topics: 'meters/#/x': the rest of the topic can only stand last"),
        ('{topics: ["meters/{id}"]}', "{}", "match.topics: is missing"),
        ("status: {from: status, kind: text}", "status: {from: status, map: {a: b}}", "points.status.map.a: must be a number"),
        ("status: {from: status, kind: text}", "status: {from: status, labels: {open: x}}", "a label belongs to a whole number"),
        ("status: {from: status, kind: text}", "status: {from: x, linear: {from: [1, 1], to: [0, 2]}}", "the two numbers must differ"),
        ("status: {from: status, kind: text}", "status: {from: x, linear: {from: [1], to: [0, 2]}}", "must be two numbers"),
        ("status: {from: status, kind: text}", "status: {from: x, when: {y: {abov: 3}}}", "did you mean 'above'?"),
        ("status: {from: status, kind: text}", "status: {each: log, from: x}", "points.status.each: names one value; write log[*]"),
        ("status: {from: status, kind: text}", "status: {from: x, time: {from: t, format: unix}}", "unknown time format"),
        ("status: {from: status, kind: text}", "status: {from: x, time: {from: t, zone: Mars/Base}}", "unknown time zone"),
    ],
)  # fmt: skip
def test_a_mistake_names_line_and_field(change: str, to: str, told: str) -> None:
    assert change in GOOD
    found = mistakes(GOOD.replace(change, to))
    assert any(told in m for m in found), found


def test_a_point_without_from_reads_the_field_of_its_name() -> None:
    profile = read_profile(GOOD.replace("from: status, ", ""), "acme/w1")
    assert [rule.paths[0].text for rule in profile.layouts[0].points] == ["total", "status"]


def test_a_parameter_that_is_misspelt_is_told() -> None:
    text = (
        GOOD.replace("from: total", "from: total, scale: pulse_wieght") + "parameters: {pulse_weight: 0.01}\n"
    )
    (told,) = mistakes(text)
    assert told.endswith(
        "'pulse_wieght' is no device parameter of this profile; did you mean 'pulse_weight'?"
    )


def test_a_name_that_nothing_remembers_is_told_with_its_point() -> None:
    text = GOOD + '  "flow_{chanel}": {from: "flows.{channel}", quantity: flow}\n'
    (told,) = mistakes(text)
    assert told.startswith("p.yaml:10: points.flow_{chanel}: {chanel} is remembered by no topic and no path")
    assert told.endswith("did you mean {channel}?")
    rules = read_profile(text.replace("chanel", "channel")).layouts[0].points
    assert [rule.spec.name for rule in rules][2:] == ["flow_{channel}"]


def test_an_identity_of_a_name_that_nothing_remembers_is_told() -> None:
    (told,) = mistakes(GOOD.replace('identity: "{id}"', 'identity: "w-{meter|lower}"'))
    assert told == (
        "p.yaml:6: identity: {meter} is remembered by no topic and no path of it; remembered are: id"
    )


def test_a_name_that_one_layout_remembers_is_enough() -> None:
    """What stands at the top is the default of all layouts."""
    text = GOOD.replace('match: {topics: ["meters/{id}"]}', "each: '@'").replace(
        'identity: "{id}"', 'identity: ["{id}", "{$.id}"]'
    )
    text += '  "flow_{n}": {from: flow, quantity: flow}\n'
    text += "layouts: [{topic: 'm/{id}/{n}'}, {topic: 'x/+'}]\n"
    assert len(read_profile(text).layouts) == 2


def test_a_default_by_which_nothing_could_be_scaled_is_told() -> None:
    text = GOOD.replace("from: total", "from: total, scale: ct") + "parameters: {ct: 0}\n"
    (told,) = mistakes(text)
    assert told.endswith("points.volume.scale: the parameter 'ct' is 0: must be a number above 0")


def test_values_that_mean_no_reading_are_compared_as_numbers() -> None:
    profile = read_profile(
        GOOD.replace("from: total", "from: total, none: [-999.0, 1e3, 0xFF, 850.10, '1.0']")
    )
    assert profile.layouts[0].points[0].none == {"-999", "1000", "255", "850.1", "1.0"}


def test_a_time_since_an_epoch_needs_no_format() -> None:
    profile = read_profile(GOOD + 'time: {from: ts, since: "2000-01-01T00:00:00Z"}\n')
    assert profile.layouts[0].time is not None
    assert "time.since: " in mistakes(GOOD + "time: {from: ts, since: the beginning}\n")[0]


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes(GOOD.replace("class: water_meter", "class: x").replace("kind: text", "kind: words"))
    assert len(found) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty file"),
        ("a: [", "p.yaml:"),
        ("- 1", "must be a mapping of fields"),
        ("class: water_meter\nclass: gas_meter", "p.yaml:2"),
        ("class: &x water_meter\nname: *x", "anchors and aliases"),
        ("class: other\nenvelope: loriot\n", "'loriot' is not one of lorawan, chirpstack, tts, wmbus"),
        ("class: other\nmatch: {topics: [a]}\nidentity: x\ncodec: m-bus", "codec"),
        ("class: other\nmatch: {topics: [a]}\nidentity: x\nexamples: 3", "examples: must be a list"),
        ("class: other\nmatch: {topics: [a]}\nidentity: x\nexamples: [{topic: a}]", "examples[0].payload: is missing"),
        ("class: other\nmatch: {topics: [a]}\nidentity: x\nunwrap: [jsn]", "did you mean 'json'?"),
        ("class: other\nmatch: {topics: [a]}\nidentity: x\nrest: {units: {a: parsec}}", "unknown unit 'parsec'"),
        ("class: other\nmatch: {topics: [a]}\nidentity: x\nlayouts: [{points: [nope]}]", "'nope' is not one of the profile's points"),
        ("class: other\nidentity: x\nlayouts: [{points: {}}]", "layouts[0].topic: is missing"),
    ],
)  # fmt: skip
def test_what_is_no_profile_is_told(text: str, told: str) -> None:
    assert any(told in m for m in mistakes(text)), mistakes(text)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")


def test_a_profile_extends_another(tmp_path: Path) -> None:
    write(tmp_path, "acme/_base", GOOD)
    write(
        tmp_path,
        "acme/w2",
        """
        extends: acme/_base
        match: {when: {model: w2}}
        points:
          volume: {step: 0.01}
          status: state
          flow: {from: flow, quantity: flow}
        """,
    )
    profiles, wrong = load_profiles(tmp_path)
    assert not wrong
    (profile,) = profiles  # the base itself is none
    points = {p.name: p for p in profile.points}
    assert str(points["volume"].step) == "0.01"
    assert points["volume"].digits == 8
    assert points["status"].kind is Kind.TEXT
    assert points["flow"].interval_s == 900
    assert profile.layouts[0].filters[0].text == "meters/{id}"


@pytest.mark.parametrize(
    ("parent", "told"),
    [
        ("acme/none", "there is no profile 'acme/none'"),
        ("acme/w1", "in a circle"),
        ("../../etc/passwd", "there is no profile"),
    ],
)
def test_what_cannot_be_extended(tmp_path: Path, parent: str, told: str) -> None:
    write(tmp_path, "acme/w1", f"extends: {parent}\n")
    profiles, wrong = load_profiles(tmp_path)
    assert not profiles
    assert told in str(wrong[0])
    assert wrong[0].line == 1


def test_a_mistake_in_a_base_names_the_base(tmp_path: Path) -> None:
    write(tmp_path, "acme/_base", GOOD.replace("quantity: volume", "quantity: length"))
    write(tmp_path, "acme/w1", "extends: acme/_base")
    write(tmp_path, "acme/w2", "extends: acme/_base")
    _, wrong = load_profiles(tmp_path)
    assert len(wrong) == 1
    assert wrong[0].file.endswith("_base.yaml")
    assert wrong[0].line == 8


def test_files_that_are_no_text_and_folders_without_profiles(tmp_path: Path) -> None:
    assert "no profiles" in str(load_profiles(tmp_path)[1][0])
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "w1.yaml").write_bytes(b"class: \xff\xfe")
    assert "not UTF-8" in str(load_profiles(tmp_path)[1][0])


def test_a_site_adds_profiles_and_replaces_shipped_ones(tmp_path: Path) -> None:
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    shipped.mkdir()
    own.mkdir()
    write(shipped, "acme/_base", GOOD)
    write(shipped, "acme/w1", "extends: acme/_base")
    write(own, "acme/w1", "extends: acme/_base\nclass: heat_meter")
    write(own, "acme/w2", "extends: acme/w1")
    profiles, wrong = load_profiles(shipped, own)
    assert not wrong
    assert {p.id: p.device_class.value for p in profiles} == {
        "acme/w1": "heat_meter",
        "acme/w2": "heat_meter",
    }


BRACES = """
class: other
match: {topics: ["m/{id}"], when: {"{id}": [a, b]}}
identity: "{id}"
unwrap: [json, {under: "{id}"}]
points:
  flow: {from: flow, when: {"{id}": a}}
  "flow_{n}": {from: "flows.{n}", when: {"{n}": [x, y]}}
events:
  opened: {each: "doors.{door}", code: "opened_{door}", id: "{id}-{$.no}", when: {"{door}": [1, 2]}}
"""


@pytest.mark.parametrize(
    ("change", "to", "told"),
    [
        ('code: "opened_{door}"', 'code: "opened_{dor}"', "p.yaml:10: events.opened.code: {dor} is remembered by no topic and no path of it; did you mean {door}?"),
        ('id: "{id}-', 'id: "{card}-', "p.yaml:10: events.opened.id: {card} is remembered by no topic and no path of it; remembered are: door, id"),
        ('under: "{id}"', 'under: "{n}"', "p.yaml:5: unwrap: {n} is remembered by no topic and no path of it; remembered are: id"),
        ('when: {"{door}"', 'when: {"{n}"', "p.yaml:10: events.opened.when.{n}: {n} is remembered by no topic"),
        ('when: {"{id}": [a', 'when: {"{n}": [a', "p.yaml:3: match.when.{n}: {n} is remembered by no topic"),
        ('when: {"{id}": a}', 'when: {"{door}": a}', "p.yaml:7: points.flow.when.{door}: {door} is remembered by no topic"),
        ('when: {"{n}"', 'when: {"{m}"', "p.yaml:8: points.flow_{n}.when.{m}: {m} is remembered by no topic"),
    ],
)  # fmt: skip
def test_a_name_that_nothing_remembers_is_told_wherever_it_stands(change: str, to: str, told: str) -> None:
    """An event with such a code would never come, and such a test never hold: in silence."""
    assert read_profile(BRACES).layouts
    assert change in BRACES
    (found,) = mistakes("\n" + BRACES.lstrip().replace(change, to))
    assert found.startswith(told)


def test_a_name_in_a_layout_of_its_own_is_told_there() -> None:
    text = (
        BRACES
        + 'layouts: [{topic: "x/{id}/{n}", when: {"{n}": up}}, {topic: "y/{id}", when: {"{no}": up}}]\n'
    )
    (found,) = mistakes(text)
    assert found.startswith("p.yaml:11: layouts[1].when.{no}: {no} is remembered by no topic")


RATIOS = GOOD.replace("class: water_meter", "class: electricity_meter") + "parameters: {ct: 1, pt: 1}\n"


@pytest.mark.parametrize(
    ("scale", "told"),
    [
        (
            "[ct, ptt]",
            "points.status.scale: 'ptt' is no device parameter of this profile; did you mean 'pt'?",
        ),
        ("[ct, ct]", "points.status.scale: 'ct' stands there twice"),
        ("[ct, 0]", "points.status.scale: 0 would make every value 0"),
        ("[]", "points.status.scale: is an empty list"),
        ("[ct, true]", "points.status.scale: must be a number"),
        ("[ct, [pt]]", "points.status.scale: must be a number"),
        ("{ct: pt}", "points.status.scale: must be a list"),
        ("[ct, null]", "points.status.scale: must be a number"),
    ],
)
def test_what_cannot_multiply_is_told(scale: str, told: str) -> None:
    (found,) = mistakes(RATIOS.replace("kind: text", f"scale: {scale}"))
    assert told in found


def test_a_list_of_factors_is_their_product() -> None:
    """0.1 three times is a thousandth, not what floats make of it."""
    rule = read_profile(RATIOS.replace("kind: text", "scale: [ct, 0.1, pt, 0.1, 0.1]")).layouts[0].points[1]
    assert (str(rule.scale), rule.scale_by) == ("1/1000", ("ct", "pt"))
    one = read_profile(RATIOS.replace("kind: text", "scale: [ct]")).layouts[0].points[1]
    assert (one.scale, one.scale_by) == (1, ("ct",))


@pytest.mark.parametrize(
    ("text", "what"), [("- name: x\n- class: y\n", "a list"), ("hello", "a single value")]
)
def test_a_file_that_is_no_mapping_is_one_mistake(text: str, what: str) -> None:
    told = f"must be a mapping of fields (name: ..., class: ..., match: ...), not {what}"
    (mistake,) = mistakes(text)
    assert mistake.startswith("p.yaml:1")
    assert mistake.endswith(told)


BINARY = """
class: electricity_meter
match: {topics: ["m/{id}"]}
identity: "{id}"
unwrap: raw
parameters: {ct: 1, weight: }
binary: [{e: u16}, {flags: {as: u8, bits: {0: alarm}}}]
points:
  energy: {value: "e * ct", quantity: energy}
"""


def test_a_name_that_no_field_and_no_parameter_has_is_a_mistake_where_fields_are_known() -> None:
    read_profile(BINARY)
    read_profile(
        BINARY.replace("e * ct", "e * weight if alarm else x").replace("quantity", "names: {x: e}, quantity")
    )
    (told,) = mistakes(BINARY.replace("e * ct", "e * cct"))
    assert told == (
        "p.yaml:9: points.energy.value: 'cct' is no field and no device parameter of this profile; did you mean 'ct'?"
    )
    (told,) = mistakes(BINARY.replace("e * ct", "e * metres"))
    assert told.endswith("there are: alarm, ct, e, flags, weight")


def test_the_same_of_a_text_and_of_a_layout_of_its_own() -> None:
    text = BINARY.replace(
        "binary: [{e: u16}, {flags: {as: u8, bits: {0: alarm}}}]", r"text: 'E=(?P<e>[0-9]+)'"
    )
    read_profile(text)
    (told,) = mistakes(text.replace("e * ct", "f * ct"))
    assert told.startswith("p.yaml:9: points.energy.value: 'f' is no field")
    own = """
    class: electricity_meter
    match: {topics: ["m/{id}"]}
    identity: "{id}"
    unwrap: raw
    layouts:
      - binary: [{e: u16}]
        points: {energy: {value: "e * ct", quantity: energy}}
    """
    (told,) = mistakes(own)
    assert told.startswith("p.yaml:8: layouts[0].points.energy.value: 'ct' is no field")


def test_what_one_layout_lacks_another_may_have() -> None:
    two = """
    class: electricity_meter
    match: {topics: ["m/{id}"]}
    identity: "{id}"
    unwrap: raw
    points: {energy: {value: "e * 2", quantity: energy}}
    layouts:
      - {when: {bytes.size: 2}, binary: [{e: u16}]}
      - {binary: [{f: u16}]}
    """
    read_profile(dedent(two))
    assert len(mistakes(two.replace("{e: u16}", "{g: u16}"))) == 1


def test_of_json_only_a_message_can_say() -> None:
    read_profile(GOOD + '  energy: {value: "e * ct", quantity: energy}\n')


def test_a_parameter_without_a_default_is_what_a_device_must_say() -> None:
    profile = read_profile(BINARY)
    assert (profile.parameters, profile.needed) == ({"ct": 1}, ("weight",))
    (told,) = mistakes(BINARY.replace("ct: 1", "ct: [1]"))
    assert (
        "parameters.ct: must be a number, text, true or false; or nothing, where only a device can say it"
        in told
    )
