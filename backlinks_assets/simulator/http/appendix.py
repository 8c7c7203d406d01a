"""The free endpoints: the account, its calls, the index, the service. Each returns a task's `result`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from backlinks_assets.simulator.http.account import ROW_USD, Account
from backlinks_assets.simulator.http.paid import DOORS
from backlinks_assets.simulator.world.noise import wave

Login = tuple[str, str]

_MAX_IDS = 1000


def user_data(account: Account, login: Login, _posted: list[Any], _today: date) -> list[Any]:
    """The account: login, limits, balance, and the current prices."""
    minute = account.calls_per_minute or 2000
    spent = {"backlinks": {"summary": {"live": account.spent_usd}}, "total": account.spent_usd}
    costs = [
        {"cost_type": "per_request", "cost": account.call_usd},
        {"cost_type": "per_result", "cost": ROW_USD},
    ]
    return [
        {
            "login": login[0],
            "timezone": "UTC",
            "rates": {
                "limits": {
                    "day": {"total": 0},
                    "minute": {
                        "total": minute,
                        "appendix": {"user_data": 6},
                        "backlinks": {"summary": {"live": minute}},
                    },
                },
                "statistics": {
                    "day": {"total": account.tasks_since(86_400)},
                    "minute": {"total": account.tasks_since(60)},
                },
            },
            "money": {
                "total": round(account.balance_usd + account.spent_usd, 6),
                "balance": round(account.balance_usd, 6),
                "limits": {"day": {"total": 0}, "minute": {"total": 0}},
                "statistics": {"day": spent, "minute": {"total": 0}},
            },
            "price": {"backlinks": {function: {"live": {"priority_normal": costs}} for function in DOORS}},
            "backlinks_subscription_expiry_date": None,
        }
    ]


def id_list(account: Account, _login: Login, posted: list[Any], _today: date) -> list[Any]:
    """The tasks in the log, newest first: what each cost, and with `include_metadata` its parameters."""
    wanted = posted[0] if posted and isinstance(posted[0], dict) else {}
    first, last = _instant(wanted.get("datetime_from")), _instant(wanted.get("datetime_to"))
    limit, offset = int(wanted.get("limit") or _MAX_IDS), int(wanted.get("offset") or 0)
    tasks = [
        call
        for call in reversed(account.tasks)
        if (first is None or call.at >= first) and (last is None or call.at <= last)
    ]
    found = []
    for call in tasks[offset : offset + min(limit, _MAX_IDS)]:
        seconds = (call.ended or call.started) - call.started
        row: dict[str, Any] = {
            "id": call.task_id,
            "url": f"https://simulator.example{call.path}",
            "datetime_posted": _text(call.at),
            "datetime_done": _text(call.at + timedelta(seconds=seconds)),
            "status": "Ok." if call.status_code == 20000 else "Error.",
            "cost": call.cost_usd,
        }
        if wanted.get("include_metadata"):
            row["metadata"] = {"api": "backlinks", "function": call.path.split("/")[-2], **call.parameters}
        found.append(row)
    return found


def index(_account: Account, _login: Login, _posted: list[Any], day: date) -> list[Any]:
    """Totals of the simulated index today and on the first of the last twelve months."""
    months, at = [], day.replace(day=1)
    for _ in range(12):
        months.append({"date": f"{at:%Y-%m-%d} 00:00:00 +00:00", **_totals(at.toordinal())})
        at = (at - timedelta(days=1)).replace(day=1)
    return [{**_totals(day.toordinal()), "history": months}]


def _totals(day: int) -> dict[str, int]:
    links = int(1.9e12 * (1 + 0.03 * wave("index", day, 120)[0]))
    return {"total_backlinks": links, "total_pages": links // 7, "total_domains": links // 6400}


def status(_account: Account, _login: Login, _posted: list[Any], _today: date) -> list[Any]:
    """The state of each API of the vendor that is simulated."""
    now = _text(datetime.now(UTC))
    return [{"api": "backlinks", "status": "ok", "endpoints": [], "last_update": now}]


def _instant(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text).replace(" +", "+"))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S +00:00")
