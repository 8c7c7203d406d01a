"""The code version of each asset whose logic decides what comes out.

Raise a number when the same input gives other rows, columns or pages than before: Dagster then shows the partitions that
were made by the earlier version. Nothing is rebuilt by itself.
"""

from typing import Final

CODE_VERSIONS: Final = {
    "backlinks_summary": "1",
    "referring_links": "1",
    "backlinks_bulk": "2",
    "api_costs": "1",
    "backlinks_changes": "1",
    "backlinks_flags": "2",
    "backlinks_incidents": "1",
    "flag_evidence": "1",
    "lost_history": "1",
    "flags_report": "3",
    "targets_report": "2",
}
