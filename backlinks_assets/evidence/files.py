"""The files of a day's evidence: the table `flag_evidence`, and a CSV of all its rows beside the pages.

What could not be bought, and why, is in the table file's metadata, since it has no links to be rows.
"""

import csv
import datetime as dt
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backlinks_assets.evidence.flags import flags_of
from backlinks_assets.evidence.kept import Kept, Key, evidence_table
from backlinks_assets.evidence.questions import Question, in_order, wanted
from backlinks_assets.formatting import cell
from backlinks_assets.paths import TEMPORARY, evidence_csv_path, parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables.atomic import replacing, sweep, tables_error
from backlinks_assets.tables.parquet import read_days, writing_day

TABLE: Final = "flag_evidence"
_UNBOUGHT: Final = "unbought"
_FOR_A_PERSON: Final = [
    "date", "target", "question", "position", "domain_from", "url_from", "url_to", "anchor", "dofollow",
    "backlink_spam_score", "domain_from_rank", "page_from_status_code", "url_to_status_code", "first_seen", "last_seen",
    "group_count", "since", "total_count", "simulated",
]  # fmt: skip


def write_evidence(root: Path, date: dt.date, found: Mapping[Key, Kept], unbought: Mapping[Key, str]) -> int:
    """Write a day's `flag_evidence` and its CSV, each in one step; return the rows.

    Raises:
        TablesError: the disk is full or not writable; the old files are untouched.
    """
    table = evidence_table(date, found)
    said = orjson.dumps([[*key, why] for key, why in sorted(unbought.items())]).decode()
    of = hashlib.sha256(repr([(key, one.captured_at, len(one.rows)) for key, one in found.items()]).encode())
    with writing_day(root, TABLE, date, made_from=of.hexdigest()[:32], metadata={_UNBOUGHT: said}) as write:
        write(table)
    _write_csv(evidence_csv_path(root, date), table)
    return int(table.num_rows)


def _write_csv(path: Path, table: pa.Table) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_FOR_A_PERSON)
    for row in table.select(_FOR_A_PERSON).to_pylist():
        writer.writerow([cell(row[name]) for name in _FOR_A_PERSON])
    folder = path.parent / TEMPORARY
    sweep(folder)
    with replacing(path, folder) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="", errors="replace")


def unbought_of(root: Path, date: dt.date) -> dict[Key, str]:
    """Return what could not be bought on a day, by target and question, each with the reason; raises TablesError."""
    path = parquet_path(root, TABLE, date)
    try:
        metadata = pq.read_metadata(path).metadata or {}
        return {(target, name): why for target, name, why in orjson.loads(metadata.get(_UNBOUGHT.encode(), b"[]"))}
    except FileNotFoundError:
        return {}
    except (OSError, pa.ArrowException, ValueError) as error:
        raise tables_error("read", path, error) from error


def known_of(root: Path, date: dt.date) -> tuple[set[tuple[Any, ...]], dict[Key, str]]:
    """Return a day's answers by target, question and time, and what could not be bought: equal while nothing is new.

    Raises:
        TablesError: the table can't be read.
    """
    rows = read_days(root, TABLE, date, date, ["target", "question", "captured_at"]).to_pylist()
    return {tuple(row.values()) for row in rows}, unbought_of(root, date)


def rows_of(root: Path, first: dt.date, last: dt.date) -> list[dict[str, Any]]:
    """Return the rows of `flag_evidence` of some days, the one of position 0 included; raises TablesError."""
    rows: list[dict[str, Any]] = read_days(root, TABLE, first, last).to_pylist()
    return rows


def awaited(settings: Settings, date: dt.date) -> list[Question]:
    """Return the questions for which evidence is to be bought and neither is there, nor a reason why it is not.

    Raises:
        TablesError: a table can't be read.
    """
    flags = wanted(settings.evidence, flags_of(settings.root, date)) if settings.evidence != "off" else []
    if not flags:
        return []
    known = read_days(settings.root, TABLE, date, date, ["target", "question"])
    done = {(row["target"], row["question"]) for row in known.to_pylist()} | unbought_of(settings.root, date).keys()
    return [one for one in in_order(date, flags) if one.key not in done]
