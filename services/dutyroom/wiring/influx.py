"""`dutyroom influx setup`: an InfluxDB made ready, and its tokens in files that only their owner may read."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.influx_door import Door
from dutyroom.backends.influx_setup import first_user, set_up, token_of, wants_first_user
from dutyroom.backends.influx_tasks import EXPIRING_DAYS, Plan
from dutyroom.errors import Rejected
from dutyroom.settings import Settings, token_in
from dutyroom.wiring.stores import influx_door

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SetupOptions:
    """tokens: folder for the files; operator: file of a token that may do everything, None = made here or before."""

    tokens: Path
    operator: Path | None = None
    user: str = "dutyroom"
    password: Path | None = None
    shorten: bool = False
    dry: bool = False


def plan_of(settings: Settings) -> Plan:
    """Raises Rejected where a bucket would keep less than a finer one, or less than its tasks need."""
    plan = Plan(
        settings.influx_org,
        settings.influx_bucket,
        settings.influx_days,
        settings.influx_days_of_minutes,
        settings.influx_days_of_hours,
    )
    before = 0.0
    for name, days in plan.buckets:
        lasting = days or float("inf")
        if lasting <= EXPIRING_DAYS:
            raise Rejected(f"{name} must keep more than {EXPIRING_DAYS} days, or for ever (0), not {days}")
        if lasting < before:
            raise Rejected(f"{name} must keep at least as long as the finer bucket, not {days} days")
        before = lasting
    return plan


def setup_influx(settings: Settings, options: SetupOptions, say: Say) -> None:
    """Idempotent. Raises Rejected, Unavailable."""
    plan, door = plan_of(settings), influx_door(settings)
    if not options.dry:
        _folder(options.tokens)
    token = _operator(door, plan, options, say)
    if token is None:
        return
    for right, value, replaced in set_up(
        door, token, plan, say, SystemClock().now(), dry=options.dry, shorten=options.shorten
    ):
        file = options.tokens / f"{right.name}.token"
        if value or not file.exists():  # a dry run has none yet
            _keep(file, value, replaced, say, options.dry)
    if not options.dry:
        say(f"DUTYROOM_INFLUX_TOKEN_FILE={options.tokens / 'service.token'}")


def _operator(door: Door, plan: Plan, options: SetupOptions, say: Say) -> str | None:
    """A token that may do everything; None where a dry run stops before there is one."""
    made = options.tokens / "operator.token"
    if not wants_first_user(door):
        file = options.operator or (made if made.exists() else None)
        if file is None:
            raise Rejected(
                f"InfluxDB at {door.url} is set up already: name the file of an operator's token with --operator-token"
            )
        again = file == made and _begun(made)
        return _found_again(door, options, made, say) if again else token_in(file, "InfluxDB")
    what = f"user {options.user}, organisation {plan.org}, bucket {plan.bucket}"
    if options.dry:
        say(f"would make   {what}, and then all the rest")
        return None
    # The place for the token first: a server that is set up and whose token nobody has is of no use. It stays where no
    # answer comes: the server may have done it all the same, and then the token is found by the password.
    begun = _begun(made)
    _write(made, "", again=begun)
    password = _password(options, say, begun)
    token = first_user(door, plan, options.user, password)
    _write(made, token, again=True)
    say(f"made   {what}; its token in {made}")
    return token


def _begun(file: Path) -> bool:
    """Whether a run was broken off before it had written what belongs there."""
    try:
        return not file.read_bytes().strip()
    except OSError:
        return False


def _found_again(door: Door, options: SetupOptions, made: Path, say: Say) -> str:
    """Of a first set-up that was broken off while the server made its user: the token was never written down."""
    file, token = options.password or options.tokens / "operator.password", ""
    with contextlib.suppress(Rejected):
        token = token_of(door, options.user, token_in(file, "the user of InfluxDB"))
    if not token:
        raise Rejected(
            f"{made} is empty, and the user {options.user} with the password in {file} has no token that may do "
            "everything: make one in InfluxDB's pages and name its file with --operator-token"
        )
    if not options.dry:
        _write(made, token, again=True)
    say(f"{'would write' if options.dry else 'wrote'}   {made}, which a run that was broken off left empty")
    return token


def _password(options: SetupOptions, say: Say, begun: bool) -> str:
    """begun: one that was made before is used."""
    if options.password is not None:
        return token_in(options.password, "the user of InfluxDB")
    file, password = options.tokens / "operator.password", secrets.token_urlsafe(18)
    empty = _begun(file)
    if begun and file.exists() and not empty:
        return token_in(file, "the user of InfluxDB")
    _write(file, password, again=empty)
    say(f"made   a password for {options.user}, in {file}")
    return password


def _folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise Rejected(f"the folder for tokens {folder} cannot be made: {err.strerror}") from None


def _keep(file: Path, token: str, replaced: list[str], say: Say, dry: bool) -> None:
    """A file that holds another token than ours, or ours before, is somebody else's. An empty one is what a kill or a
    power failure left of it."""
    empty = _begun(file)
    if empty or not file.exists():
        if not dry:
            _write(file, token, again=empty)
        say(f"{'would write' if dry else 'wrote'}   {file}")
        return
    held = token_in(file, "InfluxDB")
    if held == token:
        say(f"there already   {file}")
    elif held in replaced:
        _write(file, token, again=True)
        say(f"wrote   {file} anew")
    else:
        raise Rejected(
            f"{file} holds a token that this server does not have for it: move it away, then do this again"
        )


def _write(file: Path, text: str, *, again: bool = False) -> None:
    """For its owner alone, from its first byte on. Raises Rejected."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if again else os.O_EXCL)
    try:
        number = os.open(file, flags, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as out:
            file.chmod(0o600)  # also one that was there
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError:
        raise Rejected(f"{file} is there already: move it away, then do this again") from None
    except OSError as err:
        raise Rejected(f"{file} cannot be written: {err.strerror}") from None
