"""The API of people, tokens, messages, the audit trail and the demo's scenarios."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from dutyroom.api.asked import Ask, Json, Limit, plain
from dutyroom.errors import Rejected
from dutyroom.model.duty import OutboxRow, OutboxState, Person, Role

router = APIRouter(prefix="/api/v1/sites/{site}", tags=["administration"])

PASSWORD_MIN = 10


class PersonIn(BaseModel):
    """password "" = leave as it is."""

    name: str = Field("", max_length=80)
    role: Role = Role.VIEWER
    language: str = Field("zh-CN", pattern="^(zh-CN|en)$")
    password: str = Field("", max_length=200)
    contacts: list[str] = Field(default_factory=list, max_length=10)
    skills: list[str] = Field(default_factory=list, max_length=10)
    active: bool = True


class TokenIn(BaseModel):
    name: str = Field(min_length=1, max_length=60, pattern=r"^[\w .:-]+$")
    scope: str = Field(pattern="^(wall|api:(viewer|operator|clerk|administrator))$")


class Scenario(BaseModel):
    name: str = Field(max_length=60)
    arguments: dict[str, str] = Field(default_factory=dict)


def person_row(person: Person) -> Json:
    """Without the password's hash, and with the secrets in contact addresses masked."""
    return {
        "id": person.id,
        "login": person.login,
        "name": person.name,
        "role": person.role.value,
        "language": person.language,
        "contacts": [masked(url) for url in person.contacts],
        "skills": list(person.skills),
        "active": person.active,
    }


# Kinds of address that name a host. With the others (tgram, dingtalk, wecombot ...) what stands in
# its place is the secret itself.
_HOSTS = re.compile(r"(mailto|json|xml|form|http)s?")


def masked(url: str) -> str:
    """mailto://user:secret@host -> mailto://…@host: who it goes to, not how."""
    parts = urlsplit(url)
    if not _HOSTS.fullmatch(parts.scheme):
        return f"{parts.scheme}://…" if parts.scheme and "://" in url else "…"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{'…@' if '@' in parts.netloc else ''}{host}" if parts.scheme else "…"


def check_password(password: str) -> None:
    """Raises Rejected for one that is too short."""
    if len(password) < PASSWORD_MIN:
        raise Rejected("error.password_short")


@router.get("/people", name="api_people")
def get_people(ask: Ask) -> list[Json]:
    """Logins, roles and contacts (secrets masked)."""
    with ask.room.records.read() as tx:
        return [person_row(person) for person in tx.people.all(ask.name)]


@router.put("/people/{login}", name="api_person_put")
def put_person(ask: Ask, login: str, given: PersonIn) -> Json:
    """Makes or changes a person."""
    if given.password:
        check_password(given.password)
    hashed = ask.room.passwords.hash(given.password) if given.password else ""
    now = ask.room.clock.now()
    with ask.room.records.write() as tx:
        old = tx.people.by_login(login)
        if old is not None and not ask.visitor.sees(old.site):
            raise HTTPException(403, "access.denied")
        if old is None and not hashed:
            raise Rejected("error.password_short")
        wanted = Person(
            id=old.id if old else 0,
            site=old.site if old else ask.name,
            login=login,
            name=given.name or login,
            role=given.role,
            language=given.language,
            password_hash=hashed or (old.password_hash if old else ""),
            contacts=_contacts(given.contacts, old),
            skills=tuple(given.skills),
            active=given.active,
        )
        kept = tx.people.upsert(wanted)
        if hashed or not given.active:
            tx.people.end_sessions(kept.id)
        tx.audit(ask.name, now, ask.actor, "person.put", login, given.role.value)
        tx.change(ask.name, now, "person", login)
    return person_row(kept)


def _contacts(given: list[str], old: Person | None) -> tuple[str, ...]:
    """A masked address that comes back unchanged keeps its secret."""
    known: dict[str, list[str]] = {}  # two addresses may look the same: they keep their order
    for url in old.contacts if old else ():
        known.setdefault(masked(url), []).append(url)
    texts = [text.strip() for text in given]
    return tuple(known[text].pop(0) if known.get(text) else text for text in texts if text)


@router.get("/tokens", name="api_tokens")
def get_tokens(ask: Ask) -> list[Json]:
    """Tokens by name; the token itself was shown once."""
    with ask.room.records.read() as tx:
        return [{"name": n, "scope": s, "created_at": at} for n, s, at in tx.people.tokens(ask.name)]


@router.post("/tokens", name="api_token_new", status_code=201)
def post_token(ask: Ask, given: TokenIn, request: Request) -> Json:
    """Makes a token. It is in this answer and nowhere else."""
    token, now = ask.room.passwords.new_token(), ask.room.clock.now()
    with ask.room.records.write() as tx:
        tx.people.new_token(ask.room.passwords.digest(token), ask.name, given.name, given.scope, now)
        tx.audit(ask.name, now, ask.actor, "token.new", given.name, given.scope)
        tx.change(ask.name, now, "token", given.name)
    url = f"{request.base_url}wall/{token}" if given.scope == "wall" else ""
    return {"name": given.name, "scope": given.scope, "token": token, "url": url}


@router.delete("/tokens/{name}", name="api_token_revoke", status_code=204)
def delete_token(ask: Ask, name: str) -> None:
    """Revokes a token at once."""
    now = ask.room.clock.now()
    with ask.room.records.write() as tx:
        if not tx.people.revoke_token(ask.name, name):
            raise HTTPException(404, "error.no_token")
        tx.audit(ask.name, now, ask.actor, "token.revoke", name)
        tx.change(ask.name, now, "token", name)


@router.get("/audit", name="api_audit")
def get_audit(ask: Ask, limit: Limit = 200) -> list[Json]:
    """Who did what, newest first."""
    with ask.room.records.read() as tx:
        return [plain(row) for row in tx.audit_rows(ask.name, limit)]


@router.get("/outbox", name="api_outbox")
def get_outbox(ask: Ask, limit: Limit = 200) -> list[Json]:
    """Messages and what became of them, newest first."""
    with ask.room.records.read() as tx:
        return [plain(row) | {"url": masked(row.url)} for row in tx.outbox.search(ask.name, limit)]


@router.post("/outbox/test", name="api_message_test", status_code=202)
def post_test(ask: Ask) -> Json:
    """Sends a test message to every contact of the person who asks."""
    person, now = ask.visitor.person, ask.room.clock.now()
    if person is None or not person.contacts:
        raise Rejected("error.no_contacts")
    with ask.room.records.write() as tx:
        for number, url in enumerate(person.contacts):
            row = OutboxRow(
                id=0,
                site=ask.name,
                dedupe=f"{person.login}|test|{now}|{number}",
                person=person.login,
                url=url,
                key="message.test",
                arguments={"by": person.name or person.login},
                state=OutboxState.PENDING,
                created_at=now,
                next_at=now,
            )
            tx.outbox.insert(row)
        tx.audit(ask.name, now, ask.actor, "outbox.test", person.login)
        tx.change(ask.name, now, "outbox", "")
    ask.site.wake()
    return {"queued": len(person.contacts)}


@router.get("/scenarios", name="api_scenarios")
def get_scenarios(ask: Ask) -> list[str]:
    """Demo only: what can be made to happen; elsewhere empty."""
    return list(ask.site.scenarios)


@router.post("/scenarios", name="api_inject", status_code=202)
def post_scenario(ask: Ask, scenario: Scenario) -> Json:
    """Demo only: makes something happen in the simulated estate."""
    if ask.site.inject is None or scenario.name not in ask.site.scenarios:
        raise HTTPException(404, "error.no_scenario")
    ask.site.inject(scenario.name, scenario.arguments)
    now = ask.room.clock.now()
    with ask.room.records.write() as tx:
        tx.audit(ask.name, now, ask.actor, "scenario", scenario.name)
    return {"started": scenario.name}
