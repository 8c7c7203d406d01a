"""The parameters of the two bulk endpoints that count what is new and lost since a day."""

import datetime as dt
from typing import Final, Self

from backlinks_assets.dataforseo.bulk import BulkParameters

MAX_DAYS_BACK: Final = 365
"""`date_from` may be so many days before the day of the call; the API's limit."""


class SinceParameters(BulkParameters):
    """Up to 1,000 targets, and the first day from which on links or domains are counted as new or lost."""

    date_from: dt.date

    @classmethod
    def on(cls, day: dt.date, date_from: dt.date, targets: tuple[str, ...]) -> Self:
        """Return the parameters of a call on a day (UTC).

        Raises:
            ValueError: `date_from` is after the day or more than 365 days before it, or the targets can't be in one call.
        """
        if not 0 <= (day - date_from).days <= MAX_DAYS_BACK:
            raise ValueError(f"date_from is {date_from}; it must be within {MAX_DAYS_BACK} days before {day}")
        return cls(targets=targets, date_from=date_from)
