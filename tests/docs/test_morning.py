"""A day with an incident, as docs/morning.md tells it: each call of the page is made, in its order."""

import datetime as dt
import shlex

import commands
import pytest
from incident_days import DAYS, LOSING, NAMES, SPAMMY, TODAY, evaluate, keep_all
from pages import of_kind

from backlinks_assets.settings import Settings

ID, UNTIL = "kqwzrt4b", "2026-12-15"
"""What stands for any incident, and for a day to come, in the page."""

pytestmark = pytest.mark.slow


@pytest.mark.ci
def test_every_call_of_a_day_with_an_incident_does_what_the_page_says(
    settings: Settings, write_targets, tmp_path, monkeypatch
) -> None:
    write_targets(f"{SPAMMY},Acme", f"{LOSING},Bolt", *[f"{one}," for one in NAMES[:3]], header="target,group")
    keep_all(settings, rises=DAYS - 1, falls=99)
    evaluate(settings, range(DAYS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(settings.data_dir))
    (mine,) = commands.command("incidents", "list", "--group", "Acme", "--json").summary["incidents"]
    until, said = str(TODAY + dt.timedelta(days=14)), []
    for block in [one for one in of_kind("incidents") if one.page.name == "morning.md"]:
        for line in block.commands:
            typed = [word.replace(ID, mine["incident"]).replace(UNTIL, until) for word in shlex.split(line)[1:]]
            out = commands.command(*typed)
            assert out.status == 0, (line, out.err)
            said.append(out.out)
    assert [mine["incident"] in text for text in said] == [*[True] * 8, False, False]
    assert [text.startswith(f"{mine['incident']} is ") for text in said[:8]] == [
        False, True, True, False, True, False, True, True,
    ]  # fmt: skip
    assert (tmp_path / "verdicts.csv").read_text(encoding="utf-8").count("\n") == 6
    assert said[-1].startswith("5 verdicts read, 0 of them new.")
