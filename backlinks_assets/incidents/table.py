"""Incidents as rows: the table `backlinks_incidents` of a day, read and made, and the days between two of them replayed.

What changes an incident is `replay.py`.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backlinks_assets.incidents.incident import Incident
from backlinks_assets.incidents.replay import Reading, advance, apply, end_snooze
from backlinks_assets.paths import parquet_path
from backlinks_assets.store.incident_verdicts import IncidentVerdict
from backlinks_assets.tables.atomic import tables_error
from backlinks_assets.tables.parquet import days
from backlinks_assets.tables.schemas import TABLES

INCIDENTS: Final = "backlinks_incidents"
Labels = Mapping[str, tuple[str, str]]
"""Group and owner by target."""
_NAMES: Final = [field.name for field in fields(Incident)]
_READ: Final = [field.name for field in fields(Reading)]


class Row(NamedTuple):
    """A row of the table: an incident and whose it is."""

    of: Incident
    group: str
    owner: str


def read(root: Path, day: dt.date) -> list[Row]:
    """Return a day's incidents as its table has them, none without one; raises TablesError."""
    path = parquet_path(root, INCIDENTS, day)
    try:
        with pq.ParquetFile(path) as file:
            rows = file.read().to_pylist()
    except FileNotFoundError:
        return []
    except (OSError, pa.ArrowException) as error:
        raise tables_error("read", path, error) from error
    return [
        Row(Incident(**{name: row[name] for name in _NAMES}), row["group"] or "", row["owner"] or "") for row in rows
    ]


def now(root: Path, said: Sequence[IncidentVerdict], today: dt.date) -> list[Row]:
    """Return the incidents of the last day with a table, with all that was said since; raises TablesError."""
    known = [day for day in days(root, INCIDENTS) if day <= today]
    if not known:
        return []
    rows = {row.of.incident: row for row in read(root, known[-1])}
    for one in said:
        # Of that day too: the same verdicts in the same order leave what they left before.
        if one.day >= known[-1] and (row := rows.get(one.incident)) is not None:
            rows[one.incident] = row._replace(of=apply(row.of, one))
    return [row._replace(of=end_snooze(row.of, today)) for row in rows.values()]


class Replay:
    """The incidents day after day, from the last table before a first day on."""

    def __init__(self, root: Path, first: dt.date, said: Sequence[IncidentVerdict]) -> None:
        """Go from there up to the day before `first`. Raises TablesError."""
        self._said = said
        known = [day for day in days(root, INCIDENTS) if day < first]
        self._at = known[-1] if known else None
        self._held = [row.of for row in read(root, known[-1])] if known else []
        for day in days(root, "backlinks_flags"):
            if (self._at is None or day > self._at) and day < first:
                self.play(day, self._stored(root, day))

    def play(self, day: dt.date, changes: pa.Table) -> dict[tuple[str, str], str]:
        """Go on to a day, given its `backlinks_changes`; return the incident of each flag, by target and metric."""
        wanted = pc.or_(
            pc.is_valid(changes["severity"]),
            pc.is_in(
                changes["target"], pa.array({one.target for one in self._held if not one.is_resolved}, pa.string())
            ),
        )
        rows = changes.select(_READ).filter(wanted).to_pylist()
        said = [one for one in self._said if (self._at is None or one.day > self._at) and one.day <= day]
        readings = [Reading(**{name: _known(value) for name, value in row.items()}) for row in rows]
        self._held, ids = advance(self._held, day, readings, said)
        self._at = day
        return ids

    def table(self, labels: Labels, *, simulated: bool) -> pa.Table:
        """Return the table of the day that was played last; `labels` are the targets file's."""
        rows = []
        for one in self._held:
            group, owner = labels.get(one.target, ("", ""))
            rows.append(
                {name: getattr(one, name) for name in _NAMES} | {"group": group, "owner": owner, "simulated": simulated}
            )
        return pa.Table.from_pylist(rows, schema=TABLES[INCIDENTS].parquet_schema)

    @staticmethod
    def _stored(root: Path, day: dt.date) -> pa.Table:
        path = parquet_path(root, "backlinks_changes", day)
        try:
            with pq.ParquetFile(path) as file:
                return file.read(_READ)
        except FileNotFoundError:
            return TABLES["backlinks_changes"].arrow.empty_table()
        except (OSError, pa.ArrowException) as error:
            raise tables_error("read", path, error) from error


def with_ids(flags: pa.Table, ids: Mapping[tuple[str, str], str]) -> pa.Table:
    """Return flags with the column `incident`, as `backlinks_flags` is declared."""
    keys = zip(flags["target"].to_pylist(), flags["metric"].to_pylist(), strict=True)
    column = pa.array([ids.get(key) for key in keys], pa.string())
    schema = TABLES["backlinks_flags"].arrow
    return flags.append_column("incident", column).select(schema.names).cast(schema)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
