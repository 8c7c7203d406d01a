"""Which tests share a worker where several run at once."""

import re

from xdist.scheduler import LoadScopeScheduling

REAL_TIME = re.compile(
    r"test_(account_processes|dataforseo_deadline|faults|faults_money|kill|kill_cancelled|together)\.py"
    "|over_the_rate_pauses|too_many_at_once_lowers|two_hundred_targets_make"
)
"""Tests that judge by the machine's own clock: one worker has them all, so that they never run beside each other."""
SHARED = re.compile(r"test_(consume|docs|docs_text|docs_ui|report_browser|report_page|simulator|simulator_many)\.py")
"""Files whose tests share what is long to make: each is one worker's, and those of the docs together."""


class Scheduling(LoadScopeScheduling):
    """Deals out test by test what may run anywhere; what has more tests together is dealt out first.

    xdist's own groups (`--dist loadgroup`) are not seen under this release of pytest.
    """

    def _split_scope(self, nodeid: str) -> str:
        if REAL_TIME.search(nodeid):
            return "real time"
        if shared := SHARED.search(nodeid):
            return "docs" if shared[1].startswith("docs") else shared[1]
        return nodeid
