"""The boot's clock, and instants in small files that every process of one boot may read.

What an instant means (the next call, the end of a pause) is in `rate_limiter` and `concurrency`.
"""

import errno
import os
import time
import zlib
from functools import cache
from pathlib import Path

from backlinks_assets.account import lockfile

UNKNOWN_BOOT = "unknown-boot"
_RECORD_BYTES = 256


class Clock:
    """CLOCK_MONOTONIC: seconds since the boot, which can't be set and are the same in all processes.

    It may stop while a machine is suspended, which only makes waits longer.
    """

    @property
    def boot_id(self) -> str:
        """The kernel's id of this boot, without spaces; `UNKNOWN_BOOT` where it has none."""
        return _boot_id()

    def now_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip() or UNKNOWN_BOOT
    except OSError:  # not Linux: an earlier boot's instants do little harm, since distant ones are ignored
        return UNKNOWN_BOOT


def peek(path: Path, clock: Clock, count: int) -> tuple[float, ...] | None:
    """`read` of a file that another process may be writing; None where there is no file."""
    try:
        with lockfile.lock(path, shared=True) as lock:
            return read(lock, clock, count)
    except FileNotFoundError:
        return None


def read(lock: lockfile.Lock, clock: Clock, count: int) -> tuple[float, ...] | None:
    """The `count` numbers written under this boot; None if the record is another boot's, damaged or empty."""
    assert lock.fd is not None
    line, _, _ = os.pread(lock.fd, _RECORD_BYTES, 0).partition(b"\n")
    text, _, checksum = line.rpartition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(text):
            return None
        written_under, *numbers = text.decode().split(" ")
        return tuple(map(float, numbers)) if written_under == clock.boot_id and len(numbers) == count else None
    except ValueError:
        return None


def write(lock: lockfile.Lock, clock: Clock, *numbers: float) -> None:
    """Write the record in place. Not fsynced: what a power cut loses, the next boot ignores.

    Raises OSError when it was not written whole, as on a full disk.
    """
    assert lock.fd is not None
    text = " ".join([clock.boot_id, *(f"{number:020.9f}" for number in numbers)]).encode()
    line = b"%s %08x\n" % (text, zlib.crc32(text))
    if os.pwrite(lock.fd, line, 0) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
