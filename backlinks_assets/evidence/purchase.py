"""Buys the evidence of a day's flags: what is missing, the most important first, under its own cap.

Through the same collector, limits, ledger and store as every call. Questions and requests are `questions.py`; the stored
answers are read by `kept.py`, and become files by `files.py`.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from backlinks_assets.collect.collector import StopError
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import Bought, CollectRequest
from backlinks_assets.collect.prices import Prices, read_prices
from backlinks_assets.dataforseo.endpoints.single_links import NAME, LinksParameters
from backlinks_assets.evidence.kept import Kept, Key, kept
from backlinks_assets.evidence.questions import Flagged, Question, in_order, second_first_day
from backlinks_assets.settings import Settings

Purchase = Bought[Key]
"""What came of a day's questions."""


def stored(settings: Settings, date: dt.date) -> dict[Key, Kept]:
    """Return the evidence that is stored for a day, by target and question; raises StoreError."""
    with open_store(settings) as store:
        return kept(store.answers(date, NAME))


def missing(
    date: dt.date, flags: Sequence[Flagged], found: Mapping[Key, Kept], rows: int | None = None
) -> list[Question]:
    """Return the questions that flags raise and no stored answer answers; with `rows`, those with fewer rows too."""
    questions = in_order(date, flags)
    return [one for one in questions if one.key not in found or (rows is not None and not found[one.key].has(rows))]


def buy(
    settings: Settings,
    date: dt.date,
    flags: Sequence[Flagged],
    own: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    rows: int | None = None,
    began: dt.datetime | None = None,
    any_day: bool = False,
) -> Purchase:
    """Buy what the flags of a day raise and the store lacks, one call after another in the order of `in_order`.

    Room under the cap is reserved by the account's own price list, which is read first, for nothing.
    Where links are known to be lost and an answer has none, the last 28 days are asked about, once. `own` are targets' own
    request parameters. `rows`: so many rows are wanted, of what is stored too. `any_day`: also after the flags' day, since
    a person wants it; what came or went since is then among the answers.

    Raises:
        StoreError: the store can't be used.
    """
    done = Purchase()
    own = own or {}
    limit = rows or settings.evidence_rows
    prices = cache(lambda: read_prices(settings))
    wanted = [(one, _parameters(one, limit, own)) for one in missing(date, flags, stored(settings, date), rows)]
    _collect(settings, wanted, done, began, prices, any_day=any_day)
    second = second_first_day(date)
    if done.stopped is None and (again := _found_nothing(settings, date, flags)):
        wanted = [(one, _parameters(one, limit, own, second)) for one in again]
        _collect(settings, wanted, done, began, prices, any_day=any_day)
    return done


def _found_nothing(settings: Settings, date: dt.date, flags: Sequence[Flagged]) -> list[Question]:
    """Return the questions of known losses whose answer has no link, and that were not tried a second time."""
    with open_store(settings) as store:
        answers = list(store.answers(date, NAME))
    second = str(second_first_day(date))
    tried = {answer.target for answer in answers if second in str(answer.parameters.get("filters"))}
    found = kept(answers)
    return [
        one
        for one in in_order(date, flags)
        if one.may_try_again and one.key in found and not found[one.key].rows and one.target not in tried
    ]


def _parameters(
    question: Question, rows: int, own: Mapping[str, Mapping[str, Any]], since: dt.date | None = None
) -> LinksParameters:
    theirs = dict(own.get(question.target, {}))
    try:
        return question.parameters(rows, theirs, since)
    except ValueError:  # their own filters and ours together are more than the API takes
        theirs.pop("backlinks_filters", None)
        return question.parameters(rows, theirs, since)


def _collect(
    settings: Settings,
    wanted: Sequence[tuple[Question, LinksParameters]],
    done: Purchase,
    began: dt.datetime | None,
    prices: Callable[[], Prices],
    *,
    any_day: bool,
) -> None:
    """Make the calls one after another, so that money that does not reach all goes to the first of them."""
    if not wanted:
        return
    if prices().is_unread:  # by the built-in price a call that is dearer would pass the cap
        done.stopped = (
            f"No evidence was bought, since {prices().why.rstrip('.')}: by another price than the account's own a call might "
            "pass BACKLINKS_EVIDENCE_USD_PER_DAY. Run again later."
        )
        return
    questions = {(one.target, of.key): one.key for one, of in wanted}
    requests = [CollectRequest(one.date, one.target, of, True, one.endpoint) for one, of in wanted]
    cap = settings.evidence_usd_per_day
    with open_collector(
        settings, began=began, any_day=any_day, evidence_usd=cap, tariffs=prices().tariffs
    ) as collector:
        try:
            for outcome in collector.collect(requests):
                done.calls += outcome.calls
                done.cost_usd += outcome.cost_usd
                if outcome.error is not None:
                    done.failed[questions[outcome.target, outcome.request_key]] = outcome.error
        except StopError:
            done.stopped = collector.stopped  # None where the money did not reach all
