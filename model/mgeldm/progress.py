"""How far a piece of work has come, and whether it should go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """One report: `done` of `total` units of `stage`, and the time still needed if it is known."""

    stage: str
    done: int
    total: int
    left_s: float | None = None


OnProgress = Callable[[Progress], None]


@dataclass
class Reporter:
    """Counts units of work, reports each, and stops the work when asked to.

    Args:
        on_progress: Receives a `Progress` after each unit.
        cancelled: Asked before each unit; True stops the work with `Cancelled`.
    """

    on_progress: OnProgress | None = None
    cancelled: Callable[[], bool] | None = None
    _started_s: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise `Cancelled` if the caller asked to stop."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled("Stopped as asked; no partial file was left.")

    def start(self) -> None:
        """Begin timing a new stage."""
        self._started_s = time.monotonic()

    def report(self, stage: str, done: int, total: int) -> None:
        """Report `done` of `total`; raises `Cancelled` if the caller asked to stop."""
        self.check()
        if self.on_progress is not None:
            spent_s = time.monotonic() - self._started_s
            left_s = spent_s / done * (total - done) if done else None
            self.on_progress(Progress(stage, done, total, left_s))

    def shared(self, count: int) -> list[Reporter]:
        """Reporters for `count` works of equal length that go on in turns: what they have done adds up here."""
        done = [0] * count

        def adding(place: int) -> OnProgress:
            def add(progress: Progress) -> None:
                done[place] = progress.done
                self.report(progress.stage, sum(done), count * progress.total)

            return add

        return [Reporter(adding(place), self.cancelled) for place in range(count)]
