"""Calls a minute: an even stream of permits, one schedule for every thread and process of this machine.

Here belong the next free instant and the end of a pause, in one small file. Calls at once are `concurrency`; sleeping
until an instant, or giving up, is `limiter`.
"""

from pathlib import Path

from backlinks_assets.account import lockfile
from backlinks_assets.account.clock import Clock, peek, read, write

# A server sees a minute's permits and those issued before it that are still on their way: with 1,960 per minute and
# 30 at once at most 1,960 + 1 + 30, whatever the network's jitter.
PACED_SHARE = 0.98
# Nothing is reserved later than this from now. So a true schedule ends within it and one interval (61.3 s at one call
# per minute), and a stored instant later than DISTRUST_S is not believed.
HORIZON_S = 30.0
DISTRUST_S = 120.0
MAX_PAUSE_S = 600.0


class Pacer:
    """The generic cell rate algorithm (ITU-T I.371) with a burst of one: unused instants are not saved up.

    Processes with different rates share one schedule: each call takes its own process's interval, so that
    together they stay between the two rates.
    """

    def __init__(self, directory: Path, calls_per_minute: int, clock: Clock) -> None:
        self.paced_rate = PACED_SHARE * calls_per_minute
        self._interval_s = 60 / self.paced_rate
        self._path = directory / "pace"
        self._clock = clock

    def reserve(self) -> float:
        """Reserve the next free instant and return the seconds until then.

        More than `HORIZON_S` means that nothing was reserved: sleep so long, then try again. Raises OSError
        when the file can't be written; nothing is reserved then.
        """
        with lockfile.lock(self._path) as lock:
            now = self._clock.now_s()
            next_free, paused_until = self._believed(read(lock, self._clock, 2), now)
            start = max(now, next_free, paused_until)
            if start - now <= HORIZON_S:
                write(lock, self._clock, start + self._interval_s, paused_until)
            return start - now

    def pause(self, seconds: float) -> None:
        """Let no call start in the next `seconds`, `MAX_PAUSE_S` at most. A later end is not shortened."""
        if not seconds > 0:
            raise ValueError(f"A pause must be longer than 0 s, not {seconds}.")
        with lockfile.lock(self._path) as lock:
            now = self._clock.now_s()
            next_free, paused_until = self._believed(read(lock, self._clock, 2), now)
            paused_until = max(paused_until, now + min(seconds, MAX_PAUSE_S))
            write(lock, self._clock, next_free, paused_until)

    def pause_left_s(self) -> float:
        """Return the seconds until a pause ends, 0 without one: to be read after sleeping until a reserved instant."""
        now = self._clock.now_s()
        _, paused_until = self._believed(peek(self._path, self._clock, 2), now)
        return max(0.0, paused_until - now)

    def _believed(self, record: tuple[float, ...] | None, now: float) -> tuple[float, float]:
        """Return the next free instant and the end of the pause; `now` for what is missing or not believed."""
        next_free, paused_until = record or (now, now)
        return (
            next_free if next_free <= now + DISTRUST_S else now,
            paused_until if paused_until <= now + MAX_PAUSE_S else now,
        )
