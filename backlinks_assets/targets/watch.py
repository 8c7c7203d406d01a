"""How a target is watched: in full, by two summaries of its own, or in bulk, with others in one call.

Here belongs which way a target goes, and why some can't be watched in bulk. The calls are `collect/`.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from backlinks_assets.dataforseo.endpoints.summary import ParameterOverrides, RequestParameters
from backlinks_assets.targets.target import Target

Way = Literal["full", "bulk"]
WAYS: Final[tuple[Way, ...]] = ("full", "bulk")
WATCH_COLUMN: Final = "watch"

_AS_USUAL: Final = ("include_subdomains", "include_indirect_links", "exclude_internal_backlinks")


def way_of(cell: str) -> Way | None:
    """Return what a cell of `watch` says, None for an empty one; raises ValueError with the rest of a sentence."""
    text = cell.strip().lower()
    found = next((way for way in WAYS if way == text), None)
    if text and found is None:
        raise ValueError("write full (two summaries a day) or bulk, or leave it empty for BACKLINKS_WATCH.")
    return found


def only_full_because(parameters: ParameterOverrides | RequestParameters) -> str | None:
    """Return the parameter for which a target can't be watched in bulk: `include_subdomains=false`. None if it can.

    Bulk calls know no filters and always count by the API's defaults.
    """
    if parameters.backlinks_filters is not None:
        return "backlinks_filters"
    changed = next((name for name in _AS_USUAL if getattr(parameters, name) is False), None)
    return f"{changed}=false" if changed else None


def wants_bulk(target: Target, default: Way) -> bool:
    """Whether a target's own column, or else the setting, says bulk."""
    return (target.watch or default) == "bulk"


def is_in_bulk(target: Target, default: Way) -> bool:
    """Whether a target is watched in bulk: it is to be, and can be."""
    return wants_bulk(target, default) and only_full_because(target.overrides) is None


def stay_full(targets: Iterable[Target], default: Way) -> list[tuple[Target, str]]:
    """Return the targets that are to be watched in bulk and can't be, each with its parameter."""
    found = ((one, only_full_because(one.overrides)) for one in targets if wants_bulk(one, default))
    return [(one, why) for one, why in found if why]


def stay_full_said(targets: Iterable[Target], default: Way) -> str | None:
    """Return a sentence that names the targets that can't be watched in bulk; None where there are none."""
    if not (kept := stay_full(targets, default)):
        return None
    named = ", ".join(f"{one.target} ({why})" for one, why in kept)
    return f"Watched in full, since bulk calls know no such parameters: {named}."


@dataclass(frozen=True, slots=True)
class DayWays:
    """A day's active targets: those read by summaries, the control sample among them, and those read in bulk."""

    full: list[Target]
    bulk: list[Target]
    sample: frozenset[str]


def ways_of_day(
    targets: Iterable[Target], day: dt.date, default: Way, control_targets: int, per_targets: int = 1000
) -> DayWays:
    """Return how each active target is read on a day.

    Of `per_targets` in bulk, `control_targets` are read in full too, rounded; others each day, the same in every run of it.
    """
    active = [one for one in targets if one.active_on(day)]
    bulk = [one for one in active if is_in_bulk(one, default)]
    in_bulk = {one.target for one in bulk}
    many = round(control_targets * len(bulk) / per_targets)
    drawn = sorted(in_bulk, key=lambda name: hashlib.sha256(f"{day}|{name}".encode()).digest())
    sample = frozenset(drawn[:many])
    return DayWays([one for one in active if one.target not in in_bulk or one.target in sample], bulk, sample)


def line_of(target: Target) -> str:
    """Return a text for a target's line of the file that is another once anything on it is changed, but not its number."""
    return hashlib.sha256(repr(replace(target, line=0)).encode()).hexdigest()[:16]
