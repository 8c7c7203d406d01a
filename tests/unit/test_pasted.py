"""Targets files as people really paste them: each works, or is told by its cause, its line and the next step."""

import pytest

from backlinks_assets.targets.file import parse_targets
from backlinks_assets.targets.target import TargetsError, WatchList


def read(content: str | bytes) -> WatchList:
    return parse_targets(content, source="targets.csv")


WORKS: dict[str, str | bytes] = {
    "Excel's first line": "sep=,\ntarget,note\na.com,x\nb.com,\n",
    "the same in quotes, after a mark": b'\xef\xbb\xbf"sep=,"\r\ntarget\r\na.com\r\nb.com\r\n',
    "a header in another case, with spaces": " Target ,NOTE\na.com,x\nb.com,\n",
    "two byte order marks": "\ufeff\ufefftarget\na.com\nb.com\n",
    "a quoted header": '"target","note"\n"a.com","x"\n"b.com",""\n',
    "old Mac line ends": b"target\ra.com\rb.com\r",
    "Windows line ends": b"target\r\na.com\r\nb.com\r\n",
    "spaces that don't break": "target\n\u00a0a.com\u00a0\n b.com\t\n",
    "dots at the end and www": "target\nwww.a.com.\nB.COM.\n",
    "empty columns of a spreadsheet": "target,,\na.com,,\nb.com,,\n,,\n",
    "no line end at the end": "target\na.com\nb.com",
}


@pytest.mark.parametrize("content", WORKS.values(), ids=WORKS)
def test_what_a_spreadsheet_does_to_a_good_file_does_no_harm(content: str | bytes) -> None:
    found = read(content)
    assert [target.target for target in found] == ["a.com", "b.com"]
    assert not found.bad_lines


WHOLE: dict[str, tuple[str | bytes, int, str]] = {
    "semicolons, other names": ("Domain;Note\na.com;x\n", 1, "between its columns, and call the column 'Domain' `target`."),
    "semicolons, no name known": ("Kunde;Seite\nx;a.com\n", 1, "and call the targets' column `target`."),
    "semicolons, quoted": ('"Website";"Owner"\n"a.com";"x"\n', 1, "call the column 'Website' `target`"),
    "semicolons said by Excel's line": ("sep=;\ntarget;note\na.com;x\n", 2, "is separated by ';': save the file with commas"),
    "tabs": ("target\tnote\na.com\tx\n", 1, "is separated by tabs: save the file with commas"),
    "tabs, other names": ("URL\tNotes\na.com\tx\n", 1, "between its columns, and call the column 'URL' `target`."),
    "bars": ("site|owner\na.com|x\n", 1, "is separated by '|'"),
    "semicolons without a header": ("a.com;x\nb.com;y\n", 1, "begin it with a header"),
    "another name": ("Domain,Owner\na.com,x\n", 1, "has no column `target`, the one required: call the column 'Domain'"),
    "another name beside a known one": ("Root Domain,note\na.com,x\n", 1, "did you mean target?"),
    "one column without a header": ("a.com\nb.com\n", 1, "is a target, not a header: write `target` on a line of its own"),
    "pages without a header": ("https://a.com/x\n", 1, "is a target, not a header"),
    "UTF-16 as Excel's Unicode text": ("target\tnote\na.com\tx\n".encode("utf-16"), 1, "is UTF-16 text: save it as CSV UTF-8."),
    "UTF-16 without its mark": ("target\na.com\n".encode("utf-16-le"), 1, "is UTF-16 text"),
    "big-endian UTF-16 without its mark": ("target,note\na.com,\u00fc\n".encode("utf-16-be"), 1, "is UTF-16 text"),
    "Latin-1": ("target,note\na.com,caf\u00e9\n".encode("latin-1"), 2, "0xE9 is not UTF-8 text: save the file as CSV UTF-8."),
    "Windows-1252": ("target,note\r\na.com,\r\nb.com,\u201cx\u201d\r\n".encode("cp1252"), 3, "byte 0x93 is not UTF-8"),
    "a workbook": (b"PK\x03\x04\x14\x00\x06\x00", 1, "is a workbook"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "line", "words"), WHOLE.values(), ids=WHOLE)
def test_a_file_of_another_make_is_refused_by_its_cause(content: str | bytes, line: int, words: str) -> None:
    with pytest.raises(TargetsError) as refusal:
        read(content)
    assert refusal.value.problems[0].line == line
    assert words in str(refusal.value)


CELLS: dict[str, tuple[str, str]] = {
    "a property of the Search Console": ("sc-domain:example.com", "write example.com."),
    "a page's property": ("SC-Domain:shop.example.org/", "write shop.example.org."),
    "a scheme twice": ("https://https://example.com/a", "has its scheme twice: write https://example.com/a."),
    "two schemes": ("http://https://example.com", "has its scheme twice: write https://example.com."),
    "a scheme twice, without its colon": ("https://https//example.com", "has its scheme twice"),
    "quotation marks": ("“example.com”", "stands in quotation marks: write example.com without them."),
    "others": ("«https://example.com/»", "write https://example.com/ without them."),
    "an apostrophe": ("'example.com", "write example.com without them."),
    "nothing that can be seen": ("example.com\u200b", "invisible character (U+200B, at position 12): delete it"),
    "a mark before a name": ("\ufeffexample.com", "U+FEFF, at position 1"),
    "a slash at the end": ("example.com/", "to watch the domain, example.com"),
    "a port": ("example.com:8080", "names a port"),
    "an address": ("192.0.2.7", "is an IP address"),
    "a wildcard": ("*.example.com", "is a wildcard: write example.com"),
    "a mail address": ("info@example.com", "to watch its domain, write example.com"),
    "two domains": ("a.com b.com", "Write one target a line."),
    "two pages": ("https://a.com/x https://b.com/", "holds more than one address: write one target a line."),
    "an operator": ("site:example.com", "is a site: address"),
}


@pytest.mark.parametrize(("cell", "words"), CELLS.values(), ids=CELLS)
def test_a_name_that_other_tools_write_is_told_what_to_write(cell: str, words: str) -> None:
    found = read(f"target\na.com\n{cell}\nb.com\n")
    assert [target.target for target in found] == ["a.com", "b.com"]
    [bad] = found.bad_lines
    assert bad.reason.startswith("line 3: ")
    assert words in bad.reason


SETTINGS: dict[str, tuple[str, str, str]] = {
    "German": ("include_subdomains", "WAHR", "it is how a spreadsheet in another language writes TRUE: write true."),
    "French": ("exclude_internal_backlinks", "faux", "writes FALSE: write false."),
    "Italian": ("mute_flags", "VERO", "write true."),
    "a comma": ("spam_points", "7,5", "it has a comma as its decimal mark: write 7.5."),
    "a comma in a share": ("lost_percent", "12,25", "write 12.25."),
    "a comma in a count": ("internal_list_limit", "100,0", "write a whole number from 1 to 1000"),
    "a day of Excel's": ("retired", "02/01/2026", "write a date as YYYY-MM-DD"),
    "a German day": ("retired", "1.2.2026", "write a date as YYYY-MM-DD"),
    "a number that is none": ("usual_swings", "many", "it must be a number from 1 to 100"),
    "curly quotes": ("backlinks_filters", "[“dofollow”, “=”, true]", "it is not valid JSON"),
}


@pytest.mark.parametrize(("column", "cell", "words"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_a_spreadsheet_rewrote_is_told_what_to_write(column: str, cell: str, words: str) -> None:
    found = read(f'target,{column}\na.com,\nb.com,"{cell}"\nc.com,\n')
    assert [target.target for target in found] == ["a.com", "c.com"]
    [bad] = found.bad_lines
    assert (bad.line, bad.cell, bad.target) == (3, "b.com", "b.com")
    assert words in bad.reason
