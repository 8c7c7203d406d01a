"""The history that detection reads: per day and target the few numbers it watches.

Taken from the parquet files, which hold a day as soon as it is written. What is made of it is `detection/`.
"""

import datetime as dt
from contextlib import closing
from pathlib import Path

import duckdb
import pandas as pd

from backlinks_assets.tables import parquet
from backlinks_assets.tables.duckdb_file import DAY_OF_FILE, unglobbed
from backlinks_assets.tables.files import tables_error

_HISTORY = f"""
CREATE TABLE history AS
WITH answers AS (
    SELECT {DAY_OF_FILE} AS date, target, status_type, request_key,
        backlinks_spam_score, backlinks, referring_main_domains
    FROM read_parquet(?, filename = true, hive_partitioning = false)
)
SELECT
    date,
    target,
    live.backlinks_spam_score::DOUBLE AS spam_score,
    lost.backlinks::DOUBLE AS lost_backlinks,
    live.backlinks::DOUBLE AS live_backlinks,
    live.referring_main_domains::DOUBLE AS referring_main_domains,
    CASE WHEN live.request_key <> lost.request_key THEN concat(live.request_key, '+', lost.request_key)
        ELSE coalesce(live.request_key, lost.request_key) END AS request_key
FROM (FROM answers WHERE status_type = 'live') AS live
FULL JOIN (FROM answers WHERE status_type = 'lost') AS lost USING (date, target)
"""  # noqa: S608 - a constant is put in
_COLUMNS = {
    "date": "datetime64[us]",
    "target": "str",
    "spam_score": "float64",
    "lost_backlinks": "float64",
    "live_backlinks": "float64",
    "referring_main_domains": "float64",
    "request_key": "str",
}


def detection_history(root: Path, until: dt.date, days: int) -> pd.DataFrame:
    """Return a row per day and target with an answer, of the `days` days up to `until`, sorted by both.

    Columns: `date` (datetime64, midnight); `target`; `spam_score` (0-100), `live_backlinks` and
    `referring_main_domains` of the live answer; `lost_backlinks` of the lost one, all float64, NaN where that
    answer or the field is missing; `request_key`, equal as long as both were asked with the same parameters:
    an answer that is missing does not change it, a live and a lost one asked differently give `live+lost`.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    first = until - dt.timedelta(days=days - 1)
    paths = [
        parquet.parquet_path(root.absolute(), "backlinks_summary", day)
        for day in parquet.days(root, "backlinks_summary")
        if first <= day <= until
    ]
    if not paths:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COLUMNS.items()})
    try:
        with closing(duckdb.connect()) as connection:
            # Through a table: a result handed over as it comes is made by one thread, in twice the time.
            connection.execute(_HISTORY, [[unglobbed(path) for path in paths]])
            rows = connection.sql("FROM history ORDER BY date, target").to_arrow_table()
    except duckdb.Error as error:
        folder = paths[0].parent.parent
        raise (parquet.find_damaged(paths) or tables_error("read", folder, error)) from error
    history: pd.DataFrame = rows.to_pandas(date_as_object=False).astype(_COLUMNS)
    return history
