"""The paths of all files under the data folder, from the root of one kind of answers.

Nothing is read or made. Which folder is the root is `settings.py`.
"""

import datetime as dt
from pathlib import Path
from typing import Final

STORE: Final = "responses.sqlite"
DEMO: Final = "demo"
"""Folder in the data folder for simulated answers, apart from real ones."""

TEMPORARY: Final = ".tmp"
"""Folder, in those of the pages and the tables, in which files are written before they are renamed."""


def targets_path(data_dir: Path) -> Path:
    return data_dir / "targets.csv"


def store_path(root: Path) -> Path:
    return root / STORE


def account_dir(root: Path) -> Path:
    return root / "account"


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


def index_path(root: Path) -> Path:
    return reports_dir(root) / "index.html"
