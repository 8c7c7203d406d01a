"""`POST /v3/backlinks/backlinks/live`: the single links of a target, best or worst first.

`is_new` means new at the crawler's last visit, so that "new since a day" is a filter on `first_seen`. `last_seen` is the most
recent visit. No filter may use `regex`: on some endpoints the API then silently answers with nothing. Anchors, titles and
addresses are strangers' text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from backlinks_assets.dataforseo.answer import OK, Answer
from backlinks_assets.dataforseo.bulk import whole_number
from backlinks_assets.dataforseo.endpoint import PaidEndpoint, Request, UnusableError
from backlinks_assets.dataforseo.parameters import Filters, RankScale, StatusType, TaskParameters
from backlinks_assets.dataforseo.spelling import normal_form
from backlinks_assets.formatting import shown

NAME: Final = "backlinks/backlinks/live"
MAX_LINKS_PER_CALL: Final = 1000
MAX_OFFSET: Final = 20_000
MAX_ORDER_RULES: Final = 3

Mode = Literal["as_is", "one_per_domain", "one_per_anchor"]


def _no_regex(filters: list[Any] | None) -> list[Any] | None:
    if "regex" in str(filters):
        raise ValueError("a filter by regex would silently leave out every link: use like, or =")
    return filters


def _check_order(rules: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for rule in rules or ():
        field, _, direction = rule.partition(",")
        if not field or direction not in ("asc", "desc"):
            raise ValueError(f"a rule of the order is as domain_from_rank,desc, not {rule!r}")
    return rules


class LinksParameters(TaskParameters):
    """Which links, in which order, and how many. Defaults are the API's own, but for `mode`: a row for each domain."""

    mode: Mode = "one_per_domain"
    filters: Annotated[Filters, AfterValidator(_no_regex)] = None
    order_by: Annotated[tuple[str, ...] | None, AfterValidator(_check_order)] = Field(None, max_length=MAX_ORDER_RULES)
    limit: int = Field(100, ge=1, le=MAX_LINKS_PER_CALL)
    offset: int = Field(0, ge=0, le=MAX_OFFSET)
    include_subdomains: bool = True
    exclude_internal_backlinks: bool = True
    rank_scale: RankScale = "one_thousand"


@dataclass(frozen=True, slots=True)
class Links:
    """An answer's rows as they came, and how many there are in all: `total_count` is None where it does not say.

    In `one_per_domain` both count domains, and a row's `group_count` is the number of links from its domain.
    """

    total_count: int | None
    rows: tuple[Mapping[str, Any], ...]


def parse(answer: Answer, request: Request) -> Answer:
    """Return the answer; its rows are read by `links_of`.

    Raises:
        UnusableError: it is about another target or status type, or its result holds no list of links.
    """
    named = answer.echo.get("target") or (answer.result or {}).get("target")
    if named and normal_form(str(named)) != normal_form(request.target):
        raise UnusableError(f"it is about {shown(str(named))}, not about the target of the request")
    status_type = answer.echo.get("backlinks_status_type")
    if status_type and str(status_type).lower() != request.status_type:
        raise UnusableError(f"it is about {shown(str(status_type))} links, not about {request.status_type!r} ones")
    items = (answer.result or {}).get("items", 0)
    if not answer.is_empty and answer.status_code == OK and not isinstance(items, list | None):
        raise UnusableError("its result holds no list of links that could be read")
    return answer


def links_of(result: Mapping[str, Any] | None) -> Links:
    """Return the links of a result; a row that is not an object is left out."""
    items = (result or {}).get("items")
    rows = tuple(item for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
    return Links(whole_number((result or {}).get("total_count")), rows)


def _endpoint(status_type: StatusType) -> PaidEndpoint:
    return PaidEndpoint(
        name=NAME,
        task=lambda request: request.task(target=request.target, backlinks_status_type=request.status_type),
        parse=parse,
        rows=lambda request: int(request.parameters.options["limit"]),
        status_types=(status_type,),
    )


LIVE_LINKS: Final = _endpoint("live")
LOST_LINKS: Final = _endpoint("lost")
