"""What is being asked, and a reply before it is bytes on a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from backlinks_assets.simulator.http.account import Call
from backlinks_assets.simulator.http.envelope import envelope, task
from backlinks_assets.simulator.http.faults import Effect

if TYPE_CHECKING:
    from backlinks_assets.simulator.http.server import Simulator


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send; `manner` is an effect on how it is sent (`silence`, `trickle`, `half`, `reset`)."""

    http_status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    manner: Effect | None = None


def json_reply(answer: dict[str, Any], http_status: int = 200, manner: Effect | None = None) -> Reply:
    """A reply with this JSON."""
    return Reply(http_status, orjson.dumps(answer), manner=manner)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that was let in: by whom it is answered, its entry in the log, and what its tasks repeat."""

    sim: Simulator
    call: Call
    path: list[str]
    data: dict[str, Any]  # api and function, then (from the task on) its parameters

    def refused(self, code: int, text: str | None = None) -> Reply:
        """A reply with one task of that status code, for nothing."""
        self.call.status_code = code
        return json_reply(envelope([task(code, self.path, self.data, text=text)]))
