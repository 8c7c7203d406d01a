"""How a flag is marked and named on every page, whichever columns of it a page reads."""

from typing import Final

from backlinks_assets.detection.metrics import METRICS

ALL_TARGETS: Final = "*"


class Marked:
    """What the rows of `backlinks_changes` and `backlinks_flags` have in common as pages show them."""

    __slots__ = ()

    target: str
    metric: str
    kind: str | None
    severity: str | None
    direction: str | None

    @property
    def is_vendors(self) -> bool:
        """Whether it is about all targets: a move of the vendor's index, or the vendor's fault."""
        return self.target == ALL_TARGETS

    @property
    def is_fault(self) -> bool:
        """Whether the vendor's numbers can't be right."""
        return self.kind == "vendor_fault"

    @property
    def is_back(self) -> bool:
        """Whether a target that was down is back."""
        return self.kind == "down" and self.direction == "up"

    @property
    def mark(self) -> str:
        """`index`, `critical` or `warning`: how it is marked."""
        return "index" if self.is_vendors else (self.severity or "warning")

    @property
    def mark_name(self) -> str:
        """The mark as a heading has it."""
        if self.is_vendors:
            return "Vendor's fault" if self.is_fault else "Index move"
        return self.mark.capitalize()

    @property
    def title(self) -> str:
        """What changed."""
        if self.is_fault:
            return "All readings"
        return "Target back" if self.is_back else METRICS[self.metric].title
