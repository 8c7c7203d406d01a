"""Whether the two ways of watching agree, by the targets that are read in bulk and in full on the same day.

A finding only. Which targets are read both ways is `targets/watch.py`; what Dagster shows of the finding is `defs/checks.py`.
"""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from backlinks_assets.detection.metrics import LOG, POINTS
from backlinks_assets.formatting import counted
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.tables.quality import MAX_LISTED, Finding

MAX_LINKS_APART: Final = 0.02
"""Of the larger count; one link is never too many."""
MAX_POINTS_APART: Final = 1
MIN_AGREEING: Final = 0.9
"""Of a day's targets that are read both ways. With fewer that agree in everything, the day is a bad one."""
BAD_DAYS, OF_DAYS = 3, 7
"""So many bad days of the last so many that were compared are a warning: a single one may be the hours between two calls."""
LOOKS_BACK: Final = dt.timedelta(days=30)
"""A target is drawn again some day; its change is that since then. Of 1,000 targets one in ten is drawn twice in this time."""

_SCALES: Final = {"spam": POINTS, "lost": LOG}
"""What is compared by its change: of lost links one way has a stock and the other a level, which differ in size."""
_NAMES: Final = {
    "links": "live links",
    "spam": "spam score",
    "spam_change": "change of the spam score",
    "lost_change": "change of lost links",
}
_COLUMNS: Final = [f"{name}_{way}" for name in ("links", "spam", "lost") for way in ("full", "bulk")]


def control_sample_agrees(root: Path, day: dt.date) -> Finding:
    """Whether fewer than three of the last seven compared days, to `day`, are bad ones; `rows` are what is apart on the day.

    Live links agree within 2 %, spam scores within a point. The changes of spam score and lost links since the target was read
    both ways before agree if they have the same sign, where either is more than what an index move takes for a move (1.5 points,
    2 % of the lost links). `count` is the number of targets that do not agree in everything. Raises as `read_days`.
    """
    read = [one for one in days(root, "backlinks_bulk") if day - LOOKS_BACK <= one <= day]
    samples = {one: sample for one in read if len(sample := _read_both_ways(root, one))}
    compared = list(samples)[-OF_DAYS:]
    apart = {one: _apart(one, samples) for one in compared}
    bad = [one for one in compared if _is_bad(apart[one])]
    holds = len(bad) < BAD_DAYS
    of_days = f"bad days of the last {len(compared)} that were compared: {len(bad)}"
    if day not in samples:
        before = f" {of_days.capitalize()}." if compared else ""
        return Finding(holds, sentence=f"No target was read both in bulk and in full on {day}.{before}")
    found = apart[day]
    off = found.any(axis="columns")
    rows = _rows(samples[day], found.fillna(value=False).astype(bool))
    said = ", ".join(
        f"{_NAMES[name]} {int((~found[name]).sum())} of {int(found[name].notna().sum())}"
        for name in _NAMES
        if found[name].notna().any()
    )
    sentence = (
        f"{int((~off).sum()):,} of {counted(len(found), 'target')} read both in bulk and in full on {day} "
        f"{'agrees' if len(found) == 1 else 'agree'} ({said}); {of_days}."
    )
    if not holds:
        sentence += (
            " Flags of targets in bulk may be wrong: `backlinks cost` says what it costs to watch them in full (column "
            "`watch`)."
        )
    return Finding(holds, int(off.sum()), rows[:MAX_LISTED], sentence)


def _read_both_ways(root: Path, day: dt.date) -> pd.DataFrame:
    """Return the numbers of both ways by target, float64, NaN where one is missing: the columns of `_COLUMNS`."""
    names = ["target", "backlinks", "backlinks_spam_score"]
    in_full = read_days(root, "backlinks_summary", day, day, [*names, "status_type"])
    if not in_full.num_rows:
        return pd.DataFrame(columns=_COLUMNS, dtype="float64")
    in_bulk = read_days(root, "backlinks_bulk", day, day, [*names, "lost_level"])
    in_full = in_full.filter(pc.is_in(in_full["target"], value_set=in_bulk["target"].combine_chunks()))
    in_bulk = in_bulk.filter(pc.is_in(in_bulk["target"], value_set=in_full["target"].combine_chunks()))
    full, bulk = in_full.to_pandas(), in_bulk.to_pandas().set_index("target")
    live, lost = (full[full["status_type"] == status].set_index("target") for status in ("live", "lost"))
    columns = {
        "links": (live["backlinks"], bulk["backlinks"]),
        "spam": (live["backlinks_spam_score"], bulk["backlinks_spam_score"]),
        "lost": (lost["backlinks"], bulk["lost_level"]),
    }
    found = {f"{name}_{way}": pair[at] for name, pair in columns.items() for at, way in enumerate(("full", "bulk"))}
    return pd.DataFrame(found, columns=_COLUMNS).astype("float64")


def _apart(day: dt.date, samples: Mapping[dt.date, pd.DataFrame]) -> pd.DataFrame:
    """Return by target, for each of `_NAMES`, whether the two ways are apart; NA where that can't be said."""
    now, before = samples[day], _last_before(day, samples).reindex(samples[day].index)
    links = now[["links_full", "links_bulk"]]
    found = {
        "links": _where_known(
            (links["links_full"] - links["links_bulk"]).abs()
            > (MAX_LINKS_APART * links.max(axis="columns")).clip(lower=1),
            links,
        ),
        "spam": _where_known(
            (now["spam_full"] - now["spam_bulk"]).abs() > MAX_POINTS_APART, now[["spam_full", "spam_bulk"]]
        ),
    }
    for name, scale in _SCALES.items():
        both = [f"{name}_full", f"{name}_bulk"]
        moved = pd.DataFrame(
            scale.level(now[both].to_numpy()) - scale.level(before[both].to_numpy()), now.index, columns=both
        )
        counts = (moved.abs() > scale.smallest_move).any(axis="columns")
        is_apart = _where_known(np.sign(moved[both[0]]) != np.sign(moved[both[1]]), moved)
        found[f"{name}_change"] = is_apart.where(counts)
    return pd.DataFrame(found, columns=list(_NAMES))


def _where_known(is_apart: "pd.Series[bool]", of: pd.DataFrame) -> "pd.Series[Any]":
    return is_apart.astype("boolean").where(of.notna().all(axis="columns"))


def _last_before(day: dt.date, samples: Mapping[dt.date, pd.DataFrame]) -> pd.DataFrame:
    """Return the last earlier numbers of each target."""
    earlier = [sample for one, sample in samples.items() if one < day]
    if not earlier:
        return pd.DataFrame(columns=_COLUMNS, dtype="float64")
    rows = pd.concat(earlier)
    return rows[~rows.index.duplicated(keep="last")]


def _is_bad(apart: pd.DataFrame) -> bool:
    off = int(apart.any(axis="columns").sum())
    return len(apart) - off < MIN_AGREEING * len(apart)


def _rows(sample: pd.DataFrame, apart: pd.DataFrame) -> list[dict[str, Any]]:
    def said(value: Any) -> str:
        return "–" if np.isnan(value) else f"{value:,.0f}"

    found = []
    for target, which in apart[apart.any(axis="columns")].sort_index().iterrows():
        of = sample.loc[str(target)]
        row = {"target": str(target), "apart": ", ".join(_NAMES[name] for name in _NAMES if which[name])}
        found.append(row | {name.replace("_", ", in "): said(of[name]) for name in _COLUMNS})
    return found
