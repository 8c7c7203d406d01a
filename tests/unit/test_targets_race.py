"""The same new targets added to Dagster's partitions by several at once: each gets through, none is there twice."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import dagster as dg
import pytest

from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.sensors import add_missing_targets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = 40
AT_ONCE = 4

Open = Callable[[], dg.DagsterInstance]
Add = Callable[[dg.DagsterInstance, list[str]], object]


def keys(number: int) -> list[str]:
    return [f"new{number}-{letter}.example" for letter in "abc"]


def together(open_one: Open, add: Add) -> list[BaseException]:
    """Let some threads, each with the instance opened for itself, add each round's keys at the same moment."""
    start, raised = threading.Barrier(AT_ONCE), list[BaseException]()

    def work() -> None:
        with open_one() as instance:
            for number in range(ROUNDS):
                start.wait(250)
                try:
                    add(instance, keys(number))
                except BaseException as error:  # noqa: BLE001 - told by the test
                    raised.append(error)

    with open_one() as instance:  # its files are made by one
        assert instance.get_dynamic_partitions("targets") == []
        threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(400)
        assert len(instance.get_dynamic_partitions("targets")) == len(keys(0)) * ROUNDS
    return raised


@pytest.mark.ci
@pytest.mark.usefixtures("instance_place")
def test_what_the_command_and_the_schedule_add_at_once_gets_through(settings) -> None:
    assert together(lambda: open_instance(settings), add_missing_targets) == []


@pytest.mark.ci
@pytest.mark.usefixtures("instance_place")
def test_what_dagster_adds_for_the_sensor_gets_through_too(settings) -> None:
    def as_the_daemon(instance: dg.DagsterInstance, keys: list[str]) -> None:
        instance.add_dynamic_partitions("targets", keys)

    assert together(lambda: open_instance(settings), as_the_daemon) == []


def add_all(folder: str, until: float) -> None:
    with dg.DagsterInstance.from_config(folder) as instance:
        time.sleep(max(0.0, until - time.time()))
        for number in range(ROUNDS):
            add_missing_targets(instance, keys(number))


@pytest.mark.ci
def test_processes_that_add_the_same_targets_all_get_through_on_an_instance_of_another_storage(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_dynamic_partitions("targets") == []
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            for done in [pool.submit(add_all, str(tmp_path), time.time() + 10) for _ in range(2)]:
                done.result(400)
        assert len(instance.get_dynamic_partitions("targets")) == len(keys(0)) * ROUNDS
