"""run.py: what it says when something is missing, and that it does each thing once."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import run

ROOT = Path(__file__).parents[3]
FAKE_CLI = "import sys\n\n\ndef main():\n    print(sys.argv)\n    return 7\n"


def call(script: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
    """(exit code, everything printed)"""
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project of nothing but a command line."""
    project = tmp_path / "a project"
    (project / "services" / "dutyroom").mkdir(parents=True)
    (project / "services" / "dutyroom" / "cli.py").write_text(FAKE_CLI, encoding="utf-8")
    shutil.copy(ROOT / "run.py", project)
    (project / "pyproject.toml").write_text("", encoding="utf-8")
    (project / "requirements.txt").write_text("# nothing\n", encoding="utf-8")
    return project


def test_an_old_python_can_read_it_far_enough_to_say_that_it_is_too_old() -> None:
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    with pytest.raises(run.Stop) as caught:
        run.check_python((3, 9, 2), [])
    assert str(caught.value).startswith("Python 3.11 or newer is needed, this is 3.9.2 (")
    run.check_python((3, 11, 0), [])
    run.check_python((4, 0, 0), [])


def test_a_newer_python_on_the_path_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in (("python3.12", 0), ("python3.13", 127)):  # a shim for one that is not there
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(run.Stop, match=r"Try: python3\.12 run\.py up$"):
        run.check_python((3, 10, 1), ["up"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(run.Stop, match=r"Install one from https://www\.python\.org"):
        run.check_python((3, 10, 1), ["up"])


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_without_venv_the_package_to_install_is_named(checkout: Path, tmp_path: Path, missing: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.modules[{missing!r}] = None\n", encoding="utf-8"
    )
    code, said = call(checkout / "run.py", "up", PYTHONPATH=str(tmp_path))
    assert code == 1
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in said
    assert "Traceback" not in said


def test_a_folder_that_cannot_be_written_is_named_with_a_way_out(checkout: Path) -> None:
    blocked = checkout / "pyproject.toml" / "venv"  # below a file: not even root can make it
    code, said = call(checkout / "run.py", "up", DUTYROOM_VENV=str(blocked))
    assert code == 1
    assert said.startswith(f"Cannot write to {blocked}")
    assert "DUTYROOM_VENV=" in said


def test_up_installs_once_and_starts_the_demo_from_any_folder(checkout: Path, tmp_path: Path) -> None:
    code, said = call(checkout / "run.py", "up", "--port", "9", cwd=tmp_path)
    assert "Installing 0 packages" in said
    assert said.splitlines()[-1] == "['dutyroom', 'demo', '--port', '9']"
    assert code == 7

    code, said = call(checkout / "run.py", "up", cwd=tmp_path)
    assert said == "['dutyroom', 'demo']\n"

    command = checkout / ".venv" / "bin" / "dutyroom"
    done = subprocess.run([command, "check"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("['dutyroom', 'check']\n", 7)

    refused = "nothing==1.0 --hash=sha256:" + "0" * 64 + "\n"
    (checkout / "requirements.txt").write_text(refused, encoding="utf-8")
    code, said = call(checkout / "run.py", "up", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0")
    assert code == 1
    assert "The package index cannot be reached." in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError'", "index cannot be reached"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE",
            "not the one that was pinned",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        ("ERROR: something else\n" * 50, "could not be installed"),
    ],
)
def test_what_pip_failed_at_is_told_in_a_sentence(output: str, says: str) -> None:
    said = run.pip_failure(output)
    assert says in said.splitlines()[0]
    assert len(said.splitlines()) <= 12


def test_a_venv_whose_python_is_gone_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "venv"
    python = run.program(folder, "python")
    python.parent.mkdir(parents=True)
    python.symlink_to(tmp_path / "uninstalled")
    made: list[list[str]] = []
    monkeypatch.setattr(
        run,
        "run_quietly",
        lambda command: made.append(command) or subprocess.CompletedProcess(command, 0, ""),
    )
    run.make_venv(folder)
    assert made == [[sys.executable, "-m", "venv", "--clear", str(folder)]]


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "up", interrupted)
    assert run.main(["up"]) == 130
    assert capsys.readouterr().err == "Interrupted. The next start goes on from here.\n"


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert (run.main([]), run.main(["upp"]), run.main(["--help"])) == (2, 2, 0)
    assert "python run.py up" in capsys.readouterr().out


def test_every_check_runs_and_one_line_each_sums_them_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def steps(folder: Path, fix: bool, rest: list[str]) -> list[tuple[str, list[str]]]:
        assert (folder, fix, rest) == (tmp_path, True, ["-k", "x"])
        return [
            ("format", [sys.executable, "-c", "print('quiet when well')"]),
            ("lint", [sys.executable, "-c", "print('shown when not'); raise SystemExit(3)"]),
            ("tests", [sys.executable, "-c", "print('always shown')"]),
        ]

    monkeypatch.setattr(run, "prepare", lambda requirements: tmp_path)
    monkeypatch.setattr(run, "steps", steps)
    assert run.test(["--fix", "-k", "x"]) == 1
    out, err = capfd.readouterr()
    assert out.split() == ["shown", "when", "not", "always", "shown"]
    lines = [line.split() for line in err.splitlines() if line]
    assert [(line[0], " ".join(line[3:])) for line in lines] == [
        ("format", "ok"),
        ("lint", "FAILED (exit code 3)"),
        ("tests", "ok"),
    ]


def test_the_checks_are_those_of_the_readme() -> None:
    steps = dict(run.steps(ROOT / ".venv", fix=False, rest=["-k", "x"]))
    assert list(steps) == ["format", "lint", "types", "imports", "tests"]
    assert "--check" in steps["format"]
    assert steps["tests"][-2:] == ["-k", "x"]
    fixed = dict(run.steps(ROOT / ".venv", fix=True, rest=["-n0"]))
    assert "--check" not in fixed["format"]
    assert "--fix" in fixed["lint"]
    assert fixed["tests"][-1] == "-n0"
    assert "--dist" not in fixed["tests"]


def test_compiled_modules_are_kept_where_the_machine_wants_none_beside_the_sources(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "one_module.py").write_text("", encoding="utf-8")
    importing = [sys.executable, "-c", "import one_module; print(one_module.__cached__)"]
    monkeypatch.setattr(run, "prepare", lambda requirements: tmp_path / "venv")
    monkeypatch.setattr(run, "steps", lambda folder, fix, rest: [("tests", importing)])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert run.test([]) == 0
    kept = Path(capfd.readouterr().out.strip())
    assert kept.is_relative_to(tmp_path / "venv" / "bytecode")
    assert kept.exists()
    assert not (tmp_path / "__pycache__").exists()

    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE")
    assert run.bytecode(tmp_path) == {}
