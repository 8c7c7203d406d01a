"""The project's simulator with an account that has limits, with faults, and with a log of what it saw and charged."""

import hmac
import math
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
from audit import WINDOW_S, AuditedAccount
from faults import DELIVERS, Fault, FaultPlan, is_charged
from misbehaviour import Spoiled, refusal, spoiled

from backlinks_assets.simulator.http.account import PRICE_USD, Call
from backlinks_assets.simulator.http.endpoints import BASE_PATH, Api, utc_today
from backlinks_assets.simulator.http.envelope import message
from backlinks_assets.simulator.http.handler import Handler
from backlinks_assets.simulator.http.paid import bad_body, note
from backlinks_assets.simulator.http.reply import AdmittedCall, Reply, Request, json_reply
from backlinks_assets.simulator.http.server import Simulator

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST


class FaultyApi(Api):
    """The endpoints behind an account's limits. Of what a paid call meets, faults come after the balance."""

    account: AuditedAccount

    def __init__(self, account: AuditedAccount, credentials: tuple[str, str] | None, **given: Any) -> None:
        super().__init__(account, **given)
        self.credentials = credentials
        self.latency_s = 0.0
        self.faults = FaultPlan(())
        self.stopping = threading.Event()
        self._may_answer = threading.Condition()
        self._answers_left = math.inf

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's stop: then ConnectionAbortedError ends the call."""
        if seconds > 0 and self.stopping.wait(seconds):
            raise ConnectionAbortedError("The simulator was stopped.")

    def let_answer(self, calls: float) -> None:
        """Set how many more paid calls are answered."""
        with self._may_answer:
            self._answers_left = calls
            self._may_answer.notify_all()

    def wait_for_leave(self) -> None:
        """Wait until a paid call may be answered, but not beyond the server's stop."""
        with self._may_answer:
            if self._answers_left <= 0:
                self._may_answer.wait_for(lambda: self._answers_left > 0)
                if self.stopping.is_set():
                    raise ConnectionAbortedError("The simulator was stopped.")
            self._answers_left -= 1

    def answer(self, request: Request, call: Call) -> Reply:
        reply = super().answer(request, call)
        if (limit := self.account.calls_per_minute) is None:
            return reply
        left = max(0, limit - self.account.calls_this_minute)
        limits = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(left)}
        return replace(reply, headers={**reply.headers, **limits})

    def admit(self, request: Request, call: Call) -> AdmittedCall | Reply:
        admitted = super().admit(request, call)
        if isinstance(admitted, AdmittedCall) and (code := self.account.over_a_limit(call, admitted.door)):
            return admitted.refused(code)
        return admitted

    def accepts(self, login: tuple[str, str]) -> bool:
        if self.credentials is None:
            return super().accepts(login)
        given, right = ":".join(login), ":".join(self.credentials)
        return hmac.compare_digest(given.encode(), right.encode())

    def paid(self, admitted: AdmittedCall, posted: Any, *, charged: bool = True) -> Reply:
        self.pause(self.latency_s)
        self.wait_for_leave()
        if bad_body(posted):
            return super().paid(admitted, posted)
        note(admitted.call, posted[0])
        admitted = replace(admitted, data={**admitted.data, **posted[0]})
        if reply := self._without_money(admitted):
            return reply
        call = admitted.call
        targets = call.parameters.get("targets")
        names = targets if isinstance(targets, list) else [call.target or ""]
        fault = self.faults.next(names, call.status_type or "", admitted.data["function"])
        if fault is None:
            return super().paid(admitted, posted)
        effect = fault.effect
        price = self.account.price_usd if is_charged(fault) else 0.0
        if effect.kind in DELIVERS:
            return spoiled(effect, orjson.loads(super().paid(admitted, posted, charged=is_charged(fault)).body))
        # A gateway's own reply means that the API never saw the call: such a call is in no list of tasks.
        if price or effect.kind in ("code", "tasks_null", "http_402", "reset"):
            self.account.execute(call, price)
        call.status_code = int(effect.number) if effect.kind in ("code", "tasks_null") else 0
        return refusal(effect, admitted.path, admitted.data, price)

    def _without_money(self, admitted: AdmittedCall) -> Reply | None:
        """Refuse as insufficient funds while something is left, and by HTTP 402 when nothing is."""
        left = self.account.balance_usd
        if not self.account.is_limited or left >= self.account.price_usd:
            return None
        if left > 0:
            return admitted.refused(40210)
        admitted.call.status_code = 40200
        unpaid = {"status_code": 40200, "status_message": message(40200), "cost": 0, "result": None}
        return json_reply({"tasks": [unpaid]}, http_status=402)


class FaultyHandler(Handler):
    """Writes replies badly where a fault says so."""

    api: FaultyApi

    def send(self, reply: Reply, call: Call) -> None:
        manner = reply.manner if isinstance(reply, Spoiled) else None
        if manner is None or manner.kind not in ("reset", "silence", "trickle", "half"):
            super().send(reply, call)
        elif manner.kind == "reset":
            self.api.account.end(call)
            self._reset()
        elif manner.kind == "silence":
            self.api.pause(manner.number)
            super().send(reply, call)
        elif manner.kind == "trickle":
            self._trickle(b"".join(self.as_bytes(reply)), manner.number)
        else:
            head, body = self.as_bytes(reply)
            self.api.account.end(call)
            self.wfile.write(head + body[: len(body) // 2])
            self.close_connection = True

    def _trickle(self, data: bytes, bytes_per_s: float) -> None:
        """Write ten pieces a second, or a byte at a time where that is slower."""
        piece = max(1, int(bytes_per_s / 10))
        for at in range(0, len(data), piece):
            self.wfile.write(data[at : at + piece])
            self.api.pause(piece / bytes_per_s)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.rfile.close()
        self.connection.close()


class SimulatedApi(Simulator):
    """A server whose account and faults a test chooses.

    Without `credentials` any login that is not empty passes. `calls_per_minute`, `calls_at_once` and `balance_usd` of
    None are no limit. `price_usd` is charged for each answered summary; `latency_s` is waited before it. `as_real`
    leaves out the path and the header by which its answers are known as simulated: it stands for the vendor's server.
    """

    handler = FaultyHandler
    api: FaultyApi

    def __init__(
        self,
        *,
        port: int = 0,
        calls_per_minute: int | None = None,
        calls_at_once: int | None = None,
        latency_s: float = 0.0,
        balance_usd: float | None = None,
        credentials: tuple[str, str] | None = None,
        price_usd: float = PRICE_USD,
        faults: Sequence[Fault] = (),
        today: Callable[[], date] = utc_today,
        calls_kept: int = 20_000,
        as_real: bool = False,
    ) -> None:
        base_path = "" if as_real else BASE_PATH
        self.account = AuditedAccount(
            price_usd=price_usd,
            calls_per_minute=calls_per_minute,
            calls_at_once=calls_at_once,
            deposit_usd=balance_usd,
            calls_kept=calls_kept,
            counted_below=f"{base_path}/v3/backlinks/",
        )
        super().__init__(FaultyApi(self.account, credentials, base_path=base_path, today=today), port=port)
        self.latency_s = latency_s
        self.faults = FaultPlan(faults)

    def stop(self) -> None:
        self.api.stopping.set()
        self.let_answer(math.inf)
        super().stop()

    def let_answer(self, calls: float = math.inf) -> None:
        """Answer so many more paid calls. Any further one is under way until this is called again, however long."""
        self.api.let_answer(calls)

    @property
    def faults(self) -> FaultPlan:
        return self.api.faults

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self.api.faults = plan

    @property
    def latency_s(self) -> float:
        return self.api.latency_s

    @latency_s.setter
    def latency_s(self, seconds: float) -> None:
        self.api.latency_s = seconds

    @property
    def calls(self) -> list[Call]:
        """The calls it got, in the order they came (the newest `calls_kept`)."""
        return self.account.calls

    @property
    def connections(self) -> int:
        """Connections that were let in and are not over: none once all clients are gone and their calls have ended."""
        return len(self._server._open) if self._server else 0

    @property
    def peak_at_once(self) -> int:
        """The most calls to the backlinks endpoints that were in flight together."""
        return self.account.peak_at_once

    @property
    def spent_usd(self) -> float:
        """All that it charged."""
        return self.account.spent_usd

    def worst_window(self, seconds: float = WINDOW_S) -> int:
        """Return the most calls that came within any window of that many seconds."""
        return self.account.worst_window(seconds)
