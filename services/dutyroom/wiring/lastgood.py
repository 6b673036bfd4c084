"""A site folder is read; once its site has started, the files that it was read from are kept in the data folder; a
later start that finds mistakes in the folder names them all and runs with what was kept last, which is said at the
start and on the pages for as long as it is so.

A site that never ran without mistakes on this data folder is refused; the other sites run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from dutyroom.backends.folder_copies import File, Files, FolderCopies, made_at, read_files
from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.flows.run import SiteRuntime
from dutyroom.site import FILES, Site, load_site, read_site
from dutyroom.timebase import to_iso, zone

log = structlog.get_logger(__name__)

_PROFILES = "device_profiles"

Lacks = Callable[
    [Site], str
]  # what a command needs of a site's broker and the site does not say, "" = nothing


@dataclass(frozen=True, slots=True)
class ReadSite:
    """A site with the folder that was named. copy: what it runs with instead, because of the mistakes. gone: files that it last
    started with and that are not there any more: it runs without them."""

    site: Site
    folder: Path
    files: Files | None = None  # that it was read from, to be kept; None: they are not known for sure
    copy: Path | None = None
    mistakes: tuple[Mistake, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        """The folder whose profiles it reads. These are looked at while it runs, and one with mistakes is refused by
        itself: so they are the named folder's as long as it has any."""
        if self.copy is None or _own_profiles(self.folder):
            return self.folder
        return self.copy

    @property
    def since(self) -> str:
        """When the files that it runs with were kept."""
        return "" if self.copy is None else to_iso(made_at(self.copy), zone(self.site.time_zone))

    def show(self, runtime: SiteRuntime) -> None:
        """As a trouble of the site, before all others."""
        if self.copy is None:
            return
        more = f" (+{len(self.mistakes) - 1})" if len(self.mistakes) > 1 else ""
        said, others = {"folder": f"{self.since}; {self.mistakes[0]}{more}"}, runtime.troubles
        runtime.troubles = lambda: said | dict(others())


@dataclass(frozen=True, slots=True)
class ReadSites:
    """At least one site; and the folders that are refused, each with its mistakes."""

    sites: tuple[ReadSite, ...]
    refused: tuple[tuple[Path, tuple[Mistake, ...]], ...]

    def tell(self) -> None:
        """Names all mistakes and what comes of them, on stderr and in the log."""
        for one in self.sites:
            if one.copy is not None:
                end = f"runs with its files of {one.since} ({one.copy}), until these mistakes are mended and it is started again"
                _tell(one.mistakes, f"Site {one.site.id}: {end}")
                log.warning("site.runs_with_kept_files", site=one.site.id, copy=str(one.copy))
            if one.gone:
                end = "it last started with, not there any more: it runs without"
                print(
                    f"Site {one.site.id}: {', '.join(one.gone)} in {one.folder}: {end}",
                    file=sys.stderr,
                    flush=True,
                )
                log.warning("site.files_gone", site=one.site.id, files=list(one.gone))
        for folder, mistakes in self.refused:
            _tell(
                mistakes,
                f"{folder}: is refused, nothing is kept of it that could be run with; other sites run",
            )
            log.warning("site.refused", folder=str(folder))


def read_sites(data: Path, folders: Sequence[Path], lacks: Lacks = lambda site: "") -> ReadSites:
    """Raises Invalid where no site is left to run, with every mistake of every folder; Rejected for one id twice."""
    found: dict[str, ReadSite] = {}
    refused: list[tuple[Path, tuple[Mistake, ...]]] = []
    for folder in folders:
        try:
            one = _read(data, folder, lacks)
        except Invalid as err:
            refused.append((folder, err.mistakes))
            continue
        if one.site.id in found:
            raise Rejected(f"two site folders have the id {one.site.id!r}; an id belongs to one site")
        found[one.site.id] = one
    if not found:
        raise Invalid([mistake for _, mistakes in refused for mistake in mistakes])
    return ReadSites(tuple(found.values()), tuple(refused))


def keep(data: Path, one: ReadSite) -> None:
    """After its start. What cannot be written keeps no site from running."""
    if one.files is None:
        return
    try:
        _copies(data, one.folder).keep(one.files)
    except OSError as err:
        log.warning("site.not_kept", site=one.site.id, reason=str(err))


def _copies(data: Path, folder: Path) -> FolderCopies:
    return FolderCopies(data / "kept", folder)


def _read(data: Path, folder: Path, lacks: Lacks) -> ReadSite:
    """Raises Invalid with the mistakes of the folder, and with what keeps its last copy from being used."""
    before = _files(folder)
    try:
        site = load_site(folder)
        _insist(site, folder, lacks)
    except Invalid as err:
        return _as_kept(data, folder, lacks, err.mistakes)
    if emptied := _emptied(data, folder, before):
        return _as_kept(data, folder, lacks, emptied)
    same = _files(folder) == before  # else somebody writes just now, and which of it was read is not known
    files = before | _files_named(site, folder) if same else None
    return ReadSite(site, folder, files, gone=_gone(data, folder))


def _gone(data: Path, folder: Path) -> tuple[str, ...]:
    """Files of the last start that are not there any more: left out by somebody, or lost."""
    copy = _copies(data, folder).newest()
    kept = _files(copy) if copy is not None else {}
    return tuple(name for name in kept if not (folder / name).exists())


def _emptied(data: Path, folder: Path, files: Mapping[str, File]) -> tuple[Mistake, ...]:
    """Files without a word that had some at the last start: an editor, or a full disk, left them so when the power went."""
    copy = _copies(data, folder).newest()
    kept = read_files(copy, files) if copy is not None else {}
    said = (
        "is empty, and was not at the last start; remove it, or write a comment into it, where that is meant"
    )
    return tuple(
        Mistake(str(folder / name), 1, "", said)
        for name, file in files.items()
        if not file.content.strip() and name in kept and kept[name].content.strip()
    )


def _as_kept(data: Path, folder: Path, lacks: Lacks, mistakes: tuple[Mistake, ...]) -> ReadSite:
    copy = _copies(data, folder).newest()
    if copy is None:
        raise Invalid(mistakes)
    try:
        site = load_site(copy, folder)
        _insist(site, copy, lacks)
    except Invalid as err:
        raise Invalid([*mistakes, *err.mistakes]) from err
    now, _, _ = read_site(folder)
    if now is not None and now.id not in ("", site.id):
        said = (
            f"{now.id!r} is another site than {site.id!r}, whose files were kept when it ran from this folder"
        )
        raise Invalid([*mistakes, Mistake(str(folder / "site.yaml"), 0, "id", said)])
    return ReadSite(site, folder, copy=copy, mistakes=mistakes)


def _insist(site: Site, folder: Path, lacks: Lacks) -> None:
    if said := lacks(site):
        raise Invalid([Mistake(str(folder / "site.yaml"), 0, "broker", said)])


def _files(folder: Path) -> dict[str, File]:
    """All that is read of a folder by its place."""
    return read_files(folder, [*FILES, *_own_profiles(folder)])


def _own_profiles(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in folder.glob(f"{_PROFILES}/*/*.yaml")]


def _files_named(site: Site, folder: Path) -> dict[str, File]:
    """Passwords and certificates that site.yaml names and that lie in the folder; others stay where they are."""
    root, names = os.path.normpath(folder.absolute()), []
    for broker in site.brokers:
        for named in (
            broker.ca_file,
            broker.password_file,
            broker.certificate_file,
            broker.key_file,
            broker.key_password_file,
        ):
            path = Path(os.path.normpath(named))
            if named and path.is_relative_to(root):
                names.append(path.relative_to(root).as_posix())
    return read_files(folder, names)


def _tell(mistakes: Sequence[Mistake], end: str) -> None:
    for mistake in mistakes:
        log.warning("site.mistake", mistake=str(mistake))
    print("\n".join([*map(str, mistakes), end]), file=sys.stderr, flush=True)
