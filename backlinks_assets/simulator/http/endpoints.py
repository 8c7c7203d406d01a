"""The doors: a request's path, credentials and limits. What a summary answers is in `summaries`.

HTTP itself is in `handler`. Anything but the endpoints here is 404 with 40402, and anything outside the base
path is 404 with a message that says what the base URL is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from backlinks_assets.simulator.http.account import Call
from backlinks_assets.simulator.http.appendix import id_list, index, status, user_data
from backlinks_assets.simulator.http.envelope import OK, envelope, task
from backlinks_assets.simulator.http.reply import Asked, Reply, json_reply
from backlinks_assets.simulator.http.summaries import summaries

if TYPE_CHECKING:
    from backlinks_assets.simulator.http.server import Simulator

BASE_PATH = "/simulator"
_SUMMARY = ("POST", "/v3/backlinks/summary/live")

_FREE: dict[tuple[str, str], tuple[Callable[..., list[Any]], int]] = {
    ("GET", "/v3/appendix/user_data"): (user_data, 6),  # calls a minute, where the simulator has limits
    ("GET", "/v3/appendix/status"): (status, 10),
    ("GET", "/v3/backlinks/index"): (index, 10),
    ("POST", "/v3/backlinks/id_list"): (id_list, 10),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What came over HTTP. `path` is without the query; `login` is None without Basic credentials."""

    method: str
    path: str
    body: bytes
    login: tuple[str, str] | None


def answer(sim: Simulator, request: Request, call: Call) -> Reply:
    """The reply to a request; `call` is told its status code, what it was about and what it cost."""
    inside = request.path.startswith(sim.base_path + "/")
    door = (request.method, request.path.removeprefix(sim.base_path))
    if not inside or (door != _SUMMARY and door not in _FREE):
        text = None if inside else f"Not Found. This is the simulator: its base URL is {sim.url}."
        return _refused_at_the_door(call, 40402 if inside else 40400, http_status=404, text=text)
    if not sim.accepts(request.login):
        return _refused_at_the_door(call, 40100, http_status=401)
    _, _, api, function, *_ = door[1].split("/")
    asked = Asked(sim, call, door[1].strip("/").split("/"), {"api": api, "function": function})
    if code := _over_a_limit(sim, call, door):
        return asked.refused(code)
    posted = _posted(request.body) if request.method == "POST" else []
    if door == _SUMMARY:
        return summaries(asked, posted)
    call.status_code = OK
    found = _FREE[door][0](sim, request.login, posted if isinstance(posted, list) else [])
    return json_reply(envelope([task(OK, asked.path, asked.data, result=found)]))


def _refused_at_the_door(call: Call, code: int, *, http_status: int, text: str | None = None) -> Reply:
    call.status_code = code
    return json_reply(envelope(None, code=code, text=text), http_status)


def _over_a_limit(sim: Simulator, call: Call, door: tuple[str, str]) -> int | None:
    """The status code of the account's limit that this call is beyond; None within all of them."""
    ledger = sim.ledger
    if ledger.too_many_at_once():
        return 40209
    if ledger.calls_per_minute is None:
        return None
    over = ledger.over_the_rate(call, "all", ledger.calls_per_minute)
    if door in _FREE:
        over = ledger.over_the_rate(call, door[1], _FREE[door][1]) or over
    return 40202 if over else None


def _posted(body: bytes) -> Any:
    """The posted JSON; None when there is none, a string when it is not JSON."""
    if not body.strip():
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return "not JSON"
