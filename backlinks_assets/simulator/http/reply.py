"""A call that was let in, and a reply before it is bytes on a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from backlinks_assets.simulator.http.account import Call
from backlinks_assets.simulator.http.envelope import envelope, task


@dataclass(frozen=True, slots=True)
class Request:
    """What came over HTTP. `path` is without the query; `login` is None without Basic credentials."""

    method: str
    path: str
    host: str
    body: bytes
    login: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send."""

    http_status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_reply(answer: dict[str, Any], http_status: int = 200) -> Reply:
    """Return a reply with this JSON."""
    return Reply(http_status, orjson.dumps(answer))


@dataclass(frozen=True, slots=True)
class AdmittedCall:
    """A call that was let in: its entry, by which endpoint, who calls, and what its tasks repeat."""

    call: Call
    door: tuple[str, str]  # method and path below the base
    login: tuple[str, str]
    data: dict[str, Any]  # api and function, then (from the task on) its parameters

    @property
    def path(self) -> list[str]:
        """The path as a task repeats it."""
        return self.door[1].strip("/").split("/")

    def refused(self, code: int) -> Reply:
        """Return a reply with one task of that status code, for nothing."""
        self.call.status_code = code
        return json_reply(envelope([task(code, self.path, self.data)]))
