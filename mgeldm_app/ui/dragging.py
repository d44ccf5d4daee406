"""Dragging lanes out of the window: real files, made once the mouse moves, and only for as long as it holds them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QObject, Qt, QTimer, QUrl
from PySide6.QtGui import QColor, QDrag, QGuiApplication, QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QWidget

from ..core.controller import Controller

_WIDTH, _ROW = 220, 22
_SLOW_MS = 300  # files that are there by then need no word


class Dragging(QObject):
    """Turns lanes that the mouse drags into a drag of files.

    Args:
        controller: Makes the files.
        source: The widget that is dragged from.
    """

    def __init__(self, controller: Controller, source: QWidget) -> None:
        super().__init__(source)
        self.controller, self.source = controller, source
        self._errands: set[str] = set()  # make the files that the mouse waits for
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(_SLOW_MS)
        self._slow.timeout.connect(self._explain)

    def press(self) -> None:
        """The mouse was pressed where a drag may begin: an earlier one is over. A mere click makes no files."""
        self._let_go()

    def start(self, lane_ids: tuple[str, ...], region_only: bool) -> None:
        """The mouse moved: drag as soon as the files are there, unless the mouse has let go by then."""
        self._let_go()
        taking, at_once = self.controller.taking, True
        known = set(taking.errands)

        def ready(files: list[Path]) -> None:
            waits = QApplication.mouseButtons() & Qt.MouseButton.LeftButton and self._errands == mine
            if at_once or waits:
                self._wait_for(set())
                self._drag(files)

        mine: set[str] = set()
        taking.prepare(lane_ids, region_only, ready)
        at_once, mine = False, set(taking.errands) - known
        self._wait_for(mine)

    def copy(self, lane_ids: tuple[str, ...], region_only: bool) -> None:
        """Put the files on the clipboard."""

        def ready(files: list[Path]) -> None:
            QGuiApplication.clipboard().setMimeData(as_mime(files))
            self.controller.session.tell(
                self.tr("{0} files on the clipboard; paste them into a folder or DAW.").format(len(files))
            )

        self.controller.taking.prepare(lane_ids, region_only, ready)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The mouse lets go before the files are there: nobody needs them."""
        if event.type() == QEvent.Type.MouseButtonRelease:
            self._let_go()
        return False

    def _wait_for(self, errands: set[str]) -> None:
        self._errands, app = errands, QCoreApplication.instance()
        self._slow.stop()
        if app is not None:
            app.removeEventFilter(self)
        if errands and app is not None:
            app.installEventFilter(self)
            self._slow.start()

    def _let_go(self) -> None:
        for errand_id in self._errands:
            self.controller.taking.cancel(errand_id)
        self._wait_for(set())

    def _explain(self) -> None:
        if self._errands & self.controller.taking.errands.keys():
            self.controller.session.tell(self.tr("Making the files; keep the mouse button down."))

    def _drag(self, files: list[Path]) -> None:
        drag = QDrag(self.source)
        drag.setMimeData(as_mime(files))
        drag.setPixmap(_label(files, self.source))
        drag.exec(Qt.DropAction.CopyAction)


def as_mime(files: list[Path]) -> QMimeData:
    """Files as other programs take them."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in files])
    data.setText("\n".join(str(path) for path in files))
    return data


def _label(files: list[Path], widget: QWidget) -> QPixmap:
    """The names that hang on the mouse."""
    shown = files[:4]
    ratio = widget.devicePixelRatioF()
    pixmap = QPixmap(round(_WIDTH * ratio), round((_ROW * len(shown) + 8) * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    palette = widget.palette()
    background = QColor(palette.window().color())
    background.setAlpha(230)
    painter.setBrush(background)
    painter.setPen(palette.mid().color())
    painter.drawRoundedRect(1, 1, _WIDTH - 2, _ROW * len(shown) + 6, 6, 6)
    painter.setPen(palette.windowText().color())
    for number, path in enumerate(shown):
        text = path.name if number < 3 or len(files) == 4 else f"+ {len(files) - 3}"
        name = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, _WIDTH - 20)
        painter.drawText(10, 4 + number * _ROW, _WIDTH - 20, _ROW, Qt.AlignmentFlag.AlignVCenter, name)
    painter.end()
    return pixmap
