"""The files of the folder of reports by the path of an address: those that are pages or tables of it, and nothing else."""

from pathlib import Path
from typing import Final

from backlinks_assets.paths import reports_dir

KINDS: Final = {".html": "text/html; charset=utf-8", ".csv": "text/csv; charset=utf-8"}
"""What is served, by the end of a file's name."""


def find_report(root: Path, path: str) -> Path | None:
    """Return the file of an address's path (decoded, `/targets/index.html`); None for any other than a report.

    No part may be empty or begin with a dot, and no link may lead out of the folder.
    """
    first, *parts = path.split("/")
    if first or not parts or any(not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        return None
    folder = reports_dir(root).resolve()
    try:
        file = folder.joinpath(*parts).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing, a name that is too long, links in a circle
        return None
    fits = file.is_relative_to(folder) and file.is_file() and file.suffix in KINDS
    return file if fits and not any(part.startswith(".") for part in file.relative_to(folder).parts) else None
