"""What lets a session in: passwords and certificates, read from the files that the site names."""

from __future__ import annotations

import ssl
from pathlib import Path

from dutyroom.errors import Rejected
from dutyroom.site import BrokerAddress


def name_of(address: BrokerAddress) -> str:
    return f"broker {address.host}:{address.port}"


def secret(file: str, name: str, what: str = "the password") -> str | None:
    """What a file holds, None = none is named. Raises Rejected."""
    if not file:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise Rejected(f"{name}: {what} cannot be read from {file}: {err}") from err


def tls_context(address: BrokerAddress) -> ssl.SSLContext | None:
    """None = without TLS. Raises Rejected, naming the file that cannot be used."""
    if not address.tls:
        return None
    name = name_of(address)
    try:
        context = ssl.create_default_context(cafile=address.ca_file or None)
    except (OSError, ValueError) as err:
        raise Rejected(f"{name}: the certificates in {address.ca_file} cannot be used: {err}") from err
    if address.certificate_file:
        # Never None: OpenSSL would ask at the terminal, and wait.
        word = secret(address.key_password_file, name, "the key's password") or ""
        try:
            context.load_cert_chain(address.certificate_file, address.key_file or None, word)
        except (OSError, ValueError) as err:
            raise Rejected(f"{name}: {_why_not(address, err)}") from err
    return context


def _why_not(address: BrokerAddress, err: Exception) -> str:
    key = address.key_file or address.certificate_file
    reason = getattr(err, "reason", "") or str(err)
    if isinstance(err, FileNotFoundError | PermissionError):
        return f"the client certificate {address.certificate_file} or its key {key} cannot be read: {err.strerror}"
    if reason == "KEY_VALUES_MISMATCH":
        return f"the key {key} does not belong to the client certificate {address.certificate_file}"
    if address.key_password_file:
        hint = f"; is it of another kind, or the password in {address.key_password_file} another one?"
    else:
        hint = "; where it has a password, name the file that holds it: key_password_file"
    return (
        f"the client certificate {address.certificate_file} with the key {key} cannot be used: {reason}{hint}"
    )
