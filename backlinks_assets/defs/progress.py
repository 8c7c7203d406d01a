"""Between a run and the process it goes on in: who is told of finished targets, and how the run is asked to stop.

Hooks for the command, which runs jobs in its own process and draws a progress bar. Runs elsewhere have no listener.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from backlinks_assets.store.collect import Collector, Outcome


@dataclass
class Listener:
    """Told of each finished target; keeps why a run stopped; passes a wish to stop on to the collectors at work."""

    on_outcome: Callable[[Outcome], None]
    stopped: str | None = None
    asked_to_stop: str | None = None
    collectors: set[Collector] = field(default_factory=set)

    def stop(self, reason: str) -> None:
        """Ask the collectors at work, and any that start later, to start no more calls."""
        self.asked_to_stop = reason
        for collector in list(self.collectors):
            collector.stop(reason)


_listeners: list[Listener] = []


def report(outcome: Outcome) -> None:
    """Tell the listeners of a finished target."""
    for listener in _listeners:
        listener.on_outcome(outcome)


def report_stop(reason: str) -> None:
    """Tell the listeners that a run stopped before its end, and why."""
    for listener in _listeners:
        listener.stopped = listener.stopped or reason


@contextmanager
def at_work(collector: Collector) -> Iterator[Collector]:
    """Let the listeners stop a collector for as long as it works."""
    for listener in _listeners:
        listener.collectors.add(collector)
        if listener.asked_to_stop:
            collector.stop(listener.asked_to_stop)
    try:
        yield collector
    finally:
        for listener in _listeners:
            listener.collectors.discard(collector)


@contextmanager
def listening(listener: Listener) -> Iterator[Listener]:
    """Have a listener told of what the runs of this process do."""
    _listeners.append(listener)
    try:
        yield listener
    finally:
        _listeners.remove(listener)
