"""Secrets: slow hashes of passwords, random tokens, and the digests that are stored of them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import cached_property

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from dutyroom.errors import Rejected

_LONGEST = 1024  # characters; more would only keep the machine busy
_READABLE = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0/o, 1/l/i: it is read aloud and typed


class Passwords:
    """Argon2id with the library's recommended cost (some 50 ms a try). Thread-safe."""

    def __init__(self) -> None:
        self._argon2 = PasswordHash((Argon2Hasher(),))

    def hash(self, password: str) -> str:
        """A slow salted hash. Raises Rejected for an empty or an endless password."""
        if not 0 < len(password) <= _LONGEST:
            raise Rejected(f"a password has 1 to {_LONGEST} characters")
        return self._argon2.hash(password)

    def verify(self, password: str, hashed: str) -> bool:
        """False also for an empty or unreadable hash, in the same time: nobody learns who exists."""
        known = hashed or self._nobody
        try:
            good = self._argon2.verify(password[:_LONGEST], known)
        except (PwdlibError, ValueError):
            self._argon2.verify(password[:_LONGEST], self._nobody)
            return False
        return good and bool(hashed) and len(password) <= _LONGEST

    @cached_property
    def _nobody(self) -> str:
        return self._argon2.hash(secrets.token_hex(16))

    def new_token(self) -> str:
        """256 random bits for a cookie, a header or a URL."""
        return secrets.token_urlsafe(32)

    def digest(self, token: str) -> str:
        """What is stored of a token: it has enough randomness for a fast hash."""
        return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()

    def one_time_password(self) -> str:
        """For a first administrator: four groups of four, some 79 bits."""
        return "-".join("".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(4))


def same(given: str, wanted: str) -> bool:
    """Equal, found out in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))
