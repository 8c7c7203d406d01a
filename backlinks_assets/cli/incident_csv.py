"""`backlinks incidents export` and `import`: all that was said of incidents, as a CSV and back.

A text that a spreadsheet would take for a formula is written with a quote before it, which reading takes off again.
"""

import csv
import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from backlinks_assets.cli.console import UsageError, out, settings_and_notices, shown
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dates import iso_date
from backlinks_assets.formatting import counted, visible
from backlinks_assets.incidents.incident import MAX_SNOOZE_DAYS, REASONS, incident_id
from backlinks_assets.incidents.saying import MAX_BY_CHARACTERS, MAX_NOTE_CHARACTERS
from backlinks_assets.store.digests import incident_verdicts_in
from backlinks_assets.store.incident_verdicts import ACTIONS, IncidentVerdict

COLUMNS: Final = IncidentVerdict._fields
MAX_NAMED: Final = 10
_FORMULA: Final = ("=", "+", "-", "@", "'", "\t", "\r")


def export_to(file: Path) -> int:
    """Write all verdicts; return the exit status. The file appears whole or not at all."""
    settings = settings_and_notices()
    said = incident_verdicts_in(settings.store)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in one] for one in said)
    partial = file.with_name(f"{file.name}.partial")
    try:
        partial.write_text(text.getvalue(), encoding="utf-8", newline="")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    out().print(f"{counted(len(said), 'verdict')} written to {shown(file.absolute())}.", markup=False)
    return 0


def import_from(file: Path) -> int:
    """Read verdicts and store those that are not there; return the exit status.

    Raises:
        UsageError: the file could not be read, or a line can't be used; nothing was stored.
    """
    said = _read(file)
    settings = settings_and_notices()
    with open_store(settings) as store:
        new = store.add_incident_verdicts(said)
    out().print(
        f"{counted(len(said), 'verdict')} read, {new:,} of them new. Those about earlier days count when these are evaluated "
        "again.",
        markup=False,
    )
    return 0


def _read(file: Path) -> list[IncidentVerdict]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"{shown(file.absolute())} could not be read ({why}). Name a file that `export` wrote."
        ) from None
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise UsageError(f"{shown(file.absolute())} could not be read as CSV ({error}). Nothing was stored.") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise UsageError(
            f"{shown(file.absolute())} must begin with the columns {','.join(COLUMNS)}. Nothing was stored."
        )
    said, wrong = [], []
    for number, cells in enumerate(rows[1:], start=2):
        if not any(cells):
            continue
        try:
            said.append(_verdict(cells))
        except ValueError as error:
            wrong.append(f"Row {number}: {error}")
    if wrong:
        more = [f"… and {len(wrong) - MAX_NAMED:,} more."] if len(wrong) > MAX_NAMED else []
        raise UsageError("\n".join([*wrong[:MAX_NAMED], *more, "Nothing was stored."]))
    return said


def _verdict(cells: list[str]) -> IncidentVerdict:
    """Return a row's verdict. Raises ValueError with a sentence."""
    if len(cells) != len(COLUMNS):
        raise ValueError(f"it has {len(cells)} cells, and {len(COLUMNS)} are needed.")
    row: dict[str, Any] = dict(zip(COLUMNS, map(_text, cells), strict=True))
    row["said_at"] = _parsed("said_at", row["said_at"], _instant)
    row["opened"] = _parsed("opened", row["opened"], iso_date)
    row["until"] = _parsed("until", row["until"], iso_date) if row["until"] else None
    for name in ("reason", "note"):
        row[name] = row[name] or None
    one = IncidentVerdict(**row)
    _check(one)
    return one


def _check(one: IncidentVerdict) -> None:
    about = incident_id(one.target, one.metric, one.direction, one.opened)
    last = one.day + dt.timedelta(days=MAX_SNOOZE_DAYS)
    for fits, sentence in (
        (
            one.incident == about,
            f"incident {visible(one.incident)!r} is not that of its target, metric, direction and day.",
        ),
        (one.said_at <= utc_now() + dt.timedelta(minutes=5), "said_at is in the future."),
        (one.action in ACTIONS, f"action {visible(one.action)!r} must be one of {', '.join(ACTIONS)}."),
        (
            (one.reason in REASONS) == (one.action == "resolve"),
            f"reason must be one of {', '.join(REASONS)} for `resolve` only.",
        ),
        (one.reason is None or one.action == "resolve", "reason is for `resolve` only."),
        ((one.until is not None) == (one.action == "snooze"), "until must be a day for `snooze`, and empty otherwise."),
        (one.until is None or one.until <= last, f"until is more than {MAX_SNOOZE_DAYS} days away."),
        (0 < len(one.by) <= MAX_BY_CHARACTERS, f"by must have 1 to {MAX_BY_CHARACTERS} characters."),
        (len(one.note or "") <= MAX_NOTE_CHARACTERS, f"note has more than {MAX_NOTE_CHARACTERS:,} characters."),
        (all(c.isprintable() for c in one.by + (one.note or "")), "by or note has a character that can't be seen."),
    ):
        if not fits:
            raise ValueError(sentence)


def _parsed(name: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError:
        raise ValueError(f"{name} {visible(text)!r} could not be read: write it as `export` does.") from None


def _instant(text: str) -> dt.datetime:
    at = dt.datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    return at.astimezone(dt.UTC)


def _cell(value: object) -> str:
    text = "" if value is None else value.isoformat() if isinstance(value, dt.date) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _text(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
