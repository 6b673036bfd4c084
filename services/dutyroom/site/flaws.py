"""What is wrong with a cell of a table of devices: where, and words in the reader's language later.

The English sentences stand here for commands and files; pages show the same keys in their own
language ("flaw.<key>" in the catalogue).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dutyroom.errors import Mistake

TEXTS: Mapping[str, str] = {
    "empty_file": "is empty",
    "encoding": "is neither UTF-8 nor GB18030 (byte {place}); save it as CSV UTF-8",
    "old_workbook": "is an old Excel workbook or has a password; save it as .xlsx without one",
    "no_workbook": "cannot be read as a workbook: {why}",
    "no_csv": "is not CSV: {why}",
    "too_large": "is larger than {most}",
    "too_many_rows": "has more than {most} rows",
    "no_header": 'has no row of column names; one of them must be "id" (设备编号)',
    "unknown_column": "unknown column{hint}",
    "column_twice": "the column is there twice",
    "no_cell": "has {found} cells where the header has {wanted}",
    "formula": "is a formula without a result; open and save the file in a spreadsheet, or paste values",
    "error_cell": "the spreadsheet shows an error here: {value}",
    "date": "the spreadsheet made a date of it ({value}); format the column as text and enter it again",
    "shortened": "the spreadsheet shortened it to {value}; format the column as text and enter it again",
    "digits_lost": "a number of more than 15 digits has lost some in the spreadsheet; format as text and enter it again",
    "needed": "is empty",
    "new_needs": "is needed for a new device",
    "id_form": "{value} may hold letters, digits and . : _ - only, at most 100",
    "too_long": "is longer than {most} characters",
    "control": "holds a character that cannot be printed",
    "no_class": "{value} is no device class{hint}",
    "no_status": "{value} is no status; write active, out_of_service or withdrawn",
    "seconds": "must be seconds (900) or a duration such as 15min, at most {most} s, not {value}",
    "digits_form": "must be a whole number from 1 to 15, not {value}",
    "resolution_form": "must be a number above 0 such as 0.01, not {value}",
    "not_pair": "{value} is not key=value",
    "pair_twice": "{value} is there twice",
    "parameter_name": "{value} may hold letters, digits and . _ - only, at most 60",
    "number_wanted": "must be a number above 0, not {value}",
    "multiplier_other": "multiplier = {value}, but {wanted}: bills would differ from readings; correct one of them, or leave "
    "the multiplier away: it follows from the others",
    "twice": "{value} is used twice; first in row {first}",
    "address_taken": "{profile} {value} belongs to device {owner}",
    "no_profile": "there is no profile {value}{hint}",
    "no_space": "there is no space {value}{hint}",
    "address_shape": "{profile} calls no device {value}{hint}",
    "no_parameter": "neither profile {profile} nor any rule has a parameter {value}{hint}",
    "parameter_needed": "profile {profile} needs {value}, which has no default: without it points have no value",
    "parameter_number": "must be a number, not {value}",
    "no_register": "profile {profile} has no register of this kind",
    "no_feeder": "there is no device {value}{hint}",
    "feeds_itself": "feeds itself: {loop}",
    "still_feeds": "device {device} is fed by {value}, which would be gone",
    "feeder_gone": "{value} is withdrawn",
    "feeder_twice": "{value} is there twice; a second feed is another device",
    "no_utility": "whether {value} feeds power, water, gas or network is not clear; write for example power:{value}",
    "contradiction": "topology.yaml says {drawn} feeds it with {utility}, this row says {value}",
    "step_kept": "{point} is kept in steps of {kept} {unit}, not {wanted}: what was read would change its meaning. "
    "Give resolution {kept}, or withdraw this device and enter the other meter as a new one",
    # Notes: nothing is wrong, but somebody should look.
    "padded": "{value} was a number in the sheet; read as {padded}, as this profile's addresses have {length} digits",
    "zeros_lost": "{value} was a number in the sheet: if it begins with zeros, format the column as text",
    "short_address": "{value} has {found} digits where this profile's addresses have {length}: are leading zeros missing?",
    "class_other": "{value} is not what profile {profile} is for: {other}",
    "history": "has readings already; those that follow come from {value}",
}


@dataclass(frozen=True, slots=True)
class Flaw(Mistake):
    """A mistake, or a note, at a cell. field: the column's name as the file has it."""

    key: str = ""
    arguments: Mapping[str, str | int] = field(default_factory=dict)

    def __str__(self) -> str:
        place = f"{self.file} row {self.line}" if self.line else self.file
        if self.field:
            place += f', column "{self.field}"'
        return f"{place}: {self.message}".lstrip(": ")


def flaw(file: str, row: int, column: str, key: str, near: str = "", **arguments: str | int) -> Flaw:
    """key: one of TEXTS. row 0 = the whole file, column "" = the whole row. near: what was meant."""
    hint = f'; did you mean "{near}"?' if near else ""
    return Flaw(
        file, row, column, TEXTS[key].format(**arguments, hint=hint), key, {**arguments, "near": near}
    )


def quoted(text: str, most: int = 80) -> str:
    """A value as a sentence shows it."""
    return f'"{text}"' if len(text) <= most else f'"{text[:most]}…"'


def near(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like it, "" = none does."""
    names = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), names, 1, 0.6)
    return names[close[0]] if close else ""
