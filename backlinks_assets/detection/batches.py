"""Many targets judged a part at a time, as if together: memory for one metric of them all, and for one part.

All that targets have to do with each other is the vendor's index: its moves are found first, over all targets, one metric
after the other. What is then judged is `detect.py`; where a history is read from is the caller's.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from backlinks_assets.detection.detect import KnownMoves, detect
from backlinks_assets.detection.index_moves import IndexMove, IndexWatch, follow_index
from backlinks_assets.detection.matrices import Ints, Span, as_matrices
from backlinks_assets.detection.metrics import COMPANIONS, LIVE, METRICS
from backlinks_assets.detection.output import ALL_TARGETS
from backlinks_assets.detection.series import Series
from backlinks_assets.detection.settings import DetectionSettings

Read = Callable[[Sequence[str], Collection[str] | None], pd.DataFrame]
"""Returns the history of some targets, as `detect` takes it: all of its columns, or some beside date and target."""


def detect_in_parts(
    read: Read,
    parts: Sequence[Sequence[str]],
    span: Span,
    settings: DetectionSettings,
    thresholds: Mapping[str, Mapping[str, float | bool]],
    since: dt.date,
) -> Iterator[pd.DataFrame]:
    """Yield what `detect` finds in the history of all targets, the rows of one part of them at a time.

    `parts` are all targets in the order of their names, without doubles; `span` has all days of the history. Rows of
    target `*` come with the first part. Raises as `detect`.
    """
    if len(parts) <= 1:
        for targets in parts:
            yield detect(read(targets, None), settings, thresholds, since)
        return
    known = KnownMoves(span, {name: _moves(name, read, parts, span, settings) for name in (*METRICS, LIVE)})
    yield detect(read(parts[0], None), settings, thresholds, since, known=known)
    for targets in parts[1:]:
        found = detect(read(targets, None), settings, thresholds, since, known=known)
        yield found[found["target"] != ALL_TARGETS]
        del found  # not beside the next part


def _moves(
    name: str, read: Read, parts: Sequence[Sequence[str]], span: Span, settings: DetectionSettings
) -> dict[int, IndexMove]:
    """Return the moves of one metric's index, by number of the day."""
    if not settings.index_rule:
        return {}
    days = (span[1] - span[0]).days + 1
    values = np.full((sum(map(len, parts)), days), np.nan, order="F")
    restarts: dict[int, list[Ints]] = {}
    first = 0
    for targets in parts:
        part = as_matrices(read(targets, [name, "request_key"]), span, needed=[name])
        rows = first + np.searchsorted(np.array(targets), part.targets)
        values[rows] = part.values[name]
        for day, changed in part.restarts.items():
            restarts.setdefault(day, []).append(rows[changed])
        first += len(targets)
    series, watch = Series(values, (METRICS | COMPANIONS)[name].scale, flagged=False), IndexWatch()
    for day in range(days):
        if day in restarts:
            series.forget(np.concatenate(restarts[day]), day)
        follow_index(series, watch, day, settings)
        series.learn(day)
    return {move.day: move for move in watch.moves}
