"""Certificates made when a test runs: an authority, a server's, a client's, and one of a stranger."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Signs certificates into a folder; openssl must be on the path."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-nodes", "-days", "2", "-subj", f"/CN={name}"]
        _run(*command, "-keyout", str(self._key), "-out", str(self.certificate))

    def sign(self, name: str, password: str = "", days: int = 2) -> tuple[Path, Path]:
        """A certificate and its key, good for 127.0.0.1 too; with a password the key is encrypted. days: 0 = it
        expires within a second."""
        certificate, key, wish = (self._folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        command = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-subj", f"/CN={name}", "-keyout", str(key), "-out", str(wish)]
        command += ["-passout", f"pass:{password}"] if password else ["-nodes"]
        _run(*command)
        more = self._folder / f"{name}.ext"
        more.write_text("subjectAltName=IP:127.0.0.1\n")
        command = ["openssl", "x509", "-req", "-in", str(wish), "-days", str(days), "-extfile", str(more)]
        command += ["-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial"]
        _run(*command, "-out", str(certificate))
        return certificate, key


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
