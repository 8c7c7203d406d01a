"""How well does detection find labelled events when they are seen in bulk, with the month's roll?

    python bench/bulk_accuracy.py FOLDER [FOLDER …]

Folders as of `detection_accuracy.py`. Each history is requested day by day as the bulk endpoints would answer: live counts as
they are, and lost links as those that went since the month's fixed day, where a level goes on from last month's since that day
too. A target without a row on a day has no item in its answer. Which days are requested and the tables are the project's own
code. Beside F1 it prints how many flags the roll makes and hides, and how many levels it moves: the same history is requested
once more with each target's losses counted from one day all along.
"""

import argparse
import datetime as dt
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
from detection_accuracy import Bench, benches

from backlinks_assets.collect.since_day import former_since_day, since_day
from backlinks_assets.dataforseo.endpoints import bulk_new_lost_backlinks as links, bulk_pages_summary as pages
from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.bulk_rows import bulk_table, counted_since, rows_before
from backlinks_assets.tables.history import detection_history
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

FORGOTTEN_A_MONTH = 0.05
"""Of a target's first stock of lost links so much was lost in each month that leaves the window when it moves on."""


MIN_STOCK = 10
"""A target with so many lost links, as a rule and the day before, that has none one day has the vendor's zero."""


def in_bulk(history: pd.DataFrame, root: Path, *, with_roll: bool = True) -> pd.DataFrame:
    """Return a history as it is read from tables made of bulk answers."""
    history = history.assign(date=pd.to_datetime(history["date"]).dt.date)
    history = history.drop_duplicates(["target", "date"], keep="last").sort_values(["target", "date"])
    lost = history["lost_backlinks"].groupby(history["target"])
    before = history["lost_backlinks"].where(history["lost_backlinks"] > 0).groupby(history["target"]).ffill()
    zero = (history["lost_backlinks"] == 0) & (before >= MIN_STOCK) & (lost.transform("median") >= MIN_STOCK)
    history["is_zero"] = zero  # the vendor's zeros: none of the links went
    stock = history["lost_backlinks"].mask(zero)
    steps = stock.groupby(history["target"]).transform(lambda lost: lost.ffill().diff().clip(lower=0))
    history["first"] = lost.transform("first").fillna(0)
    history["gone"] = history["first"] + steps.fillna(0).groupby(history["target"]).cumsum()
    began, last = history["date"].min(), history["date"].max()
    begins = history.groupby("target")["date"].min()
    for date, rows in history.groupby("date"):
        watched = list(begins.index[begins <= date])
        if with_roll:
            former = counted_since(root, date, watched, former_since_day(date))
            calls = {since_day(date): watched, former_since_day(date): sorted(former)}
        else:
            calls = {
                since: [one for one in watched if since_day(begins[one]) == since]
                for since in set(map(since_day, begins))
            }
        answers = [_answer(date, pages.NAME, watched, {}, [_live(row) for row in rows.to_dict("records")])]
        for since, targets in calls.items():
            of_these = rows[rows["target"].isin(targets)]
            answers.append(
                _answer(date, links.NAME, targets, {"date_from": str(since)}, _lost(of_these, history, since))
            )
        write_day(root, "backlinks_bulk", date, bulk_table(date, answers, rows_before(root, date, watched)))
        write_day(root, "backlinks_summary", date, TABLES["backlinks_summary"].arrow.empty_table())
    return detection_history(root, last, (last - began).days + 1)


def _live(row: dict[str, Any]) -> dict[str, Any]:
    named = {"backlinks": "live_backlinks", "backlinks_spam_score": "spam_score"}
    own = {name: row.get(column) for name, column in named.items()} | {
        name: row.get(name) for name in ("referring_main_domains",)
    }
    return {"url": row["target"], **{name: int(value) for name, value in own.items() if pd.notna(value)}}


def _lost(rows: pd.DataFrame, history: pd.DataFrame, since: dt.date) -> list[dict[str, Any]]:
    """Return the items of some rows of a history: a part of what was lost when it began, and all that went later, since a day."""
    before = history[history["date"] < since].groupby("target")["gone"].last().to_dict()
    began = since_day(history["date"].min())
    months = (since.year - began.year) * 12 + since.month - began.month
    names = ["target", "gone", "first", "is_zero"]
    forgotten = min(1.0, FORGOTTEN_A_MONTH * months)
    return [
        {
            "target": target,
            "lost_backlinks": 0 if is_zero else int(gone - max(first * forgotten, before.get(target, 0))),
        }
        for target, gone, first, is_zero in rows.dropna(subset="lost_backlinks")[names].itertuples(index=False)
    ]


def _answer(
    date: dt.date, endpoint: str, targets: Collection[str], more: dict[str, Any], items: list[Any]
) -> StoredAnswer:
    body = orjson.dumps({"tasks": [{"status_code": 20000, "result": [{"items": items}]}]})
    own = {"date": date, "target": "batch", "status_type": "", "request_key": "", "task_id": None, "cost_usd": 0.0}
    own |= {"body": body, "parameters": {"targets": list(targets), **more}, "attempts": 1, "simulated": True}
    own |= {"captured_at": dt.datetime.combine(date, dt.time(6), dt.UTC)}
    return StoredAnswer(**{name: own.get(name, endpoint) for name in StoredAnswer._fields})


def _flags(history: pd.DataFrame) -> set[tuple[Any, ...]]:
    found = detect(history, DetectionSettings()).query("severity.notna()")
    return set(found[["date", "target", "metric", "direction"]].itertuples(index=False, name=None))


def _seen(bench: Bench, *, with_roll: bool) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        return in_bulk(bench.history, Path(folder), with_roll=with_roll)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    print(
        "| history | F1 | precision / recall | false a 1,000 | flags that the roll makes, hides | levels that it moves |"
    )
    print("|---|---|---|---|---|---|")
    for bench in [bench for folder in parser.parse_args().folders for bench in benches(folder)]:
        bulk, one_day = _seen(bench, with_roll=True), _seen(bench, with_roll=False)
        f1, precision, recall, false = Bench(bench.name, bulk, bench.scorer, bench.source).score(DetectionSettings())
        flags, without = _flags(bulk), _flags(one_day)
        both = bulk.merge(one_day, how="outer", on=["date", "target"], suffixes=("", "_one_day"))
        moved = (both["lost_backlinks"].fillna(-1) != both["lost_backlinks_one_day"].fillna(-1)).sum()
        roll = f"{len(flags - without)}, {len(without - flags)} | {moved}"
        print(f"| {bench.name} | {f1:.3f} | {precision:.3f} / {recall:.3f} | {false:.2f} | {roll} |", flush=True)


if __name__ == "__main__":
    main()
