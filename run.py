"""Starts and tests Dutyroom with nothing but a Python: `python run.py up`, `python run.py test`.

Makes a virtual environment beside this file (or in DUTYROOM_VENV), installs the pinned packages,
then starts the demo or the checks. Later starts skip what is done. Standard library only, and
syntax that Python 3.6 can read, so that an old one can say that it is too old.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

WANTED = (3, 11)
HERE = Path(__file__).resolve().parent
WINDOWS = os.name == "nt"
STAMP = "dutyroom.json"
USAGE = """usage: python run.py up [arguments of `dutyroom demo`]      start the demo
       python run.py test [--fix] [arguments of pytest]    format, lint, types, imports, tests

`up --help` shows what the demo understands. DUTYROOM_VENV=FOLDER keeps the environment elsewhere."""

# What pip prints when it cannot reach an index; the last one when it does not try again.
OFFLINE = ("connection", "resolve", "timed out", "network", "ssl", "proxy", "from versions: none")

LAUNCHER = """import sys

from dutyroom.cli import main

if __name__ == "__main__":
    sys.argv[0] = "dutyroom"
    sys.exit(main())
"""


class Stop(Exception):
    """Ends the run with a sentence for the person who started it."""


def main(arguments: "list[str]") -> int:
    try:
        check_python(sys.version_info[:3], arguments)
        if arguments and arguments[0] == "up":
            return up(arguments[1:])
        if arguments and arguments[0] == "test":
            return test(arguments[1:])
    except Stop as stop:
        say(str(stop))
        return 1
    except KeyboardInterrupt:
        say("Interrupted. The next start goes on from here.")
        return 130
    print(USAGE)
    return 0 if arguments[:1] in (["-h"], ["--help"]) else 2


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def check_python(version: "tuple[int, ...]", arguments: "list[str]") -> None:
    """Raises Stop for a Python that is too old, naming a newer one where there is one."""
    if version >= WANTED:
        return
    shown = ".".join(str(part) for part in version)
    names = [f"python3.{minor}" for minor in range(11, 20)]
    newer = [name for name in names if shutil.which(name) and works([name, "--version"])]
    hint = (
        f"Try: {' '.join([newer[-1], 'run.py', *arguments])}"
        if newer
        else "Install one from https://www.python.org/downloads/"
    )
    raise Stop(f"Python 3.11 or newer is needed, this is {shown} ({sys.executable}). {hint}")


# ---------------------------------------------------------------- the environment


def prepare(requirements: str) -> Path:
    """Makes the environment hold a requirements file and the project; returns its folder."""
    folder = Path(os.environ.get("DUTYROOM_VENV") or HERE / ".venv").absolute()
    done = read_stamp(folder)
    wanted = fingerprint(requirements)
    if done.get(requirements) == wanted and program(folder, "python").exists():
        return folder
    started = time.monotonic()
    make_venv(folder)
    count = (HERE / requirements).read_text(encoding="utf-8").count("==")
    say(f"Installing {count} packages into {folder} (once, about a minute) ...")
    install(folder, requirements)
    link_project(folder)
    done[requirements] = wanted
    (folder / STAMP).write_text(json.dumps(done), encoding="utf-8")
    say(f"Installed in {time.monotonic() - started:.0f} s.")
    return folder


def program(folder: Path, name: str) -> Path:
    """The path of a program in a virtual environment."""
    return folder / "Scripts" / f"{name}.exe" if WINDOWS else folder / "bin" / name


def fingerprint(requirements: str) -> str:
    """Changes when the packages, the project's metadata, its place or the Python do."""
    digest = hashlib.sha256()
    for name in (requirements, "pyproject.toml"):
        digest.update((HERE / name).read_bytes())
    digest.update(repr((str(HERE), sys.version_info[:2], LAUNCHER)).encode())
    return digest.hexdigest()


def read_stamp(folder: Path) -> "dict[str, str]":
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def make_venv(folder: Path) -> None:
    """Creates the virtual environment, or again one whose Python or pip no longer runs."""
    python = str(program(folder, "python"))
    check_writable(folder)
    if program(folder, "python").exists() and works([python, "-m", "pip", "--version"]):
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise Stop(no_venv_text())
    made = run_quietly([sys.executable, "-m", "venv", "--clear", str(folder)])
    if made.returncode == 0:
        return
    if "ensurepip" in made.stdout:
        raise Stop(no_venv_text())
    raise Stop(f"The virtual environment {folder} could not be made:\n{tail(made.stdout)}")


def no_venv_text() -> str:
    return (
        "This Python has no working `venv`, which keeps the packages apart from your system.\n"
        f"Debian and Ubuntu: sudo apt install python3.{sys.version_info[1]}-venv\n"
        "Elsewhere: install Python from https://www.python.org/downloads/ ; then start again."
    )


def check_writable(folder: Path) -> None:
    """Raises Stop when the folder cannot be made or written."""
    probe = folder / ".dutyroom-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as err:
        raise Stop(
            f"Cannot write to {folder} ({err.strerror}).\n"
            f"Keep the environment elsewhere: DUTYROOM_VENV={Path.home() / 'dutyroom-venv'} python run.py up"
        ) from None


def install(folder: Path, requirements: str) -> None:
    """Installs exactly the pinned files, checked by hash. Raises Stop with what pip said last."""
    command = [str(program(folder, "python")), "-m", "pip", "install", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--require-hashes", "-r", str(HERE / requirements)]
    done = run_quietly(command)
    if done.returncode != 0:
        raise Stop(pip_failure(done.stdout))


def pip_failure(output: str) -> str:
    """What to tell of a failed pip, by what it printed."""
    lowered = output.lower()
    if "do not match the hashes" in lowered:
        advice = "A package is not the one that was pinned; it was not installed. Try again later."
    elif "no space left" in lowered:
        advice = "The disk is full."
    elif "certificate_verify_failed" in lowered:
        advice = (
            "The package index shows a certificate that this Python does not trust. Behind a proxy that\n"
            "opens connections, name its certificate: PIP_CERT=FILE. Start again to go on."
        )
    elif any(sign in lowered for sign in OFFLINE):
        advice = (
            "The package index cannot be reached. Check the network; behind a proxy set HTTPS_PROXY,\n"
            "for a mirror set PIP_INDEX_URL. Start again to go on."
        )
    else:
        advice = "The packages could not be installed; start again to go on."
    return f"{advice}\npip said:\n{tail(output)}"


def link_project(folder: Path) -> None:
    """Puts the checkout on the environment's path and the command `dutyroom` beside its Python."""
    python = program(folder, "python")
    asked = run_quietly([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    pth = Path(asked.stdout.strip()) / "dutyroom-checkout.pth"
    pth.write_text(f"{HERE / 'services'}\n{HERE / 'simulators'}\n", encoding="utf-8")
    launcher = python.parent / "dutyroom-launcher.py"
    launcher.write_text(LAUNCHER, encoding="utf-8")
    if WINDOWS:
        (python.parent / "dutyroom.cmd").write_text(f'@"{python}" "{launcher}" %*\n', encoding="utf-8")
        return
    command = python.parent / "dutyroom"
    command.write_text(f'#!/bin/sh\nexec "{python}" "{launcher}" "$@"\n', encoding="utf-8")
    command.chmod(0o755)


def works(command: "list[str]") -> bool:
    try:
        return run_quietly(command).returncode == 0
    except OSError:
        return False


def run_quietly(command: "list[str]") -> "subprocess.CompletedProcess[str]":
    """Runs a program and keeps all that it prints, in one text."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def tail(text: str, lines: int = 8) -> str:
    shown = [line for line in text.strip().splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in shown[-lines:])


# ---------------------------------------------------------------- the two commands


def up(arguments: "list[str]") -> int:
    """Starts `dutyroom demo` in place of this process."""
    python = program(prepare("requirements.txt"), "python")
    command = [str(python), str(python.parent / "dutyroom-launcher.py"), "demo", *arguments]
    sys.stdout.flush()
    if not WINDOWS:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    return subprocess.call(command)


def test(arguments: "list[str]") -> int:
    """Runs every check, also after one failed; 0 only when all passed."""
    fix = "--fix" in arguments
    rest = [argument for argument in arguments if argument != "--fix"]
    folder = prepare("requirements-dev.txt")
    results = []
    for name, command in steps(folder, fix, rest):
        started = time.monotonic()
        code = run_step(command, shown=name == "tests", more=bytecode(folder))
        results.append((name, code, time.monotonic() - started))
    say("")
    for name, code, seconds in results:
        verdict = "ok" if code == 0 else f"FAILED (exit code {code})"
        say(f"  {name:<8} {seconds:6.1f} s  {verdict}")
    return 0 if all(code == 0 for _, code, _ in results) else 1


def steps(folder: Path, fix: bool, rest: "list[str]") -> "list[tuple[str, list[str]]]":
    """(name, command) of each check, in order. `rest` goes to pytest."""
    module = [str(program(folder, "python")), "-m"]
    own = any(a.startswith(("-n", "--numprocesses")) for a in rest)
    # By files, in the order of tests/conftest.py: the longest first.
    parallel = [] if own else ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    return [
        ("format", [*module, "ruff", "format", *([] if fix else ["--check"]), "."]),
        ("lint", [*module, "ruff", "check", *(["--fix"] if fix else []), "."]),
        ("types", [*module, "mypy"]),
        ("imports", [str(program(folder, "lint-imports"))]),
        ("tests", [*module, "pytest", *parallel, *rest]),
    ]


def bytecode(folder: Path) -> "dict[str, str]":
    """More environment for the checks, on a machine that wants no compiled modules beside its sources.

    They are kept in the virtual environment then. Without any, each of the hundred processes that the
    tests start would compile the whole service again, some seconds each time.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def run_step(command: "list[str]", shown: bool, more: "dict[str, str]") -> int:
    """Runs one check in the project's folder; a quiet one is shown only when it fails."""
    done = subprocess.run(
        command,
        cwd=str(HERE),
        env=dict(os.environ, PYTHONUTF8="1", **more),
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0 and done.stdout:
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
