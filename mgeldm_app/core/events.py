"""Telling others that something changed, without Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Event:
    """Functions called in the order in which they were connected, on the caller's thread."""

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
            function(*arguments)
