"""Changing the targets file: the lines a person wrote stay, and the file is never half-written."""

import datetime as dt
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from backlinks_assets.targets.edit import add_target, retire_target
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.target import TargetsError

DAY = dt.date(2026, 11, 24)

WRITTEN = (
    "\ufeff# Whose? Ours.\r\n"
    "\r\n"
    '"target", note,\r\n'
    '"a.com", "one, ""two""\r\n# three",\r\n'
    "  # b is the shop\r\n"
    "B.com,   \r\n"
    "c.com"
).encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "targets.csv"


def test_adding_makes_the_file_and_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "data" / "targets.csv"
    target = add_target(path, "WWW.Example.com", note='our "shop", new')
    assert path.read_text() == 'target,note\nexample.com,"our ""shop"", new"\n'
    assert load_targets(path) == [target]


@pytest.mark.parametrize("start", ["", "# later\n", "# later"])
def test_adding_gives_a_file_without_a_header_one(path: Path, start: str) -> None:
    path.write_text(start)
    add_target(path, "a.com")
    assert path.read_text() == f"{start}{'' if start.endswith(chr(10)) or not start else chr(10)}target,note\na.com,\n"


def test_adding_leaves_every_byte_that_was_there(path: Path) -> None:
    path.write_bytes(WRITTEN)
    added = add_target(path, "https://d.com/a,b", note="four")
    assert path.read_bytes() == WRITTEN + b'\r\n"https://d.com/a,b",four,\r\n'
    assert (added.line, added.note) == (9, "four")


def test_adding_a_note_makes_its_column(path: Path) -> None:
    path.write_text("target\na.com\n")
    add_target(path, "b.com")
    assert path.read_text() == "target\na.com\nb.com\n"
    add_target(path, "c.com", note="new")
    assert path.read_text() == "target,note\na.com\nb.com\nc.com,new\n"


@given(note=st.text(max_size=30), first=st.booleans())
@example(note="# no comment", first=True)
def test_any_note_comes_back_as_it_was_given(note: str, first: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "targets.csv")
        path.write_text("note,target\n" if first else "target,note\n")
        add_target(path, "a.com", note=note)
        assert [target.note for target in load_targets(path)] == [note.strip()]


def test_retiring_changes_only_its_line_and_the_header(path: Path) -> None:
    path.write_bytes(WRITTEN)
    retired = retire_target(path, "www.b.com", DAY)
    assert path.read_bytes() == WRITTEN.replace(b" note,\r\n", b" note,,retired\r\n").replace(
        b"B.com,   \r\n", b"B.com,   ,,2026-11-24\r\n"
    )
    assert (retired.target, retired.retired, retired.line) == ("b.com", DAY, 7)


def test_retiring_keeps_a_quoted_row_of_several_lines(path: Path) -> None:
    path.write_bytes(WRITTEN)
    retire_target(path, "a.com", DAY)
    assert b'"a.com", "one, ""two""\r\n# three",,2026-11-24\r\n' in path.read_bytes()
    assert load_targets(path)[0].note == 'one, "two"\r\n# three'
    retire_target(path, "c.com", DAY)
    assert path.read_bytes().endswith(b"\r\nc.com,,,2026-11-24")


def test_retiring_fills_the_column_that_is_there(path: Path) -> None:
    path.write_text('retired,target\n,a.com\n "",b.com\n')
    retire_target(path, "a.com", DAY)
    assert path.read_text() == 'retired,target\n2026-11-24,a.com\n "",b.com\n'


def test_retiring_a_target_that_stands_twice_retires_both_lines(path: Path) -> None:
    path.write_text("target\na.com\nb.com\nwww.A.com\n")
    retire_target(path, "a.com", DAY)
    assert path.read_text() == "target,retired\na.com,2026-11-24\nb.com\nwww.A.com,2026-11-24\n"
    assert [target.target for target in load_targets(path) if target.active_on(DAY)] == ["b.com"]


def test_retiring_again_from_the_same_day_changes_nothing(path: Path) -> None:
    path.write_text("target,retired\na.com,2026-11-24\n")
    before = path.stat()
    assert retire_target(path, "a.com", DAY).retired == DAY
    assert path.stat().st_mtime_ns == before.st_mtime_ns


REFUSED = {
    "a target that is there": ("add", "WWW.a.com", "is watched already: {path}, line 2."),
    "a retired one": (
        "add",
        "b.com",
        "retired from 2026-01-01: to watch it again, empty that line's `retired`.",
    ),
    "no target": ("add", "exa mple.com", "has a space in it"),
    "nothing": ("add", " ", "is empty"),
    "a target that is not there": ("retire", "aa.com", "is not in {path}: did you mean a.com?"),
    "one unlike any": ("retire", "https://zzz.de/", "`backlinks targets list --all` shows what is."),
    "another day": (
        "retire",
        "b.com",
        "is retired already, from 2026-01-01: to change that, edit {path}, line 3.",
    ),
}


@pytest.mark.parametrize(("change", "text", "words"), REFUSED.values(), ids=REFUSED)
def test_a_change_that_can_not_be_made_leaves_the_file(path: Path, change: str, text: str, words: str) -> None:
    path.write_text("target,retired\na.com,\nb.com,2026-01-01\n")
    before = path.read_bytes()
    with pytest.raises(TargetsError) as refusal:
        add_target(path, text) if change == "add" else retire_target(path, text, DAY)
    assert words.format(path=path) in str(refusal.value)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir() if not file.name.endswith(".lock")] == ["targets.csv"]


BAD_LINES = 'exa mple.com,\nb.com,02/01/2026\n"c.com,x\nd.com,"a"b\n,\x00\nlong.com,,,"and, more"'
"""A name that is none, a spreadsheet's date, a quote that isn't closed, one inside a cell, no name, too many cells."""


def test_lines_that_cannot_be_used_stay_as_they_are_when_others_change(path: Path) -> None:
    path.write_text(f"target,retired\na.com,\n{BAD_LINES}")
    assert add_target(path, "new.com").line == 9
    retire_target(path, "a.com", DAY)
    assert path.read_text() == f"target,retired\na.com,2026-11-24\n{BAD_LINES}\nnew.com,\n"
    assert [bad.line for bad in load_targets(path).bad_lines] == [3, 4, 5, 6, 7, 8]
    add_target(path, "noted.com", note='with "quotes", too')
    assert BAD_LINES in path.read_text()
    assert [target.target for target in load_targets(path)] == ["a.com", "new.com", "noted.com"]


def test_a_target_whose_line_is_bad_is_not_added_again_and_its_retirement_mends_what_it_can(path: Path) -> None:
    path.write_text("target,include_subdomains,retired\na.com,,\nb.com,,02/01/2026\nc.com,maybe,\n")
    before = path.read_bytes()
    for text, line in (("B.com", 3), ("c.com", 4)):
        with pytest.raises(TargetsError, match=f"on a line that can't be used. Mend line {line}: "):
            add_target(path, text)
    with pytest.raises(TargetsError, match="line 4: 'maybe' can't be include_subdomains"):
        retire_target(path, "c.com", DAY)
    assert path.read_bytes() == before
    retire_target(path, "b.com", DAY)
    assert path.read_bytes() == before.replace(b"02/01/2026", b"2026-11-24")


@pytest.mark.parametrize("note", [",x", ',"', '"', "a, b", 'x", "y'])
def test_a_quote_that_is_not_closed_takes_no_added_line_for_its_own(path: Path, note: str) -> None:
    path.write_text('target,note,retired\na.com,"open,\nb.com,,\n')
    add_target(path, "c.com", note=note)
    found = load_targets(path)
    assert [(target.target, target.note) for target in found] == [("b.com", ""), ("c.com", note)]
    assert [bad.line for bad in found.bad_lines] == [2]


def test_a_file_without_a_header_that_can_be_read_is_not_changed(path: Path) -> None:
    path.write_text('"target" x,note\na.com\n')
    with pytest.raises(TargetsError, match=r"line 1: .* is not valid CSV"):
        add_target(path, "b.com")
    assert path.read_text() == '"target" x,note\na.com\n'


def test_a_note_that_is_no_text_is_refused(path: Path) -> None:
    with pytest.raises(TargetsError, match="UTF-8"):
        add_target(path, "a.com", note="caf\udce9")  # what Python makes of an argument in Latin-1
    assert not path.exists()


def test_retiring_from_no_file_tells_how_to_make_it_and_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TargetsError, match="is not there"):
        retire_target(tmp_path / "data" / "targets.csv", "a.com", DAY)
    assert list(tmp_path.iterdir()) == []


def test_a_change_is_a_new_file_in_the_old_ones_place(path: Path) -> None:
    """Whoever has the old file open, here by a second name, goes on reading the whole of it."""
    path.write_text("target\na.com\n")
    old = path.with_name("old")
    old.hardlink_to(path)
    add_target(path, "b.com")
    assert (old.read_text(), path.read_text()) == ("target\na.com\n", "target\na.com\nb.com\n")


def test_the_mode_and_the_link_to_the_file_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "targets.csv"
    real.write_text("target\n")
    real.chmod(0o640)
    link.symlink_to(real)
    add_target(link, "a.com")
    assert link.is_symlink()
    assert real.read_text() == "target\na.com\n"
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that may be read and not written, and a process that is not root (whom modes do not stop)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "targets.csv").write_text("target\na.com\n")
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_that_can_not_be_written_gives_a_sentence(locked_folder: Path) -> None:
    path = locked_folder / "targets.csv"
    with pytest.raises(TargetsError, match=r"targets\.csv can't be written \(Permission denied\) and is as it was"):
        add_target(path, "b.com")
    assert path.read_text() == "target\na.com\n"


def test_a_full_disk_gives_a_sentence_and_leaves_the_old_file_alone(path: Path) -> None:
    """A limit on the size of files stands for the full disk: the write fails half-way, in the kernel."""
    path.write_text("target,note\n" + "".join(f"a{number}.com,\n" for number in range(200)))
    before = path.read_bytes()
    code = (
        "import sys; from pathlib import Path; from backlinks_assets.targets.edit import add_target\n"
        "try: add_target(Path(sys.argv[1]), 'b.com')\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert "can't be written (File too large) and is as it was" in done.stdout
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir() if not file.name.endswith(".lock")] == ["targets.csv"]


@pytest.mark.ci
@pytest.mark.slow
def test_two_commands_at_once_lose_neither_ones_targets(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from backlinks_assets.targets.edit import add_target\n"
        "for number in range(15): add_target(Path(sys.argv[1]), f'{sys.argv[2]}{number}.com')"
    )
    running = [subprocess.Popen([sys.executable, "-B", "-c", code, str(path), name]) for name in ("a", "b", "c")]
    assert [process.wait(timeout=200) for process in running] == [0, 0, 0]
    assert {target.target for target in load_targets(path)} == {f"{name}{n}.com" for name in "abc" for n in range(15)}
