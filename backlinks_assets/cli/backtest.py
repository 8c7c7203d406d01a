"""`backlinks backtest`: what would have been flagged, over the tables or over a CSV, never looking ahead."""

import csv
import datetime as dt
import sys
from pathlib import Path

import pandas as pd
from rich.markup import escape
from rich.table import Table

from backlinks_assets.cli.console import UsageError, err, out, progress, settings_and_notices
from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.settings import THRESHOLD_COLUMNS, DetectionSettings, target_thresholds
from backlinks_assets.tables.history import detection_history
from backlinks_assets.tables.parquet import days
from backlinks_assets.targets import TargetsError, load_targets

COLUMNS = ["date", "target", "metric", "kind", "severity", "reason"]
_NEEDED = ("date", "target", "spam_score", "lost_backlinks")
_MOST_LISTED = 10


def run_backtest(history_file: Path | None, out_file: Path | None) -> int:
    """Judge every day of a history; print a summary and write the flags if a file is named. Returns 0."""
    history, thresholds = _read(history_file) if history_file else _from_tables()
    started = dt.datetime.now(dt.UTC)
    with progress("Judging", _days_in(history)) as advance:
        try:
            changes = detect(history, DetectionSettings(), thresholds, on_day=lambda _: advance())
        except ValueError as error:
            raise UsageError(f"{history_file or 'the tables'}: {error}") from None
    flags = changes.loc[changes["severity"].notna(), COLUMNS]
    if out_file is not None:
        _write(flags, out_file)
    seconds = (dt.datetime.now(dt.UTC) - started).total_seconds()
    _summarise(flags, history, seconds, out_file)
    return 0


def _read(file: Path) -> tuple[pd.DataFrame, None]:
    try:
        history = pd.read_csv(file, dtype={"target": str, "date": str}, keep_default_na=True, encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{file} is not there.") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UsageError(f"{file} can't be read as CSV: {error}.") from None
    missing = [name for name in _NEEDED if name not in history.columns]
    if missing:
        raise UsageError(f"{file} has no column {', '.join(missing)}. It needs {', '.join(_NEEDED)}.")
    for name in ("spam_score", "lost_backlinks", "live_backlinks"):
        if name in history.columns and not pd.api.types.is_numeric_dtype(history[name]):
            number = pd.to_numeric(history[name], errors="coerce")
            _refuse_first(file, number.isna() & history[name].notna(), f"{name} is no number")
    _refuse_first(file, history["target"].isna(), "there is no target")
    return history, None


def _days_in(history: pd.DataFrame) -> int:
    """Return the days that the history spans, gaps included; 0 where the dates can't be read, which `detect` tells."""
    dates = pd.to_datetime(history["date"], errors="coerce", format="mixed")
    return 0 if dates.isna().all() else (dates.max() - dates.min()).days + 1


def _refuse_first(file: Path, wrong: "pd.Series[bool]", what: str) -> None:
    """Raise with the line of the first row that is wrong; the header is line 1."""
    if wrong.any():
        raise UsageError(f"{file}, line {int(wrong.to_numpy().argmax()) + 2}: {what}.")


def _from_tables() -> tuple[pd.DataFrame, dict[str, dict[str, float | bool]]]:
    settings = settings_and_notices()
    dates = days(settings.root, "backlinks_summary")
    if not dates:
        raise UsageError(f"No table is in {settings.root} yet. Make the first with `backlinks run`, or name a CSV.")
    history = detection_history(settings.root, dates[-1], (dates[-1] - dates[0]).days + 1)
    try:
        targets = load_targets(
            settings.targets_file, threshold_columns=THRESHOLD_COLUMNS, check_thresholds=target_thresholds
        )
    except TargetsError as error:
        err().print(f"[yellow]Note:[/] no thresholds of single targets are used: {escape(str(error))}")
        targets = []
    return history, {one.target: target_thresholds(one.thresholds) for one in targets if one.thresholds}


def _write(flags: pd.DataFrame, file: Path) -> None:
    """Write the flags; a cell that a spreadsheet would take for a formula is written as text."""
    try:
        with file.open("w", newline="", encoding="utf-8") as opened:
            writer = csv.writer(opened)
            writer.writerow(COLUMNS)
            for row in flags.itertuples(index=False):
                writer.writerow([_cell(value) for value in row])
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror}.") from None


def _cell(value: object) -> str:
    """Return a value as one printable cell that a spreadsheet does not take for a formula."""
    text = "".join(c if c.isprintable() else " " for c in ("" if value is None else str(value)))
    return "'" + text if text.lstrip().startswith(("=", "+", "-", "@")) else text


def _summarise(flags: pd.DataFrame, history: pd.DataFrame, seconds: float, out_file: Path | None) -> None:
    readings = history.drop_duplicates(["date", "target"])
    per_thousand = 1000 * len(flags) / max(1, len(readings))
    title = (
        f"{len(flags):,} flags in {len(readings):,} target-days ({per_thousand:.2f} a thousand), "
        f"{readings['target'].nunique():,} targets, {readings['date'].nunique():,} days, {seconds:.1f} s"
    )
    if not sys.stdout.isatty():
        print(title)
    for name, by in (("Flags by kind", ["metric", "kind", "severity"]), ("Days with most flags", ["date"])):
        _print_counts(name, flags, by)
    _print_counts("Noisiest targets", flags[flags["target"] != "*"], ["target"])
    if sys.stdout.isatty():
        out().print(title)
    if out_file is not None:
        out().print(f"Written to {escape(str(out_file))}.")


def _print_counts(title: str, flags: pd.DataFrame, by: list[str]) -> None:
    counts = flags.groupby(by, sort=True).size().sort_values(ascending=False, kind="stable").head(_MOST_LISTED)
    if not sys.stdout.isatty():
        for key, count in counts.items():
            cells = key if isinstance(key, tuple) else (key,)
            print(title, *map(_cell, cells), int(count), sep="\t")
        return
    table = Table(title=title, title_justify="left")
    for name in by:
        table.add_column(name.replace("_", " ").capitalize())
    table.add_column("Flags", justify="right")
    for key, count in counts.items():
        cells = key if isinstance(key, tuple) else (key,)
        table.add_row(*[escape(str(cell)) for cell in cells], f"{int(count):,}")
    out().print(table)
