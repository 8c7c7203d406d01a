"""From stored answers to published tables, and from tables to changes and flags, a day or a span of days at a time.

Here belongs the order of the steps; rows and files are `tables/`, judging is `detection/`. No Dagster: the
assets call this and say what came out.
"""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from backlinks_assets.collect.factory import open_store
from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.matrices import as_matrices, stacked
from backlinks_assets.detection.settings import DetectionSettings, target_thresholds
from backlinks_assets.detection.vendor_faults import Verdict
from backlinks_assets.due_days import judged_from
from backlinks_assets.errors import BacklinksError
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import digests, verdicts_in
from backlinks_assets.store.responses import ResponseStore
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables import duckdb_sync
from backlinks_assets.tables.evolution import fit_older_days
from backlinks_assets.tables.history import detection_history, targets_with_answers
from backlinks_assets.tables.parquet import days, write_day, writing_day
from backlinks_assets.tables.rows import answer_tables, costs_table
from backlinks_assets.tables.schemas import TABLES

HISTORY_DAYS: Final = 120
"""Days with readings before the first judged one that detection is given: more than it looks back, so that the first is whole."""
TARGETS_PER_ROW_GROUP: Final = 1000
"""Targets whose answers are in memory together; each part is a row group of the day's files."""
TARGETS_PER_READ: Final = 2000
"""Targets whose history is read together: 120 days of one take 60 kB of memory as rows, and 15 kB as matrices."""

_ANSWER_TABLES: Final = ("backlinks_summary", "referring_links", "api_costs")
_CHANGE_TABLES: Final = ("backlinks_changes", "backlinks_flags")

_LOG: Final = logging.getLogger(__name__)


class NothingKeptError(BacklinksError):
    """The store holds no answer for a day, so that no table of it can be built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class AnswersDay:
    """What was published of one day's answers: rows a table, and what could not be read in them."""

    date: dt.date
    targets: int
    empty: int
    unreadable: Mapping[str, int]
    damaged: Sequence[tuple[str, str]]
    costs: Mapping[str, float]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ChangesDay:
    """What was published of one day's changes; `flags` has the columns of `backlinks_flags`."""

    date: dt.date
    flags: pd.DataFrame
    rows: Mapping[str, int]


def publish_answers(settings: Settings, store: ResponseStore, date: dt.date) -> AnswersDay:
    """Write `backlinks_summary`, `referring_links` and `api_costs` of one day as parquet.

    Raises:
        NothingKeptError: the store holds no answer for the day; no file is touched.
    """
    # Before the answers are read: one that lands meanwhile has the day built again.
    made_from = digests(settings.store_file, [date]).get(date)
    parts = _parts(store.answers(date))
    first = next(parts, None)
    if first is None:
        raise NothingKeptError(
            f"No answer is kept for {date}: there is nothing to build its tables from. Answers come by a run of "
            "summary_responses on the day itself; the API answers for the present only."
        )
    rows: Counter[str] = Counter()
    unreadable: Counter[str] = Counter()
    damaged: list[tuple[str, str]] = []
    targets = known = 0
    with (
        writing_day(
            settings.root, "backlinks_summary", date, keys_known_unique=True, made_from=made_from
        ) as write_summary,
        writing_day(settings.root, "referring_links", date, keys_known_unique=True, made_from=made_from) as write_links,
    ):
        for answers in chain([first], parts):
            tables = answer_tables(date, answers)
            write_summary(tables.summary)
            write_links(tables.links)
            rows.update(backlinks_summary=tables.summary.num_rows, referring_links=tables.links.num_rows)
            unreadable.update(tables.unreadable_fields)
            damaged += tables.damaged
            targets += len(tables.summary["target"].unique())
            known += len(tables.summary.filter(tables.summary["has_data"])["target"].unique())
    pa.default_memory_pool().release_unused()
    costs = store.day_costs(date)
    cost_row = costs_table(
        date, costs.calls, costs.answers, costs.cost_usd, costs.charged_without_answer, settings.simulated
    )
    write_day(settings.root, "api_costs", date, cost_row, made_from=made_from)
    return AnswersDay(
        date=date,
        targets=targets,
        empty=targets - known,
        unreadable=dict(sorted(unreadable.items())),
        damaged=damaged,
        costs={
            "calls": costs.calls,
            "cost_usd": costs.cost_usd,
            "charged_without_answer": costs.charged_without_answer,
        },
        rows={**rows, "api_costs": 1},
    )


def _parts(answers: Iterable[StoredAnswer]) -> Iterator[list[StoredAnswer]]:
    """Yield a day's answers, which come in the order of their targets, some hundred targets at a time."""
    targets = (list(of_target) for _, of_target in groupby(answers, attrgetter("target")))
    while part := list(chain.from_iterable(islice(targets, TARGETS_PER_ROW_GROUP))):
        yield part


def _fit_older_days(
    settings: Settings, tables: Sequence[str], dates: Sequence[dt.date], say: Callable[[str], object]
) -> None:
    for table, count in fit_older_days(settings.root, dict.fromkeys(tables, dates)).items():
        say(f"{count:,} older days of {table} were rewritten with the columns of this version.")


def publish_days(
    settings: Settings, dates: Sequence[dt.date], say: Callable[[str], object] = _LOG.info
) -> Iterator[AnswersDay | NothingKeptError]:
    """Do `publish_answers` for each of some days and yield what came of it, in their order.

    A day without any answer gives its error instead of raising it. Older days' files are brought to the columns of
    this version first; `say` is called with what was done.
    """
    _fit_older_days(settings, _ANSWER_TABLES, dates, say)
    with open_store(settings) as store:
        for date in dates:
            try:
                published: AnswersDay | NothingKeptError = publish_answers(settings, store, date)
            except NothingKeptError as error:
                published = error
            yield published


def publish_changes(
    settings: Settings,
    dates: Sequence[dt.date],
    thresholds: Mapping[str, Mapping[str, str]],
    detection: DetectionSettings,
    say: Callable[[str], object] = _LOG.info,
) -> Iterator[ChangesDay]:
    """Judge the days of one span together and write `backlinks_changes` and `backlinks_flags` of each as parquet.

    Days without a summary table are passed over.

    `thresholds` are those that targets have of their own (`WatchList.thresholds`); what is judged is what the tables hold,
    but for readings that people have excluded (`store/verdicts.py`).
    Older days' files are brought to the columns of this version first; `say` is called with what was done.
    """
    _fit_older_days(settings, _CHANGE_TABLES, dates, say)
    judged = sorted(set(dates) & set(days(settings.root, "backlinks_summary")))
    if not judged:
        return
    said = verdicts_in(settings.store_file)
    made_from = {date: judged_from(settings.root, date, said) for date in judged}  # before any of it is read
    first, last = judged[0], judged[-1]
    read = [day for day in days(settings.root, "backlinks_summary") if day <= last]
    read = read[max(0, read.index(first) - HISTORY_DAYS) :]
    many_days = (last - read[0]).days + 1
    own = {target: target_thresholds(texts) for target, texts in thresholds.items()}
    names = targets_with_answers(settings.root, last, many_days)
    history = stacked(
        [
            as_matrices(
                detection_history(settings.root, last, many_days, names[start : start + TARGETS_PER_READ]), read
            )
            for start in range(0, len(names) or 1, TARGETS_PER_READ)
        ]
    )
    verdicts = [Verdict(one.first, one.last, one.counts, one.target, one.metric) for one in said]
    found = detect(history, detection, own, first, verdicts=verdicts)
    del history
    changes = _days_of(_typed("backlinks_changes", found.assign(simulated=settings.simulated)))
    del found
    for date in judged:
        of_day = {"backlinks_changes": changes.pop(date, TABLES["backlinks_changes"].arrow.empty_table())}
        flagged = of_day["backlinks_changes"].filter(pc.field("severity").is_valid())
        of_day["backlinks_flags"] = flagged.cast(TABLES["backlinks_flags"].arrow)
        for name, rows in of_day.items():
            write_day(settings.root, name, date, rows, made_from=made_from[date])
        yield ChangesDay(
            date, of_day["backlinks_flags"].to_pandas(), {name: rows.num_rows for name, rows in of_day.items()}
        )


def publish_warehouse(settings: Settings) -> duckdb_sync.SyncResult:
    """Bring the DuckDB file level with the parquet files; readers that hold the old one go on reading it."""
    return duckdb_sync.sync(settings.root)


def _days_of(table: pa.Table) -> dict[dt.date, pa.Table]:
    """Return each day's rows of a table that is sorted by day, without a copy."""
    dates, firsts, counts = np.unique(table["date"].to_numpy(), return_index=True, return_counts=True)
    return {
        date: table.slice(first, count)
        for date, first, count in zip(dates.tolist(), firsts.tolist(), counts.tolist(), strict=True)
    }


def _typed(name: str, frame: pd.DataFrame) -> pa.Table:
    schema = TABLES[name].arrow
    return pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
