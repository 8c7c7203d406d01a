"""Publishers that are killed at any step, and several at once: the list never names what is not there, and nobody loses a day."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from machines import Machines, Watched, built, days_of, done
from table_days import after

from backlinks_assets.published import local_copy, place as places
from backlinks_assets.published.publication import bring, bring_duckdb, files_of, publish_tables
from backlinks_assets.settings import Settings
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.tables_url import TablesUrl

pytestmark = pytest.mark.slow

SUPPORT = Path(__file__).parents[1] / "support"
OF_A_DAY = ("backlinks_summary", "backlinks_changes", "backlinks_flags")
PUBLISHER = """
import sys
from pathlib import Path
from machines import Machines, done
from backlinks_assets.settings import Settings
folder, name, first, many = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
machine = Machines(folder, Settings.from_env().tables_url)(name)
for number in range(first, many, 3):
    done(machine, number)
"""


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    (tmp_path / "share").mkdir()
    return Machines(tmp_path, TablesUrl(str(tmp_path / "share"), "folder"))


def killed_at(step: int, settings: Settings, place: places.Place, number: int, links: int) -> bool:
    """Publish a day in a process that is killed right before some step; return whether there was such a step."""
    steps = [0]

    def kill(_operation: str, _name: str) -> None:
        steps[0] += 1
        if steps[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        places.open_place = lambda _url: Watched(place, kill)  # type: ignore[assignment]
        local_copy.in_threads = lambda do, many: [do(one) for one in many]  # type: ignore[assignment]
        try:
            publish_tables(settings, [built(settings, number, links=links)])
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def links_of(settings: Settings, number: int) -> set[int]:
    return set(read_days(settings.root, "backlinks_summary", after(number), after(number))["backlinks"].to_pylist())


@pytest.mark.first
@pytest.mark.parametrize(
    "step", [2, 4, 6, 8, *(pytest.param(n, marks=pytest.mark.ci) for n in (1, 3, 5, 7, 9, 10, 11, 12))]
)
def test_a_publisher_killed_at_any_step_leaves_the_list_true_and_goes_on(machines: Machines, step: int) -> None:
    one, reader = machines("one"), machines("reader")
    done(one, 0)
    was_killed = killed_at(step, one, machines.place, 1, links=7)
    assert was_killed or step > 8
    bring(reader)
    assert days(reader.root, "backlinks_summary") in ([after(0)], [after(0), after(1)])
    assert {tuple(days(reader.root, table)) for table in OF_A_DAY} == {tuple(days(reader.root, "backlinks_summary"))}
    publish_tables(one, [after(1)])  # the next start of the same machine
    assert machines.is_whole()
    bring(reader)
    bring_duckdb(reader)
    assert days_of(reader) == [after(0), after(1)]
    assert links_of(reader, 1) == {7}


@pytest.mark.parametrize("step", [3, 5, *(pytest.param(n, marks=pytest.mark.ci) for n in (2, 4, 6, 7, 8, 9, 10))])
def test_a_rebuild_that_is_killed_leaves_the_old_day_or_the_new_one_or_a_refusal(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    one, has_it, empty = machines("one"), machines("has it"), machines("empty")
    done(one, 0, links=1)
    bring(has_it)
    killed_at(step, one, machines.place, 0, links=2)
    bring(has_it)  # who has the listed files needs none of the place
    assert links_of(has_it, 0) in ({1}, {2})
    monkeypatch.setattr(local_copy.LocalCopy.bring, "__kwdefaults__", {"waits_s": 0.0, "gives_way": False})
    if machines.is_whole():
        bring(empty)
        assert links_of(empty, 0) in ({1}, {2})
    else:
        with pytest.raises(
            TablesError, match="was replaced, and the list of what is published does not have the new one"
        ):
            bring(empty, lambda name: name.startswith("parquet/"))
        assert links_of(empty, 0) == set()
    repairing = machines("another") if step == 3 else one  # which takes over, or is started again
    bring(repairing, built_here=[name for table in OF_A_DAY for name in files_of(table, [after(0)])])
    done(repairing, 0, links=2)
    for settings in (empty, has_it):
        bring(settings)
        assert links_of(settings, 0) == {2}
    assert machines.is_whole()


@pytest.mark.ci
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "many"), [("folder", 12), ("bucket", 9)])
def test_three_publishers_at_once_lose_no_day_and_readers_see_whole_days(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, many: int
) -> None:
    (tmp_path / "share").mkdir()
    text = str(tmp_path / "share") if kind == "folder" else request.getfixturevalue("bucket") + "/prefix"
    monkeypatch.setenv("BACKLINKS_TABLES_URL", text)
    real = {**os.environ, "DATAFORSEO_LOGIN": "a", "DATAFORSEO_PASSWORD": "b"}
    url = Settings.from_env(real).tables_url
    assert url is not None
    machines = Machines(tmp_path, url)
    publishers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PUBLISHER, str(tmp_path), f"machine {first}", str(first), str(many)],
            env={**real, "PYTHONPATH": str(SUPPORT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in range(3)
    ]
    reader = machines("reader")
    at_work = True
    while at_work:  # looked at first, so that the reader looks at least once, and once after the end
        at_work = any(one.poll() is None for one in publishers)
        bring(reader)
        assert {tuple(days(reader.root, table)) for table in OF_A_DAY} == {
            tuple(days(reader.root, "backlinks_summary"))
        }
    assert [(one.returncode, one.communicate()[1]) for one in publishers] == [(0, "")] * 3
    assert machines.is_whole()
    everything = [after(number) for number in range(many)]
    late = machines("late")
    bring_duckdb(late)
    assert days_of(late) == everything
    bring(late)
    assert {tuple(days(late.root, table)) for table in TABLES if days(late.root, table)} == {tuple(everything)}
