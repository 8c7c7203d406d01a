"""Every threshold and switch of detection, with its default, and the few that one target may set for itself.

Only numbers and their allowed ranges stand here; what is done with them is in `rules.py` and `index_moves.py`. Names that
users set stay as they are: `…_swings` is a robust z, `caution` the factor of a young history, `quiet_days` the cooldown.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

MAX_HISTORY_DAYS = 365
OwnThresholds = Mapping[str, Mapping[str, float | bool]]
"""Some targets' own thresholds, by target and column of the targets file."""


class DetectionSettings(BaseModel):
    """What counts as sharp. The defaults were measured on two labelled histories: see docs/detection.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # How large a change must be to be worth a person's time.
    spam_points: float = Field(
        5.0, ge=1, le=100, description="Smallest change of the spam score that is flagged, points."
    )
    lost_links_min: float = Field(
        20.0, ge=1, le=1e9, description="Smallest change of lost backlinks that is flagged, links."
    )
    lost_percent: float | None = Field(
        None, ge=0, le=10_000,
        description="Smallest change of lost backlinks, percent of the baseline. Unset: 15 up to 10,000 links, falling to 3 "
        "at 250,000 and more.",
    )  # fmt: skip
    live_percent: float = Field(
        4.5, ge=0, le=100,
        description="A loss that live backlinks confirm is flagged from this share of the live backlinks on, percent.",
    )  # fmt: skip

    # How unusual a change must be for this target.
    lost_swings: float = Field(5.5, ge=1, le=100, description="Robust z that a change of lost backlinks must exceed.")
    spam_swings: float = Field(4.5, ge=1, le=100, description="Robust z that a change of the spam score must exceed.")
    last_step_swings: float = Field(
        3.0, ge=0, le=100, description="Robust z that the last day-to-day change must exceed, for a step."
    )
    confirmed_loss_ratio: float = Field(
        1.5, ge=1, le=100, description="How many times its usual loss over as many days a confirmed loss must be."
    )
    readings_min: int = Field(3, ge=2, le=60, description="Earlier readings without which nothing is flagged.")
    caution: float = Field(
        5.0, ge=0, le=20, description="A target with n earlier readings must exceed 1 + caution/n times the limits."
    )
    backfill_caution: float = Field(
        2.0, ge=1, le=20,
        description="A back-filled target must exceed so many times the limits until it has 14 readings of its own.",
    )  # fmt: skip
    usual_days: int = Field(28, ge=7, le=MAX_HISTORY_DAYS, description="Days with readings that say what is usual.")
    loss_days: int = Field(
        60, ge=7, le=MAX_HISTORY_DAYS, description="Days with readings that say which confirmed losses are usual."
    )

    # Which rules run.
    step_rule: bool = Field(True, description="Compare a reading with the last week.")
    halved_rule: bool = Field(True, description="Always flag the loss of half of the live backlinks.")
    confirmed_loss_rule: bool = Field(True, description="Compare lost backlinks together with live backlinks.")

    # When the vendor's index moved, not the targets.
    index_rule: bool = Field(
        True, description="Recognise days on which the vendor's index moved, and take the move off."
    )
    index_share: float = Field(
        0.25, gt=0, le=1, description="Share of targets moving one way that makes an index move."
    )
    index_share_roll_out: float = Field(
        0.06, gt=0, le=1, description="The same on the two days after one, while it is still being rolled out."
    )
    index_targets_min: int = Field(8, ge=3, description="Comparable targets without which no index move is looked for.")
    index_spread: float = Field(
        4.0,
        ge=1,
        le=20,
        description="Spreads of the others' moves that a target must move beyond to be compared at all.",
    )

    # What a flag becomes.
    quiet_days: int = Field(
        6, ge=0, le=60, description="Cooldown: days after a flag in which the same target and metric is not flagged."
    )
    louder: float = Field(
        2.0, ge=1, le=100, description="Unless the change is more than this many times the flagged one."
    )
    critical_spam_points: float = Field(
        15.0, ge=1, le=100, description="Rise of the spam score that is critical, points."
    )
    critical_live_percent: float = Field(
        20.0, gt=0, le=100, description="Loss that is critical, percent of the live backlinks."
    )
    critical_lost_percent: float = Field(
        100.0, gt=0, le=10_000, description="Rise of lost backlinks that is critical where live backlinks are not known, "
        "percent.",
    )  # fmt: skip


THRESHOLD_COLUMNS: dict[str, str] = {
    "spam_points": "smallest change of this target's spam score that is flagged, points (1 to 100)",
    "lost_links_min": "smallest change of this target's lost backlinks that is flagged, links (1 to 1,000,000,000)",
    "lost_percent": "smallest change of this target's lost backlinks that is flagged, percent of the baseline (0 to 10,000)",
    "live_percent": "smallest confirmed loss that is flagged, percent of this target's live backlinks (0 to 100)",
    "usual_swings": "robust z that a change of this target's metrics must exceed (1 to 100)",
    "mute_flags": "true: this target is never flagged, its changes are still computed",
}
_RANGES = {
    "spam_points": (1.0, 100.0),
    "lost_links_min": (1.0, 1e9),
    "lost_percent": (0.0, 10_000.0),
    "live_percent": (0.0, 100.0),
    "usual_swings": (1.0, 100.0),
}
_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0"}


def target_thresholds(values: Mapping[str, str]) -> dict[str, float | bool]:
    """One target's own thresholds, from the non-empty cells of its row; columns of other meaning are passed over.

    Raises ValueError, naming the column, the value and what is allowed.
    """
    found: dict[str, float | bool] = {}
    for column in THRESHOLD_COLUMNS:
        text = (values.get(column) or "").strip()
        if text:
            found[column] = _switch(column, text) if column == "mute_flags" else _number(column, text)
    return found


def check_thresholds(target: str, values: Mapping[str, float | bool]) -> None:
    """Raises ValueError if one target's thresholds have an unknown name or a value out of its range."""
    for column, value in values.items():
        if column not in THRESHOLD_COLUMNS:
            known = ", ".join(THRESHOLD_COLUMNS)
            msg = f"{target}: {column} is not a threshold of a target. Use one of {known}."
            raise ValueError(msg)
        if column == "mute_flags":
            _switch(column, str(value))
        else:
            _number(column, str(value))


def _number(column: str, text: str) -> float:
    low, high = _RANGES[column]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        msg = f"{column} is {text!r}; it must be a number from {low:,.0f} to {high:,.0f}, or empty for the default."
        raise ValueError(msg)
    return value


def _switch(column: str, text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        msg = f"{column} is {text!r}; it must be true or false, or empty for the default."
        raise ValueError(msg)
    return text.lower() in _TRUE
