"""Claims of bulk calls, target by target, and which targets a stored bulk answer is about.

An answer is stored whole under its batch's name (`responses.py`), with its targets among its parameters. A target is
claimed for an endpoint and a variant: the call's parameters but for its targets. A `kind` is the answers' status type: empty, or
`BACKFILL`. Which calls are made is `collect/bulk.py`.
"""

import datetime as dt
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

import orjson
import sqlalchemy as sa

from backlinks_assets.store import unusable_answers
from backlinks_assets.store.answers import Key, claims, responses
from backlinks_assets.store.budget import Budget, left_usd
from backlinks_assets.store.columns import hold, upsert
from backlinks_assets.store.facts import facts
from backlinks_assets.store.outage import repeated
from backlinks_assets.store.responses import ResponseStore

_LEFT_OUT: Final = "left out of bulk calls: "


class Batch(NamedTuple):
    """The targets of a stored bulk answer, and the rest of its parameters as JSON."""

    key: Key
    variant: str
    targets: tuple[str, ...]


class TargetsClaim(NamedTuple):
    """The targets that are claimed now, and those that another living run is at; all others have an answer."""

    mine: tuple[str, ...]
    held: tuple[str, ...]


class LeftOut(NamedTuple):
    """A target that bulk calls were refused for, until `line`, a text for its line of the targets file, is another."""

    line: str
    since: str
    why: str


def variant_of(options: dict[str, object]) -> tuple[str, tuple[str, ...]]:
    """Return a bulk call's parameters but for its targets, as JSON, and the targets."""
    rest = {name: value for name, value in options.items() if name != "targets"}
    named = options.get("targets")
    targets = tuple(map(str, named)) if isinstance(named, list | tuple) else ()
    return orjson.dumps(rest, option=orjson.OPT_SORT_KEYS).decode(), targets


class BulkStore(ResponseStore):
    """A response store that also claims the targets of bulk calls. Thread-safe, and raises as that does."""

    @repeated
    def batches(self, date: dt.date, endpoint: str, kind: str = "") -> list[Batch]:
        """Return the bulk answers stored for a day and endpoint."""
        with self._database.read() as tx:
            return list(_batches(tx, date, endpoint, frozenset(), kind))

    @repeated
    def claim_targets(
        self,
        date: dt.date,
        endpoint: str,
        variant: str,
        targets: Collection[str],
        known: Collection[Key],
        now: dt.datetime,
        kind: str = "",
    ) -> TargetsClaim:
        """Claim those of some targets that have no answer and that no other living run has claimed, in one transaction.

        `known` are the keys of answers that are about none of the targets, so that these are not read again.
        """
        with self._database.write() as tx:
            hold(tx, f"bulk {date} {endpoint}")
            self._check_origin(tx)
            claimed = sa.select(claims.c.target, claims.c.owner).where(
                claims.c.date == date, claims.c.endpoint == endpoint, claims.c.request_key == variant
            )
            others = {
                target
                for target, owner in tx.execute(claimed.where(claims.c.target.in_(targets)))
                if owner != self._lease.name and self._lease.is_alive(owner)
            }
            # Claims are read before answers: one that is stored meanwhile ends its claim, and is then found.
            found = [batch for batch in _batches(tx, date, endpoint, known, kind) if batch.variant == variant]
            answered = {target for batch in found for target in batch.targets}
            free = [target for target in targets if target not in answered]
            mine = tuple(target for target in free if target not in others)
            row = {"date": date, "status_type": "", "request_key": variant, "endpoint": endpoint}
            new = {"owner": self._lease.name, "claimed_at": now}
            if mine:
                upsert(tx, claims, [{**row, **new, "target": target} for target in mine], *new)
            return TargetsClaim(mine, tuple(target for target in free if target in others))

    @repeated
    def release_targets(self, date: dt.date, endpoint: str, variant: str, targets: Collection[str]) -> None:
        """End the claims of this run: their call is answered, or will not be made."""
        of = {"date": date, "endpoint": endpoint, "request_key": variant, "owner": self._lease.name}
        with self._database.write() as tx:
            tx.execute(claims.delete().filter_by(**of).where(claims.c.target.in_(targets)))

    @repeated
    def refusal(self, key: Key) -> str | None:
        """Return why a call must not be made again: it was charged for an answer that can't be used."""
        with self._database.read() as tx:
            return unusable_answers.refusals(tx, {key.date}, {key.target}).get(tuple(key))

    @repeated
    def budget_left_usd(self, day: dt.date, budget: Budget) -> float | None:
        """Return what the budget of a UTC day has left, calls under way taken for charged; None without a budget."""
        with self._database.write() as tx:
            return left_usd(tx, day, budget)

    @repeated
    def left_out(self) -> dict[str, LeftOut]:
        """Return the targets that are left out of bulk calls."""
        query = sa.select(facts.c.name, facts.c.value).where(facts.c.name.startswith(_LEFT_OUT, autoescape=True))
        with self._database.read() as tx:
            return {name.removeprefix(_LEFT_OUT): LeftOut(*orjson.loads(value)) for name, value in tx.execute(query)}

    @repeated
    def leave_out(self, target: str, found: LeftOut) -> None:
        """Leave a target out of bulk calls from now on."""
        with self._database.write() as tx:
            upsert(tx, facts, {"name": _LEFT_OUT + target, "value": orjson.dumps(list(found)).decode()}, "value")


def _batches(tx: sa.Connection, date: dt.date, endpoint: str, known: Collection[Key], kind: str) -> Iterator[Batch]:
    columns = [responses.c[name] for name in Key._fields]
    of = {"date": date, "endpoint": endpoint, "status_type": kind}
    of_day = sa.select(*columns).filter_by(**of)
    new = [key for key in (Key(*row) for row in tx.execute(of_day)) if key not in known]
    for at in range(0, len(new), 500):
        part = {key.target: key for key in new[at : at + 500]}
        query = sa.select(*columns, responses.c.parameters).filter_by(**of).where(responses.c.target.in_(part))
        for *key, text in tx.execute(query):
            yield Batch(Key(*key), *variant_of(orjson.loads(text)))
