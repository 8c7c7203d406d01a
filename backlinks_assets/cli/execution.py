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

from backlinks_assets.cli.tally import ObservedApi, Tally
from backlinks_assets.collect.collector import StopError
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.dataforseo.endpoints.summary import STATUS_TYPES
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.dead_runs import end_dead_runs
from backlinks_assets.defs.partitions import MAX_KEYS_PER_RUN, day_range_tags, range_tags, ranges
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import OF_THIS_LOCATION, collects, publishes
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.errors import BacklinksError
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import Target

RESPONSES = dg.AssetKey("summary_responses")

PARTITIONS_PER_QUERY = 500
"""Partitions in one query of Dagster's: each is a parameter of its statement, of which SQLite takes 32,766."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The command prints what a person needs; the runs' own log is on the instance, in the UI."""

T = TypeVar("T")


class RunFailedError(BacklinksError):
    """A run failed; the message is the run's own and names the run."""


class Pipeline:
    """The jobs over one instance, with the settings of this command."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, *, demo: bool = False) -> None:
        self.settings = settings
        self.instance = instance
        self._api = ObservedApi(demo=demo)
        # Hardcoded: Dagster would make a copy of a resource for each run, without the observer.
        api = dg.ResourceDefinition.hardcoded_resource(self._api)
        self._definitions = build_defs({"backlinks_data": BacklinksData(demo=demo), "backlinks_api": api})

    def collect(
        self, first: dt.date, last: dt.date, targets: Sequence[Target], tally: Tally, max_keys: int = MAX_KEYS_PER_RUN
    ) -> None:
        """Collect targets from the first to the last day by runs of `collect_job`; what comes of it is in `tally`.

        Targets whose answers are stored and reported already are counted only.

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
            parts = ranges(known, self._unreported(days, names, stored), max_keys)
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
            if not stored.issuperset((one.date, one.target) for one in rest):  # only runs make calls
                tally.stop("The targets file was changed while its targets were collected. Run again.")
            if rest:
                with suppress(StopError):
                    _in_thread(lambda: deque(self._api.collect(rest), maxlen=0))

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

    def publish(self, first: dt.date, last: dt.date) -> None:
        """Build the tables and flags of a span of days.

        Raises:
            RunFailedError: the run failed.
        """
        result = self._execute("publish_job", day_range_tags(str(first), str(last)) | publishes(first, last))
        if not result.success:
            raise RunFailedError(_cause(result))

    def _execute(self, job: str, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        definition = self._definitions.resolve_job_def(job)
        # Not in the main thread: there Dagster would replace our handlers of signals by its own.
        return _in_thread(
            lambda: definition.execute_in_process(
                instance=self.instance, tags=tags | OF_THIS_LOCATION, run_config=_QUIET, raise_on_error=False
            )
        )


@contextmanager
def opened(settings: Settings, *, demo: bool = False) -> Iterator[Pipeline]:
    """Yield the pipeline over the instance that the UI shows for these settings."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with open_instance(settings) as instance:
        end_dead_runs(instance)
        yield Pipeline(settings, instance, demo=demo)


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
