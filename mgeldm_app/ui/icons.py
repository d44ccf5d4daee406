"""Icons: single-colour SVG files of `resources/icons`, in the theme's colours, sharp at any size and ratio."""

from __future__ import annotations

from functools import cache

from mgeldm.bundled import ICONS
from PySide6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer


@cache
def _drawing(name: str, colour: str) -> QSvgRenderer:
    """The file `name`.svg, its `currentColor` replaced."""
    text = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    return QSvgRenderer(QByteArray(text.replace("currentColor", colour).encode()))


def paint_icon(painter: QPainter, name: str, rect: QRectF, colour: str) -> None:
    """Paint an icon into a rectangle."""
    _drawing(name, colour).render(painter, rect)


class _Engine(QIconEngine):
    """Draws the file anew at each size that Qt asks for."""

    def __init__(self, name: str, colour: str, dead: str, on: str) -> None:
        super().__init__()
        self._name, self._colour, self._dead, self._on = name, colour, dead, on

    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._colour, self._dead, self._on)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        colour = self._on if state == QIcon.State.On else self._colour
        paint_icon(painter, self._name, QRectF(rect), self._dead if mode == QIcon.Mode.Disabled else colour)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap


def icon(name: str, colour: str, dead: str = "", on: str = "") -> QIcon:
    """The icon `name` in a colour, in others where disabled (`dead`) and checked (`on`)."""
    return QIcon(_Engine(name, colour, dead or colour, on or colour))
