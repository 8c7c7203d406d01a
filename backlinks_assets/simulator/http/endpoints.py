"""The endpoints: a request's path and credentials. What the paid ones answer is in `paid`, the free ones in `appendix`.

HTTP itself is in `handler`. Anything but the endpoints here is 404 with 40402, and anything outside the base
path is 404 with a message that says what the base URL is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import orjson

from backlinks_assets.simulator.http.account import Account, Call
from backlinks_assets.simulator.http.appendix import id_list, index, status, user_data
from backlinks_assets.simulator.http.envelope import OK, envelope, task
from backlinks_assets.simulator.http.paid import DOORS, bad_body, note, serve
from backlinks_assets.simulator.http.reply import AdmittedCall, Reply, Request, json_reply

BASE_PATH = "/simulator"
PAID = {("POST", f"/v3/backlinks/{function}/live") for function in DOORS}
FREE: dict[tuple[str, str], Callable[..., list[Any]]] = {
    ("GET", "/v3/appendix/user_data"): user_data,
    ("GET", "/v3/appendix/status"): status,
    ("GET", "/v3/backlinks/index"): index,
    ("POST", "/v3/backlinks/id_list"): id_list,
}


def utc_today() -> date:
    """The day in UTC, which is the API's."""
    return datetime.now(UTC).date()


class Api:
    """The endpoints over one account, below a base path.

    A paid call whose `tag` is `YYYY-MM-DD|…` is answered as of that day, any other as of `today()`. Without a base path
    its answers are not marked as simulated.
    """

    def __init__(self, account: Account, *, base_path: str = BASE_PATH, today: Callable[[], date] = utc_today) -> None:
        self.account = account
        self.base_path = base_path
        self.today = today

    def answer(self, request: Request, call: Call) -> Reply:
        """Return the reply; `call` gets its status code, what it was about and what it cost."""
        admitted = self.admit(request, call)
        if isinstance(admitted, Reply):
            return admitted
        posted = _posted(request.body) if request.method == "POST" else []
        if admitted.door in PAID:
            return self.paid(admitted, posted)
        call.status_code = OK
        found = FREE[admitted.door](
            self.account, admitted.login, posted if isinstance(posted, list) else [], self.today()
        )
        return json_reply(envelope([task(OK, admitted.path, admitted.data, result=found)]))

    def admit(self, request: Request, call: Call) -> AdmittedCall | Reply:
        """Return the call that was let in, or how it is refused."""
        inside = request.path.startswith(self.base_path + "/")
        door = (request.method, request.path.removeprefix(self.base_path))
        if not inside or (door not in PAID and door not in FREE):
            url = f"http://{request.host}{self.base_path}"
            text = None if inside else f"Not Found. This is the simulator: its base URL is {url}."
            return _refused_at_the_door(call, 40402 if inside else 40400, http_status=404, text=text)
        if request.login is None or not self.accepts(request.login):
            return _refused_at_the_door(call, 40100, http_status=401)
        _, _, api, function, *_ = door[1].split("/")
        return AdmittedCall(call, door, request.login, {"api": api, "function": function})

    def accepts(self, login: tuple[str, str]) -> bool:
        """Whether these credentials may call: any login that is not empty."""
        return bool(login[0])

    def paid(self, admitted: AdmittedCall, posted: Any, *, charged: bool = True) -> Reply:
        """Serve the first task, for nothing where it is not charged; refuse any further one with 40000."""
        if code := bad_body(posted):
            return admitted.refused(code)
        note(admitted.call, posted[0])
        served = serve(self.account, admitted, posted[0], self.today(), charged=charged)
        for further in posted[1:]:
            served["tasks"].append(task(40000, admitted.path, {**admitted.data, **further}))
        served["tasks_count"] = len(posted)
        served["tasks_error"] = sum(each["status_code"] != OK for each in served["tasks"])
        return json_reply(served)


def _refused_at_the_door(call: Call, code: int, *, http_status: int, text: str | None = None) -> Reply:
    call.status_code = code
    return json_reply(envelope(None, code=code, text=text), http_status)


def _posted(body: bytes) -> Any:
    """Return the posted JSON; None when there is none, a string when it is not JSON."""
    if not body.strip():
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return "not JSON"
