"""A targets file as lines and CSV records. Comments and blank lines are not records.

Reading a target from a record is `file.py`; changing lines is `edit.py`.
"""

import codecs
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backlinks_assets.formatting import without_password
from backlinks_assets.targets.name import normalised_or_none
from backlinks_assets.targets.pasted import column_name, is_separator_line, separated_otherwise, text_of
from backlinks_assets.targets.target import NO_THRESHOLDS, BadLine, Problem

_MULTILINE_COLUMNS = {"note", "backlinks_filters"}
"""Columns whose cells may hold line breaks: in other columns they mean that a quote is not closed."""


@dataclass(frozen=True)
class Row:
    """One record: its cells and its lines [first, end), counted from 0."""

    first: int
    end: int
    cells: list[str]

    @property
    def line(self) -> int:
        return self.first + 1


@dataclass
class Sheet:
    """The file's lines as they are, and the records among them; `columns` are the header's names.

    `problems` are those of the file as a whole; `broken` are lines on which no record could be read.
    """

    source: str
    has_byte_order_mark: bool
    lines: list[str]
    header: Row | None = None
    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: list[BadLine] = field(default_factory=list)

    def target_cell(self, cells: Sequence[str], otherwise: str = "") -> str:
        """Return the cell `target` of a record without the spaces around it."""
        at = self.columns.index("target") if "target" in self.columns else len(cells)
        return cells[at].strip() if at < len(cells) else otherwise


def read_sheet(data: bytes, source: str) -> Sheet:
    """Split a file's content into records; `source` is its name in messages.

    Raises:
        TargetsError: it is not UTF-8 text.
    """
    lines = io.StringIO(text_of(data, source), newline="").readlines()
    sheet = Sheet(source, data.startswith(codecs.BOM_UTF8), lines)
    position = 0
    while position < len(lines):
        first = position
        line = lines[first].strip()
        position += 1
        if not line or line.startswith("#") or (sheet.header is None and is_separator_line(line)):
            continue
        try:
            cells, count = _record(sheet, first)
        except csv.Error as error:
            message = f"is not valid CSV ({error}): check its quotes; a quote inside a quoted cell is written twice."
            if sheet.header is None:  # what follows may be the header's
                sheet.problems.append(Problem(first + 1, line, separated_otherwise(line) or message))
                break
            sheet.broken.append(
                bad_line(first + 1, _broken_cell(sheet, lines[first]), [Problem(first + 1, line, message)])
            )
            continue  # with the next line: an open quote must not swallow other lines
        position = first + count
        others = any(cell.strip() for cell in cells[1:])
        if not others and (not cells[0].strip() or cells[0].lstrip().startswith("#")):
            continue
        row = Row(first, position, cells)
        if sheet.header is None:
            sheet.header, sheet.columns = row, [column_name(cell) for cell in cells]
        else:
            sheet.rows.append(row)
    return sheet


def bad_line(
    line: int, cell: str, problems: Sequence[Problem], thresholds: Mapping[str, str] = NO_THRESHOLDS
) -> BadLine:
    return BadLine(line, without_password(cell), normalised_or_none(cell), tuple(problems), thresholds)


def _record(sheet: Sheet, first: int) -> tuple[list[str], int]:
    """Return the cells of the record that begins on a line, and the number of its lines; raises csv.Error.

    Each record has a reader of its own, which counts its lines and fails for it alone.
    """
    rest = (sheet.lines[number] for number in range(first, len(sheet.lines)))
    reader = csv.reader(rest, strict=True, skipinitialspace=True)
    cells = next(reader)
    if reader.line_num > 1 and sheet.columns:
        pairs = zip(sheet.columns, cells, strict=False)
        broken = (cell for column, cell in pairs if column not in _MULTILINE_COLUMNS and {*"\r\n"} & {*cell.strip()})
        if len(cells) > len(sheet.columns) or any(broken):  # the quote was closed by another line's
            raise csv.Error("a quote is not closed on its line")
    return cells, reader.line_num


def _broken_cell(sheet: Sheet, line: str) -> str:
    """Return the cell `target` of a line that is not valid CSV, as far as it can be read."""
    try:
        cells = next(csv.reader([line], skipinitialspace=True))
    except csv.Error:  # some cell is longer than one may be
        cells = line.split(",")
    return sheet.target_cell(cells, line.strip())
