"""Claims whose lease is gone are taken over at once, even with its file and process number still there."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import commands
import pytest

from backlinks_assets.account.leases import FileLease
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.settings import Settings
from backlinks_assets.store.answers import Key
from backlinks_assets.store.database import Database
from backlinks_assets.store.responses import Claim, ResponseStore

KEY = Key(commands.today(), "shop.example", "live", "as asked")
OURS = Claim(stored=frozenset(), refused={})

CLAIM = f"""
import datetime, time
from backlinks_assets.collect.factory import open_store
from backlinks_assets.settings import Settings
from backlinks_assets.store.answers import Key
with open_store(Settings.from_env()) as store:
    claim = store.claim([Key({KEY.date!r}, *{tuple(KEY)[1:]!r})], datetime.datetime.now(datetime.UTC))
    print("TAKEN" if claim is None else "OURS", flush=True)
    time.sleep(600)
"""


@contextmanager
def another_process() -> Iterator["subprocess.Popen[str]"]:
    """Yield a process that holds the claim."""
    with subprocess.Popen([sys.executable, "-c", CLAIM], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "OURS\n"
            yield process
        finally:
            process.kill()


@contextmanager
def store_of(settings: Settings) -> Iterator[ResponseStore]:
    with ExitStack() as stack:
        lease, database = FileLease(settings.limits_dir / "owners"), Database(settings.store_file)
        stack.callback(database.close)
        stack.callback(lease.close)
        yield ResponseStore(database, lease, settings.origin)


def left_as_it_is(_file: Path) -> None:
    """As kill -9 leaves it, and a reboot: the file is there and nobody holds it."""


def removed(file: Path) -> None:
    """As by one who tidies up."""
    file.unlink()


@pytest.mark.ci
@pytest.mark.parametrize("what", [left_as_it_is, removed])
def test_a_dead_process_claim_is_taken_over_at_once(settings, what: Callable[[Path], None]) -> None:
    with another_process() as process, store_of(settings) as store:
        assert store.claim([KEY], utc_now()) is None
        process.kill()
        process.wait()
        (file,) = (settings.limits_dir / "owners").glob(f"{process.pid}-*.lock")
        what(file)
        assert store.claim([KEY], utc_now()) == OURS


def test_after_a_reboot_a_process_of_the_dead_ones_number_does_not_keep_its_claim(settings) -> None:
    database = Database(settings.store_file)
    dead = FileLease(settings.limits_dir / "owners")
    assert ResponseStore(database, dead, settings.origin).claim([KEY], utc_now()) == OURS
    with store_of(settings) as store:  # this process, of the same number
        assert store.claim([KEY], utc_now()) is None
        dead._lock.release()  # as the kernel does; the file stays
        assert store.claim([KEY], utc_now()) == OURS
    database.close()
