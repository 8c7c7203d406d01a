"""A whole day where the user has no home, as in a container: the page is drawn all the same."""

from pathlib import Path

import commands
import pytest

pytestmark = pytest.mark.slow


@pytest.mark.ci
def test_a_day_is_done_and_its_page_drawn(write_targets, tmp_path: Path, monkeypatch) -> None:
    write_targets("shop1.example")
    (tmp_path / "file").touch()
    for name in ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "file" / "home"))  # nobody can make a folder there, root neither
    ended = commands.command("run")
    assert ended.status == 0, ended.err
    assert list((tmp_path / "data/demo/reports").glob("flags-*.html"))
