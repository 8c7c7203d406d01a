"""A whole day where the user has no home, as in a container: the page is drawn all the same."""

import os
from pathlib import Path

import commands
import pytest

from backlinks_assets.report import font_cache

pytestmark = pytest.mark.slow


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A path below which nobody can make a folder, root neither."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "home"


@pytest.mark.parametrize("names", [("HOME", "TMPDIR"), ("MPLCONFIGDIR",)], ids="-".join)
def test_a_day_is_done_and_its_page_drawn(write_targets, nowhere: Path, tmp_path, monkeypatch, names) -> None:
    write_targets("shop1.example")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in names:
        monkeypatch.setenv(name, str(nowhere))
    ended = commands.command("run")
    assert ended.status == 0, ended.err
    assert "atplotlib" not in ended.err
    assert list((tmp_path / "data/demo/reports").glob("flags-*.html"))
    assert (tmp_path / "data/demo/.matplotlib").is_dir()


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"])
def test_each_folder_that_matplotlib_would_use_is_tried(nowhere: Path, tmp_path: Path, monkeypatch, name: str) -> None:
    for other in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(other, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(name, str(nowhere))
    font_cache.choose(tmp_path / "data")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "data/.matplotlib")


def test_where_matplotlib_has_a_folder_of_its_own_it_is_left_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    font_cache.choose(tmp_path / "data")
    assert "MPLCONFIGDIR" not in os.environ


@pytest.mark.parametrize("value", ["relative", "relative/home"])
def test_a_home_that_is_no_whole_path_is_none(tmp_path: Path, monkeypatch, value: str) -> None:
    monkeypatch.setenv("MPLCONFIGDIR", "")  # its restoring takes the choice back, too
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", value)
    font_cache.choose(tmp_path / "data")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "data/.matplotlib")
    assert list(tmp_path.iterdir()) == []
