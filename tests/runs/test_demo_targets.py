"""The demo has targets of its own: it never reads or writes those of the user, and what is shown after it is the demo."""

import os
from pathlib import Path

import commands
import duckdb
import pytest

from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.world.samples import sample_targets_csv

pytestmark = pytest.mark.slow

REAL = "target,note\nmy-own-shop.com,our own\nhttps://competitor.net/pricing,\n"


@pytest.fixture
def real_lists(clean_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The user's targets, in both places where they may be; as old as can be, so that any write would show."""
    clean_environment.mkdir(parents=True)
    files = [clean_environment / "targets.csv", tmp_path / "elsewhere.csv"]
    for file in files:
        file.write_text(REAL)
        os.utime(file, (0, 0))
        file.chmod(0o400)
    return files


def simulated_targets(root: Path) -> set[str]:
    with duckdb.connect(str(root / "backlinks.duckdb"), read_only=True) as connection:
        return {name for (name,) in connection.execute("SELECT DISTINCT target FROM backlinks_summary").fetchall()}


@pytest.mark.ci
def test_the_demo_neither_reads_nor_writes_the_users_targets_and_its_partitions_go_on_working(
    real_lists: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKLINKS_TARGETS_FILE", str(real_lists[1]))
    done = commands.command("demo", "--days", "2", "--json")
    assert done.status == 0, done.err
    root = Settings.from_env().root
    assert done.summary["targets"] == 31
    assert simulated_targets(root).isdisjoint({"my-own-shop.com", "https://competitor.net/pricing"})
    assert (root / "targets.csv").read_text(encoding="utf-8") == sample_targets_csv()
    for file in real_lists:
        assert (file.read_text(), file.stat().st_mtime) == (REAL, 0)
    listed = commands.command("targets", "list", "--json").summary["targets"]
    assert [one["target"] for one in listed] == ["my-own-shop.com", "https://competitor.net/pricing"]
    # What the UI does where a person materializes a partition that the demo has made.
    today = str(commands.today())
    with open_instance(Settings.from_env()) as instance:
        partitions = set(instance.get_dynamic_partitions("targets"))
        assert "petalpost.example" in partitions
        assert "my-own-shop.com" not in partitions
        tags = range_tags(today, today, "petalpost.example", "petalpost.example")
        job = build_defs().resolve_job_def("collect_job")
        assert job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success


def test_where_the_user_has_no_targets_the_demos_are_shown_and_an_own_one_is_kept_apart(
    clean_environment: Path,
) -> None:
    refused = commands.command("targets", "list")
    assert refused.status == 2
    assert "is not there" in refused.err
    demos = clean_environment / "demo" / "targets.csv"
    demos.parent.mkdir(parents=True)
    demos.write_text(sample_targets_csv(), encoding="utf-8")
    listed = commands.command("targets", "list", "--json").summary
    assert (listed["file"], len(listed["targets"])) == (str(demos), 31)
    assert len(BacklinksData().targets()) == 31
    assert commands.command("targets", "add", "my-own-shop.com").status == 0
    assert demos.read_text(encoding="utf-8") == sample_targets_csv()
    listed = commands.command("targets", "list", "--json").summary
    assert listed["file"] == str(clean_environment / "targets.csv")
    assert [one["target"] for one in listed["targets"]] == ["my-own-shop.com"]


def test_only_the_embedded_simulator_shows_the_demos_targets(tmp_path: Path) -> None:
    demos = tmp_path / "demo" / "targets.csv"
    demos.parent.mkdir()
    demos.touch()
    folder = {"BACKLINKS_DATA_DIR": str(tmp_path)}
    account = {"DATAFORSEO_LOGIN": "x", "DATAFORSEO_PASSWORD": "y"}
    named = {"BACKLINKS_TARGETS_FILE": str(tmp_path / "mine.csv")}
    assert Settings.from_env(folder).targets_file == demos
    assert Settings.from_env(folder).own_targets_file == tmp_path / "targets.csv"
    assert Settings.from_env(folder | account).targets_file == tmp_path / "targets.csv"
    assert Settings.from_env(folder | named).targets_file == tmp_path / "mine.csv"
    for one in (folder, folder | account, folder | named):
        assert Settings.from_env(one, demo=True).targets_file == demos
    (tmp_path / "targets.csv").touch()
    assert Settings.from_env(folder).targets_file == tmp_path / "targets.csv"


@pytest.mark.parametrize("real", [True, False])
def test_real_answers_are_never_asked_for_the_demos_targets(
    clean_environment: Path, api, write_targets, real: bool
) -> None:
    demos = clean_environment / "demo" / "targets.csv"
    demos.parent.mkdir(parents=True)
    demos.write_text(sample_targets_csv(), encoding="utf-8")
    write_targets("my-own-shop.com")
    if real:
        api()
    names = {target.target for target in BacklinksData().demo_targets()}
    assert names == set() if real else "petalpost.example" in names
