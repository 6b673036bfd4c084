"""What lets a session in: passwords and certificates, read from the files that the site names."""

from __future__ import annotations

import ssl

from dutyroom.backends.tls import TlsFiles, client_context, renew, secret
from dutyroom.site import BrokerAddress

__all__ = ["name_of", "renew_tls", "secret", "tls_context"]


def name_of(address: BrokerAddress) -> str:
    return f"broker {address.host}:{address.port}"


def tls_context(address: BrokerAddress) -> ssl.SSLContext | None:
    """None = without TLS. Raises Rejected, naming the file that cannot be used."""
    if not address.tls:
        return None
    return client_context(_files(address), name_of(address))


def renew_tls(context: ssl.SSLContext, address: BrokerAddress) -> None:
    """Takes what the files hold now, for the connections to come. Raises Rejected, as `tls_context` does."""
    renew(context, _files(address), name_of(address))


def _files(address: BrokerAddress) -> TlsFiles:
    return TlsFiles(address.ca_file, address.certificate_file, address.key_file, address.key_password_file)
