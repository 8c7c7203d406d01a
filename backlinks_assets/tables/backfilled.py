"""What `lost_history` adds to the history for detection: levels of days before each target's first reading.

A level is made from the first reading backwards, by what went on each day. Reading only; what is done with it is `detection/`.
"""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from backlinks_assets.tables.parquet import days, read_days

_TABLE = "lost_history"
_COLUMNS = ["date", "target", "lost_on_day", "live_backlinks"]


def days_before(root: Path, first: dt.date) -> list[dt.date]:
    """Return the days before one that have back-filled rows. Raises TablesError."""
    return [day for day in days(root, _TABLE) if day < first]


def with_backfill(root: Path, history: pd.DataFrame, start: dt.date) -> pd.DataFrame:
    """Return a history, sorted by day, with the back-filled rows from `start` on of its targets; as it is where there are none.

    Of these rows `backfilled` is true, and only `lost_backlinks` and `live_backlinks` are there. Lost links of a day are those of
    the first reading less what went on the days between, 0 at least; NaN from a day on of which it is not known what went.

    Raises:
        TablesError: a parquet file could not be read; the message names it.
    """
    if history.empty or not days(root, _TABLE):
        return history
    rows = read_days(root, _TABLE, start, history["date"].iloc[-1].date(), _COLUMNS).to_pandas(date_as_object=False)
    read = history.groupby("target")
    first = read["date"].first()
    rows = rows.assign(first=rows["target"].map(first))
    rows = rows[rows["date"] < rows["first"]].sort_values(["target", "date"], ascending=[True, False])
    if rows.empty:
        return history
    names = rows["target"]
    is_next = (rows["first"] - rows["date"]).dt.days == names.groupby(names).cumcount() + 1
    went, missing = rows["lost_on_day"].fillna(0).astype("float64"), rows["lost_on_day"].isna().astype("int64")
    since, unknown = (each.groupby(names).cumsum() - each for each in (went, missing))  # over the days after it
    level = names.map(read["lost_backlinks"].first()) - since
    found = pd.DataFrame(
        {
            "date": rows["date"].astype(history["date"].dtype),
            "target": names.astype(history["target"].dtype),
            "lost_backlinks": level.clip(lower=0).mask(unknown > 0, np.nan),
            "live_backlinks": rows["live_backlinks"].astype("float64"),
            "backfilled": True,
        }
    )[is_next]
    whole: pd.DataFrame = pd.concat([found, history.assign(backfilled=False)], ignore_index=True)
    return whole
