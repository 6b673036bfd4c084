"""How we speak TLS as a client: whom we trust and who we are, from files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from dutyroom.errors import Rejected


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths, "" = none named. ca: of the authorities that are trusted, "" = those of the machine. hint: how
    the file of the key's password is named where it can be."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: str = ""
    hint: str = "key_password_file"


def secret(file: str, name: str, what: str = "the password") -> str | None:
    """What a file holds, None = none is named. Raises Rejected."""
    if not file:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise Rejected(f"{name}: {what} cannot be read from {file}: {err}") from err


def client_context(files: TlsFiles, name: str) -> ssl.SSLContext:
    """name: of the server, for people. Raises Rejected, naming the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=files.ca or None)
    except (OSError, ValueError) as err:
        raise Rejected(f"{name}: the certificates in {files.ca} cannot be used: {err}") from err
    _show_ourselves(context, files, name)
    return context


def renew(context: ssl.SSLContext, files: TlsFiles, name: str) -> None:
    """Reads the files again, for the connections to come; of authorities the new ones are trusted beside the
    old. Raises Rejected as `client_context` does."""
    if files.ca:
        try:
            context.load_verify_locations(cafile=files.ca)
        except (OSError, ValueError) as err:
            raise Rejected(f"{name}: the certificates in {files.ca} cannot be used: {err}") from err
    _show_ourselves(context, files, name)


def _show_ourselves(context: ssl.SSLContext, files: TlsFiles, name: str) -> None:
    if not files.certificate:
        return
    # Never None: OpenSSL would ask at the terminal, and wait.
    word = secret(files.key_password, name, "the key's password") or ""
    try:
        context.load_cert_chain(files.certificate, files.key or None, word)
    except (OSError, ValueError) as err:
        raise Rejected(f"{name}: {_why_not(files, err)}") from err


def _why_not(files: TlsFiles, err: Exception) -> str:
    key = files.key or files.certificate
    reason = getattr(err, "reason", "") or str(err)
    if isinstance(err, FileNotFoundError | PermissionError):
        return f"the client certificate {files.certificate} or its key {key} cannot be read: {err.strerror}"
    if reason == "KEY_VALUES_MISMATCH":
        return f"the key {key} does not belong to the client certificate {files.certificate}"
    if files.key_password:
        hint = f"; is it of another kind, or the password in {files.key_password} another one?"
    else:
        hint = f"; where it has a password, name the file that holds it: {files.hint}"
    return f"the client certificate {files.certificate} with the key {key} cannot be used: {reason}{hint}"
