"""The paths of all files under the data folder, from the root of one kind of answers.

Nothing is read or made. Which folder is the root is `settings.py`.
"""

import datetime as dt
import hashlib
import re
from pathlib import Path
from typing import Final

STORE: Final = "responses.sqlite"
DEMO: Final = "demo"
"""Folder in the data folder for simulated answers, apart from real ones."""

TEMPORARY: Final = ".tmp"
"""Folder, in those of the pages and the tables, in which files are written before they are renamed."""


MAX_NAME_CHARACTERS: Final = 150
"""A longer name of a target's or group's page is cut, and a hash of the whole name put behind it."""


def targets_path(data_dir: Path) -> Path:
    return data_dir / "targets.csv"


def channels_path(data_dir: Path) -> Path:
    return data_dir / "channels.toml"


def store_path(root: Path) -> Path:
    return root / STORE


def account_dir(root: Path) -> Path:
    return root / "account"


def waiting_dir(root: Path) -> Path:
    """Return the folder of answers that came while the shared database was away."""
    return root / "waiting"


def dagster_dir(root: Path) -> Path:
    return root / "dagster"


def duckdb_path(root: Path) -> Path:
    return root / "backlinks.duckdb"


def parquet_dir(root: Path) -> Path:
    return root / "parquet"


def parquet_path(root: Path, table: str, date: dt.date) -> Path:
    """Return a table's day: `<root>/parquet/<table>/date=YYYY-MM-DD/<table>.parquet`."""
    return parquet_dir(root) / table / f"date={date.isoformat()}" / f"{table}.parquet"


def reports_dir(root: Path) -> Path:
    return root / "reports"


def page_path(root: Path, date: dt.date) -> Path:
    """Return a day's page: `<root>/reports/flags-YYYY-MM-DD.html`."""
    return reports_dir(root) / page_name(date)


def page_name(date: dt.date) -> str:
    return f"flags-{date.isoformat()}.html"


def evidence_csv_path(root: Path, date: dt.date) -> Path:
    """Return the CSV of a day's evidence: `<root>/reports/evidence-YYYY-MM-DD.csv`."""
    return reports_dir(root) / f"evidence-{date.isoformat()}.csv"


def index_path(root: Path) -> Path:
    return reports_dir(root) / "index.html"


def portfolio_path(root: Path) -> Path:
    """Return the page of all targets."""
    return reports_dir(root) / "targets" / "index.html"


def target_page_path(root: Path, target: str) -> Path:
    return reports_dir(root) / "targets" / target_page_name(target)


def group_page_path(root: Path, group: str) -> Path:
    return reports_dir(root) / "groups" / group_page_name(group)


def target_page_name(target: str) -> str:
    """Return the file name of a target's page, a different one for each target.

    All but lower-case letters, digits, `-`, `_`, `.` and `~` is percent-encoded: capitals too, since some file systems take
    both cases for one, and a first dot, which would hide the file.
    """
    return _page_of(target, r"^\.|[^a-z0-9_.~-]")


def group_page_name(group: str) -> str:
    """Return the same of a group; its capitals stay, since no two groups differ in them alone."""
    return _page_of(group, r"^\.|[^A-Za-z0-9_.~-]")


def _page_of(name: str, encoded: str) -> str:
    def percent(found: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in found.group().encode("utf-8", "surrogatepass"))

    text = re.sub(encoded, percent, name)
    if len(text) > MAX_NAME_CHARACTERS:
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        text = f"{text[:MAX_NAME_CHARACTERS]}~{digest}"
    return f"{text}.html"
