"""A machine that only reads: it names whose answers it reads by the API's address, and needs no credentials."""

import json
from pathlib import Path

import pytest
from machines import Machines, done

from backlinks_assets.cli.console import UsageError
from backlinks_assets.cli.flags import show_flags
from backlinks_assets.load import load_table
from backlinks_assets.settings import Settings, SettingsError
from backlinks_assets.tables_url import TablesUrl

REAL = "https://api.dataforseo.com"


@pytest.fixture(autouse=True)
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = tmp_path / "share"
    share.mkdir()
    done(Machines(tmp_path, TablesUrl(str(share), "folder"))("collector"), 0, "a.example")
    monkeypatch.setenv("BACKLINKS_TABLES_URL", str(share))


def test_the_real_answers_are_read_without_credentials(monkeypatch, capsys) -> None:
    monkeypatch.setenv("DATAFORSEO_BASE_URL", REAL)
    assert set(load_table("backlinks_flags")["target"]) == {"a.example"}
    assert show_flags(None, as_json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["simulated"], [flag["target"] for flag in shown["flags"]]) == (False, ["a.example"])
    with pytest.raises(SettingsError, match="Without credentials only `backlinks flags` and `load_table` read"):
        Settings.from_env()  # of all that may make a call


def test_without_the_address_it_is_said_how_the_real_ones_are_named() -> None:
    with pytest.raises(FileNotFoundError, match=f"share/demo; to read the real ones set DATAFORSEO_BASE_URL .*{REAL}"):
        load_table("backlinks_flags")
    with pytest.raises(
        UsageError, match=f"No table is in data/demo yet. .*share/demo; .* DATAFORSEO_BASE_URL .*{REAL}"
    ):
        show_flags(None)
