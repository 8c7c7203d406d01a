"""The free look at the account: how much is left of the balance, and whether the account is refused.

At most once an hour, with real credentials only. What is done with the news is `announce.py`.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import orjson

from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoints.user_data import USER_DATA
from backlinks_assets.dataforseo.errors import AccountError, ApiError
from backlinks_assets.formatting import counted, dollars
from backlinks_assets.notify.alerts import BALANCE, News, account_news
from backlinks_assets.notify.outbox import Memory
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import days, read_days

EVERY: Final = dt.timedelta(hours=1)
LOOK_TIMEOUT_S: Final = 10.0
LOW_DAYS: Final = 3
"""A balance below so many days of spend is low: a weekend with a Monday to top it up."""


def balance_news(
    settings: Settings,
    memory: Memory,
    watched: int,
    now: dt.datetime,
    ask: Callable[[Settings], dict[str, Any]] | None = None,
) -> list[News]:
    """Return what is wrong with the account today, by the last look at it; looks again if the last was an hour ago."""
    if settings.simulated or settings.login is None or not watched:
        return []
    if memory.turn("balance_looked_at", now, EVERY):
        memory.write_note("balance", orjson.dumps(_look(settings, now, ask or _ask)).decode())
    seen = orjson.loads(memory.note("balance", "{}"))
    if seen.get("day") != now.date().isoformat():
        return []
    if seen.get("refused"):
        return [account_news(seen["refused"])]
    balance = seen.get("balance")
    day_usd = 2 * watched * price_usd(settings)
    low_usd = settings.low_balance_usd if settings.low_balance_usd is not None else LOW_DAYS * day_usd
    if balance is None or balance >= low_usd:
        return []
    lasts = f"{balance / day_usd:,.1f} days" if balance > 0 and day_usd > 0 else "no day"
    return [
        News(
            BALANCE,
            (BALANCE,),
            f"{_money(balance)} are left, which is below {dollars(low_usd)}. A day of {counted(watched, 'target')} costs "
            f"about {dollars(day_usd)}, so it lasts {lasts}. Top it up in the vendor's dashboard.",
        )
    ]


def price_usd(settings: Settings) -> float:
    """Return what an answer cost on the latest day that has costs, or is expected to cost."""
    for day in reversed(days(settings.root, "api_costs")[-7:]):
        for row in read_days(settings.root, "api_costs", day, day, ["answers", "cost_usd"]).to_pylist():
            if row["answers"] and row["cost_usd"]:
                return float(row["cost_usd"] / row["answers"])
    return settings.expected_price_usd


def _look(settings: Settings, now: dt.datetime, ask: Callable[[Settings], dict[str, Any]]) -> dict[str, Any]:
    try:
        data = ask(settings)
    except AccountError as error:
        return {"day": now.date().isoformat(), "refused": error.message}
    except ApiError:
        return {}  # the next look is in an hour
    money = data.get("money")
    balance = money.get("balance") if isinstance(money, dict) else None
    return {"day": now.date().isoformat(), "balance": balance if isinstance(balance, int | float) else None}


def _ask(settings: Settings) -> dict[str, Any]:
    assert settings.base_url is not None
    with Client(
        settings.base_url, settings.login, settings.password, connections=1, read_timeout_s=LOOK_TIMEOUT_S
    ) as client:
        return client.send(USER_DATA, None)


def _money(amount: float) -> str:
    return f"-{dollars(-amount)}" if amount < 0 else dollars(amount)
