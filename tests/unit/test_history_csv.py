"""What `backlinks backtest` reads of a CSV: days as they are meant, or the line that an editor shows for what is wrong."""

import datetime as dt
from pathlib import Path

import commands
import pytest

from backlinks_assets.cli.console import UsageError
from backlinks_assets.cli.history_csv import MAX_PROBLEMS, read_history
from backlinks_assets.collect.collector import utc_now

HEADER = "date,target,spam_score,lost_backlinks,live_backlinks"
DATE_WORDS = "write a date as YYYY-MM-DD|no such day in the calendar|Is the year right"


def written(folder: Path, *lines: str, end: str = "\n", mark: bytes = b"") -> Path:
    """Write a CSV with those lines under the header."""
    file = folder / "history.csv"
    file.write_bytes(mark + "".join(line + end for line in (HEADER, *lines)).encode())
    return file


def refused(file: Path) -> list[str]:
    """Return the sentences with which a history is refused, each without the file's name."""
    with pytest.raises(UsageError) as caught:
        read_history(file)
    return [line.removeprefix(f"{file}, ") for line in str(caught.value).splitlines()]


def day_after_day(form: str, first: dt.date = dt.date(2026, 9, 5), days: int = 30) -> list[str]:
    dates = [first + dt.timedelta(days=number) for number in range(days)]
    return [f"{date.strftime(form)},shop.com,20,{4000 + number},50000" for number, date in enumerate(dates)]


@pytest.mark.parametrize(
    "form",
    [
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d.%m.%Y",
        "%d-%m-%Y",
        "%Y/%m/%d",
        "%Y%m%d",
        "%y-%m-%d",
        "%d/%m/%y",
        "%Y-%m-%dT00:00:00Z",
    ],
)
def test_days_in_any_other_form_are_refused_each_with_its_line(tmp_path: Path, form: str) -> None:
    sentences = refused(written(tmp_path, *day_after_day(form)))
    first = dt.date(2026, 9, 5).strftime(form)
    assert (
        sentences[0]
        == f"line 2: the date {first!r} can't be used: write a date as YYYY-MM-DD, for instance 2026-11-24."
    )
    assert [sentence.split(":")[0] for sentence in sentences[:-1]] == [f"line {n}" for n in range(2, 2 + MAX_PROBLEMS)]
    assert sentences[-1] == f"and {30 - MAX_PROBLEMS} more such lines"


@pytest.mark.parametrize(
    "text",
    [
        "05/09/2026",
        "46270",
        "46270.0",
        "2026-02-30",
        "2026-9-5",
        " 2026-09-05",
        "2026-09-05 ",
        "２０２６-０９-０５",
        "2026-09-05T06:00:00",
        "Sep 5 2026",
        "",
        "1926-09-05",
        "2062-09-05",
        "9999-12-31",
    ],
)
def test_one_such_day_among_good_ones_is_named_alone(tmp_path: Path, text: str) -> None:
    lines = day_after_day("%Y-%m-%d")
    lines.insert(7, f"{text},shop.com,20,4000,50000")
    (sentence,) = refused(written(tmp_path, *lines))
    assert sentence.startswith(f"line 9: the date {text!r} can't be used: ")
    assert any(words in sentence for words in DATE_WORDS.split("|"))


@pytest.mark.slow
def test_the_command_refuses_them_and_writes_nothing(tmp_path: Path) -> None:
    written(tmp_path, *day_after_day("%d/%m/%Y"))
    ended = commands.command("backtest", "history.csv", "--out", "flags.csv")
    assert ended.status == 2
    assert "history.csv, line 2: the date '05/09/2026' can't be used" in ended.err
    assert not (tmp_path / "flags.csv").exists()


def test_the_days_of_a_good_file_are_its_own(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, *day_after_day("%Y-%m-%d")))
    assert list(history["date"]) == [dt.date(2026, 9, 5) + dt.timedelta(days=number) for number in range(30)]
    assert history["lost_backlinks"].iloc[3] == 4003


def test_a_made_up_history_may_go_on_after_today(tmp_path: Path) -> None:
    day = utc_now().date() + dt.timedelta(days=300)
    assert list(read_history(written(tmp_path, f"{day},shop.com,20,1,1"))["date"]) == [day]


GOOD = "2026-09-05,shop.com,20,4000,50000"
BAD = "2026-09-06,shop.com,high,4000,50000"
LAYOUTS: dict[str, tuple[list[str], int]] = {
    "plain": ([GOOD, BAD], 3),
    "blank lines": ([GOOD, "", "   ", GOOD, "", BAD], 7),
    "comments": (["# by hand", GOOD, "# a, b, c, d", '# an open " quote, "here', BAD], 6),
    "a spreadsheet's comment and blank row": (["#by hand,,,,", '"# a, b",,,,', ",,,,", BAD], 5),
    "a quoted cell over lines": ([GOOD + ',"two\nlines"', GOOD + ',"three\n\n# lines"', BAD], 7),
    "the bad row is over lines itself": ([GOOD, '2026-09-06,"shop\n.com",high,1,1'], 3),
}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_bad_row_has_the_line_that_an_editor_shows(tmp_path: Path, layout: str, end: str, mark: bytes) -> None:
    lines, line = LAYOUTS[layout]
    file = tmp_path / "history.csv"
    text = "\n".join([HEADER + ",note", *lines, GOOD, ""]).replace("\n", end)
    file.write_bytes(mark + text.encode())
    assert refused(file) == [
        f"line {line}: spam_score is 'high', which is not a valid number: write it as 1234 or 12.5."
    ]


@pytest.mark.parametrize(
    "header",
    [f"sep=,\n{HEADER}", f'"sep=,"\n{HEADER}', HEADER.title(), HEADER.replace(",", ", "), f"\ufeff\ufeff{HEADER}"],
    ids=["separator line", "quoted", "capitals", "spaces", "two marks"],
)
def test_a_header_is_read_as_that_of_a_targets_file_is(tmp_path: Path, header: str) -> None:
    file = tmp_path / "history.csv"
    file.write_text(f"{header}\n{GOOD}\n")
    assert list(read_history(file)["spam_score"]) == [20.0]


def test_comments_and_blank_lines_may_stand_above_the_header(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text(f"# exported by hand\n\n{HEADER}\n{GOOD}\n{BAD}\n")
    assert refused(file)[0].startswith("line 5: spam_score")
    file.write_text("# exported by hand\n\ndate,target\n")
    assert refused(file)[0].startswith("line 3: the header has no column spam_score, lost_backlinks.")


def test_the_problems_of_the_whole_file_are_named_whatever_they_are(tmp_path: Path) -> None:
    lines = [
        GOOD,
        "2026-09-06,,20,1,1",
        "",
        "2026-09-07,shop.com,20,4,000,50000",
        "2026-09-08,shop.com,20,'7,5",
        "2026-09-09,shop.com,20,-,1",
        GOOD,
        '2026-09-10,"shop.com,20,1,1',
        GOOD,
    ]
    found = refused(written(tmp_path, *lines))
    assert [sentence.split(": ")[0] for sentence in found] == ["line 3", "line 5", "line 6", "line 7", "line 9"]
    assert "there is no target" in found[0]
    assert "6 cells and the header 5" in found[1]
    assert "it is not valid CSV" in found[4]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("4000", 4000.0), ("12.5", 12.5), ("1e3", 1000.0), (" 7 ", 7.0), ("", None), ("NA", None), ("null", None)],
)
def test_a_number_is_read_and_a_missing_one_is_no_reading(tmp_path: Path, cell: str, value: float | None) -> None:
    (found,) = read_history(written(tmp_path, f"2026-09-05,shop.com,20,{cell},1"))["lost_backlinks"]
    assert found == value or (value is None and found != found)


@pytest.mark.parametrize("cell", ["1_000", "inf", "７", "0x10", "1 000", "WAHR"])
def test_what_only_looks_like_a_number_is_refused(tmp_path: Path, cell: str) -> None:
    (sentence,) = refused(written(tmp_path, f"2026-09-05,shop.com,20,{cell},1"))
    assert sentence.startswith(f"line 2: lost_backlinks is {cell!r}, which is not a valid number")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"\n# only a comment\n", "it is empty"),
        (b"date;target;spam_score;lost_backlinks\n", "separated by ';'"),
        ((HEADER + ",date\n" + GOOD).encode(), "the column date more than once"),
        (
            HEADER.encode() + b"\n" + GOOD.encode() + b"\n2026-09-06,b\xfccher.de,1,1,1\n",
            "line 3: byte 0xFC is not UTF-8 text",
        ),
        (HEADER.encode("utf-16"), "line 1: the file is UTF-16 text: save it as CSV UTF-8"),
        (HEADER.encode("utf-16-le"), "line 1: the file is UTF-16 text"),
        (b"PK\x03\x04\x14\0", "the file is a workbook"),
        (f"{HEADER}\n2026-09-05,a.com,1,1e999,1\n".encode(), "lost_backlinks is '1e999', which is not a valid number"),
    ],
    ids=[
        "empty",
        "comments",
        "semicolons",
        "twice",
        "latin",
        "utf-16",
        "utf-16 unmarked",
        "workbook",
        "beyond numbers",
    ],
)
def test_a_file_that_is_no_such_csv_is_refused_as_a_whole(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "history.csv"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read_history(file)
