"""What the shell offers at the Tab key: the targets that are watched, the days that have flags.

Quick and silent: nothing is made or said, and where nothing can be read nothing is offered.
"""

from datetime import UTC, datetime

from backlinks_assets.paths import parquet_dir
from backlinks_assets.settings import Settings, SettingsError

MOST_DAYS = 31


def watched(incomplete: str) -> list[str]:
    """Return the watched targets that begin so, in the file's order."""
    from backlinks_assets.targets.file import TargetsError, load_targets

    try:
        targets = load_targets(Settings.from_env().targets_file, threshold_columns=_columns(), allow_none=True)
    except (SettingsError, TargetsError):
        return []
    today = datetime.now(UTC).date()
    return [one.target for one in targets if one.active_on(today) and one.target.startswith(incomplete)]


def judged_days(incomplete: str) -> list[str]:
    """Return the newest days that flags were looked for on and that begin so, the newest first."""
    try:
        folder = parquet_dir(Settings.from_env().root) / "backlinks_flags"
        found = sorted((path.name.removeprefix("date=") for path in folder.glob("date=*")), reverse=True)
    except (SettingsError, OSError):
        return []
    return [day for day in found if day.startswith(incomplete)][:MOST_DAYS]


def _columns() -> dict[str, str]:
    from backlinks_assets.detection.settings import THRESHOLD_COLUMNS

    return THRESHOLD_COLUMNS
