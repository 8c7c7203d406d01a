"""What people say of days and of incidents, as a part of the response store: appended, and read again."""

from collections.abc import Sequence

from backlinks_assets.store.database import StoreDatabase
from backlinks_assets.store.incident_verdicts import IncidentVerdict, append_after, append_new, of_incidents
from backlinks_assets.store.verdicts import StoredVerdict, append, of_days


class StoredVerdicts:
    """The verdicts in a store's database. `digests.py` reads them without opening a store."""

    _database: StoreDatabase

    def add_verdict(self, verdict: StoredVerdict) -> None:
        """Append what a person says of a span of days; what was said before stays."""
        with self._database.write() as tx:
            append(tx, verdict)

    def verdicts(self) -> tuple[StoredVerdict, ...]:
        """Return what people have said of days, in that order."""
        with self._database.read() as tx:
            return of_days(tx)

    def add_incident_verdicts(self, said: Sequence[IncidentVerdict]) -> int:
        """Append what people say of incidents, all or nothing, but for what is there already; return how many were new."""
        with self._database.write() as tx:
            return append_new(tx, said)

    def add_incident_verdict_after(self, said: IncidentVerdict, last: IncidentVerdict | None) -> IncidentVerdict | None:
        """Append a verdict if `last` is the last one about its incident; return the one that is if not."""
        with self._database.write() as tx:
            return append_after(tx, said, last)

    def incident_verdicts(self) -> tuple[IncidentVerdict, ...]:
        """Return what people have said of incidents, in that order."""
        with self._database.read() as tx:
            return of_incidents(tx)
