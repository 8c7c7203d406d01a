"""Relative folders, `.env` and targets start from DAGSTER_HOME where it is this project's, else from the current folder."""

import json
import os
from pathlib import Path

import commands
import pytest

from backlinks_assets.anchor import names_this_project
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.env_values import SettingsError
from backlinks_assets.settings import Settings

OURS = "storage:\n  custom: {module: backlinks_assets.dagster_home, class: ProjectStorage, config: {}}\n"
THEIRS = {
    "no-file": None,
    "empty": "",
    "dagsters-own": "storage:\n  sqlite: {base_dir: /tmp}\n",
    "another-project": "storage:\n  custom: {module: others_assets.home, class: Storage, config: {}}\n",
    "name-like-ours": "storage:\n  custom: {module: backlinks_assets_fork.home, class: Storage, config: {}}\n",
    "named-in-a-comment": "# storage: backlinks_assets.dagster_home\nstorage:\n  sqlite: {base_dir: /tmp}\n",
    "only-logs-are-ours": "compute_logs: {module: backlinks_assets.dagster_home, class: ProjectComputeLogs, config: {}}\n",
    "no-yaml": "storage: [backlinks_assets\n",
    "a-list": "[storage, backlinks_assets]\n",
}
CREDENTIALS = {"DATAFORSEO_LOGIN": "someone@example.com", "DATAFORSEO_PASSWORD": "s3cret-passphrase"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("BACKLINKS_DATA_DIR")
    return here


@pytest.fixture
def home(tmp_path: Path, here: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(OURS)
    return home


def store_in(data_dir: Path, *, simulated: bool = False) -> None:
    folder = data_dir / "demo" if simulated else data_dir
    folder.mkdir(parents=True)
    (folder / "responses.sqlite").touch()


@pytest.mark.parametrize("folder", ["data", "kept/here", "./x/../y"])
def test_relative_folders_start_from_this_projects_dagster_home(home: Path, here: Path, folder: str) -> None:
    env = {"DAGSTER_HOME": str(home), "BACKLINKS_DATA_DIR": folder, "BACKLINKS_TARGETS_FILE": "lists/t.csv"}
    settings = Settings.from_env(env)
    assert settings.data_dir == home / folder
    assert settings.targets_file == home / "lists/t.csv"
    assert Settings.from_env({"DAGSTER_HOME": str(home)}).targets_file == home / "data/targets.csv"


@pytest.mark.parametrize("yaml", THEIRS.values(), ids=THEIRS)
def test_another_projects_dagster_home_is_no_anchor(home: Path, here: Path, yaml: str | None) -> None:
    (home / "dagster.yaml").unlink()
    if yaml is not None:
        (home / "dagster.yaml").write_text(yaml)
    assert not names_this_project(home)
    assert Settings.from_env({"DAGSTER_HOME": str(home)}).data_dir == here / "data"


@pytest.mark.parametrize("value", ["", "  ", "home", "../home", "/nowhere/at/all"])
def test_a_dagster_home_that_dagster_would_refuse_is_no_anchor(home: Path, here: Path, value: str) -> None:
    assert Settings.from_env({"DAGSTER_HOME": value}).data_dir == here / "data"


def test_dagster_home_may_start_with_a_tilde_as_for_dagster(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(home.parent))
    assert Settings.from_env({"DAGSTER_HOME": "~/home"}).data_dir == home / "data"


def test_the_environment_comes_before_env_and_an_empty_variable_is_said_too(home: Path, here: Path) -> None:
    (home / ".env").write_text(
        "\ufeffDATAFORSEO_LOGIN=someone@example.com\nDATAFORSEO_PASSWORD='s3cret-$passphrase'\nBACKLINKS_DATA_DIR=kept\n"
    )
    (here / ".env").write_text("BACKLINKS_DATA_DIR=never\n")
    env = {"DAGSTER_HOME": str(home)}
    settings = Settings.from_env(env)
    assert (settings.data_dir, settings.login, settings.password) == (
        home / "kept",
        "someone@example.com",
        "s3cret-$passphrase",
    )
    assert Settings.from_env({**env, "BACKLINKS_DATA_DIR": "set"}).data_dir == home / "set"
    assert Settings.from_env({**env, "DATAFORSEO_LOGIN": "", "DATAFORSEO_PASSWORD": ""}).simulated
    assert Settings.from_env({}).data_dir == here / "never"


def test_dagster_home_named_in_the_current_folders_env_is_used_as_dagster_does(home: Path, here: Path) -> None:
    (here / ".env").write_text(f"DAGSTER_HOME={home}\n")
    assert Settings.from_env({}).data_dir == home / "data"


def test_an_env_file_of_a_parent_folder_is_not_read(here: Path) -> None:
    (here.parent / ".env").write_text("BACKLINKS_DATA_DIR=parents\n")
    assert Settings.from_env({}).data_dir == here / "data"


def test_an_env_file_that_cannot_be_read_is_named(here: Path) -> None:
    (here / ".env").write_bytes("DATAFORSEO_PASSWORD=pässwort\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"\.env could not be read, since it is not UTF-8"):
        Settings.from_env({})


@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
@pytest.mark.parametrize("anchored", [True, False], ids=["meant-here", "meant-in-home"])
def test_beside_the_other_folders_store_none_is_begun(home: Path, here: Path, anchored: bool, simulated: bool) -> None:
    env = {"DAGSTER_HOME": str(home), **({} if simulated else CREDENTIALS)}
    if not anchored:
        (home / "dagster.yaml").write_text("")
    lacks, holds = (home, here) if anchored else (here, home)
    store_in(holds / "data", simulated=simulated)
    with pytest.raises(SettingsError) as stopped:
        Settings.from_env(env)
    assert str(lacks / "data") in str(stopped.value)
    assert f"BACKLINKS_DATA_DIR={holds / 'data'}" in str(stopped.value)
    assert not (lacks / "data").exists()
    # Each of the two ways out that the sentence names.
    assert Settings.from_env({**env, "BACKLINKS_DATA_DIR": str(holds / "data")}).data_dir == holds / "data"
    assert Settings.from_env({**env, "BACKLINKS_DATA_DIR": str(lacks / "data")}).data_dir == lacks / "data"
    store_in(lacks / "data", simulated=simulated)
    assert Settings.from_env(env).data_dir == lacks / "data"


def test_a_store_of_simulated_answers_does_not_stand_for_one_of_real_ones(home: Path, here: Path) -> None:
    store_in(home / "data", simulated=True)
    store_in(here / "data")
    env = {"DAGSTER_HOME": str(home)}
    assert Settings.from_env(env).data_dir == home / "data"
    with pytest.raises(SettingsError, match="holds no store of real answers"):
        Settings.from_env({**env, **CREDENTIALS})


def test_a_store_that_the_other_folders_env_leads_to_counts(home: Path, here: Path, tmp_path: Path) -> None:
    store_in(tmp_path / "far")
    (here / ".env").write_text(f"BACKLINKS_DATA_DIR={tmp_path / 'far'}\n")
    with pytest.raises(SettingsError, match="far"):
        Settings.from_env({"DAGSTER_HOME": str(home)})


@pytest.mark.parametrize("home_says", [None, "kept", "./kept"], ids=["nothing", "another", "otherwise-written"])
@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
def test_no_store_is_begun_where_dagster_read_the_env_of_the_folder_it_was_started_in(
    home: Path, here: Path, simulated: bool, home_says: str | None
) -> None:
    (here / ".env").write_text("BACKLINKS_DATA_DIR=elsewhere\n")
    if home_says:
        (home / ".env").write_text(f"BACKLINKS_DATA_DIR={home_says}\n")
    of_home = home / ("kept" if home_says else "data")
    store_in(of_home, simulated=simulated)
    credentials = {} if simulated else CREDENTIALS
    # The webserver and the daemon: Dagster has put the file's line into the environment.
    env = {"DAGSTER_HOME": str(home), "BACKLINKS_DATA_DIR": "elsewhere", **credentials}
    with pytest.raises(SettingsError) as stopped:
        Settings.from_env(env)
    for named in (here / ".env", home / "elsewhere", home):
        assert str(named) in str(stopped.value)
    assert not (home / "elsewhere").exists()
    # Ways out, the first of them the command's: it reads no such file.
    assert Settings.from_env({"DAGSTER_HOME": str(home), **credentials}).data_dir.resolve() == of_home
    assert Settings.from_env({**env, "BACKLINKS_DATA_DIR": str(of_home)}).data_dir == of_home
    assert Settings.from_env({**env, "BACKLINKS_DATA_DIR": str(here / "new")}).data_dir == here / "new"
    # Another value than the file's is a person's own, said for this process.
    assert Settings.from_env({**env, "BACKLINKS_DATA_DIR": "trial"}).data_dir == home / "trial"


def test_links_to_one_folder_are_one_folder(home: Path, here: Path, tmp_path: Path, monkeypatch) -> None:
    store_in(here / "data")
    (home / "data").symlink_to(here / "data")
    assert Settings.from_env({"DAGSTER_HOME": str(home)}).data_dir == home / "data"
    (tmp_path / "link").symlink_to(home)
    monkeypatch.chdir(home)
    assert Settings.from_env({"DAGSTER_HOME": str(tmp_path / "link")}).data_dir == tmp_path / "link/data"


def test_with_dagster_home_a_removed_current_folder_is_no_matter_else_it_is_told(home: Path, here: Path) -> None:
    here.rmdir()
    assert Settings.from_env({"DAGSTER_HOME": str(home)}).data_dir == home / "data"
    with pytest.raises(SettingsError, match="was removed"):
        Settings.from_env({})


def test_the_command_and_dagster_itself_open_one_instance_from_any_folder(home: Path, here: Path, monkeypatch) -> None:
    from dagster import DagsterInstance

    from backlinks_assets.dagster_instance.home import open_instance

    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with open_instance(Settings.from_env()) as opened:
        opened.add_dynamic_partitions("targets", ["seen-by-both"])
    monkeypatch.chdir("/")
    with DagsterInstance.get() as found:
        assert found.get_dynamic_partitions("targets") == ["seen-by-both"]
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_the_doctor_says_which_folder_and_which_env_are_in_use(home: Path, here: Path, monkeypatch) -> None:
    (home / "data").mkdir()
    (home / "data/targets.csv").write_text("target\nshop1.example\n")
    (home / ".env").write_text("BACKLINKS_CALLS_AT_ONCE=7\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    ended = commands.command("doctor", "--json")
    checks = {check["check"]: check for check in ended.summary["checks"]}
    assert f"{home} (DAGSTER_HOME), whose .env is read" in checks["settings"]["says"]
    assert "7 at once" in checks["limits"]["says"]
    (here / ".env").write_text("BACKLINKS_CALLS_AT_ONCE=8\nBACKLINKS_LOW_BALANCE_USD=5\nOTHER=1\n")
    checks = {check["check"]: check for check in commands.command("doctor", "--json").summary["checks"]}
    assert checks["settings"]["state"] == "note"
    assert "BACKLINKS_CALLS_AT_ONCE, BACKLINKS_LOW_BALANCE_USD" in checks["settings"]["says"]
    assert "OTHER" not in json.dumps(checks)


def test_what_env_says_for_libraries_reaches_them_and_only_that(home: Path, here: Path, monkeypatch) -> None:
    from backlinks_assets.anchor import export_other_variables

    (home / ".env").write_text("BACKLINKS_CALLS_AT_ONCE=7\nSOME_PROXY=http://proxy.example\nTAKEN=env-file\n")
    for name, value in {"DAGSTER_HOME": str(home), "TAKEN": "environment", "SOME_PROXY": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SOME_PROXY")
    export_other_variables()
    assert os.environ["SOME_PROXY"] == "http://proxy.example"
    assert os.environ["TAKEN"] == "environment"
    assert "BACKLINKS_CALLS_AT_ONCE" not in os.environ


def test_where_dagster_home_is_set_the_command_repeats_none_of_dagsters_advice(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with open_instance(Settings.from_env()):
        pass
    assert caplog.messages == []
