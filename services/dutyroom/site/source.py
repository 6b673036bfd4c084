"""The files of a site folder as documents, with every mistake found so far."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from dutyroom.errors import Invalid, Mistake
from dutyroom.fields import Fields, nearest, rows
from dutyroom.yamltext import Document, decode, read_yaml

T = TypeVar("T")

FILES = (
    "site.yaml",
    "spaces.yaml",
    "devices.csv",
    "devices.yaml",
    "topology.yaml",
    "rules.yaml",
    "plans.yaml",
    "tariffs.yaml",
    "people.yaml",
)


class Source:
    """One site folder. What cannot be read is noted in `mistakes` and reading goes on. home: the folder that this
    one is a copy of; passwords and certificates are those that lie there, if they do."""

    def __init__(self, folder: Path, home: Path | None = None) -> None:
        self.folder, self._home = folder, home
        self.mistakes: list[Mistake] = []
        self._documents: dict[str, Document] = {}

    def name(self, file: str) -> str:
        """A file's name as mistakes show it."""
        return str(self.folder / file)

    def has(self, file: str) -> bool:
        path = self.folder / file
        return path.exists() or path.is_symlink()  # a link to nowhere is a file that cannot be read

    def beside(self, named: Path) -> Path:
        """The absolute path of a file that is named relative to the folder."""
        places = [(folder / named).absolute() for folder in (self._home, self.folder) if folder is not None]
        return next((path for path in places if is_file(path)), places[0])

    def wrong(self, file: str, message: str, line: int = 0, field: str = "") -> None:
        self.mistakes.append(Mistake(self.name(file), line, field, message))

    def hint(self, word: str, known: Collection[str]) -> str:
        """As `nearest`; "" once there are many mistakes, because looking for names is slow."""
        return nearest(word, known) if len(self.mistakes) < 50 else ""

    def text(self, file: str) -> str:
        """The text of a file, "" when it is not there or cannot be read."""
        if not self.has(file):
            return ""
        try:
            return decode((self.folder / file).read_bytes(), self.name(file))
        except OSError as err:
            self.wrong(file, f"cannot be read: {err.strerror}")
        except Invalid as err:
            self.mistakes.extend(err.mistakes)
        return ""

    def document(self, file: str) -> Document:
        """The YAML of a file, read once; empty when it is not there or cannot be read."""
        if file not in self._documents:
            self._documents[file] = Document(self.name(file), None, {})
            try:
                self._documents[file] = read_yaml(self.text(file), self.name(file))
            except Invalid as err:
                self.mistakes.extend(err.mistakes)
        return self._documents[file]

    def entries(self, file: str, key: str) -> list[Fields]:
        """The mappings of a file that is a list, or holds one under its only key."""
        document = self.document(file)
        if isinstance(document.data, dict):
            root = Fields.of(document, self.mistakes)
            found = root.children(key)
            root.finish()
            return found
        return rows(document, (), document.data, self.mistakes)

    def parsed(self, file: str, parse: Callable[[str, str], T], otherwise: T) -> T:
        """What another part's parser makes of a file; `otherwise` when it has mistakes."""
        before = len(self.mistakes)
        text = self.text(file)
        if len(self.mistakes) > before:
            return otherwise
        try:
            return parse(text, self.name(file))
        except Invalid as err:
            self.mistakes.extend(err.mistakes)
            return otherwise

    def strangers(self) -> None:
        """Notes files that look like a misspelt one: they would be passed over in silence."""
        for path in sorted(self.folder.iterdir()):
            if path.name in FILES or not path.is_file() or path.name.startswith("."):
                continue
            hint = nearest(path.name, FILES)
            if hint or path.suffix in (".yaml", ".yml"):
                self.wrong(path.name, f"no such file belongs to a site{hint}")


def is_file(path: Path) -> bool:
    """Also where a folder above it lets nobody in."""
    try:
        return path.is_file()
    except OSError:
        return False
