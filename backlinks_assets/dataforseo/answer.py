"""One answer of the API, of any endpoint: the envelope around its task, read tolerantly.

Here belongs what all endpoints' answers have in common. What a result holds is `endpoints/`; what a status code means is
`status_codes.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from backlinks_assets.dataforseo.spelling import normal_form

OK: Final = 20000
"""The status code of success."""

MAX_COST_USD: Final = 1000.0
"""No call costs so much. A larger number is an error in the answer, and would fill the budget by itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came: `body` is the vendor's JSON, the rest is read from it and may be missing.

    `task` is the task that was carried out, empty where none was. `cost_usd` is the answer's own, None where it has none.
    """

    body: bytes
    http_status: int
    status_code: int | None = None
    status_message: str = ""
    cost_usd: float | None = None
    task: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False

    @property
    def task_id(self) -> str | None:
        return str(self.task["id"]) if self.task.get("id") else None

    @property
    def echo(self) -> Mapping[str, Any]:
        """The request as the API repeats it."""
        return _object(self.task.get("data"))

    @property
    def result(self) -> dict[str, Any] | None:
        return result_of(self.task)

    @property
    def is_empty(self) -> bool:
        """The API knows nothing of the target: its result is null, `[]` or `[null]`."""
        return "result" in self.task and self.task["result"] in (None, [], [None])

    @property
    def known_cost_usd(self) -> float | None:
        """Its cost: none for a refusal that names none. For any other answer without one, only the vendor's list knows."""
        if self.cost_usd is None and self.status_code not in {None, OK}:
            return 0.0
        return self.cost_usd


def parse_answer(body: bytes, http_status: int, *, simulated: bool = False) -> Answer:
    """Read an answer tolerantly: `tasks` may be null, any field may be missing or null.

    The task's status code counts where there is a task and it has one, else the envelope's: an envelope of 20000
    may hold a refused task, and an account-level refusal may come with no task at all.

    Raises:
        ValueError: the body is not a JSON object.
    """
    envelope = orjson.loads(body)
    if not isinstance(envelope, dict):
        raise ValueError("the answer is JSON but not an object")
    task = _task_of(envelope)
    envelope_code, task_code = _code(envelope.get("status_code")), _code(task.get("status_code"))
    refused_above = envelope_code not in {None, OK}
    source = envelope if refused_above and task_code in {None, OK} else (task if task_code else envelope)
    costs = [cost for each in _objects(envelope.get("tasks")) if (cost := cost_of(each.get("cost"))) is not None]
    return Answer(
        body=body,
        http_status=http_status,
        status_code=_code(source.get("status_code")),
        status_message=str(source.get("status_message") or ""),
        cost_usd=sum(costs) if costs else cost_of(envelope.get("cost")),
        task=task,
        simulated=simulated,
    )


def first_result(envelope: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result object of a stored answer, which may be older than the check of its task's status code."""
    return result_of(_task_of(envelope) or next(iter(_objects(envelope.get("tasks"))), {}))


def result_of(task: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a task's result object; of several the one that the task is about, else the first."""
    results = _objects(task.get("result"))
    if len(results) > 1 and "target" in (echo := _object(task.get("data"))):
        wanted = normal_form(str(echo["target"]))
        results.sort(key=lambda result: normal_form(str(result.get("target"))) != wanted)
    return results[0] if results else None


def cost_of(value: object) -> float | None:
    """Return a cost in dollars; None for what can't be one (negative, or more than any call costs)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < MAX_COST_USD else None  # type: ignore[operator, arg-type]


def _task_of(envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the task that answers: the first that is Ok, else the first with a status code, else an empty one."""
    tasks = envelope.get("tasks")
    coded = [task for task in _objects(tasks) if _code(task.get("status_code"))] if isinstance(tasks, list) else []
    return next((task for task in coded if task["status_code"] == OK), coded[0] if coded else {})


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; an object alone is taken for a list of one."""
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _code(value: object) -> int | None:
    is_code = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 100_000
    return value if is_code else None  # type: ignore[return-value]
