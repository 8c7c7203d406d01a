"""A server on loopback whose answers a test makes up whole: what no API should send, and what each call was charged.

Only the bytes are special. A server that behaves as the API does, and its usual faults, is `simulated_api`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

PRICE = 0.024036

Answer = Callable[[dict[str, Any]], Any]
"""From the task that was posted to the answer: bytes as they are, anything else as JSON, a pair with its HTTP status."""


def result_of(task: dict[str, Any], **fields: object) -> dict[str, Any]:
    """A result as the API gives it, cut to a few fields."""
    return {"target": task.get("target"), "backlinks": 100, "backlinks_spam_score": 3, **fields}


def task_of(task: dict[str, Any], number: int = 1, **fields: object) -> dict[str, Any]:
    """A task of an answer: Ok, with a result, unless told otherwise; `...` leaves a field out."""
    whole = {
        "id": f"task-{number}",
        "status_code": 20000,
        "status_message": "Ok.",
        "cost": PRICE,
        "data": task,
        "result": [result_of(task)],
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def envelope_of(tasks: Any, **fields: object) -> dict[str, Any]:
    """An answer around tasks, Ok and charged, unless told otherwise."""
    whole = {"status_code": 20000, "status_message": "Ok.", "cost": PRICE, "tasks": tasks, **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def good(task: dict[str, Any]) -> dict[str, Any]:
    """The answer that is expected."""
    return envelope_of([task_of(task)])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # thirty connect at once, and none of them may be refused


class StandIn:
    """`asked` are the tasks that were posted, in their order; `answer` may be changed at any time."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.listed: list[dict[str, Any]] = []
        self.url = ""

    def reply(self, path: str, task: dict[str, Any]) -> Any:
        if path.endswith("/id_list"):
            return envelope_of([{"status_code": 20000, "result": self.listed}])
        self.asked.append(task)
        return self.answer(task)


@contextmanager
def serving(answer: Answer, headers: dict[str, str] | None = None) -> Iterator[StandIn]:
    """Serve answers under any path until the block ends."""
    stand_in = StandIn(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            (task,) = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = stand_in.reply(self.path, task)
            status, reply = reply if isinstance(reply, tuple) else (200, reply)
            body = reply if isinstance(reply, bytes) else orjson.dumps(reply)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = _Server(("127.0.0.1", 0), Handler)
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
