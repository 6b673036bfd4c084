"""Outbox rows in words: the title and body of an e-mail or a webhook, made when it is sent."""

from __future__ import annotations

from dutyroom.api.present import Presenter
from dutyroom.api.room import Room
from dutyroom.errors import Rejected
from dutyroom.flows.notify import Render
from dutyroom.model.duty import Arguments

_TITLE = 100  # characters of a body that serve as its title


def renderer(room: Room) -> Render:
    """Renders in a person's language by the catalogue of the pages.

    A key `k` gives the body; `k.title` the title, or else the site's name and the body's first
    line. An argument `about` is itself a key and is shown in words. A message with a priority says
    it, with place and time.
    """

    def render(site: str, key: str, arguments: Arguments, language: str) -> tuple[str, str]:
        presenter = _presenter(room, site, language)
        shown = _shown(presenter, arguments)
        body = presenter.text(key, shown)
        if presenter.words.has(f"{key}.title"):
            return presenter.text(f"{key}.title", shown), body
        title = presenter.words.t("message.title", shown, first=body.splitlines()[0][:_TITLE])
        if "priority" in arguments:
            body += "\n" + presenter.words.t("message.context", shown)
        return title, body

    return render


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
    shown["space"] = presenter.place(str(shown["space"]))
    return shown


def _presenter(room: Room, site: str, language: str) -> Presenter:
    running = room.sites.get(site)
    if running is None:
        raise Rejected(f"the site {site!r} is not served here")
    rules = {rule.id: rule for rule in running.site.rules}
    words = room.words(running, language)
    return Presenter(running, words, room.devices(running), rules, room.clock.now())
