"""Files dropped on a widget: taken as copies, unless they come from this very window."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QWidget


class FileDrops(QObject):
    """Takes what is dropped on a widget, and on those inside of it that do not take it themselves.

    Signals:
        dropped: A list of `Path`; whether they can be used is not decided here.
        held: Whether files are over the widget now.
    """

    dropped = Signal(list)
    held = Signal(bool)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Accept, then tell the paths.

        Not before the event is over: to answer it, a question may be asked, and until then the program that files are
        dragged from waits.
        """
        if event.type() == QEvent.Type.DragLeave:
            self.held.emit(False)
        if isinstance(event, QDropEvent) and event.source() is None and (paths := _paths(event)):
            event.setDropAction(Qt.DropAction.CopyAction)  # a file manager would delete what was said to be moved
            event.accept()
            let_go = event.type() == QEvent.Type.Drop
            self.held.emit(not let_go)
            if let_go:
                QTimer.singleShot(0, self, lambda: self.dropped.emit(paths))
            return True
        return super().eventFilter(watched, event)


def _paths(event: QDropEvent) -> list[Path]:
    """The files of this machine that a drag carries."""
    return [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
