"""The account's own prices, read by a free call; the built-in ones stand in where they could not be read.

Prices only: what calls a day has is `chunks.py`, what it may cost is the budget's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backlinks_assets.collect.chunks import Calls
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import BUILT_IN, Tariff
from backlinks_assets.dataforseo.endpoints import (
    bulk_new_lost_backlinks,
    bulk_new_lost_referring_domains,
    bulk_pages_summary,
    single_links,
    summary,
    user_data,
)
from backlinks_assets.dataforseo.errors import ApiError
from backlinks_assets.settings import Settings

USED: Final = (
    summary.NAME,
    bulk_pages_summary.NAME,
    bulk_new_lost_backlinks.NAME,
    bulk_new_lost_referring_domains.NAME,
    single_links.NAME,
)


@dataclass(frozen=True, slots=True)
class Prices:
    """Tariffs by endpoint, and where they are from: `account`, `simulator`, or `built-in` with the reason.

    `is_unread`: the account has a list, and it could not be read.
    """

    tariffs: Mapping[str, Tariff]
    source: str
    why: str = ""
    is_unread: bool = False

    def of(self, name: str) -> Tariff:
        return self.tariffs.get(name, BUILT_IN)

    @property
    def missing(self) -> list[str]:
        """Endpoints without a price in the account's list; the built-in price counts for them."""
        return [] if self.source == "built-in" else [name for name in USED if name not in self.tariffs]

    def sum_usd(self, calls: Sequence[Calls]) -> float:
        return sum(each.price_usd(self.of(each.endpoint)) for each in calls)


def read_prices(settings: Settings) -> Prices:
    """Return the account's own prices by a free call; the built-in ones where they could not be read."""
    if settings.base_url is None:
        return Prices({}, "built-in", "no credentials are set")
    try:
        with Client(settings.base_url, settings.login, settings.password, connections=1) as client:
            data = client.send(user_data.USER_DATA, None)
    except ApiError as error:
        return Prices({}, "built-in", f"the account's list could not be read: {error.message}", is_unread=True)
    found = user_data.price_list(data)
    if not any(name in found for name in USED):
        return Prices({}, "built-in", "the account's data have none")
    return Prices(found, "simulator" if settings.simulated else "account")
