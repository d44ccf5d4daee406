"""What is seen while a song is decoded: its outline at once, filling up as it comes."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from ..core.opening import Opening
from ..core.text import facts_text
from .parts import ElidedLabel, button, label
from .theme import DARK, Theme, set_role

_HEIGHT = 160


class _Outline(QWidget):
    """Peaks from left to right; those that are decoded are brighter."""

    def __init__(self) -> None:
        super().__init__()
        self._opening: Opening | None = None
        self._theme = DARK
        self.setMinimumHeight(_HEIGHT // 3)

    def sizeHint(self) -> QSize:
        """Wide."""
        return QSize(900, _HEIGHT)

    def show_opening(self, opening: Opening | None) -> None:
        """Show how far it is."""
        self._opening = opening
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Bars, or a thin line while nothing is known."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        share = self._opening.share if self._opening else 0.0
        bright, faint = QColor(self._theme.song), QColor(self._theme.line)
        middle, width = self.height() / 2, float(self.width())
        overview = self._opening.overview if self._opening else None
        if overview is None:
            for colour, length in ((faint, width), (bright, width * share)):
                painter.setBrush(colour)
                painter.drawRoundedRect(QRectF(0, middle - 2, length, 4), 2, 2)
            return
        step, tall = width / len(overview.peaks), (self.height() - 8) / 2 / max(float(overview.peaks.max()), 1e-3)
        for number, peak in enumerate(overview.peaks):
            painter.setBrush(bright if number < share * len(overview.peaks) else faint)
            high = max(1.0, float(peak) * tall)
            painter.drawRect(QRectF(number * step, middle - high, max(step - 1, 1), 2 * high))


class OpeningPage(QFrame):
    """Name, facts and outline of a song that is being opened.

    It takes the keyboard itself: Space, which plays, would otherwise press the button that happens to have it.

    Signals:
        cancelled: The user does not want it.
    """

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "window")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.name, self.facts = ElidedLabel("title", Qt.TextElideMode.ElideMiddle), label("", "second")
        self.outline = _Outline()
        self.stop = button(self.tr("Cancel"))
        self.stop.clicked.connect(self.cancelled)
        column = QVBoxLayout(self)
        column.setContentsMargins(48, 24, 48, 24)
        column.setSpacing(8)
        column.addStretch(1)
        for widget in (self.name, self.facts):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self.outline)
        column.addWidget(self.stop, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)

    def show_opening(self, opening: Opening | None) -> None:
        """Show what is being opened and how far it is."""
        self.outline.show_opening(opening)
        if opening is None:
            return
        self.name.setText(opening.name)
        self.setAccessibleName(opening.name)
        info = opening.overview.info if opening.overview else None
        known = facts_text(info.rate_hz, info.channels, info.samples) + " · " if info else ""
        self.facts.setText(self.tr("{0}{1:.0%} read").format(known, opening.share))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape cancels, also on the button."""
        if event.key() == Qt.Key.Key_Escape:
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.outline.set_theme(theme)
