"""The boot's clock, and instants kept in small files that every process of one boot may read.

What belongs here: which boot this is, its monotonic clock, and reading and writing a record under `flock`.
What an instant means (the next call, the end of a pause) is the business of `pacer` and `slots`.
POSIX only: the locks are `fcntl.flock`'s.
"""

import ctypes
import errno
import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Protocol

UNKNOWN_BOOT = "unknown-boot"
_RECORD_BYTES = 256


class Clock(Protocol):
    """What the limits ask of a clock: seconds that nobody can set, counted by all processes from one boot."""

    @property
    def boot_id(self) -> str:
        """A name, without spaces, that no other boot of this machine has."""

    def now_s(self) -> float:
        """Seconds since some instant of this boot, the same in every process."""

    def sleep(self, seconds: float) -> None:
        """Return after so many of its seconds."""


class BootClock:
    """CLOCK_MONOTONIC. It may stand still while a machine is suspended, which only makes waits longer."""

    @property
    def boot_id(self) -> str:
        """The kernel's id of this boot; `UNKNOWN_BOOT` where it has none."""
        return _boot_id()

    def now_s(self) -> float:
        """Seconds since the boot."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip() or UNKNOWN_BOOT
    except OSError:
        return _boot_session() or UNKNOWN_BOOT


def _boot_session() -> str:
    """MacOS's id of the boot, or "". Not `kern.boottime`: that one moves whenever the wall clock is set.

    Without an id an earlier boot's instants still do little harm: those too far ahead to be true are ignored.
    """
    value = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(value))
    try:
        failed = ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", value, ctypes.byref(size), None, 0)
    except (AttributeError, OSError):
        return ""
    return "" if failed else value.value.decode("ascii", "ignore").strip()


def open_record(path: Path) -> int:
    """A descriptor to read and write `path`, closed on exec; file and folder are made where missing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


def let_go(fd: int) -> None:
    """Unlock and close. Closing alone would leave the lock with a child that was forked meanwhile."""
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The descriptor of `path`, locked. Opened anew each time, so that a forked process shares no lock."""
    fd = open_record(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        let_go(fd)


def peek(path: Path, boot_id: str, count: int) -> tuple[float, ...] | None:
    """`read_numbers` of a file that another process may be writing; None where there is no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        return read_numbers(fd, boot_id, count)
    finally:
        let_go(fd)


def read_numbers(fd: int, boot_id: str, count: int) -> tuple[float, ...] | None:
    """The `count` numbers written under this boot; None if the record is another boot's, damaged or empty."""
    line, _, _ = os.pread(fd, _RECORD_BYTES, 0).partition(b"\n")
    text, _, checksum = line.rpartition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(text):
            return None
        written_under, *numbers = text.decode().split(" ")
        return tuple(map(float, numbers)) if written_under == boot_id and len(numbers) == count else None
    except ValueError:
        return None


def write_numbers(fd: int, boot_id: str, *numbers: float) -> None:
    """Write the record in place. Not fsynced: what a power cut loses, the next boot ignores.

    Raises OSError when it was not written whole, as on a full disk.
    """
    text = " ".join([boot_id, *(f"{number:020.9f}" for number in numbers)]).encode()
    line = b"%s %08x\n" % (text, zlib.crc32(text))
    if os.pwrite(fd, line, 0) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
