"""Makes an InfluxDB ready: first user, organisation, buckets, names for InfluxQL, tasks, tokens.

Everything is looked for first, so the same again only says what is there. Nothing is taken away: a bucket
that keeps longer than the plan is left so, unless told to shorten it, and then its history is put into the
coarser buckets before.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import influxdb_client
import urllib3
from influxdb_client.rest import ApiException

from dutyroom.backends.influx_door import Door, why
from dutyroom.backends.influx_history import InfluxHistory
from dutyroom.backends.influx_tasks import KINDS, WIDTHS, Plan, Task, coarser, tasks
from dutyroom.errors import Rejected, Unavailable
from dutyroom.timebase import DAY, Ms

_DAY_S = 86_400
# In a bucket's description from the moment it keeps longer until it has back what it had lost.
_BEGUN = re.compile(r" ?\(dutyroom fills it again: it kept (\d+) days\)")
_influx: Any = influxdb_client  # its classes have no types
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Right:
    """A token that may do this to all buckets of the plan. name: also of its file."""

    name: str
    actions: tuple[str, ...]


RIGHTS = (Right("service", ("read", "write")), Right("grafana", ("read",)))


def wants_first_user(door: Door) -> bool:
    """Whether nobody has set this server up yet."""
    with _client(door, "") as client, _plainly(door.url):
        return bool(_influx.SetupService(client.api_client).get_setup().allowed)


def first_user(door: Door, plan: Plan, name: str, password: str) -> str:
    """Makes the first user, organisation and bucket; returns the token that may do everything."""
    request = _influx.OnboardingRequest(
        username=name,
        password=password,
        org=plan.org,
        bucket=plan.bucket,
        retention_period_seconds=plan.days * _DAY_S,
    )
    with _client(door, "") as client, _plainly(door.url):
        return str(_influx.SetupService(client.api_client).post_setup(request).auth.token)


def token_of(door: Door, name: str, password: str) -> str:
    """The token that may do everything, by its user's password: of a first set-up that was broken off before it was
    written down. "" = that user has none."""
    with door.client("", "", 600, (name, password)) as client, _plainly(door.url):
        found = client.authorizations_api().find_authorizations(user=name)
        return next((str(a.token) for a in found if a.status == "active" and _may_all(a)), "")


def _may_all(authorization: Any) -> bool:
    return any(
        p.action == "write" and p.resource.type == "orgs" and not p.resource.id
        for p in authorization.permissions
    )


@contextlib.contextmanager
def _client(door: Door, token: str) -> Iterator[Any]:
    with door.client(token, "", 600) as client:
        yield client


@contextlib.contextmanager
def _plainly(url: str) -> Iterator[None]:
    """What the server or the network says, in a sentence. Raises Rejected, Unavailable."""
    try:
        yield
    except ApiException as err:
        if not err.status:  # the client library's own way to say that TLS failed
            raise Unavailable(f"InfluxDB at {url} does not answer: {why(err.__context__ or err)}") from None
        if err.status in (401, 403):
            raise Rejected(
                f"InfluxDB at {url}: the token is not accepted for this; it takes an operator's"
            ) from None
        text = f"InfluxDB at {url} answers {err.status}: {str(err.body or err.reason)[:300]}"
        raise (Rejected if err.status < 500 and err.status != 429 else Unavailable)(text) from None
    except (urllib3.exceptions.HTTPError, OSError) as err:
        raise Unavailable(f"InfluxDB at {url} does not answer: {why(err)}") from None


class InfluxSetup:
    """One plan on one server. dry: nothing is changed, what would be is said."""

    def __init__(self, client: Any, plan: Plan, say: Say, now: Ms, *, dry: bool, shorten: bool) -> None:
        self._client, self._now = client, now
        self._history = InfluxHistory(client, plan.org, now)
        self._plan, self._say, self._dry, self._shorten = plan, say, dry, shorten
        self._org = ""
        self._ids: dict[str, str] = {}  # of buckets, by name; "" = would be made
        self._kept: dict[str, int] = {}  # days that each bucket keeps in the end
        self._described: dict[str, str] = {}  # what somebody wrote of each bucket
        self._begun: dict[str, int] = {}  # days that a bucket kept before a run that was broken off

    def _do(self, what: str, work: Callable[[], Any]) -> Any:
        self._say(f"{'would make' if self._dry else 'made'}   {what}")
        return None if self._dry else work()

    def _there(self, what: str) -> None:
        self._say(f"there already   {what}")

    def everything_but_tokens(self) -> None:
        """Organisation, buckets, names, tasks, in that order."""
        self.organisation()
        found = [(name, days, self.bucket(name, days)) for name, days in self._plan.buckets]
        self.names()
        self.all_tasks()
        for name, days, now in reversed(found):
            if name in self._begun:
                self._do(f"bucket {name} made whole: a run before was broken off", lambda: None)
                self._get_back(name, self._begun[name])
            if now is not None and _longer(days, now):
                self.lengthen(name, days, now)
        for name, days, now in found:
            if now is not None and _longer(now, days):
                self.shorten(name, days)

    def organisation(self) -> None:
        name = self._plan.org
        if found := _found(lambda: self._client.organizations_api().find_organizations(org=name)):
            self._org = found[0].id
            self._there(f"organisation {name}")
            return
        made = self._do(
            f"organisation {name}", lambda: self._client.organizations_api().create_organization(name=name)
        )
        self._org = made.id if made else ""

    def bucket(self, name: str, days: int) -> int | None:
        """Makes a bucket; returns how long it keeps, where that is to be changed."""
        self._kept[name] = days
        api = self._client.buckets_api()
        found = _found(lambda: api.find_buckets(name=name, org=self._plan.org).buckets) if self._org else []
        if not found:
            rules = (
                [_influx.BucketRetentionRules(type="expire", every_seconds=days * _DAY_S)] if days else None
            )
            made = self._do(
                f"bucket {name}, which keeps {_days(days)}",
                lambda: api.create_bucket(bucket_name=name, org=self._plan.org, retention_rules=rules),
            )
            self._ids[name] = made.id if made else ""
            return None
        self._ids[name] = found[0].id
        said = found[0].description or ""
        self._described[name] = _BEGUN.sub("", said)
        if begun := _BEGUN.search(said):
            self._begun[name] = int(begun[1])
        seconds = int(sum(rule.every_seconds for rule in found[0].retention_rules or ()))
        now = max(1, seconds // _DAY_S) if seconds else 0  # less than a day is not for ever
        if now == days:
            self._there(f"bucket {name}, which keeps {_days(days)}")
        elif _longer(days, now) or self._shorten:
            return now
        else:
            self._kept[name] = now
            self._there(f"bucket {name}, which keeps {_days(now)}; --shorten makes it {_days(days)}")
        return None

    def _keep(self, name: str, days: int, before: int = 0) -> None:
        """before: days that it keeps so far, where it gets back more than that."""
        rule = _influx.PatchRetentionRule(type="expire", every_seconds=days * _DAY_S)
        note = f" (dutyroom fills it again: it kept {before} days)" if before else ""
        self._patch(name, retention_rules=[rule], description=f"{self._described[name]}{note}".strip())

    def _patch(self, name: str, **changes: object) -> None:
        services = self._client.buckets_api()._buckets_service
        services.patch_buckets_id(self._ids[name], patch_bucket_request=_influx.PatchBucketRequest(**changes))

    def shorten(self, name: str, days: int) -> None:
        """Puts what a bucket has into the coarser ones, then lets it keep less."""
        chain = [bucket for bucket, _ in self._plan.buckets]
        for width, source, target in list(zip(WIDTHS, chain, chain[1:], strict=False))[chain.index(name) :]:
            if not self._dry:
                self._history.into_coarser(source, target, width, self._say)
        self._do(f"bucket {name} keep {_days(days)}", lambda: self._keep(name, days))

    def lengthen(self, name: str, days: int, now: int) -> None:
        """Lets a bucket keep longer; what it has lost already comes back from the coarser one."""
        what = f"bucket {name} keep {_days(days)} instead of {_days(now)}"
        self._do(what, lambda: self._keep(name, days, now))
        self._get_back(name, now)

    def _get_back(self, name: str, now: int) -> None:
        """What a bucket had lost when it kept `now` days. Only then the note that it is still to be done goes:
        readers ask for it there already."""
        if self._dry:
            return
        chain = [bucket for bucket, _ in self._plan.buckets]
        place, before = chain.index(name), self._now - (now - 1) * DAY
        if place + 1 < len(chain):
            self._history.into_finer(chain[place + 1], name, place == 0, before, self._say)
        self._patch(name, description=self._described[name])

    def names(self) -> None:
        """Names by which InfluxQL finds the buckets: each its own, and two retention policies of the first."""
        api = _influx.DBRPsService(self._client.api_client)
        found = api.get_dbr_ps(org_id=self._org).content if self._org else []
        mapped = {
            (d.database, d.retention_policy): d for d in found or () if not getattr(d, "virtual", False)
        }
        raw, (fine, hour) = self._plan.bucket, coarser(self._plan.bucket)
        wanted = [(bucket, "autogen", bucket, True) for bucket in (raw, fine, hour)]
        for database, policy, bucket, default in [
            *wanted,
            (raw, "5m", fine, False),
            (raw, "1h", hour, False),
        ]:
            what = f'InfluxQL "{database}"."{policy}" for bucket {bucket}'
            if there := mapped.get((database, policy)):
                self._of_ours(there, bucket, what)
                if default and not there.default:
                    change = _influx.DBRPUpdate(default=True)
                    self._do(
                        f"{what} the default", partial(api.patch_dbrpid, there.id, change, org_id=self._org)
                    )
                else:
                    self._there(what)
                continue
            request = _influx.DBRPCreate(
                org_id=self._org,
                bucket_id=self._ids[bucket],
                database=database,
                retention_policy=policy,
                default=default,
            )
            self._do(what, partial(api.post_dbrp, request))

    def _of_ours(self, mapping: Any, bucket: str, what: str) -> None:
        """Raises Rejected for a name that stands for another bucket: what is written would not be what is read."""
        if mapping.bucket_id == self._ids[bucket]:
            return
        others = _found(lambda: self._client.buckets_api().find_buckets(id=mapping.bucket_id).buckets)
        other = f"bucket {others[0].name}" if others else f"a bucket that is gone ({mapping.bucket_id})"
        raise Rejected(
            f"{what} cannot be made: that name stands for {other}. Take the mapping away "
            f"(influx v1 dbrp delete --id {mapping.id}), then do this again"
        )

    def all_tasks(self) -> None:
        """For what the buckets really keep: a pass before the readings expire must not come too early."""
        api = self._client.tasks_api()
        days = (self._kept[name] for name, _ in self._plan.buckets)
        wanted = list(tasks(Plan(self._plan.org, self._plan.bucket, *days)))
        for task in wanted:
            found = api.find_tasks(name=task.name, org_id=self._org) if self._org else []
            what = f"task {task.name!r}, every {task.every}"
            if not found:
                self._do(what, partial(self._new_task, task))
            elif found[0].flux.strip() != task.flux.strip() or found[0].status != "active":
                request = _influx.TaskUpdateRequest(flux=task.flux, status="active")
                self._do(f"{what} anew", partial(api.update_task_request, found[0].id, request))
            else:
                self._there(what)

        names = {task.name for task in wanted}
        ours = tuple(f"{bucket} {kind} " for bucket in coarser(self._plan.bucket) for kind in KINDS)
        for task in api.find_tasks(org_id=self._org, limit=500) if self._org else ():
            if task.name.startswith(ours) and task.name not in names:
                self._do(f"an end to task {task.name!r}", partial(api.delete_task, task.id))

    def _new_task(self, task: Task) -> None:
        request = _influx.TaskCreateRequest(org_id=self._org, flux=task.flux, status="active")
        self._client.tasks_api().create_task(task_create_request=request)

    # ------------------------------------------------------------ tokens

    def token(self, right: Right) -> tuple[str, list[str]]:
        """The token of a right, made where it is not there; and tokens that it takes the place of.

        "" where it would be made.
        """
        api = self._client.authorizations_api()
        description = f"dutyroom {right.name} of {self._plan.bucket}"
        what = f"token that may {' and '.join(right.actions)} {', '.join(self._ids)} and nothing else"
        found = api.find_authorizations(org_id=self._org) if self._org else []
        mine = [a for a in found if a.description == description and a.status == "active"]
        wanted = {(action, bucket) for action in right.actions for bucket in self._ids.values()}
        for old in mine:
            if {(p.action, p.resource.id) for p in old.permissions} == wanted:
                self._there(what)
                return str(old.token), []
        permissions = [
            _influx.Permission(
                action=a, resource=_influx.PermissionResource(type="buckets", id=b, org_id=self._org)
            )
            for a, b in sorted(wanted)
        ]
        request = _influx.Authorization(org_id=self._org, description=description, permissions=permissions)
        made = self._do(what, lambda: api.create_authorization(authorization=request))
        for old in mine:
            self._do(
                f"an end to the token {right.name} with other rights",
                partial(api.delete_authorization, old),
            )
        return (str(made.token) if made else ""), [str(old.token) for old in mine]


def set_up(
    door: Door, token: str, plan: Plan, say: Say, now: Ms, *, dry: bool, shorten: bool
) -> Sequence[tuple[Right, str, list[str]]]:
    """Makes what is missing; (right, token, tokens it replaces) of each. Raises Rejected, Unavailable."""
    with _client(door, token) as client, _plainly(door.url):
        setup = InfluxSetup(client, plan, say, now, dry=dry, shorten=shorten)
        setup.everything_but_tokens()
        return [(right, *setup.token(right)) for right in RIGHTS]


def _found(ask: Callable[[], Any]) -> list[Any]:
    """What is asked for by its name; the server says 404 where there is none."""
    try:
        return list(ask())
    except ApiException as err:
        if err.status != 404:
            raise
        return []


def _longer(days: int, now: int) -> bool:
    """Whether one retention is longer than another; 0 = for ever."""
    return bool(now) and (days == 0 or days > now)


def _days(days: int) -> str:
    return f"{days} days" if days else "for ever"
