"""Groups, owners and tags of the targets file: read, listed, kept by every change, and harmless wherever they are shown."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backlinks_assets.cli.targets import app
from backlinks_assets.targets.edit import add_target, retire_target
from backlinks_assets.targets.file import parse_targets
from backlinks_assets.targets.target import WatchList

HOSTILE = ["=cmd()", "<img src=x onerror=alert(1)>", "[red]x[/red]", "| **x** |", "+1", "@x", "Acme\u202egro"]


def read(text: str) -> WatchList:
    return parse_targets(text, source="targets.csv")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("BACKLINKS_TARGETS_FILE", str(tmp_path / "targets.csv"))
    return lambda *words: CliRunner().invoke(app, words)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "targets.csv"


def test_a_line_has_a_group_an_owner_and_tags_separated_by_spaces() -> None:
    (one, other) = read("target,group,owner,tags\na.com, Acme  GmbH ,ann@x.example, shop  de shop\nb.com,,,\n")
    assert (one.group, one.owner, one.tags) == ("Acme GmbH", "ann@x.example", ("shop", "de"))
    assert (other.group, other.owner, other.tags) == ("", "", ())


def test_a_groups_spellings_are_one_group_under_its_first() -> None:
    watched = read("target,group\na.com,Café\nb.com,CAFE\u0301\nc.com,Bolt\n")
    assert [one.group for one in watched] == ["Café", "Café", "Bolt"]
    assert watched.groups == ["Bolt", "Café"]
    assert [one.target for one in watched.in_group("cafÉ")] == ["a.com", "b.com"]


@pytest.mark.parametrize(
    ("column", "cell", "why"),
    [
        ("group", "x" * 101, "can't be group: it is 101 characters long, and 100 are the most"),
        ("owner", "x" * 201, "can't be owner: it is 201 characters long"),
        ("tags", "x" * 51, "a tag is 51 characters long"),
        ("tags", " ".join(map(str, range(21))), "it has 21 tags, and 20 are the most"),
        ("group", "a\x1b[31mb", "it has a control character"),
        ("group", '"two\nlines"', "a quote is not closed on its line"),
    ],
)
def test_a_label_that_cannot_be_used_is_named_with_its_line_and_the_next_step(column: str, cell: str, why: str) -> None:
    watched = read(f"target,{column}\na.com,fine\nb.com,{cell}\n")
    assert [one.target for one in watched] == ["a.com"]
    assert watched.bad_lines[0].line == 3
    assert why in str(watched.refusal())


def test_two_lines_of_a_target_may_complete_but_not_contradict_each_other() -> None:
    (one,) = read("target,group,owner,tags\na.com,Acme,,shop\na.com,,Ann,de\n")
    assert (one.group, one.owner, one.tags) == ("Acme", "Ann", ("shop", "de"))
    watched = read("target,group,owner\na.com,Acme,Ann\na.com,Bolt,Ann\n")
    assert watched[0].group == "Acme"
    assert "with another group: keep one of the two lines" in str(watched.refusal())


def test_adding_and_retiring_leave_labels_as_they_are_and_add_the_columns_they_need(path: Path) -> None:
    add_target(path, "a.com", labels={"group": "Acme, Ltd", "tags": "shop de"})
    assert path.read_text() == 'target,note,group,tags\na.com,,"Acme, Ltd",shop de\n'
    add_target(path, "b.com", labels={"owner": "Ann"})
    retire_target(path, "a.com", dt.date(2026, 11, 24))
    assert path.read_text().splitlines() == [
        "target,note,group,tags,owner,retired",
        'a.com,,"Acme, Ltd",shop de,,2026-11-24',
        "b.com,,,,Ann",
    ]


def test_a_group_that_can_not_be_one_leaves_the_file_as_it_was(path: Path, run: Callable[..., Result]) -> None:
    add_target(path, "a.com")
    before = path.read_bytes()
    done = run("add", "b.com", "--group", "x" * 200)
    assert (done.exit_code, path.read_bytes()) == (2, before)
    assert "100 are the most" in done.stderr


def test_the_list_shows_labels_and_filters_by_group(path: Path, run: Callable[..., Result]) -> None:
    path.write_text("target,group,owner,tags\na.com,Acme,Ann,shop de\nb.com,Bolt,,\nc.com,,,\n")
    assert run("list", "--group", "acme").stdout == "a.com\t\t\t\tAcme\tAnn\tshop de\n"
    assert run("list", "--group", "").stdout == "c.com\t\t\t\t\t\t\n"
    (found,) = json.loads(run("list", "--group", "Acme", "--json").stdout)["targets"]
    assert (found["group"], found["owner"], found["tags"]) == ("Acme", "Ann", ["shop", "de"])
    done = run("list", "--group", "Acne")
    assert done.exit_code == 2
    assert "did you mean 'Acme'?" in done.stderr
    path.write_text("target\na.com\n")
    assert "no line has one yet" in run("list", "--group", "Acme").stderr


def test_no_label_is_a_formula_a_cell_or_a_command_in_a_pipe(path: Path, run: Callable[..., Result]) -> None:
    path.write_text("target,group,owner,tags\n" + "".join(f"a{n}.com,{t},{t},{t}\n" for n, t in enumerate(HOSTILE)))
    lines = run("list").stdout.splitlines()
    assert len(lines) == len(HOSTILE)
    for line in lines:
        assert line.isprintable() or "\t" in line
        cells = line.split("\t")
        assert len(cells) == 7
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        assert "\u202e" not in line
