"""The free look at the account: how much is left of the balance, and whether the account is refused.

At most once an hour, with real credentials only. When the alerts are sent is `announce.py`.
"""

import datetime as dt
from typing import Any, Final

from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoints.user_data import USER_DATA
from backlinks_assets.dataforseo.errors import AccountError, ApiError
from backlinks_assets.formatting import counted, dollars
from backlinks_assets.notify.alerts import Alert, Kind, stopped_alert
from backlinks_assets.notify.cursor import Account, Cursor
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import days, read_days

EVERY: Final = dt.timedelta(hours=1)
LOOK_TIMEOUT_S: Final = 10.0
LOW_DAYS: Final = 3
"""A balance below so many days of spend is low: a weekend with a Monday to top it up."""


def account_alerts(settings: Settings, cursor: Cursor, watched: int, now: dt.datetime) -> list[Alert]:
    """Return what is wrong with the account today by the last look at it, which is renewed once an hour."""
    if settings.simulated or settings.login is None or not watched:
        return []
    if cursor.account is None or now - cursor.account.seen_at >= EVERY:
        cursor.account = _look(settings, now)
    account = cursor.account
    if account.seen_at.date() != now.date():
        return []
    if account.refused:
        return [stopped_alert(account.refused)]
    balance = account.balance_usd
    day_usd = 2 * watched * price_usd(settings)
    low_usd = settings.low_balance_usd if settings.low_balance_usd is not None else LOW_DAYS * day_usd
    if balance is None or balance >= low_usd:
        return []
    left = f"-{dollars(-balance)}" if balance < 0 else dollars(balance)
    lasts = f"{balance / day_usd:,.1f} days" if balance > 0 and day_usd > 0 else "no day"
    text = (
        f"{left} are left, which is below {dollars(low_usd)}. A day of {counted(watched, 'target')} costs "
        f"about {dollars(day_usd)}, so it lasts {lasts}. Top it up in the vendor's dashboard."
    )
    return [Alert(Kind.BALANCE, ("balance",), text)]


def price_usd(settings: Settings) -> float:
    """Return what an answer cost on the latest day that has costs, or is expected to cost."""
    for day in reversed(days(settings.root, "api_costs")[-7:]):
        for row in read_days(settings.root, "api_costs", day, day, ["answers", "cost_usd"]).to_pylist():
            if row["answers"] and row["cost_usd"]:
                return float(row["cost_usd"] / row["answers"])
    return settings.expected_price_usd


def _look(settings: Settings, now: dt.datetime) -> Account:
    assert settings.base_url is not None
    try:
        with Client(
            settings.base_url, settings.login, settings.password, connections=1, read_timeout_s=LOOK_TIMEOUT_S
        ) as client:
            money: Any = client.send(USER_DATA, None).get("money")
    except AccountError as error:
        return Account(seen_at=now, refused=error.message)
    except ApiError:  # the next look is in an hour
        return Account(seen_at=now)
    balance = money.get("balance") if isinstance(money, dict) else None
    return Account(seen_at=now, balance_usd=balance if isinstance(balance, int | float) else None)
