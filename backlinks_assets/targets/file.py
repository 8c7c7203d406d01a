"""Reads the targets file: which targets are watched, until when, and with which settings of their own.

Each problem is named by its line. Splitting the file into records is `sheet.py`, what spreadsheets make of it `pasted.py`, a
target's name `name.py`, changing the file `edit.py`.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import orjson
from pydantic import ValidationError

from backlinks_assets.dataforseo.endpoints.summary import ParameterOverrides
from backlinks_assets.dates import iso_date
from backlinks_assets.detection.settings import THRESHOLD_COLUMNS, target_thresholds
from backlinks_assets.targets import labels
from backlinks_assets.targets.labels import LABEL_COLUMNS, group_key
from backlinks_assets.targets.name import NotATarget, normalise
from backlinks_assets.targets.pasted import is_other_name, no_header, spreadsheet_hint
from backlinks_assets.targets.sheet import Row, Sheet, bad_line, read_sheet
from backlinks_assets.targets.target import NO_OVERRIDES, NO_THRESHOLDS, Problem, Target, TargetsError, WatchList
from backlinks_assets.targets.watch import WATCH_COLUMN, Way, way_of

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_PARAMETERS = tuple(ParameterOverrides.model_fields)
_COLUMNS = ("target", *_PARAMETERS, "retired", "note", WATCH_COLUMN, *LABEL_COLUMNS, *THRESHOLD_COLUMNS)

_Say = Callable[[str, str], None]
"""Records a text that can't be used, and the rest of its sentence."""


def load_targets(path: Path, *, allow_none: bool = False) -> WatchList:
    """Return the targets of a file in its order, retired ones too; duplicates are one.

    Lines that can't be used are in the list's `bad_lines`.

    Raises:
        TargetsError: the file is missing, unreadable, empty or not UTF-8 text; its header can't be used; or there is
            no target in it, unless there is no other line either and `allow_none`. Bad lines are named too.
    """
    return parse_targets(read_file(path), source=str(path), allow_none=allow_none)


def parse_targets(content: str | bytes, *, source: str, allow_none: bool = False) -> WatchList:
    """Return the targets that a file's content lists, as `load_targets`; `source` is its name in messages."""
    watched = targets_of(read_sheet(content.encode() if isinstance(content, str) else content, source))
    if not watched and watched.bad_lines:
        raise watched.refusal()
    if not watched and not allow_none:
        raise TargetsError.of(source, "lists no target: add one with `backlinks targets add example.com`.")
    return watched


def read_file(path: Path) -> bytes:
    """Return the file's content; raises TargetsError where it is missing or could not be read."""
    try:
        if path.is_dir():
            raise TargetsError.of(str(path), "is a folder: name a file in BACKLINKS_TARGETS_FILE.")
        return path.read_bytes()
    except FileNotFoundError:
        message = "is not there: make it with `backlinks targets add example.com`."
    except OSError as error:
        message = f"could not be read ({error.strerror}): see who may read it, or set BACKLINKS_TARGETS_FILE."
    raise TargetsError.of(str(path), message)


def targets_of(sheet: Sheet) -> WatchList:
    """Return what a sheet lists; raises TargetsError, which names the bad lines too, where its header can't be used."""
    if sheet.header is not None:
        sheet.problems += _header_problems(sheet.header, sheet.columns)
    elif not sheet.problems:
        what = "holds only comments and blank lines" if any(map(str.strip, sheet.lines)) else "is empty"
        sheet.problems.append(Problem(0, "", f"{what}: give it the header `target` and a target a line."))
    found: dict[str, Target] = {}
    spelled: dict[str, str] = {}
    bad_lines = list(sheet.broken)
    for row in sheet.rows if sheet.columns.count("target") == 1 else ():
        cell = sheet.target_cell(row.cells)
        problems: list[Problem] = []
        target = _target(row, sheet.columns, problems)
        if target is not None and not problems:
            if target.group:  # one name for it everywhere: as the file has it first
                target = replace(target, group=spelled.setdefault(group_key(target.group), target.group))
            first = found.setdefault(target.target, target)
            if columns := _differences(first, target):
                message = (
                    f"is {target.target} again, which line {first.line} has with another {' and '.join(columns)}: keep "
                    f"one of the two lines, or make them equal. Until then line {first.line} counts."
                )
                problems.append(Problem(row.line, cell, message))
            else:
                found[target.target] = _joined(first, target)
        if problems:
            if row.end > row.line:
                more = (
                    f"{problems[-1].message} Its cells go on to line {row.end}: if that is not meant, close the quote."
                )
                problems[-1] = replace(problems[-1], message=more)
            bad_lines.append(bad_line(row.line, cell, problems, target.thresholds if target else NO_THRESHOLDS))
    watched = WatchList(sheet.source, found.values(), bad_lines)
    if sheet.problems:
        problems = sheet.problems + watched.refusal().problems
        raise TargetsError(sheet.source, sorted(problems, key=lambda problem: problem.line))
    return watched


def _header_problems(header: Row, columns: list[str]) -> Iterator[Problem]:
    if not set(columns) & {*_COLUMNS} - {
        *LABEL_COLUMNS,
        WATCH_COLUMN,
    }:  # a label's name is an everyday word
        yield Problem(header.line, ",".join(header.cells), no_header(header.cells))
        return
    for cell, column in zip(header.cells, columns, strict=True):
        if column and column not in _COLUMNS:
            near = difflib.get_close_matches(column, _COLUMNS, 1)
            if is_other_name(column) and "target" not in columns:
                near = ["target"]
            known = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(_COLUMNS)}."
            yield Problem(header.line, cell.strip(), f"is not a column of a targets file: {known}")
    for column in dict.fromkeys(columns):
        if column and columns.count(column) > 1:
            yield Problem(header.line, column, f"names {columns.count(column)} columns: keep one of them.")
    if "target" not in columns:
        message = "is a header without the column `target`, the one required: name the targets' column so."
        yield Problem(header.line, ",".join(header.cells), message)


def _target(row: Row, columns: list[str], problems: list[Problem]) -> Target | None:
    """Return a row's target, None where its name can't be one; what is wrong is added to the problems."""

    def say(text: str, message: str) -> None:
        problems.append(Problem(row.line, text, message))

    cells = [cell.strip() for cell in row.cells]
    values = {column: cell for column, cell in zip(columns, cells, strict=False) if column}
    name = None
    try:
        name = normalise(values.get("target", ""))
    except NotATarget as error:
        if values.get("target"):
            say(values["target"], error.reason)
        else:
            say(",".join(row.cells), "has no target: write one in the column `target`, or delete the line.")
    stray = [cell for column, cell in zip(columns, cells, strict=False) if cell and not column]
    if stray or len(cells) > len(columns):
        extra = ",".join(stray + row.cells[len(columns) :])
        or_delete = "" if extra.strip(", ") else ", or delete the comma"
        say(extra or ",", f"is beyond the header's columns: put a cell that holds a comma in double quotes{or_delete}.")
        return None  # the cells between are in the wrong columns: their problems would mislead
    overrides = _overrides(values, say)
    retired = None
    if day := values.get("retired"):
        try:
            retired = iso_date(day)
        except ValueError as error:
            say(day, f"can't be the day it is retired from: {error}")
    thresholds = _thresholds(values, say)
    group, owner, tags = _labels(values, say)
    watch = _watch(values.get(WATCH_COLUMN, ""), say)
    if name is None:
        return None
    return Target(name, overrides, retired, values.get("note", ""), thresholds, row.line, group, owner, tags, watch)


def _watch(cell: str, say: _Say) -> Way | None:
    try:
        return way_of(cell)
    except ValueError as error:
        say(cell, f"can't be watch: {error}")
    return None


def _labels(values: Mapping[str, str], say: _Say) -> tuple[str, str, tuple[str, ...]]:
    """Return a row's group, owner and tags."""
    read: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    for column in LABEL_COLUMNS:
        cell = values.get(column, "")
        try:
            if column == "tags":
                tags = labels.tags(cell)
            else:
                read[column] = labels.label(column, cell)
        except ValueError as error:
            say(cell, f"can't be {column}: {error}")
    return read.get("group", ""), read.get("owner", ""), tags


def _thresholds(values: Mapping[str, str], say: _Say) -> dict[str, str]:
    """Return a row's own valid thresholds."""
    read: dict[str, str] = {}
    for column in THRESHOLD_COLUMNS:
        if not (cell := values.get(column)):
            continue
        if hint := spreadsheet_hint(cell):
            say(cell, f"can't be {column}: {hint}")
            continue
        try:
            target_thresholds({column: cell})
            read[column] = cell
        except ValueError as error:
            say(values.get("target", ""), f"has a threshold that can't be used: {error}")
    return read


def _overrides(values: Mapping[str, str], say: _Say) -> ParameterOverrides:
    """Return a row's own valid request parameters."""
    read: dict[str, object] = {}
    for name in _PARAMETERS:
        if cell := values.get(name):
            try:
                value = _parameter(name, cell)
                ParameterOverrides.model_validate({name: value})
                read[name] = value
            except ValidationError as error:
                why = error.errors()[0]["msg"].removeprefix("Value error, ")
                say(cell, f"can't be {name}: {why[:1].lower()}{why[1:]}.")
            except (ValueError, TypeError, RecursionError) as error:
                say(cell, f"can't be {name}: {error}")
    return ParameterOverrides.model_validate(read) if read else NO_OVERRIDES


def _parameter(name: str, cell: str) -> object:
    """Return a cell as its parameter's type; pydantic checks bounds and names."""
    if name == "backlinks_filters":
        try:
            return orjson.loads(cell)
        except orjson.JSONDecodeError as error:
            raise ValueError(f'it is not valid JSON ({error}): in CSV, as "[""dofollow"", ""="", true]".') from None
    if name == "internal_list_limit":
        if not re.fullmatch(r"[0-9]{1,9}", cell):
            raise ValueError("write a whole number from 1 to 1000.")
        return int(cell)
    if name == "rank_scale":
        return cell
    if cell.lower() not in _BOOLEANS:
        raise ValueError(spreadsheet_hint(cell) or "write true or false (yes, no, 1 and 0 are read too).")
    return _BOOLEANS[cell.lower()]


def _joined(first: Target, again: Target) -> Target:
    """Return the target of two lines that don't contradict each other: what one of them leaves out, the other says."""
    return replace(
        first,
        note=first.note or again.note,
        group=first.group or again.group,
        owner=first.owner or again.owner,
        tags=tuple(dict.fromkeys([*first.tags, *again.tags])),
        watch=first.watch or again.watch,
    )


def _differences(first: Target, again: Target) -> list[str]:
    """Return the columns in which two lines of one target differ; notes and tags may."""

    def settings(target: Target) -> dict[str, object]:
        return {**target.overrides.model_dump(), "retired": target.retired, **target.thresholds}

    one, other = settings(first), settings(again)
    differing = [column for column in {**one, **other} if one.get(column) != other.get(column)]
    whose = {
        "group": (first.group, again.group),
        "owner": (first.owner, again.owner),
        "watch": (first.watch, again.watch),
    }
    return differing + [column for column, (was, now) in whose.items() if was and now and was != now]
