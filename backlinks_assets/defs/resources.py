"""The two resources: the project's data, and the API as one account.

Fields and opening only. The environment is `settings.py`; what a collector does is `collect/collector.py`.
"""

import datetime as dt
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import dagster as dg
import orjson
from pydantic import Field

from backlinks_assets.collect.bulk import BulkCollector
from backlinks_assets.collect.bulk_day import BulkOutcome, BulkTarget
from backlinks_assets.collect.factory import open_collector, open_store, watched_targets
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.collect.since_day import former_since_day
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.settings import TARGETS_PER_SAMPLE, Settings
from backlinks_assets.store.bulk import BulkStore
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.targets.target import Target, WatchList
from backlinks_assets.targets.watch import DayWays, line_of, only_full_because, ways_of_day


class BacklinksData(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where everything is stored: the targets file, the response store, the tables. Spends nothing."""

    demo: bool = Field(
        default=False, description="Use the simulator's data whatever credentials the environment holds."
    )

    def settings(self) -> Settings:
        """Return the environment as it is now; raises SettingsError with a sentence."""
        return Settings.from_env(demo=self.demo)

    def targets(self) -> WatchList:
        """Return the targets of the file, retired ones too, and its bad lines; raises TargetsError as a whole."""
        return watched_targets(self.settings())

    def ways(self, day: dt.date) -> DayWays:
        """Return how each active target is read on a day; raises as `targets`."""
        settings = self.settings()
        return ways_of_day(self.targets(), day, settings.watch, settings.control_targets, TARGETS_PER_SAMPLE)

    def demo_targets(self) -> list[Target]:
        """Return the targets of `backlinks demo` where its days are what the UI shows; none where answers are real."""
        settings = self.settings()
        if not settings.simulated or not settings.demo_targets_file.exists():
            return []
        return watched_targets(replace(settings, targets_file=settings.demo_targets_file))

    def store(self) -> AbstractContextManager[BulkStore]:
        return open_store(self.settings())


class BacklinksApi(dg.ConfigurableResource):  # type: ignore[type-arg]
    """DataForSEO's `POST /v3/backlinks/summary/live` through the account's limits. Its calls cost money.

    The fields are the project's request parameters; a target's own ones, in the targets file, come before them.
    Credentials are read from the environment when a run needs them and are not part of the configuration.
    """

    demo: bool = Field(default=False, description="Call the simulator whatever credentials the environment holds.")
    include_subdomains: bool = Field(default=True, description="Count links to the target's subdomains too.")
    include_indirect_links: bool = Field(
        default=True, description="Count links by way of redirects and canonical pages."
    )
    exclude_internal_backlinks: bool = Field(
        default=True, description="Leave out links from the same domain's subdomains."
    )
    internal_list_limit: int = Field(default=100, description="Entries in each breakdown, 1 to 1000; no cost.")
    rank_scale: Literal["one_hundred", "one_thousand"] = Field(default="one_thousand", description="Scale of `rank`.")
    backlinks_filters: str = Field(
        default="", description='Count only links that match, as JSON: ["dofollow", "=", true].'
    )

    def parameters(self) -> RequestParameters:
        """Return the project's request parameters; raises ValueError for those the API would refuse."""
        return _parameters(**self.model_dump(exclude={"demo"}))

    def request(self, date: str, target: Target) -> CollectRequest:
        """Return the request about a target on a day (`YYYY-MM-DD`)."""
        return CollectRequest(
            date=dt.date.fromisoformat(date),
            target=target.target,
            parameters=self.parameters().with_overrides(target.overrides),
            own_parameters=target.overrides.model_dump(exclude_none=True) != {},
        )

    def bulk_targets(self, watched: Iterable[Target], day: dt.date) -> list[BulkTarget]:
        """Return the targets that are read in bulk on a day.

        Raises:
            dagster.Failure: the project's own parameters are such that bulk calls would count other links.
        """
        settings, project = Settings.from_env(demo=self.demo), self.parameters()
        found = ways_of_day(watched, day, settings.watch, 0).bulk
        if found and (why := only_full_because(project)):
            raise dg.Failure(
                f"The resource backlinks_api has {why}, which bulk calls do not know: nothing was requested. Set BACKLINKS_WATCH "
                "to full, or take the parameter back.",
                allow_retries=False,
            )
        return [BulkTarget(one.target, one.overrides.rank_scale or project.rank_scale, line_of(one)) for one in found]

    def collect_in_bulk(
        self, day: dt.date, targets: Sequence[BulkTarget], began: dt.datetime | None = None
    ) -> Generator[BulkOutcome, None, None]:
        """Yield an outcome for each planned call, as `BulkCollector`; close it where it is not read to its end."""
        if targets:
            with self.collector(began) as collector:
                yield from collector.collect_in_bulk(day, targets, self._unjoined(day, targets))

    def _unjoined(self, day: dt.date, targets: Sequence[BulkTarget]) -> set[str]:
        """Return the targets whose last level in the tables was counted since last month's day."""
        from backlinks_assets.tables.bulk_rows import counted_since

        with suppress(TablesError):  # what is wrong with a table is said where tables are built
            root, names = Settings.from_env(demo=self.demo).root, [one.target for one in targets]
            return counted_since(root, day, names, former_since_day(day))
        return set()

    def collector(self, began: dt.datetime | None = None) -> AbstractContextManager[BulkCollector]:
        return open_collector(Settings.from_env(demo=self.demo), began=began)

    def collect(
        self, requests: Sequence[CollectRequest], began: dt.datetime | None = None
    ) -> Generator[Outcome, None, None]:
        """Yield an outcome for every request, as `Collector.collect`; close it where it is not read to its end."""
        with self.collector(began) as collector:
            yield from collector.collect(requests)


@lru_cache
def _parameters(*, backlinks_filters: str, **fields: Any) -> RequestParameters:
    """Return the one object that all requests with the same parameters share."""
    return RequestParameters(backlinks_filters=orjson.loads(backlinks_filters) if backlinks_filters else None, **fields)
