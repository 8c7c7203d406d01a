"""One reader of days for all that a person writes: each way in takes YYYY-MM-DD and refuses what only looks like a day."""

import datetime as dt
from pathlib import Path

import commands
import pytest

from backlinks_assets.dates import iso_date
from backlinks_assets.load import load_table
from backlinks_assets.targets.file import parse_targets
from backlinks_assets.targets.target import TargetsError

NOT_DAYS = [
    "20261124",  # Python's own reader takes this and the next two
    "2026-W48-2",
    "2026W482",
    "24/11/2026",
    "11/24/2026",
    "24.11.2026",
    "2026/11/24",
    "26-11-24",
    "2026-11-4",
    "2026-11-24T00:00:00Z",
    "2026-11-24 00:00:00",
    " 2026-11-24",
    "2026-11-24\n",
    "46350",  # what a spreadsheet keeps inside
    "２０２６-１１-２４",
    "٢٠٢٦-١١-٢٤",
    "2026‐11‐24",  # hyphens that are not ASCII
    "today",
    "",
]
NO_SUCH_DAYS = ["2026-02-30", "2026-13-01", "2025-02-29", "0000-01-01"]


def test_a_day_is_read_as_it_is_written() -> None:
    assert iso_date("2026-11-24") == dt.date(2026, 11, 24)
    assert iso_date("2024-02-29") == dt.date(2024, 2, 29)


@pytest.mark.parametrize("text", NOT_DAYS)
def test_nothing_but_year_month_and_day_is_a_day(text: str) -> None:
    with pytest.raises(ValueError, match="write a date as YYYY-MM-DD"):
        iso_date(text)


@pytest.mark.parametrize("text", NO_SUCH_DAYS)
def test_a_day_that_the_calendar_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no such day in the calendar"):
        iso_date(text)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["20261124", "2026-W48-2", "24/11/2026", "２０２６-１１-２４", "2026-02-30"])
@pytest.mark.parametrize("call", [("run",), ("flags",), ("targets", "retire", "a.example")], ids=" ".join)
def test_every_option_refuses_it_alike(write_targets, call: tuple[str, ...], text: str) -> None:
    write_targets("a.example")
    ended = commands.command(*call, "--date", text)
    assert ended.status == 2
    words = " ".join(ended.err.replace("│", " ").split())
    assert text in words
    assert "write a date as YYYY-MM-DD" in words or "no such day in the calendar" in words
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("text", ["20261124", "2026-W48-2", "02/01/2026", "2026-02-30"])
def test_so_do_the_targets_file_and_load_table(tmp_path: Path, text: str) -> None:
    words = "write a date as YYYY-MM-DD|no such day in the calendar"
    with pytest.raises(TargetsError, match=words):
        parse_targets(f"target,retired\na.com,{text}\n", source="targets.csv")
    (tmp_path / "parquet").mkdir()
    with pytest.raises(ValueError, match=words):
        load_table("backlinks_flags", text, data_dir=tmp_path)
