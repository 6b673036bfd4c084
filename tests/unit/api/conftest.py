"""An application over real SQLite records, and people who log in to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pwdlib.hashers.argon2 import Argon2Hasher
from tests.acceptance.pages_harness import PASSWORD, SITE, Estate, make_estate

from dutyroom.api.app import create_app
from dutyroom.backends import passwords
from dutyroom.backends.device_files import DeviceFiles


@dataclass
class Files:
    """Stands for the exporter: what it was asked for is what it gives."""

    def csv(self, statements: object, language: str) -> bytes:
        return f"csv {language}".encode()

    def xlsx(self, statements: object, language: str) -> bytes:
        return f"xlsx {language}".encode()

    def reads_csv(self, reads: object, table: object, language: str) -> bytes:
        return f"reads csv {language}".encode()

    def reads_xlsx(self, reads: object, table: object, language: str) -> bytes:
        return f"reads xlsx {language}".encode()


@dataclass
class House:
    """The application and what it stands on."""

    app: FastAPI
    estate: Estate

    def visitor(self) -> TestClient:
        """A browser that is not logged in."""
        return TestClient(self.app, follow_redirects=False)

    def person(self, login: str, password: str = PASSWORD) -> TestClient:
        """A browser with a session; its CSRF token is sent along."""
        client = self.visitor()
        token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
        assert token is not None
        answer = client.post("/login", data={"login": login, "password": password, "csrf": token[1]})
        assert answer.status_code == 303, answer.text
        page = client.get(f"/sites/{SITE}/alarms").text
        found = re.search(r'"csrf":"([^"]+)"', page)
        assert found is not None
        client.headers["x-csrf-token"] = found[1]
        return client

    def program(self, scope: str) -> TestClient:
        """A program with a bearer token."""
        client = self.visitor()
        with self.estate.records.write() as tx:
            digest = self.estate.passwords.digest(f"secret {scope}")
            tx.people.new_token(digest, SITE, scope, scope, self.estate.clock.now())
        client.headers["authorization"] = f"Bearer secret {scope}"
        return client


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    # Passwords that cost next to nothing: most tests are about something else, and each person's log-in is two of them.
    monkeypatch.setattr(passwords, "Argon2Hasher", partial(Argon2Hasher, 1, 8, 1))
    estate = make_estate(tmp_path)
    made = House(
        create_app(
            {SITE: estate.runtime},
            estate.records,
            estate.clock,
            passwords=estate.passwords,
            files=Files(),
            version="0",
            device_files=DeviceFiles(),
        ),
        estate,
    )
    yield made
    estate.records.close()
    estate.runtime.journal.close()
