"""Alembic reads the revisions of Dagster's tables once a process, not once a database: a tenth of the CPU of tests with runs.

Imported for that alone, by the tests and by the process from which their commands are forked.
"""

from alembic.config import Config
from alembic.script import ScriptDirectory

_read: dict[str | None, ScriptDirectory] = {}
_from_config = ScriptDirectory.from_config


def _once(config: Config) -> ScriptDirectory:
    place = config.get_main_option("script_location")
    if place not in _read:
        _read[place] = _from_config(config)
    return _read[place]


ScriptDirectory.from_config = staticmethod(_once)
