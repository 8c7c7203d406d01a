"""A history from elsewhere, as `backlinks backtest` reads it: a CSV with a row a target and day.

Here belongs what such a file may hold, with each problem named by the line that an editor shows. It is read by one
reader and cell by cell: what pandas guesses (a day that may be a month, columns that slipped by one) is refused here.
What is made of the history is `backtest.py`.
"""

import csv
import datetime as dt
import io
import math
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from backlinks_assets.cli.console import UsageError
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.dates import iso_date
from backlinks_assets.detection import metrics
from backlinks_assets.targets.pasted import column_name, is_separator_line, text_of
from backlinks_assets.targets.target import TargetsError

NEEDED = ("date", "target", *metrics.NEEDED)
NUMBERS = tuple(name for name, source in metrics.SOURCES.items() if not source.is_set)
DATES = tuple(name for name, source in metrics.SOURCES.items() if source.is_set)
TEXTS = ("request_key", "captured_at")
"""Columns that detection heeds beside date and target, where the file has them; any other is passed over.

Of a date only counts whether there is one, as in the tables' history.
"""

MAX_PROBLEMS = 10
FIRST_DAY = dt.date(2000, 1, 1)
MAX_AHEAD = dt.timedelta(days=366)
"""Days outside are slips of the keyboard (2062 for 2026); one of them would make the history decades long."""

_UNKNOWN = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"})
"""Cells without a reading."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_history(file: Path) -> pd.DataFrame:
    """Return the rows of a history: `date` as dates, `target`, and of `NUMBERS`, `DATES` (1 or 0) and `TEXTS` what the file has.

    Raises:
        UsageError: the file is missing, is not CSV in UTF-8 or lacks a column, or lines of it can't be used: the first
            `MAX_PROBLEMS` are named, the others counted.
    """
    records = _records(_text(file))
    problems: list[str] = []
    header: list[str] = []
    columns: dict[str, list[object]] = {}
    try:
        line, header = next(records)
        if is_separator_line(",".join(header)):
            line, header = next(records)
        header = [column_name(cell) for cell in header]
        columns = {name: [] for name in (*NEEDED[:2], *NUMBERS, *DATES, *TEXTS) if name in header}
        _check_header(f"{file}, line {line}", header)
        last = utc_now().date() + MAX_AHEAD
        for line, cells in records:
            try:
                row = _row(header, cells, last)
            except ValueError as error:
                problems.append(f"{file}, line {line}: {error}")
                continue
            for name, values in columns.items():
                values.append(row[name])
    except StopIteration:
        raise UsageError(
            f"{file} can't be read as CSV: it is empty. It needs the columns {', '.join(NEEDED)}."
        ) from None
    except csv.Error as error:
        problems.append(f"{file}, {error}")
    if problems:
        more = len(problems) - MAX_PROBLEMS
        named = problems[:MAX_PROBLEMS] + ([f"and {more:,} more such lines"] if more > 0 else [])
        raise UsageError("\n".join(named))
    frame = pd.DataFrame({name: columns[name] for name in ("date", "target", *TEXTS) if name in columns}, dtype=object)
    for name in (*NUMBERS, *DATES):
        if name in columns:
            frame[name] = pd.Series(columns[name], dtype="float64")
    return frame


def _row(header: list[str], cells: list[str], last: dt.date) -> dict[str, object]:
    """Return a record's values by column; raises ValueError with what is wrong with it."""
    if any(cells[len(header) :]):
        raise ValueError(
            f"it has {len(cells)} cells and the header {len(header)}: put a cell that holds a comma in quotes."
        )
    texts = dict(zip_longest(header, cells[: len(header)], fillvalue=""))
    try:
        row: dict[str, object] = {"date": _day(texts["date"], last)}
    except ValueError as error:
        raise ValueError(f"the date {texts['date']!r} can't be used: {error}") from None
    row["target"] = target = sys.intern(texts["target"].strip())
    if target.lower() in _UNKNOWN:
        raise ValueError("there is no target.")
    for name in NUMBERS:
        cell = texts.get(name, "").strip()
        if cell.lower() in _UNKNOWN:
            row[name] = None
        elif _NUMBER.fullmatch(cell) and math.isfinite(float(cell)):
            row[name] = float(cell)
        else:
            raise ValueError(f"{name} is {cell!r}, which is not a valid number: write it as 1234 or 12.5.")
    for name in DATES:
        row[name] = _is_set(name, texts.get(name, "").strip())
    return row | {name: texts.get(name) or None for name in TEXTS}


def _is_set(name: str, cell: str) -> float:
    if cell.lower() in _UNKNOWN:
        return 0.0
    try:
        iso_date(cell[:10])  # the vendor's own are `2026-01-09 04:31:07 +00:00`
    except ValueError as error:
        raise ValueError(f"the {name} {cell!r} can't be used: {error}") from None
    return 1.0


@lru_cache
def _day(text: str, last: dt.date) -> dt.date:
    day = iso_date(text)
    if not FIRST_DAY <= day <= last:
        raise ValueError(f"days from {FIRST_DAY} to {last} can be read. Is the year right?")
    return day


def _text(file: Path) -> str:
    try:
        return text_of(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise UsageError(f"{file} is not there.") from None
    except TargetsError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{file} can't be read as CSV ({error.strerror}). See who may read it.") from None


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of its first line; not blank lines and comments, also as spreadsheets save them."""
    number = first = 0

    def lines() -> Iterator[str]:
        nonlocal number, first
        for line in io.StringIO(text, newline=""):
            number += 1
            if not first:  # a record begins; within one, a line may be blank or begin with #
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                first = number
            yield line

    reader = csv.reader(lines(), strict=True)
    while True:
        first = 0
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            next_step = "See its quotes: a quote inside a quoted cell is written twice."
            raise csv.Error(f"line {first}: it is not valid CSV ({error}). {next_step}") from None
        if any(cells[1:]) or (cells[0].strip() and not cells[0].startswith("#")):
            yield first, cells


def _check_header(where: str, header: list[str]) -> None:
    missing = [name for name in NEEDED if name not in header]
    if missing:
        separator = next((one for one in (";", "\t", "|") if len(header) == 1 and one in header[0]), None)
        todo = f"It is separated by {separator!r}: save the file with commas. " if separator else ""
        raise UsageError(f"{where}: the header has no column {', '.join(missing)}. {todo}It needs {', '.join(NEEDED)}.")
    twice = [
        name for name in dict.fromkeys(header) if name in {*NEEDED, *NUMBERS, *DATES, *TEXTS} and header.count(name) > 1
    ]
    if twice:
        raise UsageError(f"{where}: the header has the column {', '.join(twice)} more than once. Keep one of them.")
