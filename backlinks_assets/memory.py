"""How one process keeps small while it goes through collecting, tables, judgement, pages.

Settings of the allocators only, none of them needed for what comes out.
"""

import gc
import os
from collections.abc import Callable
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_ARENA_MAX: Final = -8
"""Names of glibc's malloc.h, where these numbers are part of its ABI."""
_ARENAS: Final = 2
_TRIM_BYTES: Final = 128 * 1024

# Arrow's own allocator would keep 30 MB of a day for itself. Arrow reads this once, when it is first imported, so that a
# process has to import this module before.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def give_memory_back() -> None:
    """Have freed memory go back to the system soon, instead of being kept by each thread and library for itself.

    Thirty threads would have an arena of the C library each. Without effect where the C library is not glibc. What is
    imported by now is garbage never, and no longer looked through for it: that, too, is a twentieth of the CPU of
    collecting.
    """
    if not gc.get_freeze_count():
        gc.freeze()
    if (mallopt := _of_c_library("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)


def trim() -> None:
    """Give back what is free now; worth it between the steps of a day."""
    if gc.get_freeze_count():  # without `give_memory_back` it would look through all that is imported
        gc.collect()
    if (malloc_trim := _of_c_library("malloc_trim")) is not None:
        malloc_trim(0)


def _of_c_library(name: str) -> Callable[..., int] | None:
    import ctypes  # not at the top, which the quick calls of the command import too

    return getattr(ctypes.CDLL(None), name, None)
