"""The watched metrics, each an object: where it is read from, how its readings are compared, its thresholds and its words.

A new metric is an entry of `METRICS`, with its thresholds as fields of `settings.py`. Nothing is computed here, and
nothing heavy is imported when this is: the command's help reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from backlinks_assets.detection.settings import DetectionSettings

LINKS_OFFSET = 10.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How readings are compared: as they are, or as log(reading + 10) where a change counts by its percentage.

    The offset makes the logarithm proportional for large targets and nearly linear below ten links. A reading on its scale
    is a level; all fields but `min_to_vote` and `highest`, which are readings, are in levels.
    """

    log: bool
    smallest_move: float  # in an index move a target must move further than this
    spread_min: float  # of the targets' index moves
    min_to_vote: float  # a target of a smaller reading says nothing of the index
    prior: float  # robust scale of a target that has not shown its own
    floor: float  # readings are whole: a smaller robust scale is a series that stood still
    highest: float

    def level(self, readings: "npt.NDArray[np.float64]") -> "npt.NDArray[np.float64]":
        """Return readings on this scale."""
        import numpy as np

        return np.log(np.maximum(readings, 0) + LINKS_OFFSET) if self.log else readings.copy(order="K")

    def reading(self, levels: "npt.NDArray[np.float64]") -> "npt.NDArray[np.float64]":
        """Return levels as readings."""
        import numpy as np

        return np.exp(levels) - LINKS_OFFSET if self.log else levels


# Below 50 links, a single one is more than a percent or two.
LOG = Scale(True, smallest_move=0.02, spread_min=0.005, min_to_vote=50, prior=0.012, floor=0.004, highest=inf)
POINTS = Scale(False, smallest_move=1.5, spread_min=0.6, min_to_vote=-inf, prior=0.5, floor=0.5, highest=100)


@dataclass(frozen=True, slots=True)
class Source:
    """A column of a table; `status_type` says of which of a target's answers."""

    column: str
    status_type: str
    table: str = "backlinks_summary"
    is_set: bool = False  # 1 where the column holds anything, 0 where it is null


@dataclass(frozen=True, slots=True)
class Companion:
    """A count that is read beside the metrics and never flagged itself. `words` begin what a sentence says of it."""

    source: Source
    words: str


LIVE, DOMAINS, LOST_DATE = "live_backlinks", "referring_main_domains", "lost_date"
COMPANIONS = {
    LIVE: Companion(Source("backlinks", "live"), "live backlinks went"),
    DOMAINS: Companion(Source("referring_main_domains", "live"), "referring main domains"),
    LOST_DATE: Companion(Source("lost_date", "live", is_set=True), "the date of the loss"),
}
"""By the name of their column in a history, which may lack it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `smallest`, `percent` and `robust_z` name the settings that its thresholds are; a state has none.

    `percent` is for a log scale: the smallest change in percent of the baseline. A target's own threshold of the same name
    comes before a setting. `is_critical` takes settings, change, baseline and the live backlinks before and now.
    """

    name: str
    title: str
    subject: str  # of a sentence
    statement: str  # that holds while no target is flagged
    unit: str
    scale: Scale
    source: Source
    is_critical: "Callable[[DetectionSettings, float, float, tuple[float, float] | None], bool]"
    smallest: str = ""
    robust_z: str = ""
    percent: str | None = None
    told_with: tuple[str, ...] = ()  # companions that a flag's sentence has
    confirmed_by: str | None = None  # the companion that falls by the same links when this metric truly rises
    needed: bool = False  # a history without it is refused
    is_state: bool = False  # rows only where it changes (`target_down.py`), and no series of its own

    @property
    def change_words(self) -> str:
        """How a change is written behind its number, in an index move."""
        return " %" if self.scale.log else f" {self.unit}"


def _loss_is_critical(
    settings: "DetectionSettings", change: float, baseline: float, live: tuple[float, float] | None
) -> bool:
    if live is not None and live[0] > 0:
        return change >= settings.critical_live_percent / 100 * live[0]
    return change >= settings.critical_lost_percent / 100 * baseline


_ALL = (
    Metric(
        name="spam_score",
        title="Spam score",
        subject="The spam score",
        statement="No target's spam score changed sharply, compared with what is normal for it.",
        unit="points",
        scale=POINTS,
        source=Source("backlinks_spam_score", "live"),
        smallest="spam_points",
        robust_z="spam_swings",
        is_critical=lambda settings, change, *_: change >= settings.critical_spam_points,
        told_with=(DOMAINS,),
        needed=True,
    ),
    Metric(
        name="lost_backlinks",
        title="Lost backlinks",
        subject="Lost backlinks",
        statement="No target lost backlinks sharply, compared with what is normal for it.",
        unit="links",
        scale=LOG,
        source=Source("backlinks", "lost"),
        smallest="lost_links_min",
        percent="lost_percent",
        robust_z="lost_swings",
        is_critical=_loss_is_critical,
        told_with=(LIVE, DOMAINS),
        confirmed_by=LIVE,
        needed=True,
    ),
    Metric(
        name="target_down",
        title="Target down",
        subject="The target",
        statement="No target went down: none lost its last live link, and the vendor called none lost.",
        unit="links",
        scale=LOG,
        source=Source("backlinks", "live"),
        is_critical=lambda *_: True,
        is_state=True,
    ),
)
METRICS = {metric.name: metric for metric in sorted(_ALL, key=lambda metric: metric.name)}
"""By name, in the order of their names, which is that of a table's rows."""


def moved(name: str, direction: str) -> str:
    """Return what moved and which way, for a heading: `Spam score up`; a state, and a name that is no metric now, as it is."""
    metric = METRICS.get(name)
    if metric is None:
        return f"{name} {direction}"
    return metric.title if metric.is_state else f"{metric.title} {direction}"


NEEDED = tuple(metric.name for metric in _ALL if metric.needed)
SERIES = {name: metric for name, metric in METRICS.items() if not metric.is_state}
SOURCES = {name: found.source for name, found in (SERIES | COMPANIONS).items()}
"""Every series of a history with where it is read from."""
