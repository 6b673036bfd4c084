"""The documents say what the program does: commands, settings, links, files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import dutyroom
from dutyroom.cli import app
from dutyroom.settings import PREFIX, Settings
from dutyroom.site.devices import COLUMNS
from dutyroom.site.source import FILES

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])


def commands() -> Iterator[tuple[str, Any]]:
    def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        for child_name, child in getattr(command, "commands", {}).items():
            if hasattr(child, "commands"):
                yield from walk(child, f"{name} {child_name}")
            else:
                yield f"{name} {child_name}", child

    yield from walk(typer.main.get_command(app), "dutyroom")


def sections() -> dict[str, str]:
    """Of docs/commands.md: heading -> text."""
    parts = re.split(r"^## (.+)$", (DOCS / "commands.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


COMMANDS = dict(commands())


def test_exactly_the_commands_that_exist_are_described() -> None:
    assert sorted(sections()) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_exactly_the_options_of_a_command_are_described(name: str) -> None:
    options = {opt for p in COMMANDS[name].params if p.param_type_name == "option" for opt in p.opts} - {
        "--help"
    }
    table = [line for line in sections()[name].splitlines() if line.startswith("| `--")]
    described = {option for line in table for option in re.findall(r"--[a-z-]+", line.split("|")[1])}
    assert described == options


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_has_a_help_text(name: str) -> None:
    assert COMMANDS[name].help
    assert [p.name for p in COMMANDS[name].params if p.param_type_name == "option" and not p.help] == []


def test_exactly_the_settings_that_exist_are_described_with_their_defaults() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8").split("## ")[0]
    described = dict(re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \| (.+?) \|", text, flags=re.MULTILINE))
    assert sorted(described) == sorted(name.upper() for name in Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if field.default_factory is None and field.default:
            shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
            shown = shown.lower() if isinstance(field.default, bool) else shown
            assert described[name.upper()] == f"`{shown}`"


def test_every_file_and_column_of_a_site_is_described() -> None:
    text = (DOCS / "site.md").read_text(encoding="utf-8")
    for word in (*FILES, *COLUMNS):
        assert f"`{word}`" in text, word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def test_every_page_is_listed_in_the_index() -> None:
    for folder in (DOCS, DOCS / "decisions"):
        index = (folder / "README.md").read_text(encoding="utf-8")
        for page in folder.glob("*.md"):
            assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_every_layer_of_the_import_contract_is_drawn() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    layers = re.search(
        r"^layers = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M | re.S
    )
    assert layers is not None
    for module in re.findall(r"[a-z]+", layers[1]):
        assert re.search(rf"\b{module}\b", text), module


def test_the_version_is_one() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{dutyroom.__version__}"' in project
    assert f"## {dutyroom.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_requirements_are_pinned_by_hash_and_name_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        pins = re.findall(r"^[a-zA-Z0-9_.\[\]-]+==\S+(.*)$", text, flags=re.MULTILINE)
        assert pins
        assert all(pin.strip().endswith("\\") for pin in pins)
        assert "index-url" not in text
        assert "://" not in text


def test_the_top_level_holds_only_what_it_should() -> None:
    wanted = {
        "pyproject.toml", "services", "device_profiles", "dashboards", "simulators", "tests", "docker-compose.yml",
        "README.md", "CHANGELOG.md", "LICENSE", "run.py", "Makefile", "Dockerfile", "requirements.txt",
        "requirements-dev.txt", "docs",
    }  # fmt: skip
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: what belongs to the project cannot be told")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= wanted
