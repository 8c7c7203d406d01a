"""What a fault does to an answer: a changed reply here, and how the bytes leave in `simulated_api`."""

from dataclasses import dataclass
from typing import Any

import orjson
from faults import Effect

from backlinks_assets.simulator.http.envelope import envelope, message, task
from backlinks_assets.simulator.http.reply import Reply, json_reply

WRONG_TARGET = "somebody-else.example"
_PAGE = b"<!doctype html><title>One moment</title><h1>The gateway has no answer</h1>"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Spoiled(Reply):
    """A reply that is sent in a manner of its own: `silence`, `trickle`, `half` or `reset`."""

    manner: Effect | None = None


def refusal(effect: Effect, path: list[str], data: dict[str, Any], cost_usd: float) -> Reply:
    """The reply instead of an answer. `reset` has nothing to say and closes the connection."""
    status, kind = int(effect.number), effect.kind
    if kind in ("code", "tasks_null", "http_402"):
        return _with_a_code(effect, path, data, cost_usd)
    replies = {
        "redirect": Reply(302, b"", headers={"Location": effect.text or "/"}),
        "html": Reply(200, _PAGE, content_type=_HTML),
        "not_json": Reply(200, b'{"version": "0.1.2026'),
        "reset": Spoiled(200, b"", manner=effect),
    }
    if kind in replies:
        return replies[kind]
    headers = {} if effect.after_s is None else {"Retry-After": f"{effect.after_s:g}"}
    return Reply(status, _PAGE, content_type=_HTML, headers=headers)


def _with_a_code(effect: Effect, path: list[str], data: dict[str, Any], cost_usd: float) -> Reply:
    status, text = int(effect.number), effect.text
    if effect.kind == "tasks_null":
        return json_reply({**envelope(None, code=status, text=text), "cost": cost_usd})
    if effect.kind == "http_402":
        unpaid = {"status_code": 40200, "status_message": message(40200), "cost": cost_usd, "result": None}
        return json_reply({"tasks": [unpaid]}, http_status=402)
    refused = [task(status, path, data, cost_usd=cost_usd, text=text)]
    if effect.level == "envelope":
        return json_reply(envelope(refused, code=status, text=text))
    return json_reply(envelope(refused))


def spoiled(effect: Effect, answer: dict[str, Any]) -> Reply:
    """The right answer, delivered wrongly."""
    if effect.kind == "wrong_target":
        for each in answer["tasks"]:
            each["data"] = {**each["data"], "target": WRONG_TARGET}
            for result in filter(None, each["result"] or []):
                result["target"] = WRONG_TARGET
    if effect.kind == "no_result":
        shapes: dict[str, list[None] | None] = {"null": None, "[]": [], "[null]": [None]}
        answer["tasks"][0] |= {"result": shapes[effect.text or "null"], "result_count": 0}
    if effect.kind == "strings":
        for result in filter(None, answer["tasks"][0]["result"] or []):
            _write_into(result, effect.text or "")
    if effect.kind == "big":
        return Reply(200, orjson.dumps({**answer, "filling": "x" * int(effect.number * 1_000_000)}))
    return Spoiled(200, orjson.dumps(answer), manner=effect)


def _write_into(result: dict[str, Any], text: str) -> None:
    info = result.get("info") or {}
    result["info"] = {name: text if isinstance(value, str) else value for name, value in info.items()}
    for name, value in result.items():
        if name.startswith("referring_links_"):
            result[name] = {**(value or {}), text: 1}
