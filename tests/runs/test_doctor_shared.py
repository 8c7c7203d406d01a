"""`backlinks doctor` where machines share a database: the server, who is at work, and what can't be reached."""

import json
import shutil

import collecting
import pytest
from collecting import asks_of, run

from backlinks_assets.cli.doctor.examine import examine
from backlinks_assets.collect.factory import open_store
from backlinks_assets.paths import waiting_dir
from backlinks_assets.settings import Settings
from backlinks_assets.store.outage import Waiting


@pytest.fixture(autouse=True)
def shared(postgres_url: str, monkeypatch: pytest.MonkeyPatch, api, write_targets) -> None:
    collecting.be_quick(monkeypatch)
    api()
    write_targets("shop.example")
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", postgres_url.replace("backlinks@", "backlinks:s3cret-passphrase@"))


def findings(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    capsys.readouterr()
    examine(as_json=True)
    said = capsys.readouterr()
    assert "s3cret" not in said.out + said.err
    return {one["check"]: (one["state"], one["says"]) for one in json.loads(said.out)["checks"]}


def test_the_server_its_version_who_is_at_work_and_the_pace_are_shown(capsys) -> None:
    run(asks_of("shop.example"))
    with open_store(Settings.from_env()):  # another process of this machine, at work
        found = findings(capsys)
    state, says = found["store"]
    assert state == "fine"
    assert says.startswith("the database test_")
    assert ", Postgres 1" in says
    assert "1 day stored" in says
    state, says = found["limits"]
    assert state == "fine"
    assert "paced at 58,800 a minute, for all machines together; 1 machine at work now" in says


def test_a_server_that_could_not_be_reached_is_a_finding_of_the_store_and_of_the_limits(capsys, monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", "postgresql://me:s3cret-passphrase@127.0.0.1:1/x")
    found = findings(capsys)
    for check in ("store", "limits"):
        state, says = found[check]
        assert state == "to do", found[check]
        assert "database x on 127.0.0.1:1" in says
        assert "could not be" in says


def test_answers_that_belong_to_another_state_of_the_database_are_told(capsys) -> None:
    folder = waiting_dir(Settings.from_env().root)
    Waiting(folder).put("elsewhere", {"place": "the database x on y:1", "origin": "loopback"})
    state, says = findings(capsys)["store"]
    assert state == "note"
    assert "1 answer in data/waiting belong to no call that it knows" in says
    shutil.rmtree(folder)
    assert findings(capsys)["store"][0] == "fine"
