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
        self._turns: deque[Callable[[], None]] = deque()  # what waits for the one before it
        self._in_turn = False  # one of those is under way

    def run(
        self, function: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[BaseException], None]
    ) -> None:
        """See `ports.Workers`."""

        def work() -> None:
            self._outcomes.append(outcome(function, done, failed))

        self._workers.run(work, lambda _: self.deliver(), failed)

    def run_in_turn(
        self,
        begin: Callable[[], Callable[[], Any]],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Run functions that build on one another: each as what came of those before it has been delivered.

        Args:
            begin: Gives the function; it is called on the GUI thread, when its turn has come.
            done: Receives the function's result.
            failed: Receives its error.
        """

        def ended(deliver: Callable[[Any], None], result: Any) -> None:
            try:
                deliver(result)
            finally:
                self._in_turn = False
                self._next()

        def turn() -> None:
            try:
                function = begin()
            except Exception as error:  # whatever it is, the next one has its turn
                ended(failed, error)
            else:
                self.run(function, partial(ended, done), partial(ended, failed))

        self._turns.append(turn)
        self._next()

    def _next(self) -> None:
        if self._turns and not self._in_turn:
            self._in_turn = True
            self._turns.popleft()()

    def deliver(self) -> None:
        """Deliver all that is there, on the GUI thread: where the window closes, after its last event."""
        while self._outcomes:
            self._outcomes.popleft()()

    def finish(self) -> None:
        """Wait for all that runs, and for what waits for its turn, and deliver it, on the GUI thread."""
        self._workers.wait()
        while self._outcomes:
            self.deliver()
            self._workers.wait()


def outcome(
    function: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[BaseException], None]
) -> Callable[[], None]:
    """What is to be called once `function`, which is called now, is over: `done` with its result, or `failed`."""
    try:
        return partial(done, function())
    except BaseException as error:
        return partial(failed, error)
