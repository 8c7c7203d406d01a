"""Many targets examined a part at a time, as if together: memory for a few series of them all, and for one part.

All that targets have to do with each other is what the vendor did to them: that is found first, over all targets. The
rules are `detect.py`; where a history is read from is the caller's.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from backlinks_assets.detection.detect import Known, detect
from backlinks_assets.detection.index_moves import IndexWatch, follow_index
from backlinks_assets.detection.matrices import History, Ints, as_matrices
from backlinks_assets.detection.metrics import COMPANIONS, LIVE, SERIES
from backlinks_assets.detection.output import ALL_TARGETS
from backlinks_assets.detection.series import Series
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.detection.vendor_faults import Verdict, exclude, find_faults

Read = Callable[[Sequence[str], Collection[str] | None], pd.DataFrame]
"""Returns the history of some targets, as `detect` takes it: all of its columns, or some beside date and target."""


def detect_in_parts(
    read: Read,
    parts: Sequence[Sequence[str]],
    days: Sequence[dt.date],
    settings: DetectionSettings,
    thresholds: Mapping[str, Mapping[str, float | bool]],
    since: dt.date,
    verdicts: Sequence[Verdict] = (),
) -> Iterator[pd.DataFrame]:
    """Yield what `detect` finds in the history of all targets, the rows of one part of them at a time.

    `parts` are all targets in the order of their names, without doubles; `days` all days of the history, sorted. Rows of
    target `*` come with the first part. Raises as `detect`.
    """
    known = _known(read, parts, days, settings, verdicts) if len(parts) > 1 else None
    for number, targets in enumerate(parts):
        found = detect(read(targets, None), settings, thresholds, since, days=days, verdicts=verdicts, known=known)
        yield found if number == 0 else found[found["target"] != ALL_TARGETS]
        del found  # not beside the next part


def _known(
    read: Read,
    parts: Sequence[Sequence[str]],
    days: Sequence[dt.date],
    settings: DetectionSettings,
    verdicts: Sequence[Verdict],
) -> Known:
    """Return what the vendor did, found over all targets, of each only the series that say it."""
    names = [*SERIES, LIVE]
    targets = [target for part in parts for target in part]
    values = {name: np.full((len(targets), len(days)), np.nan, order="F") for name in names}
    restarts: dict[int, list[Ints]] = {}
    numbers, first = np.empty(0, dtype=np.int64), 0
    for some in parts:
        part = as_matrices(read(some, [*names, "request_key"]), days)
        numbers = part.at
        rows = first + np.searchsorted(np.array(some), part.targets)
        for name in names:
            values[name][rows] = part.values[name]
        for day, changed in part.restarts.items():
            restarts.setdefault(day, []).append(rows[changed])
        first += len(some)
    past = History(list(days), numbers, targets, values, {day: np.concatenate(rows) for day, rows in restarts.items()})
    faults = find_faults(past, verdicts)
    exclude(past, faults, verdicts)
    if not settings.index_rule:
        return Known({name: {} for name in names}, faults)
    series = {name: Series(values[name], past.at, (SERIES | COMPANIONS)[name].scale, flagged=False) for name in names}
    watches = {name: IndexWatch() for name in names}
    for day in range(len(days)):
        for name in names:
            if day in past.restarts:
                series[name].forget(past.restarts[day], day)
            live = series.get(SERIES[name].confirmed_by or "") if name in SERIES else None
            follow_index(series[name], watches[name], day, settings, live)
        for one in series.values():
            one.learn(day)
    return Known({name: {move.day: move for move in watches[name].moves} for name in names}, faults)
