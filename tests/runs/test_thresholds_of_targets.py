"""A target's own thresholds on their whole way: from a column of the targets file to a flag that comes or stays away."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backlinks_assets.defs import assets
from backlinks_assets.defs.partitions import day_range_tags
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.detection.settings import THRESHOLD_COLUMNS
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

pytestmark = pytest.mark.slow

FIRST = dt.date(2026, 9, 1)
DAYS_BEFORE = 40
"""Of quiet readings before the first change."""


@dataclass(frozen=True)
class Case:
    """What one target's numbers do, on a day of their own, and a threshold that is another than the default."""

    column: str
    value: str
    spam: tuple[int, int] = (10, 10)
    lost: tuple[int, int] = (1000, 1000)
    live: tuple[int, int] = (50_000, 50_000)
    flagged_by_default: bool = True
    noise: int = 0
    """Points by which the spam score goes up and down every day."""


CASES = [
    Case("spam_points", "9", spam=(10, 18)),
    Case("spam_points", "2", spam=(10, 13), flagged_by_default=False),
    Case("lost_links_min", "200", lost=(600, 750)),
    Case("lost_links_min", "10", lost=(100, 115), live=(200, 185), flagged_by_default=False),
    Case("lost_percent", "30", lost=(1000, 1200)),
    Case("lost_percent", "5", lost=(1000, 1120), flagged_by_default=False),
    Case("live_percent", "8", lost=(4000, 4500), live=(10_000, 9_500)),
    Case("live_percent", "3", lost=(4000, 4400), live=(10_000, 9_600), flagged_by_default=False),
    Case("usual_swings", "100", spam=(10, 18)),
    Case("usual_swings", "100", lost=(1000, 1300)),
    Case("usual_swings", "2", spam=(10, 16), noise=1, flagged_by_default=False),
    Case("usual_swings", "2", lost=(130, 150), flagged_by_default=False),
    Case("mute_flags", "true", spam=(10, 30)),
    Case("mute_flags", "yes", lost=(1000, 2000)),
]


def names(number: int) -> tuple[str, str]:
    """Return a case's two targets: without and with a threshold of its own."""
    return f"case{number:02d}-default.example", f"case{number:02d}-own.example"


def rows(day: int) -> list[dict[str, object]]:
    """Return the answers of a day: each case changes on the second of two days that no other case has."""
    found: list[dict[str, object]] = []
    for number, case in enumerate(CASES):
        after = day >= DAYS_BEFORE + 2 * number
        spam, lost = case.spam[after] + day % 2 * case.noise, case.lost[after]
        for target in names(number):
            shared = {"date": FIRST + dt.timedelta(days=day), "target": target, "request_key": "same", "has_data": True}
            live = {"status_type": "live", "backlinks": case.live[after], "backlinks_spam_score": spam}
            found += [shared | live, shared | {"status_type": "lost", "backlinks": lost}]
    return sorted(found, key=lambda row: (str(row["target"]), str(row["status_type"])))


@pytest.fixture
def flagged(write_targets: Callable[..., Path], tmp_path: Path) -> set[str]:
    """Judge the days of all cases in one run, as the UI does, and return the targets that were flagged on any.

    Of the lines with a threshold every second is bad for another cell's sake: what is kept is judged by it all the same.
    """
    columns = list(THRESHOLD_COLUMNS)
    lines = []
    for number, case in enumerate(CASES):
        default, own = names(number)
        cells = [case.value if column == case.column else "" for column in columns]
        lines += [default, ",".join([own, "01/01/2027" if number % 2 else "", *cells])]
    write_targets(*lines, header=",".join(["target", "retired", *columns]))
    root = Settings.from_env().root
    days = DAYS_BEFORE + 2 * len(CASES)
    for day in range(days):
        full = [dict.fromkeys(TABLES["backlinks_summary"].arrow.names) | row for row in rows(day)]
        full = [row | {"simulated": True, "task_id": "x", "cost_usd": 0.0} for row in full]
        table = pa.Table.from_pylist(full, schema=TABLES["backlinks_summary"].arrow)
        write_day(root, "backlinks_summary", FIRST + dt.timedelta(days=day), table)
    judged = [FIRST + dt.timedelta(days=day) for day in range(DAYS_BEFORE, days)]
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        result = dg.materialize(
            [assets.detection],
            instance=instance,
            resources={"backlinks_data": BacklinksData()},
            tags=day_range_tags(str(judged[0]), str(judged[-1])),
        )
    assert result.success
    files = [parquet_path(root, "backlinks_flags", day) for day in judged]
    return {name for file in files for name in pq.read_table(file)["target"].to_pylist()}


@pytest.mark.ci
def test_a_threshold_in_the_targets_file_makes_or_keeps_away_the_flag_that_others_get_or_miss(
    flagged: set[str],
) -> None:
    assert set(THRESHOLD_COLUMNS) == {case.column for case in CASES}
    for number, case in enumerate(CASES):
        default, own = names(number)
        assert (default in flagged) is case.flagged_by_default, case
        assert (own in flagged) is not case.flagged_by_default, case
    assert "*" not in flagged  # else the index would have moved, and single targets were not judged as said
