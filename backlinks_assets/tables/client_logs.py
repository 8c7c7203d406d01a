"""The logs that a SQL client leaves beside the published DuckDB file when it opens it for writing, and their removal.

The project changes copies only, so a log beside the published file is never its own. Beside a file that has been replaced, a
client's log makes DuckDB refuse the file; or DuckDB adds the client's changes, since each file is a copy of the one before
and has its identity. Publishing is `duckdb_sync.py`; this module is apart so that sensors need not import DuckDB.
"""

from pathlib import Path


def client_logs(file: Path) -> list[Path]:
    """Return the logs beside a DuckDB file: `.wal`, and DuckDB 2's `.wal.checkpoint` and `.wal.recovery`."""
    return sorted(file.parent.glob(f"{file.name}.wal*"))


def remove_client_logs(file: Path) -> list[str]:
    """Remove the logs beside the published file and return their names. A client may still write to them without harm.

    Raises:
        OSError: a log could not be removed.
    """
    logs = client_logs(file)
    for log in logs:
        log.unlink(missing_ok=True)
    return [log.name for log in logs]
