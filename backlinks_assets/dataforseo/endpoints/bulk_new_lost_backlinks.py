"""`POST /v3/backlinks/bulk_new_lost_backlinks/live`: new and lost links of many targets since a day.

Whether a loss is dated by its discovery or by the link's last visit is documented nowhere. So `date_from` stays the same
for months, and days are differences of what is answered: that is right in either case.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backlinks_assets.dataforseo.bulk import TARGET_FIELDS, items_by_target, parse, targets_of, whole_number
from backlinks_assets.dataforseo.endpoint import PaidEndpoint

NAME: Final = "backlinks/bulk_new_lost_backlinks/live"


@dataclass(frozen=True, slots=True)
class NewLostLinks:
    """Links since `date_from`. Either may be None: the API did not say."""

    new_backlinks: int | None
    lost_backlinks: int | None


def readings(result: Mapping[str, Any] | None, targets: Iterable[str]) -> dict[str, NewLostLinks]:
    """Return each target's counts; a target without a reading is left out."""
    counts = ("new_backlinks", "lost_backlinks")
    items = items_by_target(result, targets, named="target", counts=counts)
    return {target: NewLostLinks(*(whole_number(item.get(name)) for name in counts)) for target, item in items.items()}


BULK_NEW_LOST_BACKLINKS: Final = PaidEndpoint(
    name=NAME,
    task=lambda request: request.task(),
    parse=parse,
    rows=lambda request: len(targets_of(request)),
    target_fields=TARGET_FIELDS,
)
