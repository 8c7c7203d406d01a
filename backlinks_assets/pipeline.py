"""From stored answers to tables, and from tables to changes and flags, for a day or a span of days.

Here belongs the order of the steps. Rows and files are `tables/`, evaluating is `detection/`. Without Dagster: the assets call
this and report the result.
"""

import datetime as dt
import logging
from bisect import bisect_left, bisect_right
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
from backlinks_assets.detection.matrices import as_matrices, cut, stacked
from backlinks_assets.detection.settings import DetectionSettings, target_thresholds
from backlinks_assets.detection.vendor_faults import Verdict
from backlinks_assets.due_days import evaluated_from
from backlinks_assets.errors import BacklinksError
from backlinks_assets.formatting import counted
from backlinks_assets.incidents.excluded import by_known
from backlinks_assets.incidents.table import INCIDENTS, Labels, Replay, with_ids
from backlinks_assets.published.publication import bring, files_of
from backlinks_assets.settings import Settings
from backlinks_assets.store.bulk import BulkStore
from backlinks_assets.store.digests import digests, incident_verdicts_in, stored_days, verdicts_in
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.backfilled import days_before, with_backfill
from backlinks_assets.tables.bulk_rows import ENDPOINTS, bulk_table, rows_before
from backlinks_assets.tables.evolution import fit_older_days
from backlinks_assets.tables.history import detection_history, targets_in_bulk, targets_with_answers
from backlinks_assets.tables.parquet import days, write_day, writing_day
from backlinks_assets.tables.rows import answer_tables, costs_table
from backlinks_assets.tables.schemas import TABLES

HISTORY_DAYS: Final = 120
"""Days with readings before the first evaluated one: more than detection looks back."""
TARGETS_PER_ROW_GROUP: Final = 1000
"""Targets whose answers are in memory together, and in one row group of the day's files."""
TARGETS_PER_READ: Final = 1000
"""Targets whose history is read together: 120 days of one take 60 kB as rows, 15 kB as matrices."""

_ANSWER_TABLES: Final = ("backlinks_summary", "referring_links", "backlinks_bulk", "api_costs")
_CHANGE_TABLES: Final = ("backlinks_changes", "backlinks_flags", INCIDENTS)

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
    in_bulk: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ChangesDay:
    """What was published of one day's changes; `flags` has the columns of `backlinks_flags`."""

    date: dt.date
    flags: pd.DataFrame
    rows: Mapping[str, int]


def publish_answers(settings: Settings, store: BulkStore, date: dt.date) -> AnswersDay:
    """Write `backlinks_summary`, `referring_links` and `api_costs` of one day as parquet.

    Raises:
        NoAnswersError: the store holds no answer for the day; no file is touched.
    """
    # Before the answers are read, so that one which is stored meanwhile has the day built again.
    made_from = digests(settings.store, [date]).get(date)
    parts = _parts(store.answers(date))
    first = next(parts, None)
    in_bulk = publish_bulk(settings, store, date, made_from)
    if first is None and in_bulk is None:
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
        for answers in chain([first or []], parts):  # a day in bulk alone has files without rows
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
        rows={**rows, "backlinks_bulk": 0 if in_bulk is None else in_bulk.num_rows, "api_costs": 1},
        in_bulk=_in_bulk(in_bulk),
    )


def publish_bulk(settings: Settings, store: BulkStore, date: dt.date, made_from: str | None) -> pa.Table | None:
    """Write `backlinks_bulk` of a day that has bulk answers, and return it; None, without a file, where it has none."""
    targets = {target for endpoint in ENDPOINTS for batch in store.batches(date, endpoint) for target in batch.targets}
    if not targets:
        return None
    # One at a time: together the answers of 100,000 targets are some hundred megabytes.
    answers = chain.from_iterable(store.answers(date, endpoint, "") for endpoint in ENDPOINTS)
    table = bulk_table(date, answers, rows_before(settings.root, date, targets))
    write_day(settings.root, "backlinks_bulk", date, table, made_from=made_from)
    return table


def _in_bulk(table: pa.Table | None) -> dict[str, int]:
    """Return how many targets were watched in bulk, are unknown, and lack a count that was there the last time."""
    if table is None:
        return {}
    unknown, missing = (pc.sum(flag).as_py() or 0 for flag in (pc.invert(table["has_data"]), table["is_missing"]))
    return {"targets": table.num_rows, "empty": unknown, "missing": missing}


def _parts(answers: Iterable[StoredAnswer]) -> Iterator[list[StoredAnswer]]:
    """Yield a day's answers, which are sorted by target, `TARGETS_PER_ROW_GROUP` targets at a time."""
    targets = (list(of_target) for _, of_target in groupby(answers, attrgetter("target")))
    while part := list(chain.from_iterable(islice(targets, TARGETS_PER_ROW_GROUP))):
        yield part


def _prepare(settings: Settings, tables: Sequence[str], dates: Sequence[dt.date], say: Callable[[str], object]) -> None:
    """Fetch what other machines have published, and bring older days' files to the columns of this version."""
    bring(settings, built_here=[name for table in tables for name in files_of(table, dates)])
    for table, count in fit_older_days(settings.root, dict.fromkeys(tables, dates)).items():
        say(f"{count:,} older days of {table} were rewritten with the columns of this version.")


def publish_days(
    settings: Settings, dates: Sequence[dt.date], say: Callable[[str], object] = _LOG.info
) -> Iterator[AnswersDay | NoAnswersError]:
    """Do `publish_answers` for each of some days and yield the results in their order.

    The error of a day without answers is yielded, not raised. Published days are fetched and older days' files are brought to
    the columns of this version first; `say` is called with what was done.
    """
    _prepare(settings, _ANSWER_TABLES, dates, say)
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
    labels: Labels | None = None,
) -> Iterator[ChangesDay]:
    """Evaluate the days of one span and write `backlinks_changes`, `backlinks_flags` and `backlinks_incidents` of each.

    Days without answers are left out. Tables of days that are read and are missing here, as on a new machine, are built from
    the stored answers first. `thresholds` are targets' own (`WatchList.thresholds`); which targets are
    evaluated depends on the tables alone, but for readings that people have excluded (`store/verdicts.py`). What was said of
    incidents counts from its day on; `labels` are groups and owners.
    Published days are fetched and older days' files are brought to the columns of this version first; `say` is called with
    what was done.
    """
    _prepare(settings, _CHANGE_TABLES, dates, say)
    built = _publish_missing(settings, dates, say)
    answered = days(settings.root, "backlinks_summary")
    evaluated = sorted(set(dates) & set(answered))
    if not evaluated:
        return
    said, of_incidents = verdicts_in(settings.store), incident_verdicts_in(settings.store)
    # Before any of it is read.
    made_from = {date: evaluated_from(settings.root, date, said, of_incidents) for date in evaluated}
    # A machine without earlier flags judges earlier days too: incidents go on from one day to the next.
    flagged = days(settings.root, "backlinks_flags")
    first = min([*evaluated, *(day for day in built if not flagged or flagged[0] > evaluated[0])])
    last = evaluated[-1]
    known = [*days_before(settings.root, answered[0]), *answered]
    read = known[max(0, known.index(evaluated[0]) - HISTORY_DAYS) : known.index(last) + 1]
    many_days = (last - read[0]).days + 1
    own = {target: target_thresholds(texts) for target, texts in thresholds.items()}
    names = targets_with_answers(settings.root, last, many_days)
    history = stacked(
        [
            as_matrices(
                with_backfill(settings.root, detection_history(settings.root, last, many_days, some), read[0]), read
            )
            for some in (
                names[start : start + TARGETS_PER_READ] for start in range(0, len(names) or 1, TARGETS_PER_READ)
            )
        ]
    )
    verdicts = [Verdict(one.first, one.last, one.counts, one.target, one.metric) for one in said]
    incidents = Replay(settings.root, first, of_incidents)
    parts = by_known([day for day in read if first <= day], of_incidents)
    for part, spans in parts:
        # Of several parts each has a history of its own, since readings are taken out of it.
        past = history if part[-1] == last and len(parts) == 1 else cut(history, part[-1])
        apart = [Verdict(one.first, one.last, False, one.target, one.metric) for one in sorted(spans)]
        found = detect(past, detection, own, part[0], verdicts=verdicts, apart=apart)
        if part[-1] == last:
            del history
        del past
        schema = TABLES["backlinks_changes"].arrow
        found = found.assign(simulated=settings.simulated, instrument=_instruments(settings, found, part))[schema.names]
        changes = _days_of(pa.Table.from_pandas(found, schema=schema, preserve_index=False))
        del found
        for date in part:
            rows = changes.pop(date, schema.empty_table())
            ids = incidents.play(date, rows)
            if date in made_from:
                of_day = {
                    "backlinks_changes": rows,
                    "backlinks_flags": with_ids(rows.filter(pc.field("severity").is_valid()), ids),
                    INCIDENTS: incidents.table(labels or {}, simulated=settings.simulated),
                }
                for name, table in of_day.items():
                    write_day(settings.root, name, date, table, made_from=made_from[date])
                yield ChangesDay(
                    date,
                    of_day["backlinks_flags"].to_pandas(),
                    {name: table.num_rows for name, table in of_day.items()},
                )


def _instruments(settings: Settings, found: pd.DataFrame, evaluated: Sequence[dt.date]) -> pd.Series:
    """Return how each row's target was read on its day: `bulk` or `summary`; missing for all targets together."""
    instruments = pd.Series("summary", index=found.index, dtype="str")
    for day in evaluated:
        if names := targets_in_bulk(settings.root, day):
            instruments[(found["date"] == day) & found["target"].isin(names)] = "bulk"
    return instruments.where(found["target"] != "*")


def _publish_missing(settings: Settings, dates: Sequence[dt.date], say: Callable[[str], object]) -> Sequence[dt.date]:
    """Build the tables of days that evaluating these reads, whose answers are stored and whose tables are not here.

    Return those that were built. One that could not be is left out of the history, and holds up no other.
    """
    built = set(days(settings.root, "backlinks_summary"))
    known = sorted(built.union(stored_days(settings.store)))
    if not dates or built.issuperset(known):
        return []
    before = bisect_left(known, min(dates))
    read = known[max(0, before - HISTORY_DAYS) : bisect_right(known, max(dates))]
    missing = [day for day in read if day not in built]
    if not missing:
        return []
    _prepare(settings, _ANSWER_TABLES, missing, say)
    found = []
    with open_store(settings) as store:
        for day in missing:
            try:
                publish_answers(settings, store, day)
            except TablesError as error:
                say(
                    f"{day} is left out of the history, since its tables could not be built from the stored answers. {error}"
                )
            except NoAnswersError:
                continue
            else:
                found.append(day)
    if found:
        span = f"{found[0]} to {found[-1]}"
        say(
            f"The tables of {counted(len(found), 'day')} that were missing here ({span}) were built from the stored answers."
        )
    return found


def _days_of(table: pa.Table) -> dict[dt.date, pa.Table]:
    """Return each day's rows of a table that is sorted by day, without a copy."""
    dates, firsts, counts = np.unique(table["date"].to_numpy(), return_index=True, return_counts=True)
    return {
        date: table.slice(first, count)
        for date, first, count in zip(dates.tolist(), firsts.tolist(), counts.tolist(), strict=True)
    }
