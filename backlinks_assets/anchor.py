"""The anchor of relative folders and `.env`: `DAGSTER_HOME` if it is this project's, else the current folder.

The webserver, the daemon, the code server and the command may have different working folders. With one `DAGSTER_HOME` they
all use one data folder. Here belongs also which data folders can't be used. The other variables are `settings.py`.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backlinks_assets.errors import BacklinksError
from backlinks_assets.paths import DEMO, STORE

ENV_FILE: Final = ".env"
OWN_VARIABLES: Final = ("BACKLINKS_", "DATAFORSEO_")
_DATA_DIR: Final = "BACKLINKS_DATA_DIR"

DUCKDB_TAKES_FOR_SYNTAX: Final = "?\\"
"""DuckDB puts its log of `why?/x.duckdb` into the folder `why.wal?`, and takes a backslash for a slash."""
MAX_DATA_DIR_BYTES: Final = 380
"""SQLite opens paths of 512 bytes at most. Dagster's longest below the data folder has some 110."""
MAX_NAME_BYTES: Final = 255

_PACKAGE: Final = __name__.partition(".")[0]


class AnchorError(BacklinksError, ValueError):
    """The folder, its `.env` or the data folder can't be used; the message says what to do."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Anchor:
    """The folder of relative paths, and the environment together with the folder's `.env`, over which it takes precedence.

    `other` is the other possible folder of relative paths, if there is one.
    """

    folder: Path
    is_dagster_home: bool
    other: Path | None
    given: Mapping[str, str] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Anchor":
        """Return the anchor of an environment and this process's working folder.

        Raises:
            AnchorError: `.env` could not be read, or the current folder was removed.
        """
        here, home = _here(), _dagster_home(given)
        ours = home is not None and names_this_project(home)
        folder, other = (home, here) if ours else (here, home)
        if folder is None:
            raise AnchorError("The current folder was removed. Change to one that is there and run again.")
        if other is not None and _same(folder, other):
            other = None
        return cls(folder, ours, other, given, {**env_variables(folder), **given})

    @property
    def name(self) -> str:
        return "DAGSTER_HOME" if self.is_dagster_home else "the current folder"

    @property
    def env_file(self) -> Path:
        return self.folder / ENV_FILE

    def path(self, variable: str, text: str) -> Path:
        """Return the absolute path of a variable's text; raises AnchorError for one that can't be used."""
        return _path(self.folder, variable, text)

    def data_dir(self, *, simulated: bool, has_store: bool = True) -> Path:
        """Return the data folder; `has_store`: the store is in it.

        Raises:
            AnchorError: its path can't be used, or the intended store is probably in another folder.
        """
        text = self.env.get(_DATA_DIR, "").strip() or "data"
        data_dir = self.path(_DATA_DIR, text)
        _refuse_unusable(data_dir)
        if has_store and self.other is not None and not text.startswith(("/", "~")):  # an absolute path is unambiguous
            there = self._data_dir_of(self.other, self.given)
            if missed := _store_missed(data_dir, there, simulated=simulated):
                raise AnchorError(
                    f"{missed} Relative folders are looked for in {self.folder} ({self.name}), not in {self.other}. To go on "
                    f"with the store that is there, set BACKLINKS_DATA_DIR={there} in {self.env_file}; to begin a new one, "
                    f"set BACKLINKS_DATA_DIR={data_dir}."
                )
            self._stop_if_dagster_read_the_other_env(data_dir, self.other, simulated=simulated)
        return data_dir

    def _data_dir_of(self, folder: Path, given: Mapping[str, str]) -> Path:
        return _path(folder, _DATA_DIR, {**_env_variables_if_any(folder), **given}.get(_DATA_DIR, "").strip() or "data")

    def _stop_if_dagster_read_the_other_env(self, data_dir: Path, other: Path, *, simulated: bool) -> None:
        """Dagster's own commands put the `.env` of the current folder into the environment, before the project reads it."""
        text = self.given.get(_DATA_DIR)
        if not self.is_dagster_home or not text or _env_variables_if_any(other).get(_DATA_DIR) != text:
            return
        there = self._data_dir_of(self.folder, {})
        if missed := _store_missed(data_dir, there, simulated=simulated):
            raise AnchorError(
                f"{missed} The first is what BACKLINKS_DATA_DIR means in {other / ENV_FILE}, which Dagster reads where it is "
                f"started; the second is that of {self.folder} (DAGSTER_HOME). To go on with the store that is there, take "
                f"the line out or write BACKLINKS_DATA_DIR={there}; to begin a new one, write BACKLINKS_DATA_DIR={data_dir}."
            )


def env_variables(folder: Path) -> dict[str, str]:
    """Return what the `.env` of a folder sets, as python-dotenv (and so Dagster) reads it.

    Raises AnchorError where it could not be read.
    """
    file = folder / ENV_FILE
    try:
        if not file.is_file():
            return {}
        from dotenv import dotenv_values

        values = dotenv_values(file, encoding="utf-8-sig")
    except OSError as error:
        raise AnchorError(
            f"{file} could not be read ({error.strerror}). Give this user the right to read it."
        ) from None
    except UnicodeDecodeError:
        raise AnchorError(f"{file} could not be read, since it is not UTF-8. Save it as UTF-8.") from None
    return {name: value for name, value in values.items() if value is not None}


def _env_variables_if_any(folder: Path) -> dict[str, str]:
    with suppress(AnchorError):
        return env_variables(folder)
    return {}


def export_other_variables() -> None:
    """Put what `.env` sets for libraries (a proxy, certificates) into this process's environment, where it is not set.

    `Settings` reads the project's own variables each time, and raises for an unreadable file.
    """
    with suppress(AnchorError):
        for name, value in Anchor.of(os.environ).env.items():
            if not name.startswith(OWN_VARIABLES):
                os.environ.setdefault(name, value)


def names_this_project(home: Path) -> bool:
    """Whether a folder's `dagster.yaml` names this project's storage."""
    try:
        text = (home / "dagster.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    if _PACKAGE not in text:  # without importing the parser
        return False
    import yaml

    try:
        node: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    for name in ("storage", "custom", "module"):
        node = node.get(name) if isinstance(node, dict) else None
    return str(node).partition(".")[0] == _PACKAGE


def _here() -> Path | None:
    with suppress(FileNotFoundError):
        return Path.cwd()
    return None


def _dagster_home(given: Mapping[str, str]) -> Path | None:
    """Return `DAGSTER_HOME` as Dagster reads it: an absolute path or one with `~`, also from `.env` here."""
    text, here = given.get("DAGSTER_HOME", ""), _here()
    if not text and here is not None:
        text = env_variables(here).get("DAGSTER_HOME", "")
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - pathlib's raises where no home is known
    return path if path.is_absolute() else None


def _path(folder: Path, variable: str, text: str) -> Path:
    try:
        # Path("./~x") is Path("~x"): the text says whether a folder of that name or a home is meant.
        path = (folder / (Path(text).expanduser() if text.startswith("~") else text)).absolute()
    except RuntimeError:
        raise AnchorError(
            f"{variable} is {text!r}, but there is no home folder for it. Write the whole path, or ./{text} for a folder "
            "of that name."
        ) from None
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise AnchorError(
            f"The path {os.fsencode(path)!r} is not UTF-8, which DuckDB and Dagster need. Rename its folder, or set "
            f"{variable} to another path."
        ) from None
    return path


def _refuse_unusable(data_dir: Path) -> None:
    if found := set(DUCKDB_TAKES_FOR_SYNTAX).intersection(str(data_dir)):
        raise AnchorError(
            f"The data folder's path is {data_dir}, in which DuckDB takes {' and '.join(sorted(found))} for something else "
            "than a part of a name. Rename the folder, or set BACKLINKS_DATA_DIR to another path."
        )
    raw = os.fsencode(data_dir)
    if len(raw) > MAX_DATA_DIR_BYTES or any(len(name) > MAX_NAME_BYTES for name in raw.split(b"/")):
        raise AnchorError(
            f"The data folder's path is {len(raw)} bytes long: {data_dir}. It may have {MAX_DATA_DIR_BYTES}, since "
            f"SQLite opens no path above 512, and each name in it {MAX_NAME_BYTES}. Set BACKLINKS_DATA_DIR to a "
            "shorter one."
        )


def _stores(data_dir: Path) -> list[str]:
    """Return which stores a data folder holds: of real answers, of simulated ones."""
    found = []
    for name in (STORE, f"{DEMO}/{STORE}"):
        with suppress(OSError):
            if (data_dir / name).exists():
                found.append(name)
    return found


def _store_missed(data_dir: Path, other: Path, *, simulated: bool) -> str | None:
    """Return a sentence if another folder has a store and this has none. For simulated answers any store here counts."""
    here, there = _stores(data_dir), _stores(other)
    missing = not here or (not simulated and STORE in there and STORE not in here)
    if not there or not missing or _same(data_dir, other):
        return None
    real = " of real answers" if here else ""
    return f"{data_dir} holds no store{real}, but {other} does ({' and '.join(there)})."


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other
