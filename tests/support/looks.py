"""The automation as the daemon uses it, for the tests of it: a look, what it asks for, and that carried out."""

import datetime as dt
from functools import cache

import dagster as dg

from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.resources import BacklinksData


@cache
def definitions() -> dg.Definitions:
    """Return the project's definitions, made once for all tests of a process."""
    return build_defs()


class Automation:
    """The sensor as the daemon uses it: it remembers the cursor, and may carry out what is asked for."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.said: str | None = None
        self.requests: list[dg.RunRequest] = []

    def look(self) -> list[tuple[dt.date, dt.date]]:
        """Return the first and last day of each run that is asked for."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=definitions().get_repository_def(),
            resources={"backlinks_data": BacklinksData()},
        )
        sensor = definitions().get_repository_def().get_sensor_def("publish_automation_sensor")
        tick = sensor.evaluate_tick(context)
        self.cursor, self.said, self.requests = tick.cursor, tick.skip_message, list(tick.run_requests or [])
        return [span_of(request) for request in self.requests]

    def look_and_build(self) -> list[tuple[dt.date, dt.date]]:
        """Do the same, and the runs one after the other."""
        spans = self.look()
        for first, last in spans:
            publish_run(self.instance, first, last)
        return spans


def span_of(request: dg.RunRequest) -> tuple[dt.date, dt.date]:
    if request.partition_key:
        return dt.date.fromisoformat(request.partition_key), dt.date.fromisoformat(request.partition_key)
    ends = [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
    return dt.date.fromisoformat(ends[0]), dt.date.fromisoformat(ends[1])


def collect_run(instance: dg.DagsterInstance, day: dt.date, *names: str) -> dg.ExecuteInProcessResult:
    job = definitions().resolve_job_def("collect_job")
    tags = range_tags(str(day), str(day), names[0], names[-1])
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def publish_run(instance: dg.DagsterInstance, first: dt.date, last: dt.date) -> dg.ExecuteInProcessResult:
    job = definitions().resolve_job_def("publish_job")
    return job.execute_in_process(instance=instance, tags=day_range_tags(str(first), str(last)), raise_on_error=False)
