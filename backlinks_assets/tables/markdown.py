"""The tables as Markdown: `python -m backlinks_assets.tables.markdown > docs/tables.md`.

A general part, and each table from its declaration in `schemas.py`.
"""

import sys

from backlinks_assets.tables.duckdb_file import STORAGE_VERSION
from backlinks_assets.tables.schemas import SCHEMA_VERSION, TABLES, TableSchema

_HEAD = f"""<!-- Generated from backlinks_assets/tables/schemas.py: change it there, then run
     python -m backlinks_assets.tables.markdown > docs/tables.md -->

# Tables

Version {SCHEMA_VERSION} of the columns.
`$BACKLINKS_DATA_DIR/parquet/<table>/date=YYYY-MM-DD/<table>.parquet` is what all else is built from: one
file a table and day, replaced whole. `$BACKLINKS_DATA_DIR/backlinks.duckdb` holds the same tables, with
`date`, for clients of DuckDB {STORAGE_VERSION} and later.

- Open the DuckDB file read-only (`duckdb -readonly backlinks.duckdb`). It may stay open for hours: a new
  version replaces the file beside it, and whoever opens it after that sees the new one. Within one process,
  connections to it share what the first of them opened until all are closed.
- The file is read-only (mode 0444): opened for writing it would be locked for everyone else. A log (`.wal`) that
  a client leaves beside it all the same, being root, is removed.
- The DuckDB file is a product. What else is written into it is lost at the next publication; deleted, it is
  built again from the parquet files.
- Where `BACKLINKS_TABLES_URL` is set, the same files are published there under the same relative names, with
  `published.json`, the list of them ([consume.md](consume.md#from-object-storage-or-another-machine)).
- NULL is what the API did not say. It is never 0, and a 0 is what the API said.
- `latest_readings` has the latest day's counts of all targets, in whichever way they are watched.
- `latest_summary` shows `backlinks_summary` of its latest day; `latest_flags` shows `backlinks_flags` of
  the latest day in `backlinks_changes`, and is empty if that day has none.
"""


def tables_markdown() -> str:
    return "\n".join([_HEAD, *(_table(table) for table in TABLES.values())])


def _table(table: TableSchema) -> str:
    lines = [
        f"## {table.name}",
        "",
        table.description,
        "",
        f"Key: {', '.join(f'`{name}`' for name in table.primary_key)}.",
        "",
        "| column | type | meaning |",
        "|---|---|---|",
        *(f"| `{name}` | {kind} | {text} |" for name, kind, text in table.columns()),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(tables_markdown())
