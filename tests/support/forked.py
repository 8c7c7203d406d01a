"""What the process has done from which the tests' commands are forked, so that none of them does it again.

Templates are compiled, Alembic's revisions read, and what is in memory is left out of each search for garbage, which would
copy it into every process: together a third of a short command's CPU.
"""

import gc

import revisions  # noqa: F401 - does its work

from backlinks_assets.report import targets_report, templating, ui_summary  # noqa: F401 - so that they are imported

_environment = templating._environment(None)
for _name in _environment.list_templates(extensions=["j2"]):
    _environment.get_template(_name)
gc.collect()
gc.freeze()
