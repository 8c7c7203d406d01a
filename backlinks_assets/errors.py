"""The root of the project's expected errors. Each room has its own, named by what a rerun can do."""

from typing import ClassVar


class BacklinksError(Exception):
    """An expected error: its text is a sentence that says what to do next.

    `exit_status` is the command's: 1 for a stop, 2 where the input can't be used.
    """

    exit_status: ClassVar[int] = 1
