"""What lets a session in: passwords and certificates, read from the files that the site names."""

from __future__ import annotations

import ssl

import paho.mqtt.client as paho

from dutyroom.backends.tls import TlsFiles, client_context, renew, secret
from dutyroom.site import BrokerAddress

__all__ = ["name_of", "read_again", "secret", "tls_context"]


def name_of(address: BrokerAddress) -> str:
    return f"broker {address.host}:{address.port}"


def tls_context(address: BrokerAddress) -> ssl.SSLContext | None:
    """None = without TLS. Raises Rejected, naming the file that cannot be used."""
    if not address.tls:
        return None
    return client_context(_files(address), name_of(address))


def read_again(client: paho.Client, address: BrokerAddress, context: ssl.SSLContext | None) -> None:
    """A password or certificates that were renewed in their files count from the client's next try on. context: the
    one that it was given. Raises Rejected, as `tls_context` does."""
    name = name_of(address)
    if address.username:
        client.username_pw_set(address.username, secret(address.password_file, name))
    if context is not None:
        renew(context, _files(address), name)


def _files(address: BrokerAddress) -> TlsFiles:
    return TlsFiles(address.ca_file, address.certificate_file, address.key_file, address.key_password_file)
