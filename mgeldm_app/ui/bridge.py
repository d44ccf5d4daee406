"""The one crossing back to the GUI thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot


class Bridge(QObject):
    """Calls functions on the thread it was made on, in the order in which they were posted."""

    _posted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._posted.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def post(self, function: Callable[[], Any]) -> None:
        """Call `function` soon, on the bridge's thread. From any thread; once the bridge is gone, nothing happens."""
        with contextlib.suppress(RuntimeError):  # Qt's side was deleted with the window
            self._posted.emit(function)

    @Slot(object)
    def _call(self, function: Callable[[], Any]) -> None:
        function()
