"""What all parts of the lanes view share: the project as it is shown, playhead, grid, and the mouse's region."""

from __future__ import annotations

from dataclasses import dataclass, field

from PySide6.QtCore import QCoreApplication, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QApplication

from ...core.ports import Growing
from ...core.project import Lane, Part, Project, Span
from ...core.timeline import Grid, Unit, place_text
from ...core.voices import Listen
from ..theme import DARK, Theme, colour_of
from .axis import Axis

translate = QCoreApplication.translate
LABEL_PX = 84  # room for a label of the ruler, at least


def font(px: int, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The program's face at a size."""
    face = QFont(QApplication.font())
    face.setPixelSize(px)
    face.setWeight(weight)
    return face


def asked_for(lane: Lane) -> list[Part]:
    """The parts of a lane that were asked for: not the silence where something was made in a stem's place."""
    return [part for part in lane.parts if part.take.made.repeatable]


def said_of(state: State, lane: Lane, selected: bool) -> list[str]:
    """What is seen of a lane at a glance, for a screen reader: whether it is selected, and where the region is."""
    words = [translate("Lanes", "selected") if selected else translate("Lanes", "not selected")]
    return words if state.region is None else [*words, place_text(state.project, state.region, lane.id)]


@dataclass
class State:
    """What is shown. Written by the view alone.

    Attributes:
        axis: The time axis.
        theme: Colours.
        project: The project; `lanes` also has lanes that only grow.
        growing: Files being filled.
        lengths: Samples of each of them, by path.
        busy: Progress 0 to 1 and its text, by lane.
        region: As the mouse has it, which is ahead of the project while it drags.
        position: The playhead, in samples.
        snap: What the mouse's places snap to.
        listening: Whether the original is heard, or stems and rest.
    """

    axis: Axis
    theme: Theme = DARK
    project: Project = field(default_factory=Project)
    lanes: tuple[Lane, ...] = ()
    growing: tuple[Growing, ...] = ()
    lengths: dict[str, int] = field(default_factory=dict)
    busy: dict[str, tuple[float, str]] = field(default_factory=dict)
    region: Span | None = None
    position: int = 0
    snap: Unit = "bar"
    listening: Listen = "stems"
    _places: tuple[tuple, list[int]] = field(default=((), []), repr=False)

    @property
    def grid(self) -> Grid:
        """The bars, up to the end of what is shown."""
        return Grid(self.project.tempo, self.project.rate_hz, self.axis.samples)

    @property
    def song_alone(self) -> bool:
        """Whether the original is heard and nothing else."""
        return self.listening == "song" or self.project.song_alone

    @property
    def bars_apart(self) -> int:
        """Bars from one labelled line to the next: a power of two."""
        every = 1
        while self.grid.bar_samples * every / self.axis.scale < LABEL_PX:
            every *= 2
        return every

    def bar_places(self) -> list[int]:
        """Pixels of the labelled bars in sight; none where no tempo is known. All lanes draw the same."""
        tempo, axis = self.project.tempo, self.axis
        key = (tempo, axis.offset, axis.step, axis.width, axis.samples)
        if key != self._places[0]:
            first, last = max(0, round(axis.left)), round(axis.left + axis.width * axis.scale)
            known = tempo.source != "none" and axis.samples
            lines = self.grid.lines(first, last, "bar", self.bars_apart) if known else ()
            self._places = key, [int(axis.x_of(sample)) for sample, _, _ in lines]
        return self._places[1]

    def colour(self, lane: Lane) -> QColor:
        """The colour a lane is drawn in."""
        return colour_of(self.theme, lane)

    def unit(self, modifiers: Qt.KeyboardModifier) -> Unit:
        """What to snap to now: nothing with Shift or Ctrl, or where no tempo is known.

        Close up it is something finer, so that a line that a place snaps to is in sight.
        """
        free = modifiers & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier)
        widest = self.axis.width * self.axis.scale / 2
        if free or self.project.tempo.source == "none" or self.snap == "none" or self.grid.beat_samples > widest:
            return "none"
        return self.snap if self.grid.bar_samples <= widest else "beat"


class RegionMouse(QObject):
    """What the mouse does to the region and the playhead, in a lane as in the ruler.

    A drag selects, or moves an edge, or the whole; a click seeks; a double-click takes in a bar.
    """

    region_changed = Signal(object, bool)
    sought = Signal(object)  # a sample, which may be more than 32 bits hold

    EDGE_PX = 5

    def __init__(self, state: State, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self._mode = ""
        self._from = QPoint()
        self._anchor = 0.0  # sample under the mouse at the press
        self._before: Span | None = None
        self._moved = False

    @property
    def active(self) -> bool:
        """Whether a drag is under way."""
        return bool(self._mode) and self._moved

    def mode_at(self, x: float, on_bar: bool) -> str:
        """What a drag from `x` would do: "start" and "stop" move an edge, "move" the region, "select" makes one."""
        region, axis = self._state.region, self._state.axis
        if region is None:
            return "select"
        for edge, place in (("start", region.start), ("stop", region.stop)):
            if abs(axis.x_of(place) - x) <= self.EDGE_PX:
                return edge
        return "move" if on_bar and region.start <= axis.sample_at(x) < region.stop else "select"

    def cursor_at(self, x: float, on_bar: bool) -> Qt.CursorShape:
        """The cursor that says so."""
        shapes = {"start": Qt.CursorShape.SizeHorCursor, "stop": Qt.CursorShape.SizeHorCursor,
                  "move": Qt.CursorShape.OpenHandCursor}
        return shapes.get(self.mode_at(x, on_bar), Qt.CursorShape.ArrowCursor)

    def press(self, at: QPoint, on_bar: bool) -> None:
        """The left button goes down."""
        self._mode, self._moved, self._from = self.mode_at(at.x(), on_bar), False, at
        self._anchor, self._before = self._state.axis.sample_at(at.x()), self._state.region

    def move(self, at: QPoint, modifiers: Qt.KeyboardModifier) -> None:
        """The mouse moves with the button down; at the window's edge, time scrolls along."""
        if not self._mode:
            return
        if not self._moved and (at - self._from).manhattanLength() < QApplication.startDragDistance() // 2:
            return
        self._moved = True
        axis = self._state.axis
        beyond = min(at.x(), 0) + max(at.x() - axis.width, 0)
        if beyond:
            axis.scroll(max(-40, min(40, beyond)))
        self._tell(self._span(axis.sample_at(at.x()), self._state.unit(modifiers)), False)

    def release(self, modifiers: Qt.KeyboardModifier) -> None:
        """The button comes up: the region is as it is, or it was a click."""
        mode, self._mode = self._mode, ""
        if self._moved:
            self._moved = False
            self._tell(self._state.region, True)
        elif mode:
            unit: Unit = "beat" if self._state.unit(modifiers) != "none" else "none"
            self.sought.emit(self._state.grid.snap(self._anchor, unit))

    def cancel(self) -> None:
        """Leave the region as it was before the drag."""
        if self.active:
            self._mode, self._moved = "", False
            self._tell(self._before, True)

    def double(self, x: float) -> None:
        """Extend the region to the bar at `x`; inside of the region, or without one, select that bar."""
        self._mode = ""
        place, region = self._state.axis.sample_at(x), self._state.region
        if not 0 <= place < self._state.axis.samples:
            return
        bar = self._state.grid.bar_around(place)
        if region is not None and not region.start <= place < region.stop:
            bar = Span(min(bar.start, region.start), max(bar.stop, region.stop))
        self._tell(bar, True)

    def _span(self, sample: float, unit: Unit) -> Span | None:
        grid, before = self._state.grid, self._before
        if self._mode == "move" and before is not None:
            start = grid.snap(before.start + sample - self._anchor, unit)
            start = min(start, max(0, self._state.axis.samples - before.samples))
            return Span(start, start + before.samples)
        anchor: float = self._anchor
        if before is not None and self._mode in ("start", "stop"):
            anchor = before.stop if self._mode == "start" else before.start
            fixed = round(anchor)
        else:
            fixed = grid.snap(anchor, unit)
        start, stop = sorted((fixed, grid.snap(sample, unit)))
        return Span(start, stop) if stop > start else before

    def _tell(self, span: Span | None, final: bool) -> None:
        if span != self._state.region or final:
            self._state.region = span
            self.region_changed.emit(span, final)
