"""The lanes one below the other, each a header and a body, scrolled up and down together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from PySide6.QtCore import QCoreApplication, QPoint, QRect, Qt, Signal, SignalInstance
from PySide6.QtGui import QMouseEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QFrame, QLabel, QScrollArea, QWidget

from ...core.project import Lane, SongFile, Span
from ..parts import keyed
from .body import LaneBody
from .header import WIDTH, LaneHeader
from .sources import Sources
from .state import RegionMouse, State

LOWEST_PX, TALLEST_PX, SONG_PX = 64, 200, 230  # of lanes that share the height
MOST_PX = 640  # of those that the user makes taller
translate = QCoreApplication.translate
_HINT_PX = 40  # free height below the lanes, from which on a hint stands there


class Rows(QScrollArea):
    """Makes, keeps and drops the widgets of lanes, and knows which lanes are selected.

    Args:
        state: What is shown.
        sources: What lanes consist of.
        mouse: Does what the mouse does in bodies.
        wheel: Does what the wheel does.
        before: Tab comes to the lanes from there.
    """

    lane_changed = Signal(str, str, object, bool)
    take_chosen = Signal(str, int, int)
    lane_menu = Signal(str, QPoint)
    selection_changed = Signal(tuple)
    drag_pressed = Signal(tuple, bool)
    drag_started = Signal(tuple, bool)
    resized = Signal()

    def __init__(
        self, state: State, sources: Sources, mouse: RegionMouse, wheel: Callable[[QWheelEvent], None], before: QWidget
    ) -> None:
        super().__init__()
        self._before = before
        self._state, self._sources, self._mouse, self._wheel = state, sources, mouse, wheel
        self._rows: dict[str, tuple[LaneHeader, LaneBody]] = {}
        self._shown: dict[str, tuple] = {}
        self.selected: tuple[str, ...] = ()
        self._song: SongFile | None = None
        self._known: set[str] = set()  # lanes that were there before, since the song is
        self._heights: dict[str, float] = {}  # of lanes whose edge was dragged, times what they would have
        self._stretch = 1.0  # of all lanes
        self._content = QWidget()
        self._content.setObjectName("lanes")
        self.setWidget(self._content)
        hint = self.tr("Drag over the song to select bars, then say below what you want.")
        self._hint = QLabel(hint, self.viewport())
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalScrollBar().setSingleStep(24)

    @property
    def body_width(self) -> int:
        """Pixels across a lane's body."""
        return max(1, self.viewport().width() - WIDTH)

    def bodies(self) -> list[LaneBody]:
        """From top to bottom."""
        return [body for _, body in self._rows.values()]

    def headers(self) -> list[LaneHeader]:
        """From top to bottom."""
        return [header for header, _ in self._rows.values()]

    def show_lanes(self) -> None:
        """Bring the widgets in line with the state; those whose lane is as before are left alone."""
        lanes, state = self._state.lanes, self._state
        ids = [lane.id for lane in lanes]
        is_new = state.project.song != self._song
        if is_new:
            self._song, self._heights, self._known = state.project.song, {}, set(ids)
        if is_new or ids != list(self._rows):
            self._arrange(ids)
        changed = False
        heard = {lane.id for lane in state.project.heard_lanes()}
        for lane in lanes:
            stem_sounds = not state.song_alone and (lane.id in heard or not state.project.has_lane(lane.id))
            sounds = (lane.soloed or not lane.muted) if lane.kind == "song" else stem_sounds
            silent = _why_silent(lane, state)
            growing = tuple(file for file in state.growing if file.lane_id == lane.id)
            looks = (lane, sounds, silent, lane.id in self.selected, growing, state.busy.get(lane.id), state.theme)
            if looks != self._shown.get(lane.id):
                self._shown[lane.id] = looks
                header, body = self._rows[lane.id]
                known = state.project.has_lane(lane.id)
                is_coming = not lane.parts and (growing or lane.id in state.busy)
                note = self.tr("being made") if is_coming else ""
                header.show_lane(lane, note, lane.id in self.selected, silent)
                header.setEnabled(known)
                body.show_lane(lane, sounds, lane.id in self.selected)
                changed = True
        if changed:
            _order_tabs([self._before], self._rows.values())
        self._reveal([lane_id for lane_id in ids if lane_id not in self._known])

    def _reveal(self, fresh: list[str]) -> None:
        """Scroll to lanes that something was asked for, unless the mouse is at work; undo brings no unknown ones."""
        self._known.update(fresh)
        if QApplication.mouseButtons() == Qt.MouseButton.NoButton:
            for lane_id in reversed(fresh):  # the first of them at any rate
                self.ensureWidgetVisible(self._rows[lane_id][0], 0, 8)

    def _arrange(self, ids: list[str]) -> None:
        """Drop rows that are gone, make new ones, put all in order."""
        before, focus = self._rows, QApplication.focusWidget()
        self._rows = {lane_id: before.get(lane_id) or self._make(lane_id) for lane_id in ids}
        for place, gone in enumerate(list(before)):
            if gone in self._rows:
                continue
            self._shown.pop(gone, None)
            if focus is not None and ids and any(widget.isAncestorOf(focus) for widget in before[gone]):
                self._rows[ids[min(place, len(ids) - 1)]][0].setFocus(Qt.FocusReason.OtherFocusReason)
            for widget in before[gone]:
                widget.hide()
                widget.deleteLater()
        for header, body in self._rows.values():
            header.show()
            body.show()
        kept = tuple(lane_id for lane_id in self.selected if lane_id in self._rows)
        if kept != self.selected:
            self.selected = kept
            self.selection_changed.emit(kept)
        self.lay_out()

    def _make(self, lane_id: str) -> tuple[LaneHeader, LaneBody]:
        header = LaneHeader(self._state, self._content)
        body = LaneBody(self._state, self._sources, self._mouse, self._content)
        header.changed.connect(lambda field, value, final: self.lane_changed.emit(lane_id, field, value, final))
        header.pressed.connect(lambda modifiers: self.press(lane_id, modifiers))
        header.stepped.connect(lambda step, extend: self._step(lane_id, step, extend))
        header.menu_asked.connect(lambda at: self._menu(lane_id, at))
        header.drag_pressed.connect(lambda region: self._drag(lane_id, region, self.drag_pressed))
        header.drag_started.connect(lambda region: self._drag(lane_id, region, self.drag_started))
        header.edge.dragged.connect(lambda height: self._set_height(lane_id, height))
        header.edge.reset.connect(lambda: self._set_height(lane_id, None))
        body.pressed.connect(lambda modifiers: self._press_body(lane_id))
        body.menu_asked.connect(lambda at: self._menu(lane_id, at))
        body.drag_pressed.connect(lambda: self._drag(lane_id, True, self.drag_pressed))
        body.drag_started.connect(lambda: self._drag(lane_id, True, self.drag_started))
        body.take_chosen.connect(lambda part, take: self.take_chosen.emit(lane_id, part, take))
        return header, body

    # ----------------------------------------------------------------------------------------------------------- layout

    def lay_out(self) -> None:
        """Share the height among the lanes, each as tall as the user wants it; what does not fit is scrolled."""
        lanes = self._state.lanes
        room = self.viewport().height()
        top, width = 0, self.viewport().width()
        for lane in lanes:
            height = _fitting(self._shared(lane) * self._stretch * self._heights.get(lane.id, 1.0))
            header, body = self._rows[lane.id]
            header.setGeometry(0, top, WIDTH, height)
            body.setGeometry(QRect(WIDTH, top, max(1, width - WIDTH), height))
            top += height
        self._content.resize(width, top)
        self._hint.setGeometry(WIDTH, top, max(1, width - WIDTH), min(room - top, 2 * LOWEST_PX))
        self._hint.setVisible(len(lanes) == 2 and room - top >= _HINT_PX)  # nothing has been asked for yet
        for body in self.bodies():
            body.place_chips()

    def _shared(self, lane: Lane) -> int:
        """The height of a lane, by itself: a share of what there is, between two limits; the song has a little more."""
        room = self.viewport().height() / (len(self._state.lanes) + 0.2)
        each = int(min(max(room, LOWEST_PX), TALLEST_PX))
        return min(round(each * 1.2), SONG_PX) if lane.kind == "song" and each > LOWEST_PX else each

    def _set_height(self, lane_id: str, height: int | None) -> None:
        """Give a lane a height of its own; None takes it away."""
        self._heights.pop(lane_id, None)
        lane = next((lane for lane in self._state.lanes if lane.id == lane_id), None)
        if lane is not None and height is not None:
            self._heights[lane_id] = _fitting(height) / (self._shared(lane) * self._stretch)
        self.lay_out()

    def stretch(self, factor: float) -> None:
        """Make all lanes taller or lower, as far as any of them can be."""
        shared = [self._shared(lane) * self._heights.get(lane.id, 1.0) for lane in self._state.lanes]
        if shared:
            lowest, tallest = LOWEST_PX / max(shared), MOST_PX / min(shared)
            self._stretch = min(max(self._stretch * factor, lowest), tallest)
            self.lay_out()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the height anew."""
        super().resizeEvent(event)
        self.lay_out()
        self.resized.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The view decides what the wheel does."""
        self._wheel(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Below the lanes: as on one, what is typed next is no longer for the prompt."""
        self.take_focus()

    # -------------------------------------------------------------------------------------------------------- selection

    def select(self, ids: tuple[str, ...], tell: bool) -> None:
        """Select lanes."""
        ids = tuple(lane.id for lane in self._state.lanes if lane.id in ids)
        if ids != self.selected:
            self.selected = ids
            self.show_lanes()
            if tell:
                self.selection_changed.emit(ids)

    def press(self, lane_id: str, modifiers: Qt.KeyboardModifier) -> None:
        """A click on a header: Ctrl adds or takes away, Shift extends."""
        order = [lane.id for lane in self._state.lanes]
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            chosen = set(self.selected) ^ {lane_id}
        elif modifiers & Qt.KeyboardModifier.ShiftModifier and self.selected:
            places = [order.index(other) for other in (*self.selected, lane_id)]
            chosen = set(order[min(places) : max(places) + 1])
        else:
            chosen = {lane_id}
        self.select(tuple(chosen), True)

    def _press_body(self, lane_id: str) -> None:
        self._rows[lane_id][0].setFocus(Qt.FocusReason.MouseFocusReason)
        if lane_id not in self.selected:
            self.select((lane_id,), True)

    def _step(self, lane_id: str, step: int, extend: bool) -> None:
        order = [lane.id for lane in self._state.lanes]
        place = order.index(lane_id) + step
        if 0 <= place < len(order):
            header = self._rows[order[place]][0]
            header.setFocus(Qt.FocusReason.OtherFocusReason)
            self.ensureWidgetVisible(header, 0, 8)
            self.select((*self.selected, order[place]) if extend else (order[place],), True)

    def take_focus(self) -> None:
        """Give the keyboard to the first selected lane, else to the first of all."""
        headers = self.headers()
        chosen = [header for header in headers if header.selected] or headers
        if chosen:
            chosen[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def _menu(self, lane_id: str, at: QPoint) -> None:
        if lane_id not in self.selected:
            self.select((lane_id,), True)
        self.lane_menu.emit(lane_id, at)

    def _drag(self, lane_id: str, region: bool, signal: SignalInstance) -> None:
        """Drag out the selected lanes if this is one of them; with `region` only that, if there is one."""
        if lane_id not in self.selected:
            self.select((lane_id,), True)
        signal.emit(self.selected, region and self._state.region is not None)

    # ---------------------------------------------------------------------------------------------------------- changes

    def outdate(self, lane_id: str, span: Span) -> None:
        """A lane looks different there."""
        if lane_id in self._rows:
            self._rows[lane_id][1].outdate(span)

    def refresh(self) -> None:
        """Paint all bodies again."""
        for body in self.bodies():
            body.place_chips()
            body.update()

    def dress(self) -> None:
        """Take the theme's colours."""
        self._content.setStyleSheet(f"#lanes {{ background: {self._state.theme.background}; }}")
        self._hint.setStyleSheet(f"background: transparent; color: {self._state.theme.second}; font-size: 12px;")
        self.viewport().setStyleSheet(f"background: {self._state.theme.background};")
        for header in self.headers():
            header.dress()
        self.show_lanes()


def _order_tabs(stops: list[QWidget], rows: Iterable[tuple[LaneHeader, LaneBody]]) -> None:
    """After `stops` Tab goes through a lane's controls, then through its takes, then to the next lane."""
    for header, body in rows:
        stops += [*header.stops(), *body.chips.stops()]
    for before, after in pairwise(stops):
        QWidget.setTabOrder(before, after)


def _why_silent(lane: Lane, state: State) -> str:
    """Why what a lane's controls say is not heard now, whatever they say; "" where it is."""
    if lane.kind == "song":
        return "" if state.song_alone else keyed(translate("Lanes", "original · heard under “Song”"), "listen")
    if state.listening == "song":
        return keyed(translate("Lanes", "not heard under “Song”"), "listen")
    return translate("Lanes", "not heard while the song is soloed") if state.song_alone else ""


def _fitting(height: float) -> int:
    """A height that a lane can have."""
    return round(min(max(height, LOWEST_PX), MOST_PX))
