"""DataForSEO backlinks summaries kept as a history, and targets flagged that moved sharply: a Dagster project."""

import os

# Arrow would keep what it has freed for itself, 30 MB of it in a day's run. It reads this once, when it is first imported.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
