"""The shape around every answer: envelope, tasks, ids, texts of status codes. No numbers about links here."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

VERSION = "0.1.20261101.simulated"

OK = 20000
MESSAGES = {
    20000: "Ok.",
    40000: "You can set only one task at a time.",
    40006: "You can set no more than 100 tasks at a time.",
    40100: "You are not Authorized to Access this Resource.",
    40101: "Internal SE Server Error.",
    40102: "No Search Results.",
    40103: "Task Execution Failed. Please resubmit the task.",
    40104: "Please verify your account before using the API.",
    40200: "Payment Required.",
    40201: "Account temporarily blocked: suspicious activity.",
    40202: "Rate limit per minute exceeded.",
    40203: "Cost limit exceeded.",
    40204: "Access denied: a subscription is required.",
    40205: "Duplicate tasks limit per hour exceeded.",
    40206: "Duplicate tasks limit per day exceeded.",
    40207: "Access denied: your IP address is not whitelisted.",
    40209: "Too many simultaneous requests.",
    40210: "Insufficient funds.",
    40400: "Not Found.",
    40402: "Invalid Path.",
    40404: "No prepared data.",
    40501: "Invalid Field: 'target'.",
    40502: "POST Data Is Empty.",
    40503: "POST Data Is Invalid.",
    40506: "Unknown Fields in POST Data.",
    50000: "Internal Error.",
    50001: "Internal Error while checking the balance.",
    50100: "Not Implemented.",
    50301: "3rd Party API Service Unavailable.",
    50302: "3rd Party API Service Unavailable.",
    50303: "Update in progress, try again in a few minutes.",
    50304: "Function temporarily unavailable, please contact support.",
    50401: "Internal Service Timeout.",
    50402: "Target Page Loading Timeout.",
}

_numbers = itertools.count(1)
_this_process = secrets.token_hex(3)


def message(code: int) -> str:
    """The text that goes with a status code."""
    return MESSAGES.get(code, f"Status {code}.")


def new_id(at: datetime) -> str:
    """A task id in the vendor's shape (month, day, hour, minute first), unique across calls and servers."""
    return f"{at:%m%d%H%M}-{at:%S%f}"[:13] + f"-0265-0000-{_this_process}{next(_numbers) % 2**24:06x}"


def task(
    code: int,
    path: Sequence[str],
    data: dict[str, Any],
    *,
    cost_usd: float = 0.0,
    result: list[Any] | None = None,
    text: str | None = None,
    task_id: str | None = None,
) -> dict[str, Any]:
    """One task of an answer. `result` of None is null, and counts as no result."""
    return {
        "id": task_id or new_id(datetime.now(UTC)),
        "status_code": code,
        "status_message": text or message(code),
        "time": "0.0000 sec.",
        "cost": cost_usd,
        "result_count": len(result) if result else 0,
        "path": list(path),
        "data": data,
        "result": result,
    }


def envelope(tasks: list[dict[str, Any]] | None, *, code: int = OK, text: str | None = None) -> dict[str, Any]:
    """A whole answer around its tasks; `tasks` of None is null."""
    return {
        "version": VERSION,
        "status_code": code,
        "status_message": text or message(code),
        "time": "0.0000 sec.",
        "cost": round(sum(each["cost"] for each in tasks or []), 6),
        "tasks_count": len(tasks or []),
        "tasks_error": sum(each["status_code"] >= 40000 for each in tasks or []),
        "tasks": tasks,
    }
