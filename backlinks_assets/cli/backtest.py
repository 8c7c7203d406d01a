"""`backlinks backtest`: what would have been flagged, over the tables or over a CSV, never looking ahead."""

import csv
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.markup import escape

from backlinks_assets.cli.console import UsageError, cell, err, out, progress, settings_and_notices, shown, table
from backlinks_assets.cli.history_csv import read_history
from backlinks_assets.cli.without import Rule, compared, print_compared, without_rules
from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.settings import DetectionSettings, target_thresholds
from backlinks_assets.detection.vendor_faults import Verdict
from backlinks_assets.published.publication import bring, table_between
from backlinks_assets.store.digests import verdicts_in
from backlinks_assets.tables.history import detection_history
from backlinks_assets.tables.parquet import days
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.target import TargetsError

COLUMNS = ["date", "target", "metric", "kind", "severity", "reason"]
_MAX_LISTED = 10
_BAR_WIDTH = 24

_COUNTS = {
    "by_kind": ("Flags by kind", ["metric", "kind", "severity"]),
    "by_day": ("Days with most flags", ["date"]),
    "by_target": ("Noisiest targets", ["target"]),
}
"""What is counted: its name in JSON, its title, and by which columns."""


def run_backtest(
    history_file: Path | None, out_file: Path | None, without: Sequence[Rule] = (), *, as_json: bool = False
) -> int:
    """Judge every day of a history; print a summary and write the flags if a file is named. Returns 0.

    With `without` it is judged a second time without these rules, and the two are compared; what is written are the flags
    with all rules.
    """
    history, thresholds, verdicts = (read_history(history_file), None, []) if history_file else _from_tables()
    started = time.monotonic()
    judgings = [DetectionSettings(), *([without_rules(without)] if without else [])]
    with progress("Judging", len(judgings) * history["date"].nunique()) as advance:
        try:
            changes = [
                detect(history, each, thresholds, on_day=lambda _: advance(), verdicts=verdicts) for each in judgings
            ]
        except ValueError as error:
            raise UsageError(f"{history_file or 'the tables'}: {error}") from None
    flags, *others = (found.loc[found["severity"].notna(), COLUMNS] for found in changes)
    if out_file is not None:
        _write(flags, out_file)
    readings = history.drop_duplicates(["date", "target"])
    summary = {
        "flags": len(flags),
        "target_days": len(readings),
        "targets": readings["target"].nunique(),
        "days": readings["date"].nunique(),
        **{name: counted(flags, by) for name, (_, by) in _COUNTS.items()},
        **({"without": compared(flags, others[0], without)} if others else {}),
        "written_to": str(out_file) if out_file else None,
        "seconds": round(time.monotonic() - started, 1),
    }
    if as_json:
        print(json.dumps(summary))
    else:
        _print_summary(summary)
    return 0


def _from_tables() -> tuple[pd.DataFrame, dict[str, dict[str, float | bool]], list[Verdict]]:
    settings = settings_and_notices()
    bring(settings, table_between("backlinks_summary", None, None))
    dates = days(settings.root, "backlinks_summary")
    if not dates:
        raise UsageError(f"No table is in {settings.root} yet. Make the first with `backlinks run`, or name a CSV.")
    history = detection_history(settings.root, dates[-1], (dates[-1] - dates[0]).days + 1)
    verdicts = [Verdict(one.first, one.last, one.counts, one.target, one.metric) for one in verdicts_in(settings.store)]
    try:
        targets = load_targets(settings.targets_file)
    except TargetsError as error:
        err().print(f"[yellow]Note:[/] no thresholds of single targets are used: {escape(str(error))}")
        return history, {}, verdicts
    if targets.bad_lines:
        err().print(
            f"[yellow]Note:[/] of bad lines only those thresholds are used that can be read: {escape(str(targets.refusal()))}"
        )
    return history, {target: target_thresholds(texts) for target, texts in targets.thresholds.items()}, verdicts


def _write(flags: pd.DataFrame, file: Path) -> None:
    """Write the flags; a cell that a spreadsheet would take for a formula is written as text."""
    try:
        with file.open("w", newline="", encoding="utf-8") as opened:
            writer = csv.writer(opened)
            writer.writerow(COLUMNS)
            for row in flags.itertuples(index=False):
                writer.writerow([cell(value) for value in row])
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror}.") from None


def counted(flags: pd.DataFrame, by: list[str]) -> list[dict[str, Any]]:
    """Return how many flags there are for each value of some columns, most first. An index move is no target's."""
    of = flags[flags["target"] != "*"] if by == ["target"] else flags
    counts = of.groupby(by, sort=True).size().sort_values(ascending=False, kind="stable")
    keys = [key if isinstance(key, tuple) else (key,) for key in counts.index]
    return [
        {**dict(zip(by, map(str, key), strict=True)), "flags": int(count)}
        for key, count in zip(keys, counts, strict=True)
    ]


def _print_summary(summary: dict[str, Any]) -> None:
    per_thousand = 1000 * summary["flags"] / max(1, summary["target_days"])
    title = (
        f"{summary['flags']:,} flags in {summary['target_days']:,} target-days ({per_thousand:.2f} a thousand), "
        f"{summary['targets']:,} targets, {summary['days']:,} days, {summary['seconds']:.1f} s"
    )
    print_counts = _print_table if sys.stdout.isatty() else _print_lines
    if not sys.stdout.isatty():
        print(title)
    for name, (heading, by) in _COUNTS.items():
        if summary[name]:
            print_counts(heading, by, summary[name])
    if sys.stdout.isatty():
        out().print(f"[bold]{title}[/]")
    if "without" in summary:
        print_compared(summary["without"], summary["flags"])
    if summary["written_to"]:
        out().print(f"Written to {escape(shown(Path(summary['written_to'])))}.")
    elif summary["flags"] and sys.stdout.isatty():
        out().print("Each with its reason: `--out flags.csv` writes them.")


def _print_lines(heading: str, by: list[str], counts: list[dict[str, Any]]) -> None:
    for count in counts[:_MAX_LISTED]:
        print(heading, *(cell(count[name]) for name in by), count["flags"], sep="\t")


def _print_table(heading: str, by: list[str], counts: list[dict[str, Any]]) -> None:
    listed = table(heading)
    for name in by:
        listed.add_column(name.capitalize(), overflow="fold")
    listed.add_column("Flags", justify="right")
    listed.add_column("", no_wrap=True)
    most = counts[0]["flags"]
    for count in counts[:_MAX_LISTED]:
        bar = "━" * max(1, round(_BAR_WIDTH * count["flags"] / most))
        names = [escape(count[name].replace("_", " ") if name in {"metric", "kind"} else count[name]) for name in by]
        listed.add_row(*names, f"{count['flags']:,}", f"[cyan]{bar}[/]")
    out().print(listed)
    out().print(f"[dim]and {len(counts) - _MAX_LISTED:,} more[/]\n" if len(counts) > _MAX_LISTED else "")
