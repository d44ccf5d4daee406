"""The whole song in a strip, with what is in sight: drag it to go elsewhere."""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from ...core.project import SONG_ID
from . import raster
from .axis import START_PADDING_PX
from .sources import Sources
from .state import State

HEIGHT = 36
_TOP, _BOTTOM = 6, 6


class Minimap(QWidget):
    """Stands where a scroll bar would. Arrow keys scroll, Home and End go to the ends, plus and minus zoom."""

    def __init__(self, state: State, sources: Sources, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state, self._sources = state, sources
        self._image: QImage | None = None
        self._grabbed: float | None = None  # samples from the left edge to the mouse
        self.setFixedHeight(HEIGHT)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(self.tr("Whole song"))
        self.setAccessibleDescription(self.tr("Shows what is in sight. Arrow keys scroll, plus and minus zoom."))
        self.setToolTip(self.tr("The whole song: drag what is in sight, wheel to zoom"))

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(600, HEIGHT)

    def outdate(self) -> None:
        """The song looks different."""
        self._image = None
        self.update()

    def move_head(self, old: int, new: int) -> None:
        """The playhead went from one sample to another."""
        before, after = round(self.x_of(old)), round(self.x_of(new))
        if before != after:
            for x in (before, after):
                self.update(QRect(x - 1, 0, 3, HEIGHT))

    @property
    def _room(self) -> int:
        """Pixels that the song takes: what it takes in the lanes while all of it is in sight there."""
        return max(1, self._state.axis.width - 2 * START_PADDING_PX)

    def x_of(self, sample: float) -> float:
        """Where a sample of the song lies in the strip; at its end what lies beyond, while another song is opened."""
        return START_PADDING_PX + min(sample / max(1, self._state.axis.samples), 1.0) * self._room

    def sample_at(self, x: float) -> float:
        """The sample at a pixel."""
        return (x - START_PADDING_PX) * self._state.axis.samples / self._room

    def _go(self, left: float) -> None:
        self._state.axis.show(left, self._state.axis.scale)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of what is in sight, or bring it under the mouse."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        sample, axis = self.sample_at(event.position().x()), self._state.axis
        if not axis.left <= sample < axis.left + axis.width * axis.scale:
            self._go(sample - axis.width * axis.scale / 2)
        self._grabbed = sample - axis.left

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag it."""
        if self._grabbed is not None:
            self._go(self.sample_at(event.position().x()) - self._grabbed)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._grabbed = None

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the middle of what is in sight."""
        self._state.axis.zoom(1.2 ** (event.angleDelta().y() / 120), self._state.axis.width / 2)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Scroll and zoom."""
        axis = self._state.axis
        steps = {Qt.Key.Key_Left: -0.1, Qt.Key.Key_Right: 0.1, Qt.Key.Key_PageUp: -0.9, Qt.Key.Key_PageDown: 0.9}
        ends = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: axis.samples}
        zooms = {Qt.Key.Key_Plus: 1.25, Qt.Key.Key_Equal: 1.25, Qt.Key.Key_Minus: 0.8}
        if event.key() in steps:
            axis.scroll(steps[Qt.Key(event.key())] * axis.width)
        elif event.key() in ends:
            self._go(ends[Qt.Key(event.key())])
        elif event.key() in zooms:
            axis.zoom(zooms[Qt.Key(event.key())], axis.width / 2)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The song, faint; brighter what is in sight; region and playhead."""
        theme, axis = self._state.theme, self._state.axis
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.background))
        if not axis.samples:
            return
        painter.drawImage(QRectF(self.x_of(0), _TOP, self._room, self.height() - _TOP - _BOTTOM), self._picture())
        region = self._state.region
        if region is not None:
            tint = QColor(theme.accent)
            tint.setAlphaF(0.35)
            left = self.x_of(region.start)
            painter.fillRect(QRectF(left, _TOP, max(2.0, self.x_of(region.stop) - left), HEIGHT - _TOP - _BOTTOM), tint)
        painter.fillRect(QRectF(round(self.x_of(self._state.position)), 3, 1, HEIGHT - 6), QColor(theme.text))
        if axis.scale >= axis.widest and not self.hasFocus():
            return  # all of it is in sight
        left, right = self.x_of(axis.left), self.x_of(axis.left + axis.width * axis.scale)
        first, last = max(round(left), 0), min(round(right), self.width())
        window = QRect(first, 3, max(6, last - first), HEIGHT - 6)
        light = QColor(theme.text)
        light.setAlphaF(0.08)
        painter.fillRect(window, light)
        edge = QColor(theme.accent if self.hasFocus() else theme.third)
        for side in (QRect(window.left(), 3, window.width(), 1), QRect(window.left(), HEIGHT - 4, window.width(), 1),
                     QRect(window.left(), 3, 1, HEIGHT - 6), QRect(window.right(), 3, 1, HEIGHT - 6)):
            painter.fillRect(side, edge)

    def _picture(self) -> QImage:
        ratio = self.devicePixelRatioF()
        columns, rows = max(1, round(self._room * ratio)), round((HEIGHT - _TOP - _BOTTOM) * ratio)
        if self._image is None or (self._image.width(), self._image.height()) != (columns, rows):
            theme = self._state.theme
            values = self._sources.columns(SONG_ID, 0, self._state.axis.samples / columns, columns)
            colours = raster.waveform_colours(theme.background, theme.song, 0.55)
            self._image = raster.picture_of(raster.waveform(values, rows, self._sources.scale), colours)
        return self._image
