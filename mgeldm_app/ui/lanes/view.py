"""The lanes view: everything of a project along one axis of time."""

from __future__ import annotations

from mgeldm.language import say
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QNativeGestureEvent, QWheelEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from ...core.actions import SNAPS
from ...core.ports import Growing, Workers
from ...core.project import SONG_ID, Lane, Project
from ...core.timeline import Unit
from ...core.voices import Listen
from ..drops import FileDrops
from ..parts import button, keyed
from ..theme import Theme, set_role
from .axis import Axis
from .controls import Letter
from .drops import DropHint
from .header import WIDTH
from .minimap import Minimap
from .rows import Rows
from .ruler import Ruler
from .sounds import View, file_samples
from .sources import Sources
from .state import RegionMouse, State

ZOOM_STEP, HEIGHT_STEP = 1.5, 1.25
translate = QCoreApplication.translate
_WHEEL_PX = 60  # a notch of the wheel


def with_growing(project: Project, growing: tuple[Growing, ...]) -> tuple[Lane, ...]:
    """The project's lanes, and above the rest those that so far only grow."""
    if project.song is None and not growing:
        return ()
    fresh = {file.lane_id: file.kind for file in growing if not project.has_lane(file.lane_id)}
    lanes = [
        Lane(lane_id, kind, translate("Lanes", "new part"), len(project.lanes) - 2 + number)
        for number, (lane_id, kind) in enumerate(fresh.items())
    ]
    return (*project.lanes[:-1], *lanes, project.lanes[-1])


def ends(state: State) -> list[int]:
    """Where parts end, which may be behind the song's end."""
    parts = [part.span.stop for lane in state.project.lanes for part in lane.parts]
    return parts + [file.start + state.lengths[str(file.path)] for file in state.growing]


class LanesView(QWidget):
    """The heart of the window.

    Args:
        workers: Measure waveforms and spectra beside the GUI thread.
        theme: Colours.
        parent: Owner.

    Attributes:
        region_changed: The mouse selects (Span or None; whether it has let go).
        seek: Go to a sample.
        lane_changed: Lane id, field of `core.project.Lane`, value, whether the mouse has let go.
        take_chosen: Lane id, part index, take index.
        lane_menu: The menu of a lane is wanted at a place of the screen.
        lanes_selected: Ids from top to bottom.
        drag_pressed: The mouse was pressed where lanes can be dragged out (only the region?).
        drag_started: They are being dragged.
        snap_clicked: Regions are to snap to something else.
        files_dropped: Paths.
        drop_hint: Says that files are welcome, also while they are held elsewhere over the window.
    """

    region_changed = Signal(object, bool)
    seek = Signal(object)
    lane_changed = Signal(str, str, object, bool)
    take_chosen = Signal(str, int, int)
    lane_menu = Signal(str, QPoint)
    lanes_selected = Signal(tuple)
    drag_pressed = Signal(tuple, bool)
    drag_started = Signal(tuple, bool)
    snap_clicked = Signal()
    files_dropped = Signal(list)

    def __init__(self, workers: Workers, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._axis = Axis(self)
        self._state = State(self._axis, theme)
        self._store: View | None = None
        self._playing = False
        self._sources = Sources(workers, self)
        self._mouse = RegionMouse(self._state, self)
        self._ruler = Ruler(self._state, self._mouse)
        self._minimap = Minimap(self._state, self._sources)
        self._rows = Rows(self._state, self._sources, self._mouse, self.wheelEvent, self._minimap)
        self._drops, self.drop_hint = FileDrops(self), DropHint(self._state, self)
        self.setAccessibleName(self.tr("Lanes"))
        self._lay_out()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "window")
        self._connect()
        self.set_snap(self._state.snap)
        self.set_theme(theme)

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.setColumnMinimumWidth(0, WIDTH)
        grid.setColumnStretch(1, 1)
        grid.setRowStretch(1, 1)
        grid.addWidget(self._ruler, 0, 1)
        grid.addWidget(self._rows, 1, 0, 1, 2)
        grid.addWidget(self._zoom_buttons(), 2, 0)
        grid.addWidget(self._minimap, 2, 1)

    def _zoom_buttons(self) -> QWidget:
        box = QWidget(self)
        row = QHBoxLayout(box)
        row.setContentsMargins(12, 0, 12, 0)
        row.setSpacing(4)
        self.snap = button("", "flat", hint=keyed(self.tr("What regions snap to"), "snap"))
        self.snap.clicked.connect(self.snap_clicked)
        row.addWidget(self.snap)
        row.addStretch(1)
        for text, name, act in (
            ("−", self.tr("Zoom out"), lambda: self.zoom(1 / ZOOM_STEP)),
            ("+", self.tr("Zoom in"), lambda: self.zoom(ZOOM_STEP)),
            ("↔", self.tr("Show the whole song"), self.fit),
        ):
            letter = Letter(text, "", self._state, box)
            letter.setAccessibleName(name)
            letter.setToolTip(name)
            letter.clicked.connect(act)
            row.addWidget(letter)
        return box

    def _connect(self) -> None:
        self._axis.changed.connect(self._axis_changed)
        self._sources.changed.connect(self._rows.outdate)
        self._sources.changed.connect(lambda lane_id, _: self._minimap.outdate() if lane_id == SONG_ID else None)
        self._sources.rescaled.connect(self._repaint)
        self._mouse.region_changed.connect(lambda *_: self._repaint())
        self._mouse.region_changed.connect(lambda _, final: _describe(self._rows) if final else None)
        self._mouse.region_changed.connect(self.region_changed)
        self._mouse.sought.connect(self.seek)
        self._ruler.pressed.connect(self._rows.take_focus)
        self._rows.resized.connect(self._resized)
        self._rows.lane_changed.connect(self.lane_changed)
        self._rows.take_chosen.connect(self.take_chosen)
        self._rows.lane_menu.connect(self.lane_menu)
        self._rows.selection_changed.connect(self.lanes_selected)
        self._drops.dropped.connect(self.files_dropped)
        self._drops.held.connect(self.drop_hint.show_over)
        self._rows.drag_pressed.connect(self.drag_pressed)
        self._rows.drag_started.connect(self.drag_started)

    # ---------------------------------------------------------------------------------------------------- what is shown

    def set_store(self, view: View | None) -> None:
        """Where samples come from (`ClipStore.view`); None without a project."""
        self._store = view

    def show_project(
        self,
        project: Project,
        growing: tuple[Growing, ...] = (),
        busy: dict[str, tuple[float, str]] | None = None,
        listening: Listen = "stems",
    ) -> None:
        """Show a state of the project; cheap where little has changed.

        Args:
            project: What to show.
            growing: Parts being made; a lane that the project lacks is shown for them.
            busy: Progress 0 to 1 and its text, by lane.
            listening: Whether the original is heard, or stems and rest.
        """
        state, before = self._state, self._state.project
        same_sound = (before.song, before.lanes, state.growing) == (project.song, project.lanes, growing)
        same_sound = same_sound and self._sources.view == self._store
        same_time = (before.tempo, before.looping) == (project.tempo, project.looping)
        region = state.region if self._mouse.active else project.region
        moved, state.region = region != state.region, region
        state.project, state.growing, state.listening = project, growing, listening
        lengths, names = state.lengths, {str(file.path): file for file in growing}
        state.lengths = {name: lengths.get(name) or file_samples(file) for name, file in names.items()}
        state.busy = dict(busy or {})
        state.lanes = with_growing(project, growing)
        if before.song != project.song:
            self._axis.set_samples(0)
            self._minimap.outdate()
        self._rows.show_lanes()
        self._axis.set_samples(max([project.samples, *ends(state)]))
        if not same_sound:
            self._sources.show(project, state.lanes, growing, self._store)
        if moved or not same_time:
            self._repaint()
            _describe(self._rows)

    def set_position(self, sample: int) -> None:
        """Move the playhead; while playing, the view follows page by page."""
        before, self._state.position = self._state.position, sample
        self._minimap.move_head(before, sample)
        old, new = self._axis.x_of(before), self._axis.x_of(sample)
        if not (self._playing and self._axis.follow(sample)) and int(old) != int(new):
            self._ruler.move_head(old, new)
            for body in self._rows.bodies():
                body.move_head(old, new)

    def set_playing(self, playing: bool) -> None:
        """Follow the playhead from now on, or no longer."""
        self._playing = self._axis.following = playing

    def set_snap(self, unit: Unit) -> None:
        """What the mouse's regions snap to."""
        self._state.snap = unit
        self.snap.setText(self.tr("Snap: {0}").format(say(SNAPS[unit])))

    def set_theme(self, theme: Theme) -> None:
        """Other colours."""
        self._state.theme = theme
        self._rows.dress()
        self._minimap.outdate()
        self.update()
        self._repaint()

    # ------------------------------------------------------------------------------------------------------------- view

    def fit(self) -> None:
        """Show the whole song."""
        self._axis.fit()

    def zoom(self, factor: float, at: float | None = None) -> None:
        """Zoom in by a factor above 1, out below; about pixel `at` of the bodies, else the playhead or the middle."""
        if at is None:
            head = self._axis.x_of(self._state.position)
            at = head if 0 <= head < self._axis.width else self._axis.width / 2
        self._axis.zoom(factor, at)

    def zoom_to_region(self) -> None:
        """Show the region from edge to edge."""
        if self._state.region is not None:
            self._axis.fit(self._state.region)

    def stretch(self, factor: float) -> None:
        """Make all lanes taller by a factor above 1, lower by one below."""
        self._rows.stretch(factor)

    def select_lanes(self, ids: tuple[str, ...]) -> None:
        """Select lanes, without telling of it."""
        self._rows.select(tuple(ids), False)

    @property
    def selected(self) -> tuple[str, ...]:
        """Ids of the selected lanes, from top to bottom."""
        return self._rows.selected

    @property
    def sources(self) -> Sources:
        """What is measured for the lanes, for scripts and tests."""
        return self._sources

    @property
    def axis(self) -> Axis:
        """The time axis, for scripts and tests."""
        return self._axis

    # ----------------------------------------------------------------------------------------------------------- events

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Ctrl zooms at the mouse, Shift scrolls time; else lanes scroll, or time where all lanes are in sight."""
        pixels, angle, modifiers = event.pixelDelta(), event.angleDelta(), event.modifiers()
        x, y = (pixels.x(), pixels.y()) if not pixels.isNull() else (angle.x() / 2, angle.y() / 2)
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            at = event.position().x() if event.position().x() >= 0 else 0.0
            self.zoom(ZOOM_STEP ** ((y or x) / _WHEEL_PX), max(0.0, at - WIDTH))
        else:
            shift = modifiers & Qt.KeyboardModifier.ShiftModifier
            bar = self._rows.verticalScrollBar()
            if shift or bar.maximum() == 0:
                x, y = x + y, 0
            if y:
                bar.setValue(bar.value() - round(y))
            if x:
                self._axis.scroll(-x)
                event.accept()

    def event(self, event: QEvent) -> bool:
        """Pinch to zoom; another screen."""
        if isinstance(event, QNativeGestureEvent) and event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
            self.zoom(1 + event.value(), max(0.0, event.position().x() - WIDTH))
            return True
        if event.type() in (QEvent.Type.Show, QEvent.Type.DevicePixelRatioChange):
            self._resized()
        return super().event(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The keyboard goes on to a lane."""
        self._rows.take_focus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape ends a drag of the region."""
        if event.key() == Qt.Key.Key_Escape and self._mouse.active:
            self._mouse.cancel()
        else:
            super().keyPressEvent(event)

    # ---------------------------------------------------------------------------------------------------------- repaint

    def _axis_changed(self) -> None:
        self._sources.near = self._axis.visible
        self._repaint()

    def _resized(self) -> None:
        self._axis.resize(self._rows.body_width, self.devicePixelRatioF())

    def _repaint(self) -> None:
        """All that lies along the axis of time."""
        self._ruler.update()
        self._rows.refresh()
        self._minimap.update()


def _describe(rows: Rows) -> None:
    """Let all lanes say where the region is, which is another."""
    for header, body in zip(rows.headers(), rows.bodies(), strict=True):
        header.describe_itself()
        body.describe_itself()
