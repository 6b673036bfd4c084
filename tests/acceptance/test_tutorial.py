"""docs/tutorial-device.md, followed as it stands: every file is written, every command typed in a shell,
what is shown compared with what comes, and the tables of readings with the store."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dutyroom.cli import app

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import Program, Visitor, environment, wait_for

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(300),  # on a busy machine; else it takes half a minute
    pytest.mark.skipif(sys.platform != "linux", reason="reads the process tree from /proc"),
]

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-device.md"
# What the service does by itself, or after its answer: the page's reader looks again, as we do.
PATIENT = ("dutyroom devices unknown", "dutyroom readings")
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block or a table of the page. file: the last name in `quotes` of the text before it."""

    line: int
    kind: str  # yaml, json, diff, console, table
    file: str
    text: str

    def commands(self) -> Iterator[tuple[str, str]]:
        """(command, what it shows)."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def blocks(page: str) -> Iterator[Block]:
    pattern = r"^```(\w+)\n(.*?)^```$|^\| point \|[^\n]*\n\|[- |]+\n((?:\|[^\n]*\n)+)"
    ends = 0
    for found in re.finditer(pattern, page, re.M | re.S):
        names = re.findall(r"`([^`\s]+)`:\s*\Z", page[ends : found.start()])
        line, ends = page.count("\n", 0, found.start()) + 1, found.end()
        yield Block(line, found[1] or "table", names[0] if names else "", found[2] or found[3])


def normal(shown: str) -> str:
    """Without what differs from run to run: receive times, ports, the password."""
    shown = re.sub(r"20(?!25-)\d\d-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)", "<time>", shown)
    shown = re.sub(r"127\.0\.0\.1:\d+", "<address>", shown)
    return re.sub(r"\b\w{4}(?:-\w{4}){3}\b", "<password>", shown).rstrip()


def agree(shown: str, came: str) -> bool:
    """A line of the page with nothing but ... stands for any lines."""
    parts = re.split(r"^ *\.\.\.$", normal(shown), flags=re.MULTILINE)
    return re.fullmatch(".*".join(map(re.escape, parts)), normal(came), re.S) is not None


class Reader:
    """A person with two terminals in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.more = {"DUTYROOM_DATA": str(folder / "data"), "DUTYROOM_PORT": "0"}
        self.service: Program | None = None
        self.visitor: Visitor | None = None
        self.adopted = ""
        command = folder / "bin" / "dutyroom"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m dutyroom.cli "$@"\n')
        command.chmod(0o755)

    def follow(self, block: Block) -> None:
        getattr(self, f"_{block.kind}")(block)

    def _file(self, block: Block) -> Path:
        assert block.file, f"line {block.line}: the text before the block ends with the file's name"
        return self.folder / block.file

    def _yaml(self, block: Block) -> None:
        file = self._file(block)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, encoding="utf-8")

    def _json(self, block: Block) -> None:
        self._file(block).write_text(block.text, encoding="utf-8")

    def _diff(self, block: Block) -> None:
        file = self._file(block)
        old, new = (re.findall(rf"^\{sign}(.*)$", block.text, re.M) for sign in "-+")
        before = file.read_text(encoding="utf-8")
        assert before.count("\n".join(old) + "\n") == 1, f"line {block.line}: {old} stands in {block.file}"
        file.write_text(before.replace("\n".join(old), "\n".join(new)), encoding="utf-8")

    def _console(self, block: Block) -> None:
        for command, shown in block.commands():
            if command.startswith("dutyroom serve "):
                self._serve(command, shown)
                continue
            if command.startswith("dutyroom devices adopt "):
                self.adopted = shlex.split(command)[-1]
            came: list[str] = [""]

            def as_shown(command: str = command, shown: str = shown, came: list[str] = came) -> bool:
                came[0] = self._type(command)
                return agree(shown, came[0])

            try:
                wait_for(as_shown, PATIENCE_S if command.startswith(PATIENT) else 0, command, 1.0)
            except AssertionError:
                assert normal(came[0]) == normal(shown), f"line {block.line}: {command}"
                raise

    def _type(self, command: str) -> str:
        """What it shows. Only what needs a shell gets one: starting Python anew takes most of the time."""
        if command.startswith("dutyroom ") and not set("<>|&;") & set(command):
            said = CliRunner().invoke(app, shlex.split(command)[1:], env=self.more).output
        else:
            said = self._shell(command)
        return said.replace(f"{self.folder}/", "")

    def _shell(self, command: str) -> str:
        path = f"{self.folder / 'bin'}:{os.environ.get('PATH', '')}"
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=environment({**self.more, "PATH": path}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout

    def _serve(self, command: str, shown: str) -> None:
        words = [str(self.folder / word) if word == "my-site" else word for word in shlex.split(command)[1:]]
        self.service = Program(*words, more=self.more)
        url = self.service.url()
        assert normal(self.service.text) == normal(shown)
        password = self.service.expect(r"one-time password (\S+)")[1]
        self.visitor = Visitor(url, "my-site").log_in(password)

    def _table(self, block: Block) -> None:
        """point | time | value of the device that was adopted last."""
        wanted = [
            tuple(cell.strip() for cell in row.strip("| ").split("|")) for row in block.text.splitlines()
        ]
        came: list[Any] = [None]

        def stored() -> bool:
            came[0] = [self._reading(point, at) for point, at, _ in wanted]
            return bool(came[0] == [float(value) for _, _, value in wanted])

        try:
            wait_for(stored, PATIENCE_S, "the readings", 0.5)
        except AssertionError:
            assert came[0] == [float(value) for _, _, value in wanted], f"line {block.line}: {wanted}"

    def _reading(self, point: str, time: str) -> float | None:
        assert self.visitor is not None
        row = self.visitor.points(self.adopted).get(point)
        if row is None:
            return None
        at = round(datetime.fromisoformat(time).timestamp() * 1000)
        found = self.visitor.get(f"/points/{row['point']}/readings", start=at, end=at + 1)
        return next(iter(found["value"]), None)


def test_the_tutorial_is_followed_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path)
    steps = list(blocks(PAGE.read_text(encoding="utf-8")))
    assert {step.kind for step in steps} == {"yaml", "json", "diff", "console", "table"}
    try:
        for step in steps:
            reader.follow(step)
        assert reader.service is not None
        assert reader.visitor is not None
        assert reader.visitor.get("/unknown") == []
        assert reader.visitor.get("/profiles")["mistakes"] == []
        assert reader.service.terminate() == 0
        assert "Traceback" not in reader.service.text
    finally:
        if reader.service is not None:
            reader.service.__exit__(None, None, None)


def test_only_three_dots_stand_for_anything() -> None:
    assert agree("a 2026-11-01T09:00:03.120+08:00\n  ...\nz\n", "a 2027-01-01T09:00:03+08:00\nb\nz\n")
    assert not agree("level 1.54", "level 1.55")
    assert not agree("at 2025-03-01T00:00:00Z", "at 2025-03-01T00:00:01Z")
