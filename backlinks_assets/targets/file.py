"""The targets file: which targets are watched, since or until when, and what each asks for differently.

Here belong reading the CSV, with every problem named by its line, and changing it without touching what a
person wrote around the change: both halves know how a record lies on its lines. What a target may be is
`name.py`, the command `cli/targets.py`; thresholds are detection's, given as names and a check.
"""

import codecs
import csv
import datetime as dt
import difflib
import errno
import io
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
from filelock import FileLock
from pydantic import ValidationError

from backlinks_assets.dataforseo.endpoints.summary import ParameterOverrides
from backlinks_assets.dates import iso_date
from backlinks_assets.folder import next_step
from backlinks_assets.formatting import without_password
from backlinks_assets.targets.name import (
    NotATarget,
    is_reserved_example,
    normalise,
    partition_key,
    target_of,
)
from backlinks_assets.targets.pasted import (
    column_name,
    is_other_name,
    is_separator_line,
    no_header,
    separated_otherwise,
    spreadsheet_hint,
    text_of,
)
from backlinks_assets.targets.target import NO_OVERRIDES, BadLine, Problem, Target, TargetsError, WatchList

__all__ = [  # for readers of a target's name, who need this module alone
    "BadLine",
    "NotATarget",
    "Problem",
    "Target",
    "TargetsError",
    "WatchList",
    "add_target",
    "is_reserved_example",
    "load_targets",
    "normalise",
    "parse_targets",
    "partition_key",
    "retire_target",
    "target_of",
]

ThresholdCheck = Callable[[Mapping[str, str]], object]
"""Raises ValueError when a target's own thresholds can't be used."""


NO_THRESHOLDS: Mapping[str, str] = {}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_PARAMETERS = tuple(ParameterOverrides.model_fields)
_ADD_ONE = "make it with `backlinks targets add example.com`."
_LOCK_TIMEOUT_S = 10
_SEVERAL_LINES = {"note", "backlinks_filters"}
"""Columns whose cells may hold line breaks: in another one a quote was not closed."""


@dataclass(frozen=True)
class _Row:
    """One CSV record: its cells, and the physical lines [first, end) that it was written on, from 0."""

    first: int
    end: int
    cells: list[str]

    @property
    def line(self) -> int:
        return self.first + 1


@dataclass(frozen=True)
class _Rules:
    """What the caller adds to the file's rules: detection's threshold columns, and how they are checked."""

    threshold_columns: Collection[str]
    check_thresholds: ThresholdCheck | None


@dataclass
class _Sheet:
    """The file's lines as they are, and the records found among them; `columns` are the header's names.

    `problems` are those of the file as a whole; `broken` are lines on which no record could be read.
    """

    source: str
    byte_order_mark: bytes
    lines: list[str]
    header: _Row | None = None
    columns: list[str] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: list[BadLine] = field(default_factory=list)


def load_targets(
    path: Path,
    *,
    threshold_columns: Collection[str] = (),
    check_thresholds: ThresholdCheck | None = None,
    allow_none: bool = False,
) -> WatchList:
    """Return the targets of a file in its order, retired ones too; duplicates are one.

    Lines that can't be used are passed over and are in the list's `bad_lines`.

    Raises:
        TargetsError: the file is missing, unreadable, empty or no UTF-8 text; its header can't be used; or there is
            no target in it, unless there is no other line either and `allow_none`. Bad lines are named too.
    """
    rules = _Rules(threshold_columns, check_thresholds)
    return _some(_parsed(_sheet(_read(path), str(path)), rules), allow_none=allow_none)


def parse_targets(
    text_or_bytes: str | bytes,
    *,
    source: str,
    threshold_columns: Collection[str] = (),
    check_thresholds: ThresholdCheck | None = None,
    allow_none: bool = False,
) -> WatchList:
    """Return the targets that a file's content lists, as `load_targets`; `source` is its name in messages."""
    rules = _Rules(threshold_columns, check_thresholds)
    return _some(_parsed(_sheet(text_or_bytes, source), rules), allow_none=allow_none)


def _parsed(sheet: _Sheet, rules: _Rules) -> WatchList:
    """Return what the sheet lists; raises TargetsError, which names the bad lines too, where its header can't be used."""
    _check_header(sheet, rules)
    found: dict[str, Target] = {}
    bad_lines = list(sheet.broken)
    for row in sheet.rows:
        cell = _cell(sheet, row.cells)
        problems: list[Problem] = []
        target = _target(row, sheet, rules, problems)
        if target is not None and not problems:
            first = found.setdefault(target.target, target)
            if differing := _differences(first, target):
                message = (
                    f"is {target.target} again, which line {first.line} has with another "
                    f"{' and '.join(differing)}: keep one of the two lines, or make them equal. "
                    f"Until then line {first.line} counts."
                )
                problems.append(Problem(row.line, cell, message))
            elif not first.note and target.note:
                found[target.target] = replace(first, note=target.note)
        if problems:
            if row.end > row.line:
                more = (
                    f"{problems[-1].message} Its cells go on to line {row.end}: if that is not meant, close the quote."
                )
                problems[-1] = replace(problems[-1], message=more)
            bad_lines.append(_bad_line(row.line, cell, problems, target.thresholds if target else NO_THRESHOLDS))
    watched = WatchList(sheet.source, found.values(), bad_lines)
    if sheet.problems:
        problems = sheet.problems + watched.refusal().problems
        raise TargetsError(sheet.source, sorted(problems, key=lambda problem: problem.line))
    return watched


def _some(watched: WatchList, *, allow_none: bool) -> WatchList:
    if not watched and watched.bad_lines:
        raise watched.refusal()
    if not watched and not allow_none:
        message = "lists no target: add one with `backlinks targets add example.com`."
        raise TargetsError(watched.source, [Problem(0, "", message)])
    return watched


def add_target(
    path: Path,
    text: str,
    note: str = "",
    *,
    threshold_columns: Collection[str] = (),
    check_thresholds: ThresholdCheck | None = None,
) -> Target:
    """Append a target to the file, which is made where it is missing, and return it; all other lines stay.

    Raises:
        TargetsError: the text can't be a target or is one of the file's already, the file has problems of its
            own, or it can't be written. The file is then as it was.
    """
    target = _asked(path, text)
    note = note.strip()
    rules = _Rules(threshold_columns, check_thresholds)
    with _editing(path) as file:
        sheet = _sheet(_read(path) if file.exists() else b"", str(path))
        if sheet.header is not None:
            known = _parsed(sheet, rules)
            _refuse_known(path, text, next((one for one in known if one.target == target), None))
            if bad := known.bad_line_of(target):
                message = f"is in {path} already, on a line that can't be used. Mend {bad.reason}"
                raise TargetsError(str(path), [Problem(0, text, message)])
        ending = _line_end(sheet)
        if sheet.lines and not sheet.lines[-1].endswith(("\n", "\r")):
            sheet.lines[-1] += ending
        if sheet.header is None:
            sheet.columns = ["target", "note"]
            sheet.lines.append("target,note" + ending)
        elif note:
            _ensure_column(sheet, "note")
        values = {"target": target, "note": note}
        cells = [_quoted(values.pop(column, "")) for column in sheet.columns]
        sheet.lines.append(",".join(cells) + ending)
        return _replace(file, sheet, target, rules)


def retire_target(
    path: Path,
    text: str,
    day: dt.date,
    *,
    threshold_columns: Collection[str] = (),
    check_thresholds: ThresholdCheck | None = None,
) -> Target:
    """Write the day from which a target is watched no more on its line, and return it; its history is kept.

    Raises:
        TargetsError: the file does not list the target or has it retired from another day, has problems of
            its own, or can't be written. The file is then as it was.
    """
    target = _asked(path, text)
    rules = _Rules(threshold_columns, check_thresholds)
    _read(path)  # a file that is missing says so, before a folder is made for its lock
    with _editing(path) as file:
        sheet = _sheet(_read(path), str(path))
        known = _parsed(sheet, rules)
        found = next((one for one in known if one.target == target), None)
        if found is None and not known.bad_line_of(target):
            near = difflib.get_close_matches(target, [one.target for one in known], 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "`backlinks targets list --all` shows what is."
            raise TargetsError(str(path), [Problem(0, text, f"is not in {path}: {hint}")])
        if found is not None and found.retired == day:
            return found
        if found is not None and found.retired is not None:
            message = f"is retired already, from {found.retired}: to change that, edit {path}, line {found.line}."
            raise TargetsError(str(path), [Problem(0, text, message)])
        _ensure_column(sheet, "retired")
        retired = sheet.columns.index("retired")
        for row in sheet.rows:  # every line of it: two that differ would be an error
            if _name(_cell(sheet, row.cells)) == target:
                _set_cell(sheet, row, retired, day.isoformat())
        return _replace(file, sheet, target, rules)


# --- reading


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise TargetsError(str(path), [Problem(0, "", "is a folder: name a file in BACKLINKS_TARGETS_FILE.")])
        return path.read_bytes()
    except FileNotFoundError:
        raise TargetsError(str(path), [Problem(0, "", f"is not there: {_ADD_ONE}")]) from None
    except OSError as error:
        message = f"can't be read ({error.strerror}): see who may read it, or set BACKLINKS_TARGETS_FILE."
        raise TargetsError(str(path), [Problem(0, "", message)]) from None


def _sheet(text_or_bytes: str | bytes, source: str) -> _Sheet:
    """Split a file into its records. Comments and blank lines, also as spreadsheets save them, are none."""
    marked = isinstance(text_or_bytes, bytes) and text_or_bytes.startswith(codecs.BOM_UTF8)
    mark = codecs.BOM_UTF8 if marked else b""
    text = text_of(text_or_bytes, source) if isinstance(text_or_bytes, bytes) else text_or_bytes.removeprefix("\ufeff")
    sheet = _Sheet(source, mark, io.StringIO(text, newline="").readlines())
    position = 0
    while position < len(sheet.lines):
        first = position
        line = sheet.lines[first].strip()
        position += 1
        if not line or line.startswith("#") or (sheet.header is None and is_separator_line(line)):
            continue
        # A reader for each record: it draws and counts the lines of a quoted cell, and fails for one record.
        rest = (sheet.lines[number] for number in range(first, len(sheet.lines)))
        reader = csv.reader(rest, strict=True, skipinitialspace=True)
        try:
            cells = next(reader)
            if reader.line_num > 1:
                _refuse_line_breaks(sheet, cells)
        except csv.Error as error:
            message = f"is no CSV ({error}): check its quotes; a quote inside a quoted cell is written twice."
            if sheet.header is None:
                sheet.problems.append(Problem(first + 1, line, separated_otherwise(line) or message))
                break  # what follows can't be told from a header
            sheet.broken.append(_bad_line(first + 1, _broken_cell(sheet, first), [Problem(first + 1, line, message)]))
            continue  # with the next line: a quote that is not closed takes no other line along
        position = first + reader.line_num
        others = any(cell.strip() for cell in cells[1:])
        if not others and (not cells[0].strip() or cells[0].lstrip().startswith("#")):
            continue
        row = _Row(first, position, cells)
        if sheet.header is None:
            sheet.header = row
            sheet.columns = [column_name(cell) for cell in cells]
        else:
            sheet.rows.append(row)
    return sheet


def _refuse_line_breaks(sheet: _Sheet, cells: list[str]) -> None:
    """Raise where a record runs into the next ones: its quote was closed by another line's."""
    breaks = [re.search(r"[\r\n]", cell.strip()) for cell in cells]
    if not sheet.columns:
        return
    of_one_line = (found for column, found in zip(sheet.columns, breaks, strict=False) if column not in _SEVERAL_LINES)
    if len(cells) > len(sheet.columns) or any(of_one_line):
        raise csv.Error("a quote is not closed on its line")


def _cell(sheet: _Sheet, cells: list[str], otherwise: str = "") -> str:
    """Return a record's cell `target` as it is written, but for the spaces around it."""
    at = sheet.columns.index("target") if "target" in sheet.columns else len(cells)
    return cells[at].strip() if at < len(cells) else otherwise


def _broken_cell(sheet: _Sheet, number: int) -> str:
    """Return the cell `target` of a line that is no CSV, as far as it can be told."""
    line = sheet.lines[number]
    try:
        return _cell(sheet, next(csv.reader([line], skipinitialspace=True)), line.strip())
    except csv.Error:  # some cell is longer than one may be
        return _cell(sheet, line.split(","), line.strip())


def _bad_line(line: int, cell: str, problems: list[Problem], thresholds: Mapping[str, str] = NO_THRESHOLDS) -> BadLine:
    return BadLine(line, without_password(cell), _name(cell), tuple(problems), thresholds)


def _name(cell: str) -> str | None:
    try:
        return normalise(cell)
    except NotATarget:
        return None


def _check_header(sheet: _Sheet, rules: _Rules) -> None:
    """Add the header's problems to the sheet's; without a usable `target` column no row is left to read."""
    allowed = ["target", *_PARAMETERS, "retired", "note", *rules.threshold_columns]
    header, columns = sheet.header, sheet.columns
    if header is None:
        if not sheet.problems:
            lines = "holds only comments and blank lines" if any(map(str.strip, sheet.lines)) else "is empty"
            sheet.problems.append(Problem(0, "", f"{lines}: give it the header `target` and a target a line."))
        return
    if set(columns) & set(allowed):
        sheet.problems += _column_problems(header, columns, allowed)
    else:
        sheet.problems.append(Problem(header.line, ",".join(header.cells), no_header(header.cells)))
    if columns.count("target") != 1:
        sheet.rows.clear()


def _column_problems(header: _Row, columns: list[str], allowed: list[str]) -> Iterator[Problem]:
    for cell, column in zip(header.cells, columns, strict=True):
        if column and column not in allowed:
            near = difflib.get_close_matches(column, allowed, 1)
            if is_other_name(column) and "target" not in columns:
                near = ["target"]
            known = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(allowed)}."
            yield Problem(header.line, cell.strip(), f"is no column of a targets file: {known}")
    for column in dict.fromkeys(columns):
        if column and columns.count(column) > 1:
            yield Problem(header.line, column, f"names {columns.count(column)} columns: keep one of them.")
    if "target" not in columns:
        message = "is a header without the column `target`, the one required: name the targets' column so."
        yield Problem(header.line, ",".join(header.cells), message)


def _target(row: _Row, sheet: _Sheet, rules: _Rules, problems: list[Problem]) -> Target | None:
    """Return a row's target, None where its name can't be one; what is wrong is added to the problems."""

    def problem(text: str, message: str) -> None:
        problems.append(Problem(row.line, text, message))

    cells = [cell.strip() for cell in row.cells]
    values = {column: cell for column, cell in zip(sheet.columns, cells, strict=False) if column}
    name = None
    try:
        name = normalise(values.get("target", ""))
    except NotATarget as error:
        if values.get("target"):
            problem(values["target"], error.reason)
        else:
            problem(",".join(row.cells), "has no target: write one in the column `target`, or delete the line.")
    stray = [cell for column, cell in zip(sheet.columns, cells, strict=False) if cell and not column]
    if stray or len(cells) > len(sheet.columns):
        extra = ",".join(stray + row.cells[len(sheet.columns) :])
        or_so = "put a cell that holds a comma in double quotes" + (
            "." if extra.strip(", ") else ", or delete the comma."
        )
        problem(extra or ",", f"is beyond the header's columns: {or_so}")
        return None  # the cells between have slipped: what they say of their columns would mislead
    overrides = _overrides(values, problem)
    retired = None
    if day := values.get("retired"):
        try:
            retired = iso_date(day)
        except ValueError as error:
            problem(day, f"can't be the day it is retired from: {error}")
    thresholds = _thresholds(values, rules, problem)
    if name is None:
        return None
    return Target(name, overrides, retired, values.get("note", ""), thresholds, row.line)


def _thresholds(values: Mapping[str, str], rules: _Rules, problem: Callable[[str, str], None]) -> dict[str, str]:
    """Return a row's own thresholds, without those that `problem` is told of."""
    read: dict[str, str] = {}
    for column in rules.threshold_columns:
        if not (cell := values.get(column)):
            continue
        if hint := spreadsheet_hint(cell):
            problem(cell, f"can't be {column}: {hint}")
            continue
        try:
            if rules.check_thresholds:
                rules.check_thresholds({column: cell})
            read[column] = cell
        except ValueError as error:
            problem(values.get("target", ""), f"has a threshold that can't be used: {error}")
    return read


def _overrides(values: Mapping[str, str], problem: Callable[[str, str], None]) -> ParameterOverrides:
    """Return a row's own request parameters, without those that `problem` is told of."""
    read: dict[str, object] = {}
    for name in _PARAMETERS:
        if cell := values.get(name):
            try:
                read[name] = _parameter(name, cell)
                ParameterOverrides.model_validate({name: read[name]})
            except ValidationError as error:
                read.pop(name)
                why = error.errors()[0]["msg"].removeprefix("Value error, ")
                problem(cell, f"can't be {name}: {why[:1].lower()}{why[1:]}.")
            except (ValueError, TypeError, RecursionError) as error:
                read.pop(name, None)
                problem(cell, f"can't be {name}: {error}")
    return ParameterOverrides.model_validate(read) if read else NO_OVERRIDES


def _parameter(name: str, cell: str) -> object:
    """Return a cell as its parameter's type; bounds and names are pydantic's to check."""
    if name == "backlinks_filters":
        try:
            return orjson.loads(cell)
        except orjson.JSONDecodeError as error:
            raise ValueError(f'it is no JSON ({error}): in CSV, as "[""dofollow"", ""="", true]".') from None
    if name == "internal_list_limit":
        if not re.fullmatch(r"[0-9]{1,9}", cell):
            raise ValueError("write a whole number from 1 to 1000.")
        return int(cell)
    if name == "rank_scale":
        return cell
    if cell.lower() not in _BOOLEANS:
        raise ValueError(spreadsheet_hint(cell) or "write true or false (yes, no, 1 and 0 do as well).")
    return _BOOLEANS[cell.lower()]


def _differences(first: Target, again: Target) -> list[str]:
    """Return the columns in which two lines of one target differ; a note is no setting."""

    def settings(target: Target) -> dict[str, object]:
        return {**target.overrides.model_dump(), "retired": target.retired, **target.thresholds}

    one, other = settings(first), settings(again)
    return [column for column in {**one, **other} if one.get(column) != other.get(column)]


# --- changing


def _asked(path: Path, text: str) -> str:
    try:
        return normalise(text)
    except NotATarget as error:
        message = error.reason if text.strip() else f"an empty text {error.reason}"
        raise TargetsError(str(path), [Problem(0, text.strip(), message)]) from None


def _refuse_known(path: Path, text: str, known: Target | None) -> None:
    if known is None:
        return
    message = f"is watched already: {path}, line {known.line}."
    if known.retired is not None:
        message = (
            f"is in {path}, line {known.line}, already, retired from {known.retired}: to watch it again, "
            "empty that line's `retired`."
        )
    raise TargetsError(str(path), [Problem(0, text, message)])


@contextmanager
def _editing(path: Path) -> Iterator[Path]:
    """Hold the file for one change, so that two commands at once lose neither's; disk errors become words.

    Yields the file itself where `path` is a link to it.
    """
    try:
        file = path.resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=_LOCK_TIMEOUT_S):
            yield file
    except OSError as error:
        why = error.strerror or str(error)
        message = f"can't be written ({why}) and is as it was. {next_step(error.errno, 'BACKLINKS_TARGETS_FILE')}"
        raise TargetsError(str(path), [Problem(0, "", message)]) from None


def _line_end(sheet: _Sheet) -> str:
    first = sheet.lines[0] if sheet.lines else "\n"
    return first[len(first.rstrip("\r\n")) :] or "\n"


def _quoted(cell: str) -> str:
    """Return a cell as it is written: quoted where it would else be split, trimmed or taken for a comment."""
    if re.search(r'[",\r\n]', cell) or cell.startswith("#") or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _ensure_column(sheet: _Sheet, column: str) -> None:
    if column not in sheet.columns and sheet.header is not None:
        _set_cell(sheet, sheet.header, len(sheet.columns), column)
        sheet.columns.append(column)


def _set_cell(sheet: _Sheet, row: _Row, index: int, value: str) -> None:
    """Write one cell of a row; the row's other cells, their quotes and the line's end stay byte for byte."""
    raw = "".join(sheet.lines[row.first : row.end])
    body = re.sub(r"(\r\n|\r|\n)\Z", "", raw)
    cells = re.findall(r'(?:^|,)( *"(?:[^"]|"")*"|[^,]*)', body)
    cells += [""] * (index + 1 - len(cells))
    cells[index] = _quoted(value)
    # The row's further lines are emptied, not deleted: the lines of the rows after it keep their numbers.
    sheet.lines[row.first : row.end] = [",".join(cells) + raw[len(body) :]] + [""] * (row.end - row.first - 1)


def _replace(file: Path, sheet: _Sheet, target: str, rules: _Rules) -> Target:
    """Write the sheet in the file's place, once it reads well with the target in it; return the target.

    Lines that can't be used stay as they are.
    """
    try:
        data = sheet.byte_order_mark + "".join(sheet.lines).encode("utf-8")
    except UnicodeEncodeError:
        problem = Problem(0, "", "is as it was: the note holds what UTF-8 text can't; write it anew.")
        raise TargetsError(sheet.source, [problem]) from None
    after = _parsed(_sheet(data, sheet.source), rules)
    found = next((one for one in after if one.target == target), None)
    if found is None:  # its line can't be used, now as before
        raise after.refusal()
    _write_atomically(file, data)
    return found


def _write_atomically(file: Path, data: bytes) -> None:
    """Put a whole new file in the old one's place, with its mode: a reader finds the one or the other."""
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else None
    if mode is not None and not os.access(file, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is read-only")
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")
    try:
        with fresh.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            fresh.chmod(mode)
        fresh.replace(file)
    except BaseException:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
