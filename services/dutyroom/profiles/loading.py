"""Reads `device_profiles/<vendor>/<model>.yaml` into profiles; every mistake with file, line and field.

A model whose file name starts with "_" is only there to be extended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path as FilePath

from dutyroom.errors import Invalid, Mistake
from dutyroom.model.telemetry import DeviceClass, Lane, Scalar
from dutyroom.profiles.codes import doubled_codes
from dutyroom.profiles.decoders import DECODERS
from dutyroom.profiles.envelopes import ENVELOPES
from dutyroom.profiles.examples import read_examples
from dutyroom.profiles.form import Form, join
from dutyroom.profiles.layouts import LAYOUT_FIELDS, read_layouts
from dutyroom.profiles.packing import Packed
from dutyroom.profiles.pointforms import expanded, read_interval
from dutyroom.profiles.profile import Layout, Profile
from dutyroom.profiles.remembered import check_computed, check_remembered
from dutyroom.profiles.yamlnode import Node, read_node
from dutyroom.yamltext import decode

TOP_FIELDS = (
    "name", "class", "products", "extends", "lane", "interval", "parameters", "privacy", "fallback",
    "envelope", "match", "when", "layouts", "groups", "examples", *LAYOUT_FIELDS,
)  # fmt: skip
MERGED = ("points", "attributes", "events", "parameters", "privacy", "match", "groups", "tlv")
EXPANDED = ("points", "events")
NOT_INHERITED = ("examples", "extends", "products")
MAX_EXTENDS = 8


def load_profiles(*folders: FilePath, ready: Sequence[Profile] = ()) -> tuple[list[Profile], list[Mistake]]:
    """All profiles that are right, and the mistakes of those that are not.

    A profile in a later folder (a site's own) replaces one of the same id in an earlier (the shipped
    ones), and may extend any. ready: those of the first folder, as it is by itself; they are read again only
    where a later one replaces any of its files, which others of them may extend.
    """
    files: dict[str, FilePath] = {}
    mistakes: list[Mistake] = []
    known = {profile.id: profile for profile in ready}
    for folder in folders:
        found = {f"{file.parent.name}/{file.stem}": file for file in sorted(folder.glob("*/*.yaml"))}
        if not found:
            mistakes.append(Mistake(str(folder), 0, "", "no profiles (<vendor>/<model>.yaml) here"))
        if files.keys() & found.keys():
            known = {}
        files |= found
    shelf = _Shelf(files)
    profiles: list[Profile] = []
    for profile_id, file in files.items():
        if profile_id in known:
            profiles.append(known[profile_id])
        elif not file.stem.startswith("_"):
            profile, wrong = shelf.profile(profile_id)
            mistakes += wrong
            if profile is not None and not wrong:
                profiles.append(Packed(profile))
    return profiles, list(dict.fromkeys(mistakes))


def load_own(shipped: FilePath, own: FilePath) -> list[Profile]:
    """A site's own profiles that are right, without reading more of the shipped ones than they extend."""
    listed = {f"{file.parent.name}/{file.stem}": file for file in sorted(own.glob("*/*.yaml"))}
    if not listed:
        return []
    shelf = _Shelf({f"{file.parent.name}/{file.stem}": file for file in shipped.glob("*/*.yaml")} | listed)
    made = [shelf.profile(name) for name, file in listed.items() if not file.stem.startswith("_")]
    return [profile for profile, wrong in made if profile is not None and not wrong]


def load_some(ids: Collection[str], *folders: FilePath) -> dict[str, Profile]:
    """Of these profiles those that are there and right, by id; a later folder goes before."""
    shelf = _Shelf({f"{f.parent.name}/{f.stem}": f for folder in folders for f in folder.glob("*/*.yaml")})
    made = {name: shelf.profile(name) for name in sorted(ids) if name in shelf}
    return {name: profile for name, (profile, wrong) in made.items() if profile is not None and not wrong}


def read_profile(text: str, profile_id: str = "test/test", file: str = "profile.yaml") -> Profile:
    """One profile from its text, without `extends`. Raises Invalid."""
    profile, mistakes = build(profile_id, read_node(text, file))
    if mistakes or profile is None:
        raise Invalid(mistakes)
    return profile


def read_extending(
    text: str, profile_id: str, file: str, folders: Sequence[FilePath]
) -> tuple[Profile | None, list[Mistake]]:
    """One profile from its text, which may extend those of the folders; a later folder goes before."""
    files = {f"{f.parent.name}/{f.stem}": f for folder in folders for f in folder.glob("*/*.yaml")}
    shelf = _Shelf(files)
    try:
        shelf.hold(profile_id, read_node(text, file))
    except Invalid as err:
        return None, list(err.mistakes)
    return shelf.profile(profile_id)


class _Shelf:
    """The files by profile id, each read once, with what they extend."""

    def __init__(self, files: Mapping[str, FilePath]) -> None:
        self._files = files
        self._nodes: dict[str, Node] = {}

    def __contains__(self, profile_id: str) -> bool:
        return profile_id in self._files

    def hold(self, profile_id: str, node: Node) -> None:
        """In place of its file."""
        self._nodes[profile_id] = node

    def profile(self, profile_id: str) -> tuple[Profile | None, list[Mistake]]:
        try:
            return build(profile_id, self._complete(profile_id, 0))
        except Invalid as err:
            return None, list(err.mistakes)

    def _complete(self, profile_id: str, depth: int) -> Node:
        node = self._read(profile_id)
        parent = node.value.get("extends") if isinstance(node.value, dict) else None
        if parent is None:
            return node
        if depth >= MAX_EXTENDS:
            raise Invalid([parent.mistake("extends", f"more than {MAX_EXTENDS} deep, or in a circle")])
        if parent.raw not in self._files:
            raise Invalid([parent.mistake("extends", f"there is no profile {parent.raw!r}")])
        return merged(self._complete(parent.raw, depth + 1), node)

    def _read(self, profile_id: str) -> Node:
        node = self._nodes.get(profile_id)
        if node is None:
            path = self._files[profile_id]
            name = str(path)
            try:
                raw = path.read_bytes()
            except OSError as err:
                raise Invalid([Mistake(name, 0, "", f"cannot be read: {err.strerror}")]) from err
            node = self._nodes[profile_id] = read_node(decode(raw, name), name)
        return node


def merged(base: Node, own: Node) -> Node:
    """A profile over what it extends: fields replace; points, attributes, events by name."""
    if not isinstance(base.value, dict) or not isinstance(own.value, dict):
        return own
    result = {k: v for k, v in base.value.items() if k not in NOT_INHERITED}
    for key, node in own.value.items():
        old = result.get(key)
        if key in MERGED and old is not None:
            result[key] = (
                _merged_tables(old, node) if key == "tlv" else _merged_maps(old, node, key in EXPANDED)
            )
        else:
            result[key] = node
    return Node(result, own.file, own.line)


def _merged_tables(old: Node, new: Node) -> Node:
    """A table of types over what it extends: type by type."""
    if not isinstance(old.value, dict) or not isinstance(new.value, dict):
        return new
    result = {**old.value, **new.value}
    if "types" in old.value and "types" in new.value:
        result["types"] = _merged_maps(old.value["types"], new.value["types"], False)
    return Node(result, new.file, new.line)


def _merged_maps(old: Node, new: Node, deep: bool) -> Node:
    if not isinstance(old.value, dict) or not isinstance(new.value, dict):
        return new
    result = dict(old.value)
    for key, node in new.value.items():
        inner = result.get(key)
        if deep and inner is not None:
            result[key] = _merged_maps(expanded(inner), expanded(node), False)
        else:
            result[key] = node
    return Node(result, new.file, new.line)


def build(profile_id: str, node: Node) -> tuple[Profile | None, list[Mistake]]:
    """A profile from its (completed) node, and what is wrong with it."""
    if not isinstance(node.value, dict):
        kind_of = "a list" if isinstance(node.value, list) else "a single value"
        said = f"must be a mapping of fields (name: ..., class: ..., match: ...), not {kind_of}"
        return None, [node.mistake("", said)]
    form = Form()
    top = form.fields(node, "", TOP_FIELDS)
    kind = form.choice(top["envelope"], "envelope", ENVELOPES) if "envelope" in top else None
    if kind is not None:
        base = read_node(ENVELOPES[kind], f"envelope {kind}")
        top = form.fields(merged(base, node), "", TOP_FIELDS)
    if kind in ("chirpstack", "tts") and any(name in top for name in DECODERS):
        form.note(
            top["envelope"], "envelope", f"{kind} is for what the server has decoded; the bytes need lorawan"
        )
    if "class" not in top:
        form.note(node, "class", "is missing")
    device_class = (
        form.choice(top["class"], "class", [c.value for c in DeviceClass]) if "class" in top else None
    )
    interval = read_interval(form, top["interval"], "interval") if "interval" in top else None
    lane = form.choice(top["lane"], "lane", ["normal", "priority"]) if "lane" in top else "normal"
    layouts = read_layouts(form, node, top, interval)
    parameters, needed = _parameters(form, top["parameters"]) if "parameters" in top else ({}, ())
    _check_scales(form, layouts, parameters, top.get("points", node))
    whole = Node(top, node.file, node.line)
    check_remembered(form, layouts, whole)
    check_computed(form, layouts, whole, set(top["parameters"].named) if "parameters" in top else set())
    profile = Profile(
        id=profile_id,
        device_class=DeviceClass(device_class or "other"),
        layouts=layouts,
        name=_names(form, top["name"]) if "name" in top else {"en": profile_id},
        products=form.texts(top["products"], "products") if "products" in top else (),
        lane=Lane.PRIORITY if lane == "priority" else Lane.NORMAL,
        interval_s=interval,
        parameters=parameters,
        needed=needed,
        privacy=_privacy(form, top["privacy"]) if "privacy" in top else {},
        fallback=form.boolean(top["fallback"], "fallback") if "fallback" in top else False,
        examples=read_examples(form, top["examples"]) if "examples" in top else (),
        file=node.file,
        envelope=kind or "",
    )
    return profile, [*form.mistakes, *doubled_codes(node)]


def _check_scales(
    form: Form, layouts: Sequence[Layout], parameters: Mapping[str, Scalar], points: Node
) -> None:
    """A parameter that is misspelt would leave the value as it is: a bill without the ratio. With a default of 0
    or less no device without its own would have a reading."""
    own = points.value if isinstance(points.value, dict) else {}
    for rule in {r.spec.name: r for layout in layouts for r in layout.points}.values():
        for said in (s for name in rule.scale_by if (s := _wrong_scale(name, parameters))):
            form.note(own.get(rule.spec.name, points), join("points", f"{rule.spec.name}.scale"), said)


def _wrong_scale(name: str, parameters: Mapping[str, Scalar]) -> str:
    """What is wrong with a parameter that multiplies; "" = nothing."""
    if name not in parameters:
        close = get_close_matches(name, parameters, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ", for example `parameters: {ct: 1}`"
        return f"{name!r} is no device parameter of this profile{hint}"
    usual = parameters[name]
    if isinstance(usual, int | float) and usual <= 0:
        return f"the parameter {name!r} is {usual}: must be a number above 0"
    return ""


def _names(form: Form, node: Node) -> dict[str, str]:
    if isinstance(node.value, dict):
        return {lang: form.text(n, join("name", lang)) for lang, n in node.value.items()}
    return {"en": form.text(node, "name")}


def _parameters(form: Form, node: Node) -> tuple[dict[str, Scalar], tuple[str, ...]]:
    """(defaults, names of those without one: nothing can be said of a device before its row does)."""
    defaults: dict[str, Scalar] = {}
    needed: list[str] = []
    for name, child in form.mapping(node, "parameters").items():
        if isinstance(child.value, str | int | float):
            defaults[name] = child.value
        elif child.value is None:
            needed.append(name)
        else:
            said = "must be a number, text, true or false; or nothing, where only a device can say it"
            form.note(child, join("parameters", name), said)
    return defaults, tuple(needed)


def _privacy(form: Form, node: Node) -> dict[str, str]:
    marks = form.mapping(node, "privacy")
    return {
        name: form.choice(child, join("privacy", name), ("drop", "hash", "keep")) or "drop"
        for name, child in marks.items()
    }
