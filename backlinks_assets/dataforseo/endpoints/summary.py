"""What may be asked of the summary endpoint, and how its answer is read.

Here belong the request's parameters with their bounds and the parsed answer, tolerant of what the vendor
leaves out or adds. No HTTP, no judgement of status codes (`status_codes.py`) or of whether the answer is to the request
(`match.py`), no columns of ours (`tables/`).
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from backlinks_assets.targets.name import normal_form

NAME: Final = "backlinks/summary/live"
"""The endpoint's name: its path after `/v3/`."""

StatusType = Literal["live", "lost", "all"]
RankScale = Literal["one_hundred", "one_thousand"]

OK = 20000
"""The status code of what was done as asked."""

TAG_LIMIT = 255
"""Characters that the API allows in `tag`."""

MAX_COST_USD = 1000.0
"""No call costs so much: a larger number is an error of the answer, and would fill the budget by itself."""

_MAX_FILTER_CONDITIONS = 8
_FILTER_OPERATORS = frozenset(
    {"=", "<>", "<", ">", "<=", ">=", "in", "not_in", "like", "not_like", "ilike", "not_ilike"}
    | {"regex", "not_regex", "match", "not_match"}
)


def _check_filters(filters: list[Any] | None) -> list[Any] | None:
    """Accept what the vendor documents: one condition, or conditions joined by "and" / "or", eight at most."""
    if filters is not None and (conditions := _conditions(filters)) > _MAX_FILTER_CONDITIONS:
        raise ValueError(f"the API takes {_MAX_FILTER_CONDITIONS} filter conditions at most, not {conditions}")
    return filters


def _conditions(node: object, depth: int = 0) -> int:
    """Return how many conditions a filter holds; raise ValueError for what is no filter."""
    if not isinstance(node, list) or not node or depth > _MAX_FILTER_CONDITIONS:
        raise ValueError('it is a condition such as ["dofollow", "=", true], or conditions joined by "and" or "or"')
    if isinstance(node[0], str):
        if len(node) != 3 or not isinstance(node[1], str):
            raise ValueError(f"a filter condition has three parts (field, operator, value), not {node!r}")
        if node[1] not in _FILTER_OPERATORS:
            known = ", ".join(sorted(_FILTER_OPERATORS))
            raise ValueError(f"{node[1]!r} is no filter operator; the API knows {known}")
        return 1
    joints, parts = node[1::2], node[0::2]
    if len(node) % 2 == 0 or any(joint not in ("and", "or") for joint in joints):
        raise ValueError(f'conditions are joined by "and" or "or", not as in {node!r}')
    return sum(_conditions(part, depth + 1) for part in parts)


Filters = Annotated[list[Any] | None, AfterValidator(_check_filters)]


class RequestParameters(BaseModel):
    """The parameters that shape an answer, but for target, status type and tag. Defaults are the project's.

    They are the API's own but for `internal_list_limit`: a summary costs one result row whatever the length of
    its lists, so 100 entries cost what 10 do. Source: the vendor's page of the endpoint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    include_subdomains: bool = Field(True, description="Count links to the target's subdomains too.")
    include_indirect_links: bool = Field(True, description="Count links by way of redirects and canonical pages.")
    exclude_internal_backlinks: bool = Field(True, description="Leave out links from subdomains of the same domain.")
    internal_list_limit: int = Field(
        100, ge=1, le=1000, description="Entries kept in each referring_links_* breakdown (1 to 1000)."
    )
    rank_scale: RankScale = Field("one_thousand", description="Scale of `rank`: 0-100 or 0-1000.")
    backlinks_filters: Filters = Field(None, description='Count only links that match, e.g. ["dofollow", "=", true].')

    @cached_property
    def key(self) -> str:
        """Sixteen hex digits that are equal when, and only when, the parameters are: part of an answer's key."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def text(self) -> str:
        """The parameters as JSON, always in the same order."""
        return orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS).decode()

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """Those that are set, as a task of the API takes them."""
        return self.model_dump(exclude_none=True)

    def with_overrides(self, overrides: "ParameterOverrides | None") -> "RequestParameters":
        """Return these parameters with a target's own ones in the place of the project's."""
        own = overrides.model_dump(exclude_none=True) if overrides else {}
        return RequestParameters(**(self.model_dump() | own)) if own else self


class ParameterOverrides(BaseModel):
    """A target's own parameters, out of the targets file; None means the project's default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    include_subdomains: bool | None = None
    include_indirect_links: bool | None = None
    exclude_internal_backlinks: bool | None = None
    internal_list_limit: int | None = Field(None, ge=1, le=1000)
    rank_scale: RankScale | None = None
    backlinks_filters: Filters = None


def request_tag(date: dt.date, target: str, status_type: str) -> str:
    """Return `date|target|status type`, the middle cut where the API's 255 characters would not hold it.

    A cut target ends in `~` and ten hex digits of its hash, so that tags of different pages differ.
    """
    tag = f"{date.isoformat()}|{target}|{status_type}"
    if len(tag) <= TAG_LIMIT:
        return tag
    digest = "~" + hashlib.sha256(target.encode()).hexdigest()[:10]
    room = TAG_LIMIT - (len(tag) - len(target)) - len(digest)
    return f"{date.isoformat()}|{target[:room]}{digest}|{status_type}"


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """One task of `POST /v3/backlinks/summary/live`."""

    target: str
    status_type: StatusType
    parameters: RequestParameters = field(default_factory=RequestParameters)
    tag: str = ""

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("a request needs a target")
        if len(self.tag) > TAG_LIMIT:
            raise ValueError(f"the API takes tags of {TAG_LIMIT} characters at most; this one has {len(self.tag)}")

    def task(self) -> dict[str, Any]:
        """Return the task as the API takes it; options that are unset are left out."""
        tag = {"tag": self.tag} if self.tag else {}
        return {"target": self.target, "backlinks_status_type": self.status_type, **self.parameters.options, **tag}


@dataclass(frozen=True, slots=True)
class SummaryAnswer:
    """One answer as it came: `body` is the vendor's JSON, the rest is read from it and may be missing.

    `result` is the result object, None where there is none; `is_empty` where the answer itself says so, with a result
    of null, `[]` or `[null]`: the API knows nothing of the target (which is charged). `has_task` is False where nothing
    in it answers anything. `cost_usd` is what the answer itself says, None where it says nothing. `echo` is the request
    as the API repeats it.
    """

    body: bytes
    http_status: int
    status_code: int | None = None
    status_message: str = ""
    task_id: str | None = None
    cost_usd: float | None = None
    has_task: bool = False
    is_empty: bool = False
    result: dict[str, Any] | None = None
    echo: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False

    @property
    def known_cost_usd(self) -> float | None:
        """What it cost. A refusal that names no cost has none; of anything else only the vendor's list can tell."""
        if self.cost_usd is None and self.status_code not in {None, OK}:
            return 0.0
        return self.cost_usd


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; an object alone is taken for a list of one."""
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def cost_of(value: object) -> float | None:
    """Return a cost in dollars; what can't be one (negative, or more than any call costs) says nothing."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < MAX_COST_USD else None  # type: ignore[operator, arg-type]


def _code(value: object) -> int | None:
    is_code = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 100_000
    return value if is_code else None  # type: ignore[return-value]


def task_of(envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the task that answers: the first that is Ok, else the first with a status code, else an empty one."""
    tasks = envelope.get("tasks")
    coded = [task for task in _objects(tasks) if _code(task.get("status_code"))] if isinstance(tasks, list) else []
    return next((task for task in coded if task["status_code"] == OK), coded[0] if coded else {})


def first_result(envelope: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result object of an answer's task; of several the one that the task is about, else the first.

    An answer that was kept may be of a time when its task's status code was not asked for.
    """
    task = task_of(envelope) or next(iter(_objects(envelope.get("tasks"))), {})
    results = _objects(task.get("result"))
    if len(results) > 1:
        wanted = normal_form(str(_object(task.get("data")).get("target")))
        results.sort(key=lambda result: normal_form(str(result.get("target"))) != wanted)
    return results[0] if results else None


def parse_answer(body: bytes, http_status: int, *, simulated: bool = False) -> SummaryAnswer:
    """Read an answer tolerantly: `tasks` may be null, any field may be missing or null.

    The task's status code counts where there is a task and it has one, else the envelope's: an envelope of 20000
    may hold a refused task, and an account-level refusal may come with no task at all.

    Raises:
        ValueError: the body is no JSON object.
    """
    envelope = orjson.loads(body)
    if not isinstance(envelope, dict):
        raise ValueError("the answer is JSON but no object")
    task = task_of(envelope)
    envelope_code, task_code = _code(envelope.get("status_code")), _code(task.get("status_code"))
    refused_above = envelope_code not in {None, OK}
    source = envelope if refused_above and task_code in {None, OK} else (task if task_code else envelope)
    costs = [cost for each in _objects(envelope.get("tasks")) if (cost := cost_of(each.get("cost"))) is not None]
    return SummaryAnswer(
        body=body,
        http_status=http_status,
        status_code=_code(source.get("status_code")),
        status_message=str(source.get("status_message") or ""),
        task_id=str(task["id"]) if task.get("id") else None,
        cost_usd=sum(costs) if costs else cost_of(envelope.get("cost")),
        has_task=bool(task),
        is_empty="result" in task and task["result"] in (None, [], [None]),
        result=first_result(envelope),
        echo=_object(task.get("data")),
        simulated=simulated,
    )
