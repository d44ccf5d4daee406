"""Slow functions beside the GUI thread (`core.ports.Workers`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QThreadPool

from ..core.delivery import outcome

Post = Callable[[Callable[[], Any]], None]
"""Calls a function on the GUI thread (`ui.bridge.Bridge.post`)."""


class Workers:
    """A few threads that take one function after the other.

    Args:
        post: Calls a function on the GUI thread.
        threads: How many functions run at once; with one, each begins when the one before it is over.
    """

    def __init__(self, post: Post, threads: int = 2) -> None:
        self._post = post
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(threads)

    def run(
        self,
        function: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Run `function` on a worker; exactly one of `done` and `failed` is called on the GUI thread."""

        self._pool.start(lambda: self._post(outcome(function, done, failed)))

    def wait(self) -> None:
        """Wait for what runs and what is queued; `done` and `failed` of it are called later, as ever."""
        self._pool.waitForDone()

    def close(self) -> None:
        """Wait for what runs; what is queued is dropped."""
        self._pool.clear()
        self._pool.waitForDone()
