"""Dragging lanes out of the window: real files, made ready when the mouse is pressed, taken when it moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QMimeData, QObject, Qt, QUrl
from PySide6.QtGui import QColor, QDrag, QGuiApplication, QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QWidget

from ..core.controller import Controller

_WIDTH, _ROW = 220, 22


class Dragging(QObject):
    """Turns pressed lanes into a drag of files.

    Args:
        controller: Makes the files.
        source: The widget that is dragged from.
    """

    def __init__(self, controller: Controller, source: QWidget) -> None:
        super().__init__(source)
        self.controller, self.source = controller, source
        self._wanted: tuple[tuple[str, ...], bool] = ((), False)
        self._files: list[Path] | None = None
        self._moved = False

    def press(self, lane_ids: tuple[str, ...], region_only: bool) -> None:
        """Get files ready: the mouse was pressed where a drag may begin."""
        self._wanted, self._files, self._moved = (lane_ids, region_only), None, False
        self.controller.taking.prepare(lane_ids, region_only, self._ready_for((lane_ids, region_only)))

    def start(self, lane_ids: tuple[str, ...], region_only: bool) -> None:
        """The mouse moved: drag now, or as soon as the files are there."""
        if self._wanted != (lane_ids, region_only):
            self.press(lane_ids, region_only)
        self._moved = True
        if self._files is not None:
            self._drag(self._files)
        else:
            self.controller.session.tell(self.tr("Making the files; keep the mouse button down."))

    def copy(self, lane_ids: tuple[str, ...], region_only: bool) -> None:
        """Put the files on the clipboard."""

        def ready(files: list[Path]) -> None:
            QGuiApplication.clipboard().setMimeData(as_mime(files))
            self.controller.session.tell(
                self.tr("{0} files on the clipboard; paste them into a folder or DAW.").format(len(files))
            )

        self.controller.taking.prepare(lane_ids, region_only, ready)

    def _ready_for(self, wanted: tuple[tuple[str, ...], bool]) -> Callable[[list[Path]], None]:
        def ready(files: list[Path]) -> None:
            if wanted != self._wanted:
                return
            self._files = files
            if self._moved and QApplication.mouseButtons() & Qt.MouseButton.LeftButton:
                self._drag(files)

        return ready

    def _drag(self, files: list[Path]) -> None:
        self._moved = False
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
