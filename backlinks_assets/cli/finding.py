"""What one of the doctor's checks found. The checks are `doctor.py` and `doctor_trials.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `status` is the exit status it asks for: 0 is fine; `note` what may be done all the same."""

    what: str
    says: str
    status: int = 0
    note: bool = False

    @property
    def mark(self) -> str:
        """`fine`, `note` (a run goes, a person may want to know) or `to do` (a run would be stopped)."""
        return "to do" if self.status else "note" if self.note else "fine"
