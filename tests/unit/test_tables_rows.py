"""Answers into rows: the vendor's own sample, field by field, and every awkward shape that a field may come in."""

import datetime as dt
import itertools
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given, strategies as st

from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.coerce import UnreadableError, to_bool, to_int, to_text, to_texts, to_timestamp
from backlinks_assets.tables.rows import answer_tables, costs_table
from backlinks_assets.tables.schemas import DIMENSIONS, TABLES, coded

DAY = dt.date(2026, 3, 14)
NOON = dt.datetime(2026, 3, 14, 12, tzinfo=dt.UTC)

SAMPLE: dict[str, Any] = {
    "target": "explodingtopics.com",
    "first_seen": "2020-01-18 11:50:58 +00:00",
    "lost_date": None,
    "rank": 371,
    "backlinks": 41245,
    "backlinks_spam_score": 8,
    "crawled_pages": 2150,
    "info": {
        "server": "cloudflare",
        "cms": None,
        "platform_type": ["unknown"],
        "ip_address": "172.67.129.80",
        "country": "US",
        "is_ip": False,
        "target_spam_score": 0,
    },
    "internal_links_count": 25507,
    "external_links_count": 18419,
    "broken_backlinks": 209,
    "broken_pages": 265,
    "referring_domains": 12372,
    "referring_domains_nofollow": 0,
    "referring_main_domains": 11438,
    "referring_main_domains_nofollow": 0,
    "referring_ips": 10401,
    "referring_subnets": 6427,
    "referring_pages": 38786,
    "referring_links_tld": {"com": 26012, "pics": 1964, "net": 1080, "org": 1031, "co.uk": 527},
    "referring_links_types": {"anchor": 36666, "redirect": 1906, "image": 210, "canonical": 4},
    "referring_links_attributes": {"noopener": 8960, "noreferrer": 3908, "external": 167},
    "referring_links_platform_types": {"unknown": 15196, "cms": 13222, "message-boards": 2679},
    "referring_links_semantic_locations": {"": 20318, "article": 12403, "section": 3907},
    "referring_links_countries": {"": 27445, "US": 3867, "WW": 1439},
    "referring_pages_nofollow": 0,
}
"""The result of the vendor's sample answer, its breakdowns shortened."""


def an_answer(result: Any = None, **changes: Any) -> StoredAnswer:
    """Return a kept answer; `result` is the task's whole `result` if a list or None, else its one object."""
    results = result if isinstance(result, list) or result is None else [result]
    envelope = {"status_code": 20000, "tasks": [{"id": "t-1", "status_code": 20000, "result": results}]}
    known: dict[str, Any] = {
        "date": DAY,
        "target": "example.com",
        "status_type": "live",
        "request_key": "0123456789abcdef",
        "parameters": {"internal_list_limit": 100, "include_subdomains": True},
        "body": orjson.dumps(envelope),
        "task_id": "t-1",
        "cost_usd": 0.024036,
        "captured_at": NOON,
        "attempts": 2,
        "simulated": False,
    }
    return StoredAnswer(**(known | changes))


def row_of(**fields: Any) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the row made of an answer with these fields, and what of it could not be read."""
    tables = answer_tables(DAY, [an_answer(fields)])
    return tables.summary.to_pylist()[0], tables.unreadable_fields


def test_every_scalar_field_of_the_vendors_sample_reaches_its_column() -> None:
    tables = answer_tables(DAY, [an_answer(SAMPLE)])
    row = tables.summary.to_pylist()[0]
    scalars = {name: value for name, value in SAMPLE.items() if name not in {*DIMENSIONS, "info", "target"}}
    scalars |= {f"info_{name}": value for name, value in SAMPLE["info"].items()}
    assert row == scalars | {
        "date": DAY,
        "target": "example.com",
        "status_type": "live",
        "has_data": True,
        "first_seen": dt.datetime(2020, 1, 18, 11, 50, 58, tzinfo=dt.UTC),
        "captured_at": NOON,
        "task_id": "t-1",
        "cost_usd": 0.024036,
        "attempts": 2,
        "request_key": "0123456789abcdef",
        "request_parameters": '{"include_subdomains":true,"internal_list_limit":100}',
        "simulated": False,
    }
    assert sum(tables.unreadable_fields.values()) == 0


def test_every_breakdown_of_the_vendors_sample_reaches_its_rows() -> None:
    links = answer_tables(DAY, [an_answer(SAMPLE)]).links
    for dimension in DIMENSIONS:
        rows = links.filter(pa.compute.field("dimension") == dimension)
        assert dict(zip(rows["key"].to_pylist(), rows["links"].to_pylist(), strict=True)) == SAMPLE[dimension]
    assert links.num_rows == sum(len(SAMPLE[dimension]) for dimension in DIMENSIONS)


@pytest.mark.parametrize("result", [None, [], [None]], ids=["null", "empty list", "list of null"])
def test_an_empty_answer_is_a_row_of_nulls_that_says_so(result: Any) -> None:
    tables = answer_tables(DAY, [an_answer(result)])
    row = tables.summary.to_pylist()[0]
    assert row["has_data"] is False
    assert row["cost_usd"] == 0.024036
    assert {row[item.name] for item in TABLES["backlinks_summary"].arrow if item.name in SAMPLE} == {
        None,
        "example.com",
    }
    assert tables.links.num_rows == 0


def test_absent_and_null_are_null_and_a_zero_is_zero() -> None:
    row, unreadable = row_of(backlinks=None, broken_pages=0, info=None)
    assert (row["backlinks"], row["rank"], row["broken_pages"]) == (None, None, 0)
    assert row["info_country"] is None
    assert row["has_data"] is True
    assert not unreadable


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (12.0, 12),
        ("12", 12),
        ("-3", -3),
        ("12.00", 12),
        (2**63 - 1, 2**63 - 1),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_whole_numbers_in_other_clothes_are_read(sent: Any, kept: int) -> None:
    row, unreadable = row_of(backlinks=sent)
    assert row["backlinks"] == kept
    assert not unreadable


@pytest.mark.parametrize("sent", [12.5, True, "many", "", "1_000", "٣", 2**63, 1e300, [], {}, "9" * 30])
def test_what_is_no_whole_number_is_null_and_counted(sent: Any) -> None:
    row, unreadable = row_of(backlinks=sent, rank=5)
    assert (row["backlinks"], row["rank"]) == (None, 5)
    assert unreadable == {"backlinks": 1}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2020-01-18 11:50:58 +00:00", "2020-01-18T11:50:58+00:00"),
        ("2020-01-18 11-50-58 +00:00", "2020-01-18T11:50:58+00:00"),  # as the page spells the format
        ("2020-01-18 13:50:58 +02:00", "2020-01-18T11:50:58+00:00"),
        ("2020-01-18T11:50:58Z", "2020-01-18T11:50:58+00:00"),
        ("2020-01-18 11:50:58", "2020-01-18T11:50:58+00:00"),
        ("2020-01-18", "2020-01-18T00:00:00+00:00"),
    ],
)
def test_timestamps_are_instants_in_utc(sent: str, kept: str) -> None:
    row, unreadable = row_of(first_seen=sent)
    assert row["first_seen"].isoformat() == kept
    assert not unreadable


@pytest.mark.parametrize("sent", ["0000-00-00 00:00:00 +00:00", "yesterday", "", 1579348258, "0001-01-01 00:00 +09:00"])
def test_what_is_no_timestamp_is_null_and_counted(sent: Any) -> None:
    row, unreadable = row_of(lost_date=sent)
    assert row["lost_date"] is None
    assert unreadable == {"lost_date": 1}


def test_info_of_the_wrong_shape_costs_only_itself() -> None:
    row, unreadable = row_of(info="nginx", backlinks=7)
    assert (row["info_server"], row["backlinks"]) == (None, 7)
    assert unreadable == {"info": 1}
    row, unreadable = row_of(info={"platform_type": "cms", "is_ip": "true", "server": 5, "surprise": 1})
    assert (row["info_platform_type"], row["info_is_ip"], row["info_server"]) == (["cms"], True, None)
    assert unreadable == {"info_server": 1}


def test_unknown_fields_are_let_be() -> None:
    row, unreadable = row_of(new_reffering_domains=3, backlinks=4)
    assert row["backlinks"] == 4
    assert list(row) == TABLES["backlinks_summary"].arrow.names
    assert not unreadable


def test_a_breakdowns_rows_are_sorted_and_its_unknown_numbers_come_last() -> None:
    counts = {"b": 5, "": 9, "a": 5, "none": None, "text": "7", "bad": "many", "big": 2**64 - 1}
    tables = answer_tables(DAY, [an_answer({"referring_links_tld": counts})])
    rows = [(row["key"], row["links"]) for row in tables.links.to_pylist()]
    assert rows == [("", 9), ("text", 7), ("a", 5), ("b", 5), ("bad", None), ("big", None), ("none", None)]
    assert tables.unreadable_fields == {"referring_links_tld": 2}


def test_equal_counts_stand_in_the_order_of_their_keys_however_they_come() -> None:
    for keys in itertools.permutations(("net", "com", "org")):
        counts = dict.fromkeys(keys, 4) | {"io": 9}
        tables = answer_tables(DAY, [an_answer({"referring_links_tld": counts})])
        assert tables.links["key"].to_pylist() == ["io", "com", "net", "org"]


_COUNTS = st.dictionaries(
    st.text(max_size=3),
    st.none() | st.integers(0, 9) | st.integers(-(2**63), 2**63 - 1) | st.sampled_from(["7", "many"]),
)


@pytest.mark.medium
@given(breakdowns=st.lists(st.lists(_COUNTS, min_size=len(DIMENSIONS), max_size=len(DIMENSIONS)), max_size=4))
@example(breakdowns=[[{"a": 1}, {}, {}, {}, {}, {"b": 2**58}]])  # one bit more than fits in one integer
def test_rows_of_breakdowns_are_those_of_each_sorted_by_itself(breakdowns: list[list[dict[str, Any]]]) -> None:
    read = {"7": 7, "many": None}
    wanted = [
        (f"{place}.com", dimension, key, count)
        for place, of_answer in enumerate(breakdowns)
        for dimension, counts in zip(DIMENSIONS, of_answer, strict=True)
        for key, count in sorted(
            ((key, read.get(count, count)) for key, count in counts.items()),
            key=lambda row: (row[1] is None, -(row[1] or 0), row[0]),
        )
    ]
    answers = [
        an_answer(dict(zip(DIMENSIONS, of_answer, strict=True)), target=f"{place}.com")
        for place, of_answer in enumerate(breakdowns)
    ]
    links = answer_tables(DAY, answers).links
    assert (
        list(zip(*(links[name].to_pylist() for name in ("target", "dimension", "key", "links")), strict=True)) == wanted
    )


@pytest.mark.parametrize(("sent", "counted"), [(None, 0), ({}, 0), ([], 0), ([1], 1), ("com", 1), (3, 1)])
def test_a_breakdown_that_is_no_object_gives_no_rows(sent: Any, counted: int) -> None:
    tables = answer_tables(DAY, [an_answer({"referring_links_tld": sent, "backlinks": 1})])
    assert tables.links.num_rows == 0
    assert sum(tables.unreadable_fields.values()) == counted


def test_of_several_answers_of_a_day_the_one_captured_last_stands() -> None:
    early = an_answer({"backlinks": 1, "referring_links_tld": {"com": 1}, "rank": "?"}, request_key="b" * 16)
    late = an_answer(
        {"backlinks": 2, "referring_links_tld": {"net": 2}},
        request_key="a" * 16,
        captured_at=NOON + dt.timedelta(seconds=1),
    )
    for answers in ([early, late], [late, early]):
        tables = answer_tables(DAY, answers)
        assert tables.summary["backlinks"].to_pylist() == [2]
        assert tables.links["key"].to_pylist() == ["net"]
        assert sum(tables.unreadable_fields.values()) == 0  # what was wrong with the other does not matter


def test_the_order_in_which_answers_come_does_not_show() -> None:
    answers = [
        an_answer(
            {"backlinks": number, "referring_links_tld": {"com": 2, "net": 2}},
            target=target,
            status_type=kind,
        )
        for number, (target, kind) in enumerate(itertools.product(("b.com", "a.com"), ("lost", "live")))
    ]
    wanted = answer_tables(DAY, answers)
    assert wanted.summary["target"].to_pylist() == ["a.com", "a.com", "b.com", "b.com"]
    assert wanted.summary["status_type"].to_pylist() == ["live", "lost"] * 2
    for order in itertools.permutations(answers):
        tables = answer_tables(DAY, iter(order))
        assert tables.summary.equals(wanted.summary)
        assert tables.links.equals(wanted.links)


def test_hostile_names_are_data() -> None:
    names = ["../../x", "'; drop table backlinks_summary; --", "=cmd()", "a\x00b", "ü" * 300]
    counts = {name: place for place, name in enumerate(names)}
    tables = answer_tables(DAY, [an_answer({"referring_links_tld": counts}, target=name) for name in names])
    assert set(tables.summary["target"].to_pylist()) == set(names)
    assert set(tables.links["key"].to_pylist()) == set(names)


def test_a_body_that_is_no_json_object_is_named_and_has_no_row() -> None:
    broken = [an_answer(target=f"{place}.com", body=body) for place, body in enumerate([b"", b"[]", b'{"a":'])]
    tables = answer_tables(DAY, [*broken, an_answer(SAMPLE)])
    assert tables.damaged == (("0.com", "live"), ("1.com", "live"), ("2.com", "live"))
    assert tables.summary["target"].to_pylist() == ["example.com"]


def test_no_answers_make_empty_tables_of_the_declared_columns() -> None:
    tables = answer_tables(DAY, [])
    assert tables.summary.schema.equals(TABLES["backlinks_summary"].arrow)
    assert tables.links.schema.equals(coded(TABLES["referring_links"].arrow))
    assert (tables.summary.num_rows, tables.links.num_rows) == (0, 0)


def test_an_answer_of_another_day_is_refused() -> None:
    with pytest.raises(ValueError, match="2026-03-13"):
        answer_tables(DAY, [an_answer(SAMPLE, date=dt.date(2026, 3, 13))])


def test_the_days_costs_are_one_row() -> None:
    table = costs_table(DAY, 40, 38, 0.912, 1, False)
    assert table.schema.equals(TABLES["api_costs"].arrow)
    assert list(table.to_pylist()[0].values()) == [DAY, 40, 38, 0.912, 1, False]


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (to_int, None),
        (to_bool, 2),
        (to_bool, "maybe"),
        (to_text, 5),
        (to_texts, [1]),
        (to_texts, {}),
        (to_timestamp, 5),
    ],
)
def test_readers_refuse_what_is_not_theirs(read: Any, value: Any) -> None:
    with pytest.raises(UnreadableError):
        read(value)
