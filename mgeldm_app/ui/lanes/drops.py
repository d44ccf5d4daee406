"""Files held over the lanes are shown to be welcome."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from ..theme import mix
from .state import State, font


class DropHint(QWidget):
    """A frame over all of its parent that says what letting go will do; the mouse does not notice it."""

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(parent)
        self._state, self._over = state, parent
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def show_over(self, held: bool) -> None:
        """Cover the parent while files are held over it."""
        if held and not self.isVisible():
            self.setGeometry(self._over.rect())
            self.raise_()
        self.setVisible(held)

    def paintEvent(self, _: QPaintEvent) -> None:
        """As the empty window's frame looks under a drag."""
        theme = self._state.theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = QColor(mix(theme.background, theme.accent, 0.12))
        ground.setAlphaF(0.86)
        pen = QPen(QColor(theme.accent), 1.5)
        pen.setDashPattern([5, 5])
        painter.setPen(pen)
        painter.setBrush(ground)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(8.5, 8.5, -8.5, -8.5), 14, 14)
        painter.setPen(QColor(theme.text))
        painter.setFont(font(15, QFont.Weight.DemiBold))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.tr("Drop to open"))
