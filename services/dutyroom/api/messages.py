"""Outbox rows in words: the title and body of an e-mail or a webhook, made when it is sent."""

from __future__ import annotations

from dutyroom.api.present import Presenter
from dutyroom.api.room import Room
from dutyroom.errors import Rejected
from dutyroom.flows.notify import Render
from dutyroom.model.duty import Arguments


def renderer(room: Room) -> Render:
    """Renders in a person's language by the catalogue of the pages.

    A key `k` gives the body; `k.title` the title, or a title with the site's name. An argument
    `about` is itself a key and is shown in words.
    """

    def render(site: str, key: str, arguments: Arguments, language: str) -> tuple[str, str]:
        presenter = _presenter(room, site, language)
        words = presenter.words
        shown: dict[str, str | int | float | bool | None] = {"site": words.pick(presenter.site.site.name)}
        shown |= arguments
        if "about" in arguments:
            shown["about"] = presenter.text(str(arguments["about"]), arguments)
        if "priority" in arguments:
            shown["priority"] = words.t(f"priority.{arguments['priority']}")
        if "space" in arguments:
            shown["space"] = presenter.place(str(arguments["space"]))
        title = f"{key}.title" if words.has(f"{key}.title") else "message.title"
        return presenter.text(title, shown), presenter.text(key, shown)

    return render


def _presenter(room: Room, site: str, language: str) -> Presenter:
    running = room.sites.get(site)
    if running is None:
        raise Rejected(f"the site {site!r} is not served here")
    rules = {rule.id: rule for rule in running.site.rules}
    words = room.words(running, language)
    return Presenter(running, words, room.devices(running), rules, room.clock.now())
