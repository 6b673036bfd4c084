"""Why a broker could not be reached or did not let us in, in words that name the line of the site to look at.

All are said behind the broker's name.
"""

from __future__ import annotations

import ssl

from dutyroom.site import BrokerAddress

_NOBODY_KNOWN = (
    18,
    19,
    20,
    21,
)  # OpenSSL's verify codes: none of the authorities that we trust has signed it


def not_reached(address: BrokerAddress, err: BaseException | None) -> str:
    """Of an error while connecting."""
    if isinstance(err, ssl.SSLCertVerificationError):
        hint = _authorities(address) if err.verify_code in _NOBODY_KNOWN else ""
        return f"shows a certificate that is not trusted: {err.verify_message}{hint}"
    hint = " (by TLS: does that port speak it?)" if address.tls else ""
    return of_our_certificate(address, str(err)) or f"cannot be reached: {err}{hint}"


def of_our_certificate(address: BrokerAddress, reason: str) -> str:
    """Of a handshake that the broker ended for our certificate's sake, "" = it did not. reason: OpenSSL's."""
    words = reason.lower().replace("_", " ")
    if "certificate required" in words or "handshake failure" in words:
        if address.certificate_file:
            return f"does not take our client certificate {address.certificate_file}"
        return "wants a client certificate (the site names no certificate_file and key_file)"
    if "alert" in words and ("unknown ca" in words or "certificate" in words):
        return f"does not trust our client certificate {address.certificate_file}: {reason}"
    return ""


def ended_early(address: BrokerAddress, reason: str) -> str:
    """Of a connection that ended before the broker answered. The reason that a broker gives for ending a handshake may
    be lost: it is not read where our first packet met a closed line."""
    if not address.tls:
        hint = "does that port want TLS, tls: true?"
    elif address.certificate_file:
        hint = f"does it take our client certificate {address.certificate_file}?"
    else:
        hint = "does it want a client certificate, certificate_file and key_file?"
    return of_our_certificate(address, reason) or f"ended the connection before it let us in ({hint})"


def _authorities(address: BrokerAddress) -> str:
    if address.ca_file:
        return f" (ca_file names {address.ca_file}: is it of another authority?)"
    return " (the site names no ca_file, so this machine's authorities count)"
