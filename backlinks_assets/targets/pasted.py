"""What spreadsheets and other tools make of a CSV: encodings, separators, headers, true and false in other languages.

Each is recognised and named with the next step; nothing is guessed or corrected. Reading a targets file is `file.py`.
"""

import codecs
import re
from collections.abc import Collection, Sequence

from backlinks_assets.targets.name import normalised_or_none
from backlinks_assets.targets.target import Problem, TargetsError

_SAVE_AS = "save it as CSV UTF-8."
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_LOOKED_AT = 400

_SEPARATOR_LINE = re.compile(r'"?sep=[^a-z0-9]"?[,;\s]*', re.IGNORECASE)
_SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}
_MARKS = "\ufeff\u200b\u00a0"
"""Invisible characters at the start of a pasted header."""

_OTHER_NAMES = frozenset({
    "address", "domain", "domain name", "domain_name", "domains", "host", "hostname", "hosts", "landing page", "page",
    "pages", "property", "referring domain", "root domain", "site", "sites", "target url", "targets", "top pages", "url",
    "urls", "website", "websites",
})  # fmt: skip

_TRUE_OR_FALSE = {
    **dict.fromkeys(["wahr", "vrai", "vero", "verdadero", "verdadeiro", "waar", "prawda", "sant", "sand", "tosi"], "true"),
    **dict.fromkeys(["falsch", "faux", "falso", "onwaar", "fałsz", "falskt", "falsk", "epätosi"], "false"),
}  # fmt: skip
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)")


def text_of(data: bytes, source: str) -> str:
    """Return a file's content as text without its byte order mark.

    Raises:
        TargetsError: it is not UTF-8 text; the message names the line and what the file seems to be.
    """
    if data.startswith(_WORKBOOKS):
        raise TargetsError(source, [Problem(1, "", f"the file is a workbook, as .xlsx files are: {_SAVE_AS}")])
    if data.startswith(_WIDE_MARKS) or _is_wide(data):
        raise TargetsError(source, [Problem(1, "", f"the file is UTF-16 text: {_SAVE_AS}")])
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
        problem = Problem(line, "", f"byte 0x{data[error.start]:02X} is not UTF-8 text: save the file as CSV UTF-8.")
        raise TargetsError(source, [problem]) from None


def is_separator_line(line: str) -> bool:
    """Whether a line is `sep=,`, which tells Excel how the file is separated."""
    return _SEPARATOR_LINE.fullmatch(line.strip(_MARKS)) is not None


def column_name(cell: str) -> str:
    """Return a header's cell as a column name: in lower case, without invisible characters."""
    return cell.strip().strip(_MARKS).strip().lower()


def is_other_name(column: str) -> bool:
    """Whether other tools give the targets' column this name."""
    return column in _OTHER_NAMES


def separated_otherwise(line: str) -> str | None:
    """Return what to do about a header whose separator is not a comma; None if it is."""
    separator = next((one for one in _SEPARATORS if one in line), None)
    if separator is None:
        return None
    names = [cell.strip().strip('"') for cell in line.split(separator)]
    rename = "" if "target" in map(column_name, names) else f", and {_call_it(names)}"
    return f"is separated by {_SEPARATORS[separator]}: save the file with commas between its columns{rename}."


def no_header(cells: Sequence[str]) -> str:
    """Return what to do about a first line without a column's name."""
    if sentence := separated_otherwise(",".join(cells)):
        return sentence
    if any(is_other_name(column_name(cell)) for cell in cells):
        return f"has no column `target`, the one required: {_call_it(cells)}."
    if normalised_or_none(cells[0]):
        return "is a target, not a header: write `target` on a line of its own before it."
    return "is not a header: the first line names the columns, of which `target` is the one required."


def spreadsheet_hint(cell: str) -> str | None:
    """Return what to write instead of a spreadsheet's true or false in another language, or of its decimal comma."""
    if word := _TRUE_OR_FALSE.get(cell.lower()):
        return f"it is how a spreadsheet in another language writes {word.upper()}: write {word}."
    if number := _DECIMAL_COMMA.fullmatch(cell):
        return f"it has a comma as its decimal mark: write {number[1]}.{number[2]}."
    return None


def _call_it(names: Collection[str]) -> str:
    other = next((name.strip() for name in names if is_other_name(column_name(name))), None)
    if other:
        return f"call the column {other!r} `target`"
    if any(map(normalised_or_none, names)):
        return "begin it with a header in which the targets' column is called `target`"
    return "call the targets' column `target`"


def _is_wide(data: bytes) -> bool:
    """Whether every other byte is a NUL, as in UTF-16 text without its mark (of Latin letters, as headers are)."""
    start = data[:_LOOKED_AT]
    return any(2 * start[first::2].count(0) > len(start[first::2]) for first in (0, 1) if len(start) > 1)
