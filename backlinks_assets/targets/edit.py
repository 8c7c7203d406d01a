"""Adds and retires targets in the targets file. What a person wrote around the change stays byte for byte.

Two commands at once lose neither change, and the file is never half-written.
"""

import codecs
import datetime as dt
import difflib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from backlinks_assets.folder import next_step
from backlinks_assets.targets.file import read_file, targets_of
from backlinks_assets.targets.name import NotATarget, normalise, normalised_or_none
from backlinks_assets.targets.sheet import Row, Sheet, read_sheet
from backlinks_assets.targets.target import Target, TargetsError

_LOCK_TIMEOUT_S = 10


def add_target(path: Path, text: str, note: str = "", labels: Mapping[str, str] | None = None) -> Target:
    """Append a target to the file and return it. A missing file is made.

    `labels` are the cells of `group`, `owner` and `tags`; a column that the file lacks is added for one that is not empty.

    Raises:
        TargetsError: the text can't be a target or is one of the file's already, the file has problems of its
            own, or it can't be written. The file is then as it was.
    """
    target = _normalised(path, text)
    values = {"note": note.strip(), **{column: cell.strip() for column, cell in (labels or {}).items()}}
    with _editing(path) as file:
        sheet = read_sheet(read_file(path) if file.exists() else b"", str(path))
        if sheet.header is not None:
            _refuse_known(path, text, target, sheet)
        ending = _line_end(sheet)
        if sheet.lines and not sheet.lines[-1].endswith(("\n", "\r")):
            sheet.lines[-1] += ending
        if sheet.header is None:
            sheet.columns = ["target", "note"]
            sheet.header = Row(len(sheet.lines), len(sheet.lines) + 1, list(sheet.columns))
            sheet.lines.append("target,note" + ending)
        for column, cell in values.items():
            if cell:
                _ensure_column(sheet, column)
        values["target"] = target
        cells = [_quoted(values.pop(column, "")) for column in sheet.columns]
        sheet.lines.append(",".join(cells) + ending)
        return _replace(file, sheet, target)


def retire_target(path: Path, text: str, day: dt.date) -> Target:
    """Write the day from which a target is no longer watched on its line, and return it; its history stays.

    Raises:
        TargetsError: the file does not list the target or has it retired from another day, has problems of
            its own, or can't be written. The file is then as it was.
    """
    target = _normalised(path, text)
    read_file(path)  # a file that is missing says so, before a folder is made for its lock
    with _editing(path) as file:
        sheet = read_sheet(read_file(path), str(path))
        known = targets_of(sheet)
        found = known.find(target)
        if found is None and not known.bad_line_of(target):
            near = difflib.get_close_matches(target, [one.target for one in known], 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "`backlinks targets list --all` shows what is."
            raise TargetsError.of(str(path), f"is not in {path}: {hint}", text)
        if found is not None and found.retired == day:
            return found
        if found is not None and found.retired is not None:
            message = f"is retired already, from {found.retired}: to change that, edit {path}, line {found.line}."
            raise TargetsError.of(str(path), message, text)
        _ensure_column(sheet, "retired")
        for row in sheet.rows:  # every line of it: two that differ would be an error
            if normalised_or_none(sheet.target_cell(row.cells)) == target:
                _set_cell(sheet, row, sheet.columns.index("retired"), day.isoformat())
        return _replace(file, sheet, target)


def _normalised(path: Path, text: str) -> str:
    try:
        return normalise(text)
    except NotATarget as error:
        message = error.reason if text.strip() else f"an empty text {error.reason}"
        raise TargetsError.of(str(path), message, text.strip()) from None


def _refuse_known(path: Path, text: str, target: str, sheet: Sheet) -> None:
    known = targets_of(sheet)
    if found := known.find(target):
        message = f"is watched already: {path}, line {found.line}."
        if found.retired is not None:
            message = (
                f"is in {path}, line {found.line}, already, retired from {found.retired}: to watch it again, empty "
                "that line's `retired`."
            )
        raise TargetsError.of(str(path), message, text)
    if bad := known.bad_line_of(target):
        raise TargetsError.of(str(path), f"is in {path} already, on a line that can't be used. Mend {bad.reason}", text)


@contextmanager
def _editing(path: Path) -> Iterator[Path]:
    """Lock the file for one change, and yield it: its real path where `path` is a link. Disk errors become TargetsError."""
    try:
        file = path.resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=_LOCK_TIMEOUT_S):
            yield file
    except OSError as error:
        why, how = error.strerror or str(error), next_step(error.errno, "BACKLINKS_TARGETS_FILE")
        raise TargetsError.of(str(path), f"can't be written ({why}) and is as it was. {how}") from None


def _line_end(sheet: Sheet) -> str:
    first = sheet.lines[0] if sheet.lines else "\n"
    return first[len(first.rstrip("\r\n")) :] or "\n"


def _quoted(cell: str) -> str:
    """Return a cell as written: quoted where it would otherwise be split, trimmed or read as a comment."""
    if re.search(r'[",\r\n]', cell) or cell.startswith("#") or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _ensure_column(sheet: Sheet, column: str) -> None:
    if column not in sheet.columns and sheet.header is not None:
        _set_cell(sheet, sheet.header, len(sheet.columns), column)
        sheet.columns.append(column)


def _set_cell(sheet: Sheet, row: Row, index: int, value: str) -> None:
    """Write one cell of a row; the row's other cells, their quotes and the line's end stay byte for byte."""
    raw = "".join(sheet.lines[row.first : row.end])
    body = re.sub(r"(\r\n|\r|\n)\Z", "", raw)
    cells = re.findall(r'(?:^|,)( *"(?:[^"]|"")*"|[^,]*)', body)
    cells += [""] * (index + 1 - len(cells))
    cells[index] = _quoted(value)
    # The row's further lines are emptied, not deleted: the lines of the rows after it keep their numbers.
    sheet.lines[row.first : row.end] = [",".join(cells) + raw[len(body) :]] + [""] * (row.end - row.first - 1)


def _replace(file: Path, sheet: Sheet, target: str) -> Target:
    """Write the sheet in the file's place, once it reads well with the target in it; return the target.

    Lines that can't be used stay as they are.
    """
    try:
        data = "".join(sheet.lines).encode("utf-8")
    except UnicodeEncodeError:
        message = "is as it was: the note holds what UTF-8 text can't; write it anew."
        raise TargetsError.of(sheet.source, message) from None
    if sheet.has_byte_order_mark:
        data = codecs.BOM_UTF8 + data
    after = targets_of(read_sheet(data, sheet.source))
    found = after.find(target)
    if found is None:  # its line can't be used, now as before
        raise after.refusal()
    _write_atomically(file, data)
    return found


def _write_atomically(file: Path, data: bytes) -> None:
    """Replace the file, with its mode: a reader finds the old or the new one, whole."""
    if file.exists() and not os.access(file, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is read-only")
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")
    try:
        with fresh.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if file.exists():
            shutil.copymode(file, fresh)
        fresh.replace(file)
    finally:
        with suppress(OSError):  # it is there where writing failed
            fresh.unlink(missing_ok=True)
