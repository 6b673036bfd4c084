"""The CI script and its proof of an installed demo, tried on stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WHEEL_DEMO = ROOT / "tests" / "acceptance" / "wheel_demo.py"
STAND_IN = """#!{python}
import http.server, signal, sys, time

port = int(sys.argv[sys.argv.index("--port") + 1])


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()


def stop(*_):
    time.sleep({stops_after})
    sys.exit(0)


signal.signal(signal.SIGINT, stop)
print("one-time password hunter2")
{before}
print(f"at http://127.0.0.1:{{port}}", flush=True)
http.server.HTTPServer(("127.0.0.1", port), Page).serve_forever()
"""


def try_demo(tmp_path: Path, stops_after: float = 0.0, before: str = "") -> subprocess.CompletedProcess[str]:
    program = tmp_path / "dutyroom"
    text = STAND_IN.format(python=sys.executable, stops_after=stops_after, before=before)
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    return subprocess.run(
        [sys.executable, WHEEL_DEMO, program, tmp_path / "data"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.name == "nt", reason="stands in by a script with a #! line")
@pytest.mark.parametrize(
    ("stops_after", "before", "code", "says"),
    [
        (0.0, "", 0, "exit code 0"),
        (2.5, "", 1, "stopped after 2."),
        (0.0, "print('no disk'); sys.exit(5)", 1, "ended by itself with exit code 5"),
    ],
)
def test_the_installed_demo_must_answer_and_stop(
    tmp_path: Path, stops_after: float, before: str, code: int, says: str
) -> None:
    done = try_demo(tmp_path, stops_after, before)
    assert done.returncode == code
    assert says in done.stdout
    assert "hunter2" not in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="this machine has no bash")
@pytest.mark.parametrize("script", [".ci/run", "tests/servers/build_influxd.sh"])
def test_shell_scripts_can_be_read_and_run(script: str) -> None:
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0
    assert os.access(ROOT / script, os.X_OK)


@pytest.mark.skipif(
    shutil.which("bash") is None or not Path("/dev/shm").is_dir(), reason="no bash, no /dev/shm"
)
@pytest.mark.parametrize(("free", "made"), [(3_999_999, False), (4_000_000, True)])
def test_tests_write_to_memory_where_there_is_room(tmp_path: Path, free: int, made: bool) -> None:
    said = tmp_path / "df"
    said.write_text(f"#!/bin/sh\necho Avail\necho {free}\n", encoding="utf-8")
    said.chmod(0o755)
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    function = text[text.index("memory_folder() {") :].partition("\n}\n")[0] + "\n}\n"
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail; {function} memory_folder"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = done.stdout.strip()
    runs = not os.statvfs("/dev/shm").f_flag & os.ST_NOEXEC  # some tests run scripts that they wrote
    assert bool(folder) is (made and runs)
    if folder:
        assert Path(folder).is_relative_to("/dev/shm")
        assert list(Path(folder).iterdir()) == []
        Path(folder).rmdir()
