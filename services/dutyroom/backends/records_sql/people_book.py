"""People, their sessions and tokens, and failed log-ins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, func, select, update

from dutyroom.backends.records_sql import schema
from dutyroom.backends.records_sql.link import Link, columns, values
from dutyroom.errors import Conflict
from dutyroom.model.duty import Person
from dutyroom.timebase import DAY, Ms


class People:
    """PeopleBook in SQL. A login is unique over all sites, since it alone says who comes in."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._all = select(*columns(schema.people, Person))

    def all(self, site: str) -> Sequence[Person]:
        t = schema.people.c
        return self._link.fetch(
            Person, self._all.where(t.site == site).order_by(*self._link.by_text(t.login))
        )

    def by_login(self, login: str) -> Person | None:
        return self._link.one(Person, self._all.where(schema.people.c.login == login))

    def upsert(self, person: Person) -> Person:
        """Inserts, or changes the one with this login. Raises Conflict when another site has it."""
        old = self.by_login(person.login)
        if old is None:
            return self._insert(person)
        if old.site != person.site or person.id not in (0, old.id):
            raise Conflict(f"the login {person.login!r} is taken")
        new = replace(person, id=old.id)
        t = schema.people
        self._link.careful(update(t).where(t.c.id == old.id).values(values(new, "id")))
        return new

    def _insert(self, person: Person) -> Person:
        t = schema.people
        if person.id:  # known by its id: the login itself changes
            renamed = update(t).where(t.c.id == person.id, t.c.site == person.site)
            if self._link.careful(renamed.values(values(person, "id"))).rowcount == 1:
                return person
        number = self._link.insert_new(t, values(person, "id"))
        if number is None:
            raise Conflict(f"the login {person.login!r} is taken")
        return replace(person, id=number)

    def new_session(self, token_hash: str, person: int, now: Ms, until: Ms) -> None:
        t = schema.sessions
        self._link.run(delete(t).where(t.c.until <= now))
        row = {"token_hash": token_hash, "person": person, "created_at": now, "until": until}
        self._link.careful(t.insert().values(row))

    def session(self, token_hash: str, now: Ms) -> Person | None:
        s, p = schema.sessions, schema.people
        found = self._all.join(s, s.c.person == p.c.id)
        valid = found.where(s.c.token_hash == token_hash, s.c.until > now, p.c.active.is_(True))
        return self._link.one(Person, valid)

    def end_session(self, token_hash: str) -> None:
        self._link.run(delete(schema.sessions).where(schema.sessions.c.token_hash == token_hash))

    def end_sessions(self, person: int, keep: str = "") -> int:
        t = schema.sessions
        return self._link.run(delete(t).where(t.c.person == person, t.c.token_hash != keep)).rowcount

    def new_token(self, token_hash: str, site: str, name: str, scope: str, now: Ms) -> None:
        """Raises Conflict when a token of this name is valid."""
        row: dict[str, Any] = {"token_hash": token_hash, "site": site, "name": name, "scope": scope}
        row |= {"created_at": now, "revoked": False}
        if self._link.insert_new(schema.tokens, row) is None:
            raise Conflict(f"a token named {name!r} is there already")

    def token(self, token_hash: str) -> tuple[str, str, str] | None:
        t = schema.tokens.c
        found = select(t.site, t.name, t.scope).where(t.token_hash == token_hash, t.revoked.is_(False))
        row = self._link.run(found).first()
        return None if row is None else (row[0], row[1], row[2])

    def tokens(self, site: str) -> Sequence[tuple[str, str, Ms]]:
        t = schema.tokens.c
        found = select(t.name, t.scope, t.created_at).where(t.site == site, t.revoked.is_(False))
        return [
            (row[0], row[1], row[2]) for row in self._link.run(found.order_by(*self._link.by_text(t.name)))
        ]

    def revoke_token(self, site: str, name: str) -> bool:
        t = schema.tokens
        valid = (t.c.site == site, t.c.name == name, t.c.revoked.is_(False))
        return self._link.run(update(t).where(*valid).values(revoked=True)).rowcount == 1

    def failures(self, key: str, since: Ms) -> int:
        t = schema.login_failures.c
        found = select(func.count()).select_from(schema.login_failures)
        return int(self._link.run(found.where(t.key == key, t.at >= since)).scalar_one())

    def note_failure(self, key: str, now: Ms) -> None:
        t = schema.login_failures
        self._link.run(delete(t).where(t.c.at < now - DAY))
        self._link.run(t.insert().values(key=key, at=now))
