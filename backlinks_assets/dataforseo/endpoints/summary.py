"""`POST /v3/backlinks/summary/live`: a target's backlinks, counted by the API.

Here belong the request's parameters with their bounds, and whether an answer holds the summary that was requested. Its
fields are read in `tables/`.
"""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from backlinks_assets.dataforseo.answer import OK, Answer
from backlinks_assets.dataforseo.endpoint import PaidEndpoint, Request, UnusableError
from backlinks_assets.dataforseo.parameters import Filters, RankScale, StatusType, TaskParameters
from backlinks_assets.dataforseo.spelling import normal_form
from backlinks_assets.formatting import shown

NAME: Final = "backlinks/summary/live"
"""The endpoint's name: its path after `/v3/`."""

STATUS_TYPES: Final[tuple[StatusType, ...]] = ("live", "lost")
"""Those that the project reads."""

_SUMMARY_FIELDS: Final = frozenset({"backlinks", "backlinks_spam_score", "rank", "referring_domains", "info"})
"""A result with none of these does not hold a summary."""


class RequestParameters(TaskParameters):
    """The parameters that shape an answer, but for target, status type and tag. Defaults are the project's.

    They are the API's own but for `internal_list_limit`: a summary costs one result row whatever the length of
    its lists, so 100 entries cost what 10 do. Source: the vendor's page of the endpoint.
    """

    include_subdomains: bool = Field(True, description="Count links to the target's subdomains too.")
    include_indirect_links: bool = Field(True, description="Count links by way of redirects and canonical pages.")
    exclude_internal_backlinks: bool = Field(True, description="Leave out links from subdomains of the same domain.")
    internal_list_limit: int = Field(
        100, ge=1, le=1000, description="Entries kept in each referring_links_* breakdown (1 to 1000)."
    )
    rank_scale: RankScale = Field("one_thousand", description="Scale of `rank`: 0-100 or 0-1000.")
    backlinks_filters: Filters = Field(None, description='Count only links that match, e.g. ["dofollow", "=", true].')

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
