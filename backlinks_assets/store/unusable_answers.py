"""Answers that were charged, or may have been, and can't be used: stored as they came, to be shown to the vendor.

Here belong their table and whether a call may be made again. Usable answers are `responses.py`; `dataforseo/` decides
which are not. The caller gives the transaction, so that an answer and its cost are stored together.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa
import zstandard

from backlinks_assets.dataforseo.answer import OK, Answer
from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY
from backlinks_assets.store.columns import TEXT, Instant, upsert
from backlinks_assets.store.database import metadata

evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("call_id", TEXT, primary_key=True, comment="the call in `api_calls`, which has its cost"),
    sa.Column("date", sa.Date, nullable=False),
    sa.Column("target", TEXT, nullable=False),
    sa.Column("status_type", TEXT, nullable=False),
    sa.Column("request_key", TEXT, nullable=False),
    sa.Column("captured_at", Instant, nullable=False, comment="when the answer had been read, UTC"),
    sa.Column("http_status", sa.Integer, nullable=False),
    sa.Column("reason", TEXT, nullable=False, comment="why it can't be used"),
    sa.Column("is_final", sa.Boolean, nullable=False, comment="the same call would be charged again for the same"),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="as it came, zstd; what could not be read may be cut"),
    sa.Column("endpoint", TEXT, nullable=False, server_default=SUMMARY),
    sa.Index("evidence_of_a_call", "date", "target", "status_type", "request_key"),
)

_KEY: Final = ("date", "target", "status_type", "request_key", "endpoint")
_FINAL: Final = (
    sa.select(*[evidence.c[name] for name in _KEY], evidence.c.reason, evidence.c.captured_at)
    .where(evidence.c.date.in_(sa.bindparam("dates", expanding=True)))
    .where(evidence.c.target.in_(sa.bindparam("targets", expanding=True)), evidence.c.is_final.is_(True))
    .order_by("captured_at")
)


def is_worth_keeping(answer: Answer) -> bool:
    """Whether an unusable answer was or may have been charged: no free refusal, no gateway's error page."""
    if answer.known_cost_usd:
        return True
    is_free = answer.known_cost_usd is not None and answer.status_code != OK
    return not is_free and bool(answer.body) and 200 <= answer.http_status < 300


def keep(
    tx: sa.Connection,
    call_id: str,
    key: Mapping[str, Any],
    answer: Answer,
    reason: str,
    now: dt.datetime,
    *,
    is_final: bool,
) -> None:
    """Store an answer that can't be used. `is_final`: its call is not to be made again (`refusals`)."""
    row = {
        **key,
        "call_id": call_id,
        "captured_at": now,
        "http_status": answer.http_status,
        "reason": reason,
        "is_final": is_final,
        "body": zstandard.compress(answer.body, 3),
    }
    upsert(tx, evidence, row)


def refusals(tx: sa.Connection, dates: Collection[dt.date], targets: Collection[str]) -> dict[tuple[Any, ...], str]:
    """Return the calls that must not be made again, by key, with a sentence that says why."""
    whys: dict[tuple[Any, ...], str] = {}
    for *key, reason, at in tx.execute(_FINAL, {"dates": dates, "targets": targets}):
        whys.setdefault(
            tuple(key),
            f"{reason}. That answer, of {at:%H:%M} UTC, was charged and is stored as evidence; the call is not made again for "
            "this day, since it would be charged again",
        )
    return whys


def forgive(tx: sa.Connection) -> None:
    """Allow all calls whose answers could not be used to be made again. The answers stay."""
    tx.execute(evidence.update().where(evidence.c.is_final.is_(True)).values(is_final=False))
