"""Telling others that something changed, without Qt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class Event:
    """Functions called in the order in which they were connected, on the caller's thread.

    One that fails stops neither the others nor the caller: its error goes to `sys.excepthook`.
    """

    def __init__(self) -> None:
        self._functions: list[Callable[..., Any]] = []

    def connect(self, function: Callable[..., Any]) -> Callable[[], None]:
        """Call `function` on every `emit`; returns a function that ends this."""
        self._functions.append(function)

        def disconnect() -> None:
            if function in self._functions:
                self._functions.remove(function)

        return disconnect

    def emit(self, *arguments: Any) -> None:
        """Call everyone connected."""
        for function in tuple(self._functions):
            try:
                function(*arguments)
            except Exception:
                sys.excepthook(*sys.exc_info())
