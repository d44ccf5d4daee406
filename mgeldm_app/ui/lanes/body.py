"""The body of a lane: its waveform or spectrogram, cut into pictures that are drawn once and scrolled as they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QContextMenuEvent, QFont, QImage, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QWidget

from ...core.project import Lane, Span
from ..theme import mix
from . import raster
from .chips import TakeChips
from .sources import Sources
from .state import RegionMouse, State, asked_for, font, said_of

PICTURE_PX = 256  # device pixels across
BUDGET_S, FRAME_S = 0.006, 0.012  # of a frame, for drawing pictures anew where old ones can stand in for a moment
MOST_KEPT, _FEW = 32, 3  # pictures a lane
NOTE_PX = 320  # across, at least, for what is said of a part
UNHEARD = 0.4  # strength of a lane's colour while it does not sound


@dataclass
class Pictures:
    """Pictures of a lane at one zoom, and those of the zoom before, shown stretched until the new ones are there.

    Attributes:
        look: What all of them depend on: samples a device pixel, height, colours, view, vertical scale.
        done: By index.
        stale: Those whose samples have changed.
        before: Samples a device pixel and pictures of the zoom before.
    """

    look: tuple = ()
    done: dict[int, QImage] = field(default_factory=dict)
    stale: set[int] = field(default_factory=set)
    before: tuple[float, dict[int, QImage]] = (1.0, {})

    def prepare(self, look: tuple) -> None:
        """Start anew if anything changed that all pictures depend on; keep the old ones for a while."""
        if look == self.look:
            return
        if self.look[:2] == look[:2]:
            self.stale = set(self.done)  # other colours or another view: the old ones may show for a moment
        else:
            if self.look[1:2] != look[1:2]:
                self.before = (1.0, {})  # another height: nothing fits
            elif len(self.done) >= min(len(self.before[1]), _FEW):
                self.before = (self.look[0], self.done)
            self.done, self.stale = {}, set()
        self.look = look

    def outdate(self, span: Span) -> None:
        """The samples changed there."""
        width = PICTURE_PX * self.look[0] if self.look else 1.0
        first, stop = span.start / width - 0.1, span.stop / width + 0.1
        self.stale |= {index for index in self.done if index < stop and index + 1 > first}

    def stand_ins(self, index: int) -> list[tuple[float, float, QImage]]:
        """Pictures of the zoom before (first and last device pixel, picture) that show what the `index`-th will."""
        step, images = self.before
        share = step / self.look[0] * PICTURE_PX  # device pixels that one of them takes now
        return [
            (other * share, (other + 1) * share, image) for other, image in images.items()
            if (other + 1) * share > index * PICTURE_PX and other * share < (index + 1) * PICTURE_PX
        ]

    def missing(self, wanted: range) -> list[range]:
        """Runs of pictures to be drawn."""
        runs: list[range] = []
        for index in wanted:
            if index in self.done and index not in self.stale:
                continue
            if runs and runs[-1].stop == index:
                runs[-1] = range(runs[-1].start, index + 1)
            else:
                runs.append(range(index, index + 1))
        return runs

    def put(self, index: int, image: QImage) -> None:
        """Keep a picture; the ones farthest away make room."""
        self.done[index] = image
        self.stale.discard(index)
        if len(self.done) > MOST_KEPT:
            far = max(self.done, key=lambda other: abs(other - index))
            del self.done[far]
            self.stale.discard(far)


class Budget:
    """Time that all lanes together may spend on pictures in one frame."""

    def __init__(self) -> None:
        self._began = self._spent = 0.0

    def allows(self) -> bool:
        """Whether there is time left."""
        now = time.perf_counter()
        if now - self._began > FRAME_S:
            self._began, self._spent = now, 0.0
        return self._spent < BUDGET_S

    def spend(self, seconds: float) -> None:
        """Take it."""
        self._spent += seconds


_budget = Budget()  # paint events come one after the other, on one thread


class LaneBody(QWidget):
    """Draws a lane along the shared axis and hands the mouse to `RegionMouse`."""

    pressed = Signal(object)  # keyboard modifiers
    menu_asked = Signal(QPoint)
    drag_pressed = Signal()
    drag_started = Signal()
    take_chosen = Signal(int, int)

    def __init__(self, state: State, sources: Sources, mouse: RegionMouse, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state, self._sources, self._mouse = state, sources, mouse
        self._pictures = Pictures()
        self._drag_from: QPoint | None = None
        self.lane = Lane("", "song", "")
        self.heard, self.selected = True, False
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.chips = TakeChips(state, self)
        self.chips.chosen.connect(self.take_chosen)

    def show_lane(self, lane: Lane, heard: bool, selected: bool) -> None:
        """What to draw."""
        if (lane.parts, lane.kind) != (self.lane.parts, self.lane.kind):
            self.chips.show_parts(lane)
        elif lane.colour != self.lane.colour:
            self.chips.update()
        self.lane, self.heard, self.selected = lane, heard, selected
        view = self.tr("spectrogram") if lane.view == "spectrogram" else self.tr("waveform")
        self.setAccessibleName(f"{lane.name}, {view}")
        self.describe_itself()
        self.place_chips()
        self.update()

    def describe_itself(self) -> None:
        """Say what is seen at a glance to those who do not see it."""
        hint = self.tr("Drag to select a region of time; hold Alt to drag the audio out.")
        self.setAccessibleDescription(" · ".join((*said_of(self._state, self.lane, self.selected), hint)))

    def outdate(self, span: Span) -> None:
        """The samples changed there."""
        self._pictures.outdate(span)
        axis = self._state.axis
        left, right = axis.x_of(span.start), axis.x_of(span.stop)
        if right > -PICTURE_PX and left < self.width() + PICTURE_PX:
            self.update()

    def place_chips(self) -> None:
        """Takes stand at the right end of their part, as far as it is in sight."""
        self.chips.place()

    def move_head(self, old: float, new: float) -> None:
        """The playhead went from one pixel to another."""
        for x in (old, new):
            self.update(QRect(int(x) - 1, 0, 3, self.height()))

    # -------------------------------------------------------------------------------------------------------- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Select the lane; begin a region, a click, or dragging the audio out."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self.pressed.emit(event.modifiers())
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self._drag_from = event.position().toPoint()
            self.drag_pressed.emit()
        else:
            self._mouse.press(event.position().toPoint(), False)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with it; show what a press would do."""
        at = event.position().toPoint()
        if self._drag_from is not None:
            if (at - self._drag_from).manhattanLength() >= QApplication.startDragDistance():
                self._drag_from = None
                self.drag_started.emit()
        elif event.buttons() & Qt.MouseButton.LeftButton:
            self._mouse.move(at, event.modifiers())
        else:
            alt = event.modifiers() & Qt.KeyboardModifier.AltModifier
            self.setCursor(Qt.CursorShape.OpenHandCursor if alt else self._mouse.cursor_at(at.x(), False))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End it."""
        self._drag_from = None
        if event.button() == Qt.MouseButton.LeftButton:
            self._mouse.release(event.modifiers())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Take in a bar."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._mouse.double(event.position().x())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the lane's menu."""
        self.menu_asked.emit(event.globalPos())

    # ------------------------------------------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Pictures, grid, region, playhead, what grows: only where it is asked for."""
        painter = QPainter(self)
        self._draw_missing()
        self._paint_pictures(painter, event.rect())
        painter.setClipRect(event.rect())
        self._paint_grid(painter, event.rect())
        self._paint_region(painter)
        painter.fillRect(0, self.height() - 1, self.width(), 1, QColor(self._state.theme.line))
        x = self._state.axis.x_of(self._state.position)
        painter.fillRect(QRectF(int(x), 0, 1.0, self.height()), QColor(self._state.theme.text))
        self._paint_growing(painter)  # its words over the playhead
        self._paint_trouble(painter)

    def _wanted(self) -> range:
        """The pictures in sight."""
        axis = self._state.axis
        last = axis.offset + round(self.width() * axis.ratio)
        return range(max(0, axis.offset // PICTURE_PX), max(0, -(-last // PICTURE_PX)))

    def _draw_missing(self) -> None:
        """Draw the pictures that are not there; where old ones can stand in, not for longer than a frame allows."""
        axis, theme = self._state.axis, self._state.theme
        rows = round(self.height() * axis.ratio)
        background = mix(theme.lane, theme.raised, 0.5) if self.selected else theme.lane
        colour, strength = self._state.colour(self.lane).name(), 1.0 if self.heard else UNHEARD
        scale = self._sources.scale if self.lane.view == "waveform" else 0.0
        self._pictures.prepare((axis.step, rows, self.lane.view, scale, colour, background, strength))
        make = raster.spectrogram_colours if self.lane.view == "spectrogram" else raster.waveform_colours
        colours = make(background, colour, strength)
        for run in self._pictures.missing(self._wanted()):
            if not _budget.allows() and all(map(self._shows_something, run)):
                self.update()
                continue
            began = time.perf_counter()
            image = raster.picture_of(self._values(run, rows), colours)
            for index in run:
                piece = image.copy((index - run.start) * PICTURE_PX, 0, PICTURE_PX, rows)
                piece.setDevicePixelRatio(axis.ratio)
                self._pictures.put(index, piece)
            _budget.spend(time.perf_counter() - began)

    def _shows_something(self, index: int) -> bool:
        return index in self._pictures.done or bool(self._pictures.stand_ins(index))

    def _values(self, run: range, rows: int) -> raster.Bytes:
        step = self._state.axis.step
        start, pixels = run.start * PICTURE_PX * step, len(run) * PICTURE_PX
        inside = self._sources.inside(self.lane.id, start, step, pixels)
        if not inside.any():
            return np.zeros((rows, pixels), np.uint8)
        if self.lane.view == "spectrogram":
            values = raster.spectrogram(self._sources.spectrum(self.lane.id, start, step, pixels), rows)
        else:
            columns = self._sources.columns(self.lane.id, start, step, pixels)
            values = raster.waveform(columns, rows, self._sources.scale)
        values[:, ~inside] = 0
        return values

    def _paint_pictures(self, painter: QPainter, rect: QRect) -> None:
        axis = self._state.axis
        ratio, height = axis.ratio, self.height()
        width = PICTURE_PX / ratio
        background = self._state.theme.lane
        for index in self._wanted():
            x = (index * PICTURE_PX - axis.offset) / ratio
            place = QRectF(x, 0, width, height)
            if place.right() < rect.left() or x > rect.right() + 1:
                continue
            image = self._pictures.done.get(index)
            if image is not None:
                painter.drawImage(place.topLeft(), image)
            else:
                painter.fillRect(place, QColor(background))
                for first, last, old in self._pictures.stand_ins(index):
                    stretched = QRectF((first - axis.offset) / ratio, 0, (last - first) / ratio, height)
                    painter.setClipRect(place)
                    painter.drawImage(stretched, old)
                    painter.setClipping(False)
        for before, after in ((0.0, axis.x_of(0)), (self._wanted().stop * width - axis.offset / ratio, self.width())):
            if after > before:
                painter.fillRect(QRectF(before, 0, after - before, height), QColor(background))

    def _paint_grid(self, painter: QPainter, rect: QRect) -> None:
        colour = QColor(self._state.theme.text)
        colour.setAlphaF(0.05)
        height = self.height()
        for x in self._state.bar_places():
            if rect.left() <= x <= rect.right():
                painter.fillRect(x, 0, 1, height, colour)

    def _paint_region(self, painter: QPainter) -> None:
        region, axis = self._state.region, self._state.axis
        if region is None:
            return
        tint, edge = QColor(self._state.theme.accent), QColor(self._state.theme.accent)
        tint.setAlphaF(0.07)
        edge.setAlphaF(0.75)
        left, right = axis.x_of(region.start), axis.x_of(region.stop)
        painter.fillRect(QRectF(left, 0, right - left, self.height()), tint)
        for x in (left, right):
            painter.fillRect(QRectF(x - 0.5, 0, 1, self.height()), edge)

    def _paint_growing(self, painter: QPainter) -> None:
        """What is still to come of a part being made, and how far it has got."""
        state, axis = self._state, self._state.axis
        busy, region = state.busy.get(self.lane.id), state.region or axis.visible
        places: dict[int, int] = {}  # by their ends: takes of one part are made one after the other
        for file in state.growing:
            if file.lane_id == self.lane.id:
                start = file.start + max((span.stop for span in file.filled), default=0)
                stop = file.start + state.lengths[str(file.path)]
                places[stop] = max(start, places.get(stop, start))
        if not places and busy:
            places = {region.stop: region.start}
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for stop, start in places.items():
            left, right = axis.x_of(start), axis.x_of(stop)
            box = QRectF(left + 1, 8, right - left - 1, self.height() - 16)
            if box.width() > 0:
                there = any(part.span.start <= start and stop <= part.span.stop for part in self.lane.parts)
                self._paint_box(painter, box, busy, there)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_box(self, painter: QPainter, box: QRectF, busy: tuple[float, str] | None, over_audio: bool) -> None:
        """Where something is to come; over audio that is there already, only how far it has got."""
        colour = self._state.colour(self.lane)
        fill = QColor(colour)
        fill.setAlphaF(0.12)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        if not over_audio:
            painter.drawRoundedRect(box, 4, 4)
        seen = box.intersected(QRectF(self.rect()))
        if busy is None or seen.width() <= 24:
            return
        share, text = busy
        bar = QRectF(seen.left() + 8, seen.bottom() - (2 if over_audio else 8), seen.width() - 16, 3)
        painter.drawRoundedRect(bar, 1.5, 1.5)
        painter.setBrush(colour)
        painter.drawRoundedRect(QRectF(bar.left(), bar.top(), bar.width() * min(max(share, 0), 1), 3), 1.5, 1.5)
        painter.setFont(font(11))
        text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(seen.width() - 24))
        if over_audio and text:  # in a corner, on a ground of its own
            seen = QRectF(seen.left() + 6, bar.top() - 22, painter.fontMetrics().horizontalAdvance(text) + 12, 18)
            ground = QColor(self._state.theme.lane)
            ground.setAlphaF(0.85)
            painter.setBrush(ground)
            painter.drawRoundedRect(seen, 4, 4)
        painter.setPen(QColor(self._state.theme.text))
        painter.drawText(seen, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_trouble(self, painter: QPainter) -> None:
        """Why nothing is to be seen."""
        theme, lane = self._state.theme, self.lane
        asked = asked_for(lane) if lane.kind == "extracted" and lane.id not in self._state.busy else []
        if text := self._sources.trouble(lane.id):
            painter.setFont(font(11, QFont.Weight.DemiBold))
            painter.setPen(QColor(theme.bad))
            painter.drawText(self.rect().adjusted(16, 8, -16, -8), Qt.AlignmentFlag.AlignVCenter, text)
        elif asked and self._sources.hardly_heard(lane.id):
            text = self.tr("Hardly anything like this was found. Turn up its sensitivity, or try other words.")
            self._paint_note(painter, text, asked[-1].span)

    def _paint_note(self, painter: QPainter, text: str, span: Span) -> None:
        """Words about a part, over whatever is there; they run on behind a short one, or before it at the edge."""
        axis, theme = self._state.axis, self._state.theme
        left, right = max(axis.x_of(span.start), 0.0), min(axis.x_of(span.stop), float(self.width()))
        if left >= right:
            return  # out of sight
        width = min(max(right - left, NOTE_PX), float(self.width()))
        box = QRectF(min(left, self.width() - width), 0, width, self.height()).adjusted(8, 8, -8, -8)
        layout = Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        painter.setFont(font(11))
        words = painter.boundingRect(box, layout, text)  # which is empty without a pen
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.lane))
        painter.drawRoundedRect(words.adjusted(-8, -5, 8, 5), 4, 4)
        painter.setPen(QColor(theme.second))
        painter.drawText(box, layout, text)
