"""Reading the targets file: what is accepted, and every problem by its line."""

import datetime as dt
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from backlinks_assets.targets.file import load_targets, parse_targets
from backlinks_assets.targets.target import Target, TargetsError


def names(text: str | bytes) -> list[str]:
    return [target.target for target in parse_targets(text, source="targets.csv")]


def problems(text: str | bytes) -> list[tuple[int, str, str]]:
    """Return what is wrong: with the lines that are passed over, or else with the file as a whole."""
    try:
        refusal = parse_targets(text, source="targets.csv").refusal()
    except TargetsError as error:
        refusal = error
    assert refusal.problems
    return [(problem.line, problem.text, problem.message) for problem in refusal.problems]


def test_a_row_gives_its_target_with_all_its_settings() -> None:
    text = (
        "target,include_subdomains,include_indirect_links,exclude_internal_backlinks,internal_list_limit,rank_scale,"
        "backlinks_filters,retired,note,spam_points\n"
        'Example.com,No,TRUE,1,250,one_hundred,"[""dofollow"", ""="", true]",2026-11-24,our shop,7.5\n'
    )
    [target] = parse_targets(text, source="targets.csv")
    assert target.overrides.model_dump() == {
        "include_subdomains": False,
        "include_indirect_links": True,
        "exclude_internal_backlinks": True,
        "internal_list_limit": 250,
        "rank_scale": "one_hundred",
        "backlinks_filters": ["dofollow", "=", True],
    }
    assert (target.target, target.note, target.line) == ("example.com", "our shop", 2)
    assert target.thresholds == {"spam_points": "7.5"}
    assert target.retired == dt.date(2026, 11, 24)


def test_an_empty_cell_is_the_projects_default() -> None:
    [target] = parse_targets("target,include_subdomains,retired,note\nexample.com,, ,\n", source="targets.csv")
    assert target.overrides.model_dump(exclude_none=True) == {}
    assert (target.retired, target.note, target.thresholds) == (None, "", {})


def test_a_target_is_not_watched_from_the_day_it_is_retired() -> None:
    target = Target("example.com", retired=dt.date(2026, 11, 24))
    assert target.active_on(dt.date(2026, 11, 23))
    assert not target.active_on(dt.date(2026, 11, 24))
    assert Target("example.com").active_on(dt.date(9999, 12, 31))


def test_a_target_can_be_a_member_of_a_set_and_knows_its_partition() -> None:
    text = 'target,backlinks_filters\nhttps://example.com/a|b,"[""dofollow"", ""="", true]"\n'
    [target] = parse_targets(text, source="targets.csv")
    assert len({target, target}) == 1
    assert target.partition_key == "https://example.com/a%7Cb"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_comments_and_blank_lines_stand_anywhere_and_count_as_lines(end: str, mark: bytes) -> None:
    lines = [
        "# ours",
        "",
        "target,note",
        "  # indented, with comma",
        "a.com,one",
        "",
        '"# saved, by a spreadsheet",',
        ",",
        "b.com,two",
    ]
    targets = parse_targets(mark + end.join(lines).encode(), source="targets.csv")
    assert [(target.target, target.line, target.note) for target in targets] == [
        ("a.com", 5, "one"),
        ("b.com", 9, "two"),
    ]


def test_a_quoted_cell_over_several_lines_keeps_the_line_numbers_and_its_hashes() -> None:
    text = 'note,target\n"first\n# no comment\n\nlast",a.com\n"# a note",b.com\nx,exa mple.com\n'
    targets = parse_targets(text.replace("x,exa mple.com\n", ""), source="targets.csv")
    assert [(target.line, target.note) for target in targets] == [
        (2, "first\n# no comment\n\nlast"),
        (6, "# a note"),
    ]
    assert [line for line, _, _ in problems(text)] == [7]


def test_a_header_is_read_in_any_case_and_with_the_empty_columns_of_a_spreadsheet() -> None:
    assert names(" Target , NOTE,,\nexample.com,a,,\n") == ["example.com"]


def test_duplicates_are_one_target_with_the_first_line_and_the_first_note() -> None:
    text = "target,include_subdomains,note\nexample.com,no,\nWWW.Example.com.,false,ours\nexample.com,0,again\n"
    [target] = parse_targets(text, source="targets.csv")
    assert (target.line, target.note) == (2, "ours")


def test_duplicates_with_other_settings_are_an_error_that_names_both_lines() -> None:
    text = "target,rank_scale,retired,spam_points\na.com,,,\nwww.a.com,one_hundred,2026-01-01,5\n"
    [(line, raw, message)] = problems(text)
    assert (line, raw) == (3, "www.a.com")
    assert "which line 2 has with another rank_scale and retired and spam_points" in message


def test_all_problems_are_found_at_once_and_told_by_line() -> None:
    text = (
        "target,include_subdomains,internal_list_limit,rank_scale,backlinks_filters,retired\n"  # 1
        "exa mple.com,maybe\n"  # 2, two problems
        "a.com,,1001\n"
        "b.com,,ten\n"
        "c.com,,,one_million\n"
        'd.com,,,,"[""dofollow"""\n'
        'e.com,,,,"[""dofollow"", ""is"", true]"\n'
        "f.com,,,,,24.11.2026\n"
        "g.com,,,,,2026-02-30\n"
        "h.com,,,,,20261124\n"
        ",true\n"
        "https://i.com/a,b,,,,,\n"  # a comma in a page, unquoted
        'j.com,"tr"ue\n'
        "k.com\n"
        '"l.com\n'  # never closed
        "m.con\n"
    )
    found = problems(text)
    assert [line for line, _, _ in found] == [2, 2, *range(3, 14), 15, 16]
    message = {line: message for line, _, message in found}
    assert "less than or equal to 1000" in message[3]
    assert "'one_hundred' or 'one_thousand'" in message[5]
    assert "it is not valid JSON" in message[6]
    assert "'is' is not a filter operator" in message[7]
    assert "YYYY-MM-DD" in message[8]
    assert "no such day" in message[9]
    assert "has no target" in message[11]
    assert "put a cell that holds a comma in double quotes" in message[12]
    assert "is not valid CSV" in message[13]
    assert names(text) == ["k.com"]
    sentences = str(parse_targets(text, source="data/targets.csv").refusal()).splitlines()
    assert len(sentences) == len(found)
    assert sentences[0].startswith("data/targets.csv, line 2: 'exa mple.com' has a space in it")


def test_a_space_before_a_cell_and_its_quotes_is_none_of_it() -> None:
    [target] = parse_targets('target, note\n "https://a.com/b,c", "one, two"\n', source="targets.csv")
    assert (target.target, target.note) == ("https://a.com/b,c", "one, two")


@pytest.mark.parametrize(
    "cell", ["[[[1]]", "[" * 2000, "[" * 1000 + "]" * 1000, '[["a"]]', '{"a": 1}', '["a", ["b"], 1]', "NaN"]
)
def test_filters_that_are_no_filters_are_one_problem(cell: str) -> None:
    quoted = cell.replace('"', '""')
    [(line, _, message)] = problems(f'target,backlinks_filters\na.com,"{quoted}"\n')
    assert (line, message[:17]) == (2, "can't be backlink")


HEADERS = {
    "a header that is no CSV": ('"target" x,note\na.com,\n', 1, "is not valid CSV"),
    "unknown column": ("target,include_subdomain\na.com,\n", 1, "did you mean include_subdomains?"),
    "unlike any column": ("target,zzz\na.com,\n", 1, "the columns are target, include_subdomains"),
    "the same column twice": ("target,note,Note\na.com,,\n", 1, "names 2 columns"),
    "target twice": ("target,target\na.com,b.com\n", 1, "names 2 columns"),
    "no target column": ("note,retired\nx,\n", 1, "without the column `target`"),
    "no header": ("# mine\na.com\nb.com\n", 2, "is a target, not a header"),
    "semicolons": ("target;note\na.com;x\n", 1, "is separated by ';'"),
    "nothing": ("", 0, "is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", 0, "is empty"),
    "only comments": ("# a\n\n", 0, "holds only comments and blank lines"),
    "only a header": ("target\n", 0, "lists no target"),
    "not UTF-8": (b"target,note\r\na.com,caf\xc3\xa9\r\nb.com,caf\xe9\r\n", 3, "byte 0xE9 is not UTF-8"),
    "UTF-16": ("target\na.com\n".encode("utf-16"), 1, "UTF-16"),
}


@pytest.mark.parametrize(("text", "line", "words"), HEADERS.values(), ids=HEADERS)
def test_a_file_without_a_usable_header_or_target_says_what_to_do(text: str | bytes, line: int, words: str) -> None:
    [(found, _, message)] = problems(text)
    assert found == line
    assert words in message


def test_a_bad_header_does_not_hide_bad_lines() -> None:
    assert [line for line, _, _ in problems("target,nots\nexa mple.com,\n")] == [1, 2]


def test_a_header_alone_is_a_list_of_none_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    path.write_text("target\n")
    assert load_targets(path, allow_none=True) == []


def test_a_threshold_that_detection_could_not_use_is_named_and_the_line_passed_over() -> None:
    found = parse_targets("target,spam_points,mute_flags\na.com,5,\nb.com,x,\nc.com,,\nd.com,5,x\n", source="t.csv")
    assert [(target.target, target.thresholds) for target in found] == [("a.com", {"spam_points": "5"}), ("c.com", {})]
    assert str(found.refusal()).startswith(
        "t.csv, line 3: 'b.com' has a threshold that can't be used: spam_points is 'x'"
    )
    assert found.thresholds == {"a.com": {"spam_points": "5"}, "d.com": {"spam_points": "5"}}


def test_a_missing_file_tells_how_to_make_it(tmp_path: Path) -> None:
    path = tmp_path / "none" / "targets.csv"
    with pytest.raises(TargetsError) as refusal:
        load_targets(path)
    assert str(refusal.value) == f"{path} is not there: make it with `backlinks targets add example.com`."
    assert not path.parent.exists()


def test_a_folder_and_a_path_through_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetsError, match="is a folder"):
        load_targets(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetsError, match="could not be read"):
        load_targets(tmp_path / "file" / "targets.csv")


@pytest.fixture
def as_an_ordinary_user() -> Iterator[None]:
    """Root may read and write anything, whatever the modes say."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    path = tmp_path_factory.mktemp("secret") / "targets.csv"
    path.write_text("target\na.com\n")
    path.chmod(0)
    request.getfixturevalue("as_an_ordinary_user")
    with pytest.raises(TargetsError, match=r"could not be read \(Permission denied\)"):
        load_targets(path)


def test_the_error_survives_being_sent_to_another_process() -> None:
    with pytest.raises(TargetsError) as refusal:
        names("target\nexa mple.com\n")
    assert str(pickle.loads(pickle.dumps(refusal.value))) == str(refusal.value)


def test_control_codes_and_passwords_of_a_bad_line_are_not_shown() -> None:
    with pytest.raises(TargetsError) as refusal:
        names('target\n"a\x1b[31mb.com"\nhttps://me:hunter2@example.com/\n')
    assert "\x1b" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
