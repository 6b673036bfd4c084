"""A real Mosquitto on the loopback, set so that it drops nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.servers.child import Child, Missing, free_port

_CONFIG = """listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 0
max_packet_size 8388608
log_type error
log_type warning
{user}
"""


class Mosquitto:
    """host, port; may be killed and started again on the same port with the same sessions."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, extra: str = "") -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise Missing("mosquitto is not on the path; install the package mosquitto")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._saved = folder / "mosquitto.db"
        config = folder / "mosquitto.conf"
        # As root it would give up its rights, and could not write to our folder then.
        user = "user root" if os.geteuid() == 0 else ""
        config.write_text(_CONFIG.format(port=self.port, folder=folder, user=user) + extra)
        self._child = Child([program, "-c", str(config)], self.port, folder / "mosquitto.log")

    def start(self) -> None:
        self._child.start(seconds=10)

    def stop(self) -> None:
        """Sessions are saved."""
        self._child.stop()

    def kill(self) -> None:
        """Sessions are kept up to the last autosave, a second ago."""
        self._child.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def forget(self) -> None:
        """Restarted with nothing of what it had."""
        self.stop()
        self._saved.unlink(missing_ok=True)
        self.start()

    @property
    def running(self) -> bool:
        return self._child.running
