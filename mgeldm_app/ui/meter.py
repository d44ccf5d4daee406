"""The master meter: two bars with a peak that stays for a while, painted by hand since it moves all the time."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QElapsedTimer, QRectF, QSize, QTimer, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ..core.text import level_text
from .theme import DARK, Theme, mix

FLOOR_DB: Final = -60.0
_HOT_DB: Final = -6.0
_FALL_DB_S: Final = 30.0
_HOLD_S: Final = 1.5
_FRAME_MS: Final = 33
_BAR_PX, _GAP_PX, _CLIP_PX = 7, 4, 6


def level_db(linear: float) -> float:
    """Decibels of a linear peak; -inf of silence."""
    return 20 * math.log10(linear) if linear > 0 else -math.inf


class Bar:
    """One channel: the level falls slowly, the peak stays `_HOLD_S`, then falls too."""

    def __init__(self) -> None:
        self.level_db = self.peak_db = -math.inf
        self._held_s = 0.0

    def hear(self, level: float) -> None:
        """A new peak in decibels."""
        self.level_db = max(self.level_db, level)
        if level >= self.peak_db:
            self.peak_db, self._held_s = level, 0.0

    def pass_time(self, seconds: float) -> bool:
        """Let time pass; whether anything is still above the floor."""
        self.level_db = self._fallen(self.level_db, seconds)
        self._held_s += seconds
        if self._held_s > _HOLD_S:
            self.peak_db = self._fallen(self.peak_db, seconds)
        return self.peak_db > -math.inf

    @staticmethod
    def _fallen(level: float, seconds: float) -> float:
        level -= _FALL_DB_S * seconds
        return level if level > FLOOR_DB else -math.inf


class Meter(QWidget):
    """Left and right. Over 0 dB a mark stays lit until it is clicked.

    Signals:
        cleared: The mark was clicked.
    """

    cleared = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars = (Bar(), Bar())
        self._clipped = False
        self._theme = DARK
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setInterval(_FRAME_MS)
        self._timer.timeout.connect(self._tick)
        self.setAccessibleName(self.tr("Master level"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._say()

    @property
    def moving(self) -> bool:
        """Whether it is being painted again and again."""
        return self._timer.isActive()

    @property
    def clipped(self) -> bool:
        """Whether the mark is lit."""
        return self._clipped

    def set_levels(self, left: float, right: float) -> None:
        """Linear peaks since the last call."""
        for bar, linear in zip(self._bars, (left, right), strict=True):
            bar.hear(level_db(linear))
        if max(left, right) > 1.0 and not self._clipped:
            self._clipped = True
            self._say()
        if not self._timer.isActive() and max(left, right) > 0:
            self._clock.start()
            self._timer.start()

    def clear(self) -> None:
        """Put the mark out."""
        self._clipped = False
        self._say()
        self.update()
        self.cleared.emit()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """As in the design; narrower where there is no room."""
        return QSize(150, 2 * _BAR_PX + _GAP_PX)

    def minimumSizeHint(self) -> QSize:
        """Still a meter."""
        return QSize(64, 2 * _BAR_PX + _GAP_PX)

    def mousePressEvent(self, _: QMouseEvent) -> None:
        """Put the mark out."""
        self.clear()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Both bars."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(0, 0, 0, 0))
        top = (self.height() - 2 * _BAR_PX - _GAP_PX) / 2
        for number, bar in enumerate(self._bars):
            self._paint_bar(painter, bar, QRectF(0, top + number * (_BAR_PX + _GAP_PX), self.width(), _BAR_PX))

    def _paint_bar(self, painter: QPainter, bar: Bar, box: QRectF) -> None:
        theme, ground = self._theme, QColor(mix(self._theme.raised, self._theme.text, 0.06))
        track = box.adjusted(0, 0, -_CLIP_PX - 3, 0)
        painter.setBrush(ground)
        painter.drawRoundedRect(track, 3, 3)
        clip = QRectF(box.right() - _CLIP_PX, box.top(), _CLIP_PX, box.height())
        painter.setBrush(QColor(theme.bad) if self._clipped else ground)
        painter.drawRoundedRect(clip, 2, 2)
        width = track.width() * _share(bar.level_db)
        if width >= 1:
            painter.setBrush(QColor(theme.good))
            painter.drawRoundedRect(QRectF(track.left(), track.top(), width, track.height()), 3, 3)
        hot = track.width() * _share(_HOT_DB)
        if width > hot:
            painter.setBrush(QColor(theme.warn))
            painter.drawRoundedRect(QRectF(track.left() + hot, track.top(), width - hot, track.height()), 3, 3)
        if bar.peak_db > FLOOR_DB:
            at = track.left() + min(track.width() * _share(bar.peak_db), track.width() - 2)
            painter.fillRect(QRectF(at, track.top(), 2, track.height()), QColor(theme.warn))

    def _tick(self) -> None:
        seconds = self._clock.restart() / 1000
        if not any([bar.pass_time(seconds) for bar in self._bars]):
            self._timer.stop()
        self.update()
        if self.underMouse():
            self._say()

    def _say(self) -> None:
        peaks = " / ".join(level_text(bar.peak_db) for bar in self._bars)
        hint = self.tr("Peaks {0}").format(peaks)
        if self._clipped:
            hint += "\n" + self.tr("The sum went over 0 dB: lower some faders. Click to clear this.")
        self.setToolTip(hint)
        self.setAccessibleDescription(hint)


def _share(level: float) -> float:
    """How much of the bar a level fills."""
    return 0.0 if level <= FLOOR_DB else min(1.0, 1 - level / FLOOR_DB)
