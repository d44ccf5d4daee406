"""The ruler: bars and seconds, the region with its handles, the playhead's head."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from ...core.timeline import seconds_text, span_text, time_text
from .state import LABEL_PX, RegionMouse, State, font

HEIGHT = 30
_SECONDS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
)  # fmt: skip
_HEAD_PX = 6


def labels(state: State) -> Iterator[tuple[int, str, str]]:
    """(sample, bar, time) of the labelled lines in sight; the bar is "" where no tempo is known, or a bar fills it."""
    visible, rate_hz = state.axis.visible, state.project.rate_hz
    if state.project.tempo.source == "none" or state.grid.bar_samples / state.axis.scale > state.axis.width:
        step = next((s for s in _SECONDS if s * rate_hz / state.axis.scale >= LABEL_PX), _SECONDS[-1])
        number = int(visible.start / rate_hz / step)
        while (sample := round(number * step * rate_hz)) < visible.stop:
            yield sample, "", short_time(sample, rate_hz, 0 if step >= 1 else 2 if step >= 0.01 else 3)
            number += 1
        return
    every = state.bars_apart
    first = int(visible.start - every * state.grid.bar_samples)
    for sample, bar, _ in state.grid.lines(first, visible.stop, "bar", every):
        if sample >= 0:
            yield sample, str(bar), short_time(sample, rate_hz, 2 * (every * state.grid.bar_samples < rate_hz))


def short_time(sample: float, rate_hz: int, digits: int = 0) -> str:
    """"1:02", or in close views "1:02.48" and "1:02.480"."""
    text = time_text(sample if digits else round(sample / rate_hz) * rate_hz, rate_hz)
    text = text[: len(text) - 3 + digits] if digits else text[:-4]
    return text[1:] if text.startswith("0") else text


def ticks(state: State) -> Iterator[int]:
    """The lines between: beats in close views, else bars, four to a label at most."""
    grid, visible = state.grid, state.axis.visible
    every = state.bars_apart
    if state.project.tempo.source == "none":
        return
    if every == 1 and grid.beat_samples / state.axis.scale >= 8:
        yield from (sample for sample, _, _ in grid.lines(visible.start, visible.stop, "beat"))
    else:
        yield from (sample for sample, _, _ in grid.lines(visible.start, visible.stop, "bar", max(1, every // 4)))


class Ruler(QWidget):
    """Drag selects a region or moves it, its edges resize it, a click seeks."""

    pressed = Signal()

    def __init__(self, state: State, mouse: RegionMouse, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state, self._mouse = state, mouse
        self.setFixedHeight(HEIGHT)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(self.tr("Ruler"))
        self.setAccessibleDescription(self.tr("Bars and seconds. Drag to select a region, click to go there."))
        self.setToolTip(self.tr("Drag to select, click to go there, double-click a bar to add it to the region"))

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(600, HEIGHT)

    def move_head(self, old: float, new: float) -> None:
        """The playhead went from one pixel to another."""
        for x in (old, new):
            self.update(QRect(int(x) - _HEAD_PX - 2, 0, 2 * _HEAD_PX + 4, HEIGHT))

    # -------------------------------------------------------------------------------------------------------- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a drag or a click."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.pressed.emit()
            self._mouse.press(event.position().toPoint(), True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with it; show what a press would do."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._mouse.move(event.position().toPoint(), event.modifiers())
        else:
            self.setCursor(self._mouse.cursor_at(event.position().x(), True))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End it."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._mouse.release(event.modifiers())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Take in a bar."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._mouse.double(event.position().x())

    # ------------------------------------------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Lines, labels, region, head."""
        theme, axis = self._state.theme, self._state.axis
        painter = QPainter(self)
        painter.fillRect(event.rect(), QColor(theme.background))
        if axis.samples:
            self._paint_lines(painter, self._paint_region(painter))
            self._paint_head(painter)
        painter.fillRect(0, HEIGHT - 1, self.width(), 1, QColor(theme.line))

    def _paint_lines(self, painter: QPainter, taken: QRectF) -> None:
        theme, axis = self._state.theme, self._state.axis
        painter.setPen(QColor(theme.line))
        lines = [self._line(sample, 18) for sample in ticks(self._state)]
        painter.drawLines([line for line in lines if not taken.contains(line.p1())])
        bar_font, time_font = font(11, QFont.Weight.DemiBold), font(10)
        for sample, bar, time in labels(self._state):
            painter.setPen(QColor(theme.third))
            line = self._line(sample, 8)
            if not taken.contains(line.p1()):
                painter.drawLine(line)
            painter.setPen(QColor(theme.second))
            x = axis.x_of(sample) + 5
            for text, face in ((bar, bar_font), (time, time_font)):
                painter.setFont(face)
                width = painter.fontMetrics().horizontalAdvance(text)
                if text and QRectF(x, 0, width, HEIGHT).intersects(taken):
                    break  # a time without its bar would look like a mistake
                painter.drawText(QPointF(x, 19), text)
                x += width + 6 if text else 0

    def _line(self, sample: int, top: int) -> QLineF:
        x = int(self._state.axis.x_of(sample)) + 0.5
        return QLineF(x, top, x, HEIGHT - 2)

    def _paint_region(self, painter: QPainter) -> QRectF:
        """The region's bar; returns where its label stands."""
        region, axis, theme = self._state.region, self._state.axis, self._state.theme
        if region is None:
            return QRectF()
        left, right = axis.x_of(region.start), axis.x_of(region.stop)
        fill = QColor(theme.accent)
        fill.setAlphaF(0.30)
        painter.fillRect(QRectF(left, 4, right - left, HEIGHT - 8), fill)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent))
        for x in (left, right):
            if -4 < x < self.width() + 4:
                painter.drawRoundedRect(QRectF(x - 1.5, 4, 3, HEIGHT - 4), 1.5, 1.5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        return self._paint_label(painter, QRectF(max(left, 0), 4, min(right, self.width()) - max(left, 0), HEIGHT - 8))

    def _paint_label(self, painter: QPainter, room: QRectF) -> QRectF:
        region, project = self._state.region, self._state.project
        assert region is not None
        seconds = seconds_text(region.samples / project.rate_hz)
        parts = [span_text(project, region), seconds, self.tr("loop") if project.looping else ""]
        painter.setFont(font(11, QFont.Weight.DemiBold))
        painter.setPen(QColor(self._state.theme.text))
        while parts:
            text = " · ".join(dict.fromkeys(part for part in parts if part))
            width = painter.fontMetrics().horizontalAdvance(text) + 16
            if width <= room.width():
                painter.drawText(room, Qt.AlignmentFlag.AlignCenter, text)
                return QRectF(room.center().x() - width / 2, 0, width, HEIGHT)
            parts.pop()
        return QRectF()

    def _paint_head(self, painter: QPainter) -> None:
        x = self._state.axis.x_of(self._state.position)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(Qt.PenStyle.NoPen))
        painter.setBrush(QColor(self._state.theme.text))
        painter.drawPolygon(QPolygonF([QPointF(x - 5, 5), QPointF(x + 5, 5), QPointF(x, 14)]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.fillRect(QRectF(int(x), 10, 1.0, HEIGHT - 10), QColor(self._state.theme.text))
