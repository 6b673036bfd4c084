"""Secrets of people and programs."""

from __future__ import annotations

import pytest

from dutyroom.backends.passwords import Passwords, same
from dutyroom.errors import Rejected


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


@pytest.mark.parametrize("password", ["correct horse", "密码 🔑", "a" * 1024])
def test_a_password_is_recognised_by_its_hash(passwords: Passwords, password: str) -> None:
    hashed = passwords.hash(password)
    assert hashed.startswith("$argon2id$")
    assert password not in hashed
    assert passwords.verify(password, hashed)
    assert not passwords.verify(password + "x", hashed)


def test_the_same_password_has_another_hash_each_time(passwords: Passwords) -> None:
    assert passwords.hash("same") != passwords.hash("same")


@pytest.mark.parametrize("hashed", ["", "unreadable", "$argon2id$v=19$broken", "plain"])
def test_an_empty_or_unreadable_hash_matches_nothing(passwords: Passwords, hashed: str) -> None:
    assert not passwords.verify("", hashed)
    assert not passwords.verify(hashed, hashed)


@pytest.mark.parametrize("password", ["", "a" * 1025])
def test_an_empty_or_endless_password_is_refused(passwords: Passwords, password: str) -> None:
    with pytest.raises(Rejected, match="1 to 1024"):
        passwords.hash(password)
    assert not passwords.verify(password, passwords.hash("a" * 1024))


def test_tokens_are_long_and_never_the_same(passwords: Passwords) -> None:
    tokens = {passwords.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 43 for token in tokens)


def test_a_digest_is_stable_and_does_not_show_the_token(passwords: Passwords) -> None:
    token = passwords.new_token()
    assert passwords.digest(token) == passwords.digest(token) != passwords.digest(token + "x")
    assert token not in passwords.digest(token)
    assert passwords.digest("\ud800")  # whatever a browser sends


def test_a_one_time_password_can_be_read_aloud(passwords: Passwords) -> None:
    made = passwords.one_time_password()
    assert [len(group) for group in made.split("-")] == [4, 4, 4, 4]
    assert not set(made) & set("01loi")
    assert made != passwords.one_time_password()


def test_same() -> None:
    assert same("密码", "密码")
    assert not same("密码", "密")
