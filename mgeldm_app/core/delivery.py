"""Workers whose outcomes come even where nothing calls for them any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from .ports import Workers


class Delivery:
    """Runs functions on workers, and holds what came of them until it is delivered on the GUI thread.

    Args:
        workers: Run the functions.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._outcomes: deque[Callable[[], None]] = deque()

    def run(
        self, function: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[BaseException], None]
    ) -> None:
        """See `ports.Workers`."""

        def work() -> None:
            self._outcomes.append(outcome(function, done, failed))

        self._workers.run(work, lambda _: self.deliver(), failed)

    def deliver(self) -> None:
        """Deliver all that is there, on the GUI thread: where the window closes, after its last event."""
        while self._outcomes:
            self._outcomes.popleft()()


def outcome(
    function: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[BaseException], None]
) -> Callable[[], None]:
    """What is to be called once `function`, which is called now, is over: `done` with its result, or `failed`."""
    try:
        return partial(done, function())
    except BaseException as error:
        return partial(failed, error)
