"""Outbox rows in words: the title and body of an e-mail or a webhook, made when it is sent."""

from __future__ import annotations

from dutyroom.api.checklists import in_message
from dutyroom.api.present import Presenter
from dutyroom.api.room import Room
from dutyroom.errors import Rejected
from dutyroom.flows.notify import Render
from dutyroom.model.duty import Arguments

_MARKS = (
    "again",
    "further",
    "unanswered",
    "unarrived",
    "test",
)  # how a body is told otherwise than the first time
_TITLE = 100  # characters of a body that serve as its title


def renderer(room: Room) -> Render:
    """Renders in a person's language by the catalogue of the pages.

    A key `k` gives the body; `k.title` the title, or else the site's name and the body's first
    line. An argument `about` is itself a key and is shown in words. A message with a priority says
    it, with order, place, who reported it and when, and the first steps of the rule behind it.
    """

    def render(site: str, key: str, arguments: Arguments, language: str) -> tuple[str, str]:
        return in_words(_presenter(room, site, language), key, arguments)

    return render


def in_words(presenter: Presenter, key: str, arguments: Arguments) -> tuple[str, str]:
    """Title and body of an outbox row, as the person reads it."""
    words = presenter.words
    shown = _shown(presenter, arguments)
    body = presenter.text(key, shown)
    for mark in _MARKS:
        if arguments.get(mark) is True:
            body = words.t(f"message.marked.{mark}", said=body)
    if words.has(f"{key}.title"):
        title = presenter.text(f"{key}.title", shown)
    else:
        title = words.t("message.title", shown, first=body.splitlines()[0][:_TITLE])
    if "priority" in arguments:
        if "at" not in arguments:
            shown["at"] = ""  # the hour of reading says nothing
        facts, steps = _facts(presenter, body, shown), _steps(presenter, key, arguments)
        body = "\n".join([body, *facts, *_checks(presenter, arguments), *steps])
    return title, body


def _facts(presenter: Presenter, body: str, shown: Arguments) -> list[str]:
    """One line a fact that is known and not said yet: order and priority, place, device, who
    reported it, when."""
    lines = [presenter.text("message.order" if shown.get("number") else "message.priority", shown)]
    for name in ("space", "object", "reporter", "at"):
        line = presenter.text(f"message.{name}", shown)
        said = name == "object" and presenter.device_name(str(shown.get(name, ""))) in body
        if shown.get(name) and not said:
            lines.append(line)
    if "times" in shown:
        lines.append(presenter.text("message.times", shown))
    return lines


def _checks(presenter: Presenter, arguments: Arguments) -> list[str]:
    """What must be looked at, and how it stood when the message was made."""
    listed = str(arguments.get("checks", ""))
    if not listed:
        return []
    said = {"count": len(listed.split()), "names": in_message(presenter, listed)}
    return [presenter.words.t("message.checks", said)]


def _steps(presenter: Presenter, key: str, arguments: Arguments) -> list[str]:
    """The first steps of the rule that raised the alarm."""
    what = str(arguments.get("about", key))
    rule = presenter.rules.get(str(arguments.get("rule") or what.removeprefix("alarm.")))
    steps = presenter.words.pick_list(rule.advice) if rule else []
    return [f"{number}. {step}" for number, step in enumerate(steps, 1)]


def _shown(presenter: Presenter, arguments: Arguments) -> dict[str, str | int | float | bool | None]:
    """The arguments as words: names instead of ids, a clock time, the text of `about`."""
    words = presenter.words
    shown = {"site": words.pick(presenter.site.site.name), "space": "", "at": presenter.now, **arguments}
    if "about" in arguments:
        shown["about"] = presenter.text(str(arguments["about"]), arguments)
    if "priority" in arguments:
        shown["priority"] = words.t(f"priority.{arguments['priority']}")
    if isinstance(shown["at"], int):
        shown["at"] = words.time(shown["at"], "date_time")
    if isinstance(since := shown.get("since"), int):
        shown["since"] = words.time(since, "date_time")
    shown["space"] = presenter.place(str(shown["space"])) if shown["space"] else ""
    shown.setdefault("number", shown.get("ticket", ""))
    return shown


def _presenter(room: Room, site: str, language: str) -> Presenter:
    running = room.sites.get(site)
    if running is None:
        raise Rejected(f"the site {site!r} is not served here")
    rules = {rule.id: rule for rule in running.site.rules}
    words = room.words(running, language)
    return Presenter(running, words, room.devices(running), rules, room.clock.now())
