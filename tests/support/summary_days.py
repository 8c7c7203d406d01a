"""Days of `backlinks_summary` made of answers, as publishing writes them."""

import datetime as dt
from pathlib import Path
from typing import Any

import orjson

from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.rows import answer_tables


def keep(root: Path, day: dt.date, *answers: tuple[str, str, dict[str, Any] | None], key: str = "k1") -> Path:
    """Write a day of answers given as (target, status type, result)."""
    captured_at = dt.datetime.combine(day, dt.time(6), tzinfo=dt.UTC)
    stored = [
        StoredAnswer(
            date=day,
            target=target,
            status_type=status_type,
            request_key=key,
            parameters={},
            body=orjson.dumps({"tasks": [{"result": [result]}]}),
            task_id=None,
            cost_usd=None,
            captured_at=captured_at,
            attempts=1,
            simulated=True,
        )
        for target, status_type, result in answers
    ]
    return write_day(root, "backlinks_summary", day, answer_tables(day, stored).summary)
