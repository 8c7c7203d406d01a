"""The project's two jobs run in this process and recorded on the instance, for `run` and `demo`.

Here belongs how a day becomes Dagster runs: partitions added, ranges, tags, signals. What is printed is the calls' own
modules'; the jobs are `defs/`.
"""

import datetime as dt
import logging
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from types import FrameType
from typing import Any, TypeVar

import dagster as dg
import sqlalchemy as sa

from backlinks_assets.cli.tally import ObservedApi, Tally
from backlinks_assets.collect.collector import StopError
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.dataforseo.endpoints.summary import STATUS_TYPES
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.dead_runs import end_dead_runs
from backlinks_assets.defs.old_runs import delete_old_runs
from backlinks_assets.defs.partitions import (
    MAX_KEYS_PER_RUN,
    ONE_KEY,
    day_range_tags,
    first_target_day,
    range_tags,
    ranges,
)
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import (
    ENDED_IN_TIME,
    OF_THIS_LOCATION,
    back_fills,
    collects,
    collects_in_bulk,
    evaluates,
    gathers_evidence,
    publishes,
)
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.errors import BacklinksError
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import Target

RESPONSES = dg.AssetKey("summary_responses")
EVALUATED = [
    dg.AssetKey(name)
    for name in ("backlinks_changes", "backlinks_flags", "backlinks_incidents", "flags_report", "targets_report")
]

PARTITIONS_PER_QUERY = 500
"""Partitions in one query of Dagster's: each is a parameter of its statement, of which SQLite takes 32,766."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The command prints what a person needs; the runs' own log is on the instance, in the UI."""

_NO_CONFIG: Mapping[str, Any] = {}

T = TypeVar("T")


class RunFailedError(BacklinksError):
    """A run failed; the message is the run's own and names the run."""


class Pipeline:
    """The jobs over one instance, with the settings of this command."""

    def __init__(
        self, settings: Settings, instance: dg.DagsterInstance, *, demo: bool = False, day: dt.date | None = None
    ) -> None:
        """`day`: the first that is collected, which of simulated answers may be any."""
        self.settings = settings
        self.instance = instance
        self.first_day = first_target_day(settings, [day] if day else [])
        self._api = ObservedApi(demo=demo)
        # Hardcoded: Dagster would make a copy of a resource for each run, without the observer.
        api = dg.ResourceDefinition.hardcoded_resource(self._api)
        resources = {"backlinks_data": BacklinksData(demo=demo), "backlinks_api": api}
        self._definitions = build_defs(resources, first_day=self.first_day)

    def collect(
        self, first: dt.date, last: dt.date, targets: Sequence[Target], tally: Tally, max_keys: int = MAX_KEYS_PER_RUN
    ) -> None:
        """Collect targets from the first to the last day by runs of `collect_job`; what comes of it is in `tally`.

        Targets whose answers are stored and reported already are counted only. So are all of a day that is older than the
        partitions of targets: without stored answers it has none, since the API answers for the present only.

        Raises:
            RunFailedError: a run failed before it could say anything of its targets.
        """
        self._api.observe(tally)
        days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
        requests = [self._api.request(str(day), target) for day in days for target in targets]
        names = {target.partition_key: target.target for target in targets}
        with _stopping(tally):
            add_missing_targets(self.instance, list(names))
            known = self.instance.get_dynamic_partitions("targets")
            with open_store(self.settings) as store:
                answers = store.stored_keys(days)
            stored = {(one.date, one.target) for one in requests if answers.issuperset(map(one.key, STATUS_TYPES))}
            has_partitions = self.settings.simulated or first >= self.first_day
            parts = ranges(known, self._unreported(days, names, stored), max_keys) if has_partitions else []
            for number, (start, end) in enumerate(parts, start=1):
                if tally.stopped:
                    break
                failed = len(tally.failed)
                tags = range_tags(str(first), str(last), start, end)
                result = self._execute("collect_job", tags | collects(first, last, len(names), number, len(parts)))
                if tally.error is not None:
                    raise tally.error
                if not (result.success or tally.stopped or len(tally.failed) > failed):
                    raise RunFailedError(_cause(result))
            rest = [one for one in requests if (one.date, one.target) not in tally.seen]
            if has_partitions and not stored.issuperset((one.date, one.target) for one in rest):  # only runs make calls
                tally.stop("The targets file was changed while its targets were collected. Run again.")
            if rest:
                with suppress(StopError):
                    _in_thread(lambda: deque(self._api.collect(rest), maxlen=0))

    def collect_in_bulk(self, day: dt.date, targets: int, tally: Tally) -> None:
        """Collect a day's targets in bulk by a run of `bulk_collect_job`; what comes of it is in `tally`. Raises as `collect`."""
        self._api.observe(tally)
        with _stopping(tally):
            tags = {ONE_KEY: str(day)} | collects_in_bulk(day, targets)
            result = self._execute("bulk_collect_job", tags)
            if tally.error is not None:
                raise tally.error
            if not (result.success or tally.stopped or (tally.bulk and tally.bulk.failed)):
                raise RunFailedError(_cause(result))

    def _unreported(
        self, days: Sequence[dt.date], names: Mapping[str, str], stored: set[tuple[dt.date, str]]
    ) -> set[str]:
        """Return the keys of targets that any of the days has no answers of, or no materialization."""
        wanted = ((day, key) for day in days for key, name in names.items() if (day, name) in stored)
        finished: Counter[str] = Counter()
        while some := list(islice(wanted, PARTITIONS_PER_QUERY)):
            partitions = {str(dg.MultiPartitionKey({"date": str(day), "target": key})): key for day, key in some}
            reported = self.instance.get_latest_storage_id_by_partition(
                RESPONSES, dg.DagsterEventType.ASSET_MATERIALIZATION, set(partitions)
            )
            finished.update(partitions[partition] for partition in reported if partition in partitions)
        return {key for key in names if finished[key] < len(days)}

    def publish(self, first: dt.date, last: dt.date, assets: list[dg.AssetKey] | None = None) -> None:
        """Build the tables and flags of a span of days, and their pages; or some of these `assets` only.

        Raises:
            RunFailedError: the run failed.
        """
        self._publish(first, last, publishes(first, last), assets)

    def evaluate(self, first: dt.date, last: dt.date) -> None:
        """Evaluate a span of days that have tables again, and write their pages; the stored answers are not read.

        Raises:
            RunFailedError: the run failed.
        """
        self._publish(first, last, evaluates(first, last), EVALUATED)

    def _publish(
        self, first: dt.date, last: dt.date, named: dict[str, str], assets: list[dg.AssetKey] | None = None
    ) -> None:
        result = self._execute("publish_job", day_range_tags(str(first), str(last)) | named, assets)
        if not result.success:
            raise RunFailedError(_cause(result))

    def write_page(self, day: dt.date) -> None:
        """Write a day's page again; raises RunFailedError."""
        self._publish(day, day, publishes(day, day), [dg.AssetKey("flags_report")])

    def evidence(self, day: dt.date, setting: str = "", flags: int = 0) -> dict[str, Any]:
        """Buy a day's evidence, as `EvidenceConfig` says, and write its table; return what the run says of it.

        Raises:
            RunFailedError: the run failed; what was paid for is stored.
        """
        config = {"ops": {"flag_evidence": {"config": {"setting": setting, "flags": flags}}}}
        tags = {ONE_KEY: str(day)} | gathers_evidence(day)
        result = self._execute("evidence_job", tags, config=config)
        if not result.success:
            raise RunFailedError(_cause(result))
        (event,) = result.asset_materializations_for_node("flag_evidence")
        return {name: event.metadata[name].value for name in ("flags", "calls", "cost_usd", "not_bought")}

    def back_fill(self, targets: Sequence[str], days: int, many: int) -> dict[str, Any]:
        """Buy the days before the first readings of these targets (none: all, which are `many`), and write `lost_history`.

        Return what the run says of it.

        Raises:
            RunFailedError: the run failed or was stopped; what was paid for is stored.
        """
        config = {"ops": {"lost_history": {"config": {"targets": list(targets), "days": days}}}}
        tally = Tally()
        self._api.observe(tally)
        with _stopping(tally):
            result = self._execute("backfill_job", back_fills(many), config=config)
        if not result.success:
            raise RunFailedError(_cause(result))
        (event,) = result.asset_materializations_for_node("lost_history")
        return {name: value.value for name, value in event.metadata.items()}

    def _execute(
        self,
        job: str,
        tags: dict[str, str],
        assets: list[dg.AssetKey] | None = None,
        config: Mapping[str, Any] = _NO_CONFIG,
    ) -> dg.ExecuteInProcessResult:
        definition = self._definitions.resolve_job_def(job)
        # Not in the main thread: there Dagster would replace our handlers of signals by its own.
        return _in_thread(
            lambda: definition.execute_in_process(
                instance=self.instance,
                tags=tags | OF_THIS_LOCATION | ENDED_IN_TIME,
                run_config=_QUIET | dict(config),
                raise_on_error=False,
                asset_selection=assets,
            )
        )


@contextmanager
def opened(settings: Settings, *, demo: bool = False, day: dt.date | None = None) -> Iterator[Pipeline]:
    """Yield the pipeline over the instance that the UI shows for these settings; `day` is the first that it collects.

    Before and after it the instance is put in order: not everybody runs the daemon, whose sensor and schedule do that too.
    """
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with open_instance(settings) as instance:
        end_dead_runs(instance)
        pipeline = Pipeline(settings, instance, demo=demo, day=day)
        yield pipeline
        with suppress(sa.exc.SQLAlchemyError):  # another process writes for long: the next command deletes them
            delete_old_runs(instance, pipeline.first_day)


@contextmanager
def _stopping(tally: Tally) -> Iterator[None]:
    """On SIGINT or SIGTERM start no new calls; the block then ends with those in flight. A second signal ends at once.

    Also when the block fails no new calls are started.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        tally.stop("Stopped by a signal. What was paid for is stored; run again to go on.")
        for number in before:
            signal.signal(number, signal.SIG_DFL)  # the kernel's own end: nothing of ours could wait for anything

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    except BaseException:
        tally.stop("the run was stopped")
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_thread(work: Callable[[], T]) -> T:
    done = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="dagster-run") as pool:
        future = pool.submit(work)
        future.add_done_callback(lambda _: done.set())
        while not done.wait(0.2):  # short waits let signals in
            pass
        return future.result()


def _cause(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data is not None and failure.user_failure_data.description:
                return failure.user_failure_data.description
            if failure.error is not None:
                error = failure.error.cause or failure.error
                return f"{error.message.strip()} (run {result.run_id}: `make ui` shows its log)"
    return f"run {result.run_id} failed: `make ui` shows its log"
