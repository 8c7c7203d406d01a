"""`POST /v3/backlinks/summary/live`: a target's backlinks, counted by the API.

Here belong the request's parameters with their bounds, and whether an answer holds the summary that was requested. Its
fields are read in `tables/`.
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from backlinks_assets.dataforseo.answer import OK, Answer
from backlinks_assets.dataforseo.endpoint import PaidEndpoint, Request, UnusableError
from backlinks_assets.dataforseo.spelling import normal_form
from backlinks_assets.formatting import shown

NAME: Final = "backlinks/summary/live"
"""The endpoint's name: its path after `/v3/`."""

StatusType = Literal["live", "lost", "all"]
RankScale = Literal["one_hundred", "one_thousand"]

STATUS_TYPES: Final[tuple[StatusType, ...]] = ("live", "lost")
"""Those that the project reads."""

_SUMMARY_FIELDS: Final = frozenset({"backlinks", "backlinks_spam_score", "rank", "referring_domains", "info"})
"""A result with none of these does not hold a summary."""

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
    """Return how many conditions a filter holds; raise ValueError where it is not a filter."""
    if not isinstance(node, list) or not node or depth > _MAX_FILTER_CONDITIONS:
        raise ValueError('it is a condition such as ["dofollow", "=", true], or conditions joined by "and" or "or"')
    if isinstance(node[0], str):
        if len(node) != 3 or not isinstance(node[1], str):
            raise ValueError(f"a filter condition has three parts (field, operator, value), not {node!r}")
        if node[1] not in _FILTER_OPERATORS:
            known = ", ".join(sorted(_FILTER_OPERATORS))
            raise ValueError(f"{node[1]!r} is not a filter operator; the API knows {known}")
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
    """A target's own parameters of the targets file; None means the project's default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    include_subdomains: bool | None = None
    include_indirect_links: bool | None = None
    exclude_internal_backlinks: bool | None = None
    internal_list_limit: int | None = Field(None, ge=1, le=1000)
    rank_scale: RankScale | None = None
    backlinks_filters: Filters = None


def parse(answer: Answer, request: Request) -> Answer:
    """Return the answer; its `result` is None where the API knows nothing of the target.

    The result and the task's echo of the request name the target. Either may spell it in another way, but neither may name
    another target, and the echo may not name another status type.

    Raises:
        UnusableError: it is about something else, or does not hold a summary.
    """
    result, echo = answer.result or {}, answer.echo
    echoed = _text(echo.get("target"))
    for named in (_text(result.get("target")), echoed):
        if named is not None and not _is_same(named, request.target, echoed):
            raise UnusableError(f"it is about {shown(named)}, not about the target of the request")
    status_type = _text(echo.get("backlinks_status_type"))
    if status_type is not None and status_type.lower() != request.status_type:
        raise UnusableError(f"it is about {shown(status_type)} backlinks, not about {request.status_type!r} ones")
    if not answer.is_empty and answer.status_code == OK and not _SUMMARY_FIELDS & result.keys():
        raise UnusableError("its result holds no summary that could be read")
    return answer


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _is_same(named: str, requested: str, echoed: str | None) -> bool:
    """Whether two names are spellings of one target; under an echo of the very request, a page may lack its scheme."""
    if named == requested or normal_form(named) == normal_form(requested):
        return True
    is_ours = echoed is not None and normal_form(echoed) == normal_form(requested)
    return (
        is_ours and "/" in named and normal_form(f"{requested.partition('://')[0]}://{named}") == normal_form(requested)
    )


SUMMARY: Final = PaidEndpoint(
    name=NAME,
    task=lambda request: request.task(target=request.target, backlinks_status_type=request.status_type),
    parse=parse,
    rows=lambda _: 1,
    status_types=STATUS_TYPES,
)
