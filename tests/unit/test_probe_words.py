"""A probe's choice of targets, and what its answers say where the simulator does not go: crafted answers, no server."""

import datetime as dt

import pytest
from bulk_days import answer
from report_world import write_rows

from backlinks_assets.probe.calls import DOMAINS, LINKS, LOSSES, PAGES, SUMMARIES, Answers, Since, spread
from backlinks_assets.probe.findings import find
from backlinks_assets.probe.trial import plan_of
from backlinks_assets.probe.verdict import code, sentences, verdict
from backlinks_assets.settings import Settings
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.targets.target import Target

FIRST = dt.date(2026, 11, 24)
SECOND = FIRST + dt.timedelta(days=1)
NAMES = [f"shop{number}.example" for number in range(4)]


def test_targets_are_spread_over_their_sizes_and_then_over_the_rest() -> None:
    sizes = {f"n{number}": 10**number for number in range(9)}
    names = [*reversed(sizes), "new1", "new2"]
    assert spread(names, sizes, 3) == ["n0", "n5", "new2"]
    assert spread(names, sizes, 11) == [*sizes, "new1", "new2"]
    assert spread(names, {}, 2) == ["n8", "new2"]


def test_sizes_are_those_of_the_newest_tables_of_both_ways(settings: Settings) -> None:
    for day, size in ((FIRST, 1), (SECOND, 1000)):
        rows = [{"target": NAMES[0], "status_type": "live", "backlinks": size, "has_data": True, "request_key": "k"}]
        write_rows(settings.root, "backlinks_summary", day, rows)
    in_bulk = [{"target": name, "backlinks": n, "has_data": True} for name, n in ((NAMES[1], 5), (NAMES[2], 100_000))]
    write_rows(settings.root, "backlinks_bulk", SECOND, in_bulk)
    targets = [Target(name) for name in NAMES[:3]]
    assert plan_of(settings, SECOND, targets, 3).targets == (NAMES[1], NAMES[0], NAMES[2])


def of_day(
    day: dt.date, full: tuple[int, int, int], bulk: tuple[int, int], month: int, yesterday: int, level: int = 50
) -> Answers:
    """Return a day's answers, the same of each target: `full` are live links, spam score and lost links."""
    since = Since.on(day, FIRST)
    live, spam, lost = full

    def summary(target: str, status_type: str, result: dict[str, object]) -> StoredAnswer:
        one = answer(day, SUMMARIES.name, {}, None)
        body = b'{"tasks": [{"status_code": 20000, "result": [' + str(result).replace("'", '"').encode() + b"]}]}"
        return one._replace(target=target, status_type=status_type, body=body)

    def losses(of: dt.date, many: int) -> StoredAnswer:
        items = [{"target": name, "lost_backlinks": many, "new_backlinks": 0} for name in NAMES]
        return answer(day, LOSSES.name, {"targets": NAMES, "date_from": str(of)}, items)

    pages = [{"url": name, "backlinks": bulk[0], "backlinks_spam_score": bulk[1]} for name in NAMES]
    return {
        SUMMARIES.name: [
            one
            for name in NAMES
            for one in (
                summary(name, "live", {"backlinks": live, "backlinks_spam_score": spam}),
                summary(name, "lost", {"backlinks": lost}),
            )
        ],
        PAGES.name: [answer(day, PAGES.name, {"targets": NAMES}, pages)],
        LOSSES.name: [losses(since.level, level), losses(since.month, month), losses(since.yesterday, yesterday)],
        DOMAINS.name: [],
        LINKS.name: [],
    }


def test_losses_dated_by_the_last_visit_are_told_from_the_two_days() -> None:
    days = {
        FIRST: of_day(FIRST, (100, 10, 20), (100, 10), month=40, yesterday=0),
        SECOND: of_day(SECOND, (100, 10, 20), (100, 10), month=52, yesterday=1),
    }
    found = find(days)
    assert found.dated is not None
    assert (found.dated.found, found.dated.of_yesterday) == (48, 4)
    assert "dated earlier than they are found, as by the link's last visit" in sentences(found)["losses"]


def test_too_few_moves_say_nothing() -> None:
    same = {"month": 40, "yesterday": 0}
    found = find({day: of_day(day, (100, 10, 20), (100, 10), **same) for day in (FIRST, SECOND)})
    assert code(found) == "too_few_moves"
    assert "0 of 0 moves by bulk; 3 moves are needed" in verdict(found)
    assert "how losses are dated is not known" in sentences(found)["losses"]


@pytest.mark.parametrize(
    ("bulk", "word"),
    [((90, 10), "bulk"), ((95, 10), "bulk"), ((96, 10), "full"), ((110, 10), "full"), ((100, 10), "full")],
    ids=["equal", "half", "less than half", "the other way", "not at all"],
)
def test_bulk_saw_a_move_if_it_went_the_same_way_by_half_of_it(bulk: tuple[int, int], word: str) -> None:
    days = {
        FIRST: of_day(FIRST, (100, 10, 20), (100, 10), month=40, yesterday=0),
        SECOND: of_day(SECOND, (90, 10, 20), bulk, month=40, yesterday=0),
    }
    assert code(find(days)) == word


@pytest.mark.parametrize(
    ("bulk", "live", "spam"),
    [((98, 11), 4, 4), ((97, 11), 0, 4), ((100, 12), 4, 0)],
)
def test_equal_is_within_two_percent_and_within_a_point(bulk: tuple[int, int], live: int, spam: int) -> None:
    found = find({FIRST: of_day(FIRST, (100, 10, 20), bulk, month=40, yesterday=0)})
    assert (found.equal["live"].hits, found.equal["spam"].hits) == (live, spam)
    assert (found.equal["live"].of, found.equal["spam"].of) == (4, 4)


def test_other_numbers_that_move_alike_are_fine_and_said() -> None:
    days = {
        FIRST: of_day(FIRST, (100, 10, 20), (50, 10), month=40, yesterday=0),
        SECOND: of_day(SECOND, (80, 10, 20), (40, 10), month=40, yesterday=0),
    }
    found = find(days)
    assert code(found) == "bulk"
    assert "Its numbers are others (live links)" in verdict(found)


def test_a_fall_of_the_stock_of_lost_links_is_no_move_that_bulk_could_see() -> None:
    days = {
        FIRST: of_day(FIRST, (100, 10, 20), (100, 10), month=40, yesterday=0),
        SECOND: of_day(SECOND, (100, 10, 10), (100, 10), month=40, yesterday=0),
    }
    assert find(days).moves["lost"].of == 0
