"""From stored answers to tables, and from tables to changes and flags, for a day or a span of days.

Here belongs the order of the steps. Rows and files are `tables/`, evaluating is `detection/`. Without Dagster: the assets call
this and report the result.
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
from backlinks_assets.due_days import evaluated_from
from backlinks_assets.errors import BacklinksError
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import digests, verdicts_in
from backlinks_assets.store.responses import ResponseStore
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.evolution import fit_older_days
from backlinks_assets.tables.history import detection_history, targets_with_answers
from backlinks_assets.tables.parquet import days, write_day, writing_day
from backlinks_assets.tables.rows import answer_tables, costs_table
from backlinks_assets.tables.schemas import TABLES

HISTORY_DAYS: Final = 120
"""Days with readings before the first evaluated one: more than detection looks back."""
TARGETS_PER_ROW_GROUP: Final = 1000
"""Targets whose answers are in memory together, and in one row group of the day's files."""
TARGETS_PER_READ: Final = 1000
"""Targets whose history is read together: 120 days of one take 60 kB as rows, 15 kB as matrices."""

_ANSWER_TABLES: Final = ("backlinks_summary", "referring_links", "api_costs")
_CHANGE_TABLES: Final = ("backlinks_changes", "backlinks_flags")

_LOG: Final = logging.getLogger(__name__)


class NoAnswersError(BacklinksError):
    """The store holds no answer for a day, so its tables can't be built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class AnswersDay:
    """What was published of one day's answers: rows per table, and what was unreadable."""

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
        NoAnswersError: the store holds no answer for the day; no file is touched.
    """
    # Before the answers are read, so that one which is stored meanwhile has the day built again.
    made_from = digests(settings.store_file, [date]).get(date)
    parts = _parts(store.answers(date))
    first = next(parts, None)
    if first is None:
        raise NoAnswersError(
            f"No answer is stored for {date}: there is nothing to build its tables from. Answers come by a run of "
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
    """Yield a day's answers, which are sorted by target, `TARGETS_PER_ROW_GROUP` targets at a time."""
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
) -> Iterator[AnswersDay | NoAnswersError]:
    """Do `publish_answers` for each of some days and yield the results in their order.

    The error of a day without answers is yielded, not raised. Older days' files are brought to the columns of this version
    first; `say` is called with what was done.
    """
    _fit_older_days(settings, _ANSWER_TABLES, dates, say)
    with open_store(settings) as store:
        for date in dates:
            try:
                published: AnswersDay | NoAnswersError = publish_answers(settings, store, date)
            except NoAnswersError as error:
                published = error
            yield published


def publish_changes(
    settings: Settings,
    dates: Sequence[dt.date],
    thresholds: Mapping[str, Mapping[str, str]],
    detection: DetectionSettings,
    say: Callable[[str], object] = _LOG.info,
) -> Iterator[ChangesDay]:
    """Evaluate the days of one span together and write `backlinks_changes` and `backlinks_flags` of each as parquet.

    Days without a summary table are left out. `thresholds` are targets' own (`WatchList.thresholds`); which targets are
    evaluated depends on the tables alone, but for readings that people have excluded (`store/verdicts.py`).
    Older days' files are brought to the columns of this version first; `say` is called with what was done.
    """
    _fit_older_days(settings, _CHANGE_TABLES, dates, say)
    answered = days(settings.root, "backlinks_summary")
    evaluated = sorted(set(dates) & set(answered))
    if not evaluated:
        return
    said = verdicts_in(settings.store_file)
    made_from = {date: evaluated_from(settings.root, date, said) for date in evaluated}  # before any of it is read
    first, last = evaluated[0], evaluated[-1]
    read = answered[max(0, answered.index(first) - HISTORY_DAYS) : answered.index(last) + 1]
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
    schema = TABLES["backlinks_changes"].arrow
    found = found.assign(simulated=settings.simulated)[schema.names]
    changes = _days_of(pa.Table.from_pandas(found, schema=schema, preserve_index=False))
    del found
    for date in evaluated:
        of_day = {"backlinks_changes": changes.pop(date, schema.empty_table())}
        flagged = of_day["backlinks_changes"].filter(pc.field("severity").is_valid())
        of_day["backlinks_flags"] = flagged.cast(TABLES["backlinks_flags"].arrow)
        for name, rows in of_day.items():
            write_day(settings.root, name, date, rows, made_from=made_from[date])
        yield ChangesDay(
            date, of_day["backlinks_flags"].to_pandas(), {name: rows.num_rows for name, rows in of_day.items()}
        )


def _days_of(table: pa.Table) -> dict[dt.date, pa.Table]:
    """Return each day's rows of a table that is sorted by day, without a copy."""
    dates, firsts, counts = np.unique(table["date"].to_numpy(), return_index=True, return_counts=True)
    return {
        date: table.slice(first, count)
        for date, first, count in zip(dates.tolist(), firsts.tolist(), counts.tolist(), strict=True)
    }
