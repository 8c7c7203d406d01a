"""`POST /v3/backlinks/bulk_new_lost_referring_domains/live`: new and lost referring domains of many targets since a day.

The twin of `bulk_new_lost_backlinks`: one domain may be thousands of links.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from backlinks_assets.dataforseo.bulk import TARGET_FIELDS, items_by_target, parse, targets_of, whole_number
from backlinks_assets.dataforseo.endpoint import PaidEndpoint

NAME: Final = "backlinks/bulk_new_lost_referring_domains/live"


@dataclass(frozen=True, slots=True)
class NewLostDomains:
    """Referring domains since `date_from`. Any may be None: the API did not say."""

    new_referring_domains: int | None
    lost_referring_domains: int | None
    new_referring_main_domains: int | None
    lost_referring_main_domains: int | None


_COUNTS: Final = tuple(each.name for each in fields(NewLostDomains))


def readings(result: Mapping[str, Any] | None, targets: Iterable[str]) -> dict[str, NewLostDomains]:
    """Return each target's counts; a target without a reading is left out."""
    items = items_by_target(result, targets, named="target", counts=_COUNTS)
    return {
        target: NewLostDomains(*(whole_number(item.get(name)) for name in _COUNTS)) for target, item in items.items()
    }


BULK_NEW_LOST_REFERRING_DOMAINS: Final = PaidEndpoint(
    name=NAME,
    task=lambda request: request.task(),
    parse=parse,
    rows=lambda request: len(targets_of(request)),
    target_fields=TARGET_FIELDS,
)
