"""A folder for matplotlib's list of fonts where this user has no home, as in a container with a read-only root.

matplotlib can't be imported without a folder that it can write; it looks in the home and for temporary files, and nowhere
under the data folder. What is drawn is `charts.py`.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

_VARIABLE: Final = "MPLCONFIGDIR"


def choose(root: Path) -> None:
    """Before matplotlib is imported: name a folder under `root`, unless its own ones can be written."""
    if not all(map(_can_be_written, _own_folders())):
        os.environ[_VARIABLE] = str(root / ".matplotlib")


def _own_folders() -> list[Path]:
    """Return where matplotlib would write by itself: its settings' folder and its cache."""
    if named := os.environ.get(_VARIABLE):
        return [Path(named)]
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - pathlib's raises where no home is known
    variables = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}
    return [Path(os.environ.get(name) or home / default) / "matplotlib" for name, default in variables.items()]


def _can_be_written(folder: Path) -> bool:
    if not folder.is_absolute():  # `~`, where no home is known
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
