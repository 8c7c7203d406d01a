"""What one of the doctor's checks found."""

from collections.abc import Callable
from dataclasses import dataclass

from backlinks_assets.cli.console import describe
from backlinks_assets.settings import Settings


@dataclass(frozen=True)
class Finding:
    """`status` is the exit status that the finding calls for, 0 if it is fine.

    `note`: a run is not stopped, and a person may want to know.
    """

    says: str
    status: int = 0
    note: bool = False

    @property
    def mark(self) -> str:
        """`fine`, `note`, or `to do` (a run would be stopped)."""
        return "to do" if self.status else "note" if self.note else "fine"


Check = Callable[[Settings], Finding]


def tried(check: Check, settings: Settings) -> Finding:
    """Return what a check found; an expected error that it meets is its finding."""
    try:
        return check(settings)
    except Exception as error:
        sentence, status = describe(error)
        if sentence is None:
            raise
        return Finding(sentence, status)
