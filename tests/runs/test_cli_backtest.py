"""`backlinks backtest` on a CSV and on the tables: the flags it writes, what it refuses, what a person reads."""

import csv
import datetime as dt
import io
import json
from pathlib import Path

import commands
import pandas as pd
import pytest
from made_histories import FIRST, change, made

pytestmark = pytest.mark.slow


def backtest(*arguments: str) -> commands.Ended:
    return commands.command("backtest", *arguments)


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


def test_a_csv_is_judged_and_the_flags_are_written_as_the_contract_says(tmp_path: Path) -> None:
    history = change(made(), 40, 5, spam_score=lambda score: score + 18)
    history.drop(columns="referring_main_domains").to_csv(tmp_path / "history.csv", index=False)
    done = backtest("history.csv", "--out", "flags.csv")
    assert done.status == 0, done.err
    (flag,) = rows_of(tmp_path / "flags.csv")
    assert list(flag) == ["date", "target", "metric", "kind", "severity", "reason"]
    assert (flag["date"], flag["target"], flag["severity"]) == ("2026-10-11", "site005.example", "critical")
    assert "1 flags in 1,500 target-days" in done.out
    assert "Noisiest targets\tsite005.example\t1" in done.out


def test_what_a_rule_does_to_ones_own_past_is_shown(tmp_path: Path) -> None:
    history = change(made(), 40, 5, spam_score=lambda score: score + 18)
    gone = (history.query("target == 'site007.example'")["live_backlinks"].iloc[0] * 0.7).round()
    history = change(history, 35, 7, live_backlinks=lambda live: live - gone, lost_backlinks=lambda lost: lost + gone)
    history.to_csv(tmp_path / "history.csv", index=False)
    done = backtest("history.csv", "--without", "step", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out.splitlines()[-1])
    assert (found["flags"], found["without"]["flags"], found["without"]["rules"]) == (2, 1, ["step"])
    assert found["without"]["by_kind"] == [
        {"metric": "lost_backlinks", "kind": "confirmed_loss", "with": 1, "without": 1},
        {"metric": "spam_score", "kind": "step", "with": 1, "without": 0},
    ]
    assert (found["without"]["gone"], found["without"]["come"]) == (1, 0)
    done = backtest("history.csv", "--without", "half", "--without", "confirmed-loss")
    assert "Without half and confirmed-loss: 2 flags instead of 2; 1 go, 1 come." in done.out
    assert "With and without\tlost_backlinks\tstep\t0\t1" in done.out
    assert "Gone\t2026-10-06\tcritical\tsite007.example\tlost_backlinks\tLost backlinks rose" in done.out
    assert "Come\t2026-10-06\t" in done.out
    assert backtest("history.csv", "--without", "sense").status == 2


def test_a_target_is_found_down_only_where_the_csv_has_the_vendors_date(tmp_path: Path) -> None:
    history = change(made(), 40, 5, live_backlinks=lambda live: 0 * live)
    history.to_csv(tmp_path / "without.csv", index=False)
    assert "target_down" not in backtest("without.csv").out
    history["lost_date"] = ""
    late = (history["target"] == "site006.example") & (history["date"] >= FIRST + dt.timedelta(days=45))
    history.loc[late, "lost_date"] = "2026-10-15 04:31:07 +00:00"
    history.to_csv(tmp_path / "with.csv", index=False)
    assert backtest("with.csv", "--out", "flags.csv").status == 0
    down = [(row["date"], row["target"]) for row in rows_of(tmp_path / "flags.csv") if row["metric"] == "target_down"]
    assert down == [("2026-10-11", "site005.example"), ("2026-10-16", "site006.example")]
    (tmp_path / "bad.csv").write_text(f"{','.join(history.columns)}\n2026-01-01,a,1,2,3,4,soon\n")
    done = backtest("bad.csv")
    assert done.status == 2
    assert "line 2: the lost_date 'soon' can't be used" in done.err


@pytest.mark.ci
def test_without_a_csv_the_projects_tables_are_judged() -> None:
    assert commands.command("demo", "--days", "9").status == 0
    done = backtest("--out", "flags.csv")
    assert done.status == 0, done.err
    assert "9 days" in done.out
    kept = pd.read_csv("flags.csv")
    assert len(kept) > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not there"),
        ("", "can't be read as CSV"),
        ("date,target,spam_score\n2026-01-01,a,1\n", "no column lost_backlinks"),
        ("date,target,spam_score,lost_backlinks\n2026-01-01,a,1,2\n2026-01-02,a,high,2\n", "line 3: spam_score"),
        ("date,target,spam_score,lost_backlinks\n2026-01-01,,1,2\n", "line 2: there is no target"),
        ("date,target,spam_score,lost_backlinks\nsoon,a,1,2\n", "YYYY-MM-DD"),
    ],
    ids=["missing", "empty", "column", "number", "target", "date"],
)
def test_a_history_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "history.csv").write_text(text)
    done = backtest("history.csv")
    assert done.status == 2
    assert words in done.err, done.err
    assert "Traceback" not in done.err


def test_without_tables_or_a_csv_it_says_how_to_get_them() -> None:
    done = backtest()
    assert done.status == 2
    assert "backlinks run" in done.err


def test_a_cell_that_a_spreadsheet_would_run_is_written_as_text(tmp_path: Path) -> None:
    history = change(made(), 40, 5, spam_score=lambda score: score + 18)
    history["target"] = history["target"].replace("site005.example", "=cmd()")
    history.to_csv(tmp_path / "history.csv", index=False)
    assert backtest("history.csv", "--out", "flags.csv").status == 0
    (flag,) = rows_of(tmp_path / "flags.csv")
    assert flag["target"] == "'=cmd()"
