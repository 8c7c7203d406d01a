"""What a SQL client that has the published DuckDB file open for writing leaves beside it, and the removal of that.

The project changes copies only, so that a log beside the published file is never its own. Beside a file that has been
replaced since, a client's log makes DuckDB refuse the file to everyone; or, since each file is a copy of the one before
and has its identity, take the client's changes for the file's. How the file is published is `duckdb_sync.py`; this module
is apart from it so that sensors need not import DuckDB.
"""

from pathlib import Path


def client_logs(file: Path) -> list[Path]:
    """Return the write-ahead logs beside a DuckDB file: `.wal`, and DuckDB 2's `.wal.checkpoint` and `.wal.recovery`."""
    return sorted(file.parent.glob(f"{file.name}.wal*"))


def remove_client_logs(file: Path) -> list[str]:
    """Remove the logs beside the published file and return their names; what a client still writes there is harmless.

    Raises:
        OSError: a log can't be removed.
    """
    logs = client_logs(file)
    for log in logs:
        log.unlink(missing_ok=True)
    return [log.name for log in logs]
