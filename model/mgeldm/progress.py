"""How far a piece of work has come, and whether it should go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

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
    _stage: str | None = None  # of the last report
    _done: int = 0
    _from: int = 0  # units that were done at the first report of the stage, and when that was
    _from_s: float = 0.0

    def check(self) -> None:
        """Raise `Cancelled` if the caller asked to stop."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled("Stopped as asked; no partial file was left.")

    def report(self, stage: str, done: int, total: int) -> None:
        """Report `done` of `total`; raises `Cancelled` if the caller asked to stop."""
        self.check()
        if self.on_progress is not None:
            now_s = time.monotonic()
            if stage != self._stage or done < self._done:  # another stage, or the same of another part
                self._from, self._from_s = done, now_s
            self._stage, self._done, counted = stage, done, done - self._from
            left_s = (now_s - self._from_s) / counted * (total - done) if counted else None
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
