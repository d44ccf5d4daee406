"""The header of a lane: its name, what it is, and how it sounds."""

from __future__ import annotations

from mgeldm.language import say
from PySide6.QtCore import QCoreApplication, QPoint, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import QLabel, QWidget

from ...core.project import GAIN_DB, Lane
from ...core.text import QUALITY_NAMES
from .controls import Dial, Edge, Fader, Grip, Letter, Name
from .state import State, asked_for, font, said_of

WIDTH, EDGE_PX, SELECTED_PX = 240, 5, 3
translate = QCoreApplication.translate
MINUS = "−"


def gain_text(gain_db: float) -> str:
    """"-1.6 dB"; the lowest is silence."""
    if gain_db <= GAIN_DB[0]:
        return f"{MINUS}∞ dB"
    return f"{gain_db:.1f} dB".replace("-", MINUS) if round(gain_db, 1) else "0.0 dB"


def pan_text(pan: float) -> str:
    """"centre", "30 % left"."""
    percent = round(abs(pan) * 100)
    if not percent:
        return translate("Lanes", "centre")
    return (translate("Lanes", "{} % left") if pan < 0 else translate("Lanes", "{} % right")).format(percent)


def describe(lane: Lane) -> str:
    """What a lane is: "extracted · best · seed 7"; of parts that were made in several ways, all of them."""
    if lane.kind == "song":
        return translate("Lanes", "original")
    if lane.kind == "rest":
        return translate("Lanes", "song {} everything extracted").format(MINUS)
    if not lane.parts:
        return translate("Lanes", "empty")
    parts = asked_for(lane) or list(lane.parts)
    if lane.kind == "added":
        part = parts[-1]
        words = [translate("Lanes", "added")]
        if part.take.made.quality == "draft":  # no better version of it is there
            words.append(say(QUALITY_NAMES["draft"]).lower())
        if len(part.takes) > 1:
            words.append(translate("Lanes", "take {} of {}").format(part.chosen + 1, len(part.takes)))
        else:
            words.append(translate("Lanes", "seed {}").format(part.take.made.seed))
        return " · ".join(words)
    made = [part.take.made for part in parts]
    qualities = dict.fromkeys(say(QUALITY_NAMES[each.quality]).lower() for each in made)
    words = [translate("Lanes", "extracted"), ", ".join(qualities)]
    if without := dict.fromkeys(name for each in made for name in each.without):  # first: it is what surprises
        words.insert(1, translate("Lanes", "without {}").format(", ".join(without)))
    if seeds := dict.fromkeys(str(each.seed) for each in made if each.seed):
        several = translate("Lanes", "seed {}") if len(seeds) == 1 else translate("Lanes", "seeds {}")
        words.append(several.format(", ".join(seeds)))
    return " · ".join(words)


class LaneHeader(QWidget):
    """Controls of a lane. Focusable: arrows choose lanes, M and S mute and solo, Enter or F2 renames.

    `changed` tells the name of a field of `core.project.Lane`, its new value, and whether the mouse has let go.
    """

    changed = Signal(str, object, bool)
    pressed = Signal(object)  # keyboard modifiers
    stepped = Signal(int, bool)  # -1 up, 1 down; whether to extend the selection
    menu_asked = Signal(QPoint)
    drag_pressed = Signal(bool)  # only the region?
    drag_started = Signal(bool)

    def __init__(self, state: State, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self.lane = Lane("", "song", "")
        self.selected = False
        self._dragged: set[str] = set()  # the field under the mouse
        self._told: dict[str, float] = {}  # what was told and perhaps not yet shown
        self._silent = ""
        self.setFixedWidth(WIDTH)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.grip = Grip(state, self)
        self.name = Name(self)
        self.note = QLabel(self)
        self.menu = Letter("⋯", "", state, self)
        self.mute = Letter("M", "second", state, self)
        self.solo = Letter("S", "warn", state, self)
        self.fader = Fader(state, self)
        self.gain = QLabel(self)
        self.pan = Dial(state, self, needle=True)
        self.sensitivity = Dial(state, self)
        self.edge = Edge(self)
        self._connect()
        self.dress()

    def _connect(self) -> None:
        self.grip.drag_pressed.connect(self.drag_pressed)
        self.grip.drag_started.connect(self.drag_started)
        self.name.renamed.connect(lambda name: self.changed.emit("name", name, True))
        self.menu.clicked.connect(lambda: self.menu_asked.emit(self.menu.mapToGlobal(QPoint(0, self.menu.height()))))
        self.mute.clicked.connect(lambda on: self.changed.emit("muted", on, True))
        self.solo.clicked.connect(lambda on: self.changed.emit("soloed", on, True))
        for slider, field in ((self.fader, "gain_db"), (self.pan, "pan"), (self.sensitivity, "sensitivity")):
            slider.valueChanged.connect(lambda _, s=slider, f=field: self._turned(s, f, not s.isSliderDown()))
            slider.sliderReleased.connect(lambda s=slider, f=field: self._turned(s, f, True))

    def stops(self) -> list[QWidget]:
        """Where Tab stops, in order."""
        return [self, self.mute, self.solo, self.fader, self.pan, self.sensitivity, self.menu]

    def _turned(self, slider: Fader | Dial, field: str, final: bool) -> None:
        value = slider.gain_db if isinstance(slider, Fader) else slider.amount
        self._show_values()
        if final and field not in self._dragged and value == self._told.get(field, getattr(self.lane, field)):
            return  # a click that moved nothing
        self._dragged = {field} if not final else set()
        self._told[field] = value
        self.changed.emit(field, value, final)

    # ---------------------------------------------------------------------------------------------------- what it shows

    def show_lane(self, lane: Lane, note: str, selected: bool, silent: str = "") -> None:
        """Show a lane's values; controls in the user's hand are left alone, and those that do nothing now are faint.

        Args:
            lane: Whose.
            note: The second line; "" for what the lane is.
            selected: Whether it is.
            silent: Why nothing of it is heard now, where its own controls do not say so.
        """
        self.lane, self.selected, self._told, self._silent = lane, selected, {}, silent
        self.name.show_name(lane.name)
        note = note or silent or describe(lane)
        self.note.setText(self._fitted(note))
        self.note.setToolTip(note)
        self.mute.setChecked(lane.muted)
        self.solo.setChecked(lane.soloed)
        if not self.fader.isSliderDown():
            self.fader.show_gain(lane.gain_db)
        for dial, amount in ((self.pan, lane.pan), (self.sensitivity, lane.sensitivity)):
            if not dial.isSliderDown():
                dial.show_amount(amount)
        self.sensitivity.setVisible(lane.kind == "extracted" and bool(lane.parts))
        self._show_values()
        self._name_controls()
        colour = self._state.colour(lane)
        faint = QColor(self._state.theme.third)
        for control in (self.grip, self.fader, self.pan, self.sensitivity):
            control.colour = faint if silent and control is not self.grip else colour
            control.update()
        self.update()

    def _fitted(self, text: str) -> str:
        return QFontMetrics(font(11)).elidedText(text, Qt.TextElideMode.ElideRight, WIDTH - 32)

    def _show_values(self) -> None:
        self.gain.setText(gain_text(self.fader.gain_db))
        gain = self.tr("Gain: {}; double-click for 0 dB").format(gain_text(self.fader.gain_db))
        pan = self.tr("Pan: {}; double-click for the centre").format(pan_text(self.pan.amount))
        for control, hint in ((self.fader, gain), (self.pan, pan)):
            control.setToolTip("\n".join(filter(None, (hint, self._silent))))
        self.sensitivity.setToolTip(
            self.tr(
                "Sensitivity {:+.2f}: left takes along less of other sources, right is fuller and brings out what is "
                "doubted; double-click resets"
            )
            .format(self.sensitivity.amount)
        )

    def _name_controls(self) -> None:
        """Names for assistive technology: what the control does, and to which lane."""
        name = self.lane.name
        hint = self.tr("Double-click or F2 to rename")
        self.name.setToolTip(f"{name}\n{hint}")
        self.setAccessibleName(self.tr("Lane {}").format(name))
        self.describe_itself()
        for control, text, tip in (
            (self.name, self.tr("Name of {}"), ""),
            (self.menu, self.tr("Menu of {}"), self.tr("What else can be done with this lane")),
            (self.mute, self.tr("Mute {}"), "\n".join(filter(None, (self.tr("Mute (M)"), self._silent)))),
            (self.solo, self.tr("Solo {}"), self.tr("Solo (S)")),
            (self.fader, self.tr("Gain of {}, tenths of a decibel"), ""),
            (self.pan, self.tr("Pan of {}"), ""),
            (self.sensitivity, self.tr("Sensitivity of {}"), ""),
            (self.grip, self.tr("Drag {} out"), ""),
            (self.edge, self.tr("Height of {}"), self.tr("Drag for another height; double-click resets")),
        ):
            control.setAccessibleName(text.format(name))
            if tip:
                control.setToolTip(tip)

    def describe_itself(self) -> None:
        """Say what is seen at a glance to those who do not see it."""
        said = said_of(self._state, self.lane, self.selected)
        self.setAccessibleDescription(" · ".join((*said, self.note.toolTip())))

    def dress(self) -> None:
        """Take the theme's colours."""
        second = self._state.theme.second
        self.name.dress(self._state)
        self.note.setStyleSheet(f"background: transparent; color: {second}; font-size: 11px;")
        self.gain.setStyleSheet(f"background: transparent; color: {second}; font-size: 10px;")
        self.update()

    def resizeEvent(self, event: object) -> None:
        """Names at the top, with all the room that mute and solo leave; the fader and the menu at the bottom."""
        height = self.height()
        low = height < 84
        top, row = (6, height - 14) if low else (11, height - 22)
        self.grip.setGeometry(0, 0, 14, height)
        self.name.setGeometry(20, top - 1, 155, 22)
        self.name.show_name(self.lane.name)
        self.note.setGeometry(20, top + (18 if low else 20), WIDTH - 32, 15)
        self.mute.move(177, top)
        self.solo.move(205, top)
        self.fader.setGeometry(13, row - 9, 88, 18)
        self.gain.setGeometry(104, row - 8, 50, 16)
        self.pan.move(154, row - 11)
        self.sensitivity.move(178, row - 11)
        self.menu.move(205, row - 10)
        self.edge.setGeometry(0, height - EDGE_PX, WIDTH, EDGE_PX)
        self.edge.raise_()

    # ----------------------------------------------------------------------------------------------- keyboard and mouse

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The keys of a lane."""
        key, shift = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        plain = not event.modifiers() & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier)
        if not plain:
            super().keyPressEvent(event)
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.stepped.emit(-1 if key == Qt.Key.Key_Up else 1, shift)
        elif key == Qt.Key.Key_M and not shift:
            self.mute.click()
        elif key == Qt.Key.Key_S and not shift:
            self.solo.click()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_F2):
            self.name.edit()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Select the lane."""
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if event.button() == Qt.MouseButton.LeftButton or not self.selected:
            self.pressed.emit(event.modifiers())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """By mouse where it is; by key below the menu button."""
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        self.menu_asked.emit(self.menu.mapToGlobal(QPoint(0, self.menu.height())) if by_key else event.globalPos())

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Reached by Tab: select the lane."""
        super().focusInEvent(event)
        self.update()
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason) and not self.selected:
            self.pressed.emit(Qt.KeyboardModifier.NoModifier)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Without the keyboard."""
        super().focusOutEvent(event)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A panel; raised and with a bar where selected, with a line at its right where the keyboard is."""
        theme = self._state.theme
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.raised if self.selected else theme.panel))
        painter.fillRect(0, self.height() - 1, self.width(), 1, QColor(theme.line))
        if self.selected:  # a colour of the ground alone is hardly seen
            painter.fillRect(5, 0, SELECTED_PX, self.height() - 1, QColor(theme.accent))
        if self.hasFocus():
            painter.fillRect(self.width() - 2, 0, 2, self.height() - 1, QColor(theme.accent))
