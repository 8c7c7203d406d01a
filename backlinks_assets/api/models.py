"""What may be asked of the summary endpoint, and how its answer is read.

Here belong the request's parameters with their bounds and the parsed answer, tolerant of what the vendor
leaves out or adds. No HTTP, no judgement of status codes (`errors.py`), no columns of ours (`tables/`).
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

StatusType = Literal["live", "lost", "all"]
RankScale = Literal["one_hundred", "one_thousand"]

TAG_LIMIT = 255
"""Characters that the API allows in `tag`."""

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

    `result` is the one result object, or None where the API knows nothing of the target (which is charged).
    `cost_usd` is what the answer itself says, None where it says nothing.
    """

    body: bytes
    http_status: int
    status_code: int | None = None
    status_message: str = ""
    task_id: str | None = None
    cost_usd: float | None = None
    result: dict[str, Any] | None = None
    echoed_target: str | None = None
    simulated: bool = False


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def first_result(envelope: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result object of an answer's one task; null, `[]` and `[null]` are None."""
    tasks = envelope.get("tasks")
    results = _object(tasks[0]).get("result") if isinstance(tasks, list) and tasks else None
    first = results[0] if isinstance(results, list) and results else None
    return first if isinstance(first, dict) else None


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
    tasks = envelope.get("tasks")
    task = _object(tasks[0]) if isinstance(tasks, list) and tasks else {}
    envelope_code, task_code = envelope.get("status_code"), task.get("status_code")
    refused_above = isinstance(envelope_code, int) and envelope_code != 20000
    source = envelope if refused_above and (task_code in {None, 20000}) else (task if task_code else envelope)
    code = source.get("status_code")
    task_cost, total_cost = _number(task.get("cost")), _number(envelope.get("cost"))
    result = first_result(envelope)
    echoed = (result or {}).get("target") or _object(task.get("data")).get("target")
    return SummaryAnswer(
        body=body,
        http_status=http_status,
        status_code=code if isinstance(code, int) else None,
        status_message=str(source.get("status_message") or ""),
        task_id=str(task["id"]) if task.get("id") else None,
        cost_usd=task_cost if task_cost is not None else total_cost,
        result=result,
        echoed_target=str(echoed) if echoed else None,
        simulated=simulated,
    )
