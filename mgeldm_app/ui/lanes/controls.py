"""The small controls of a lane's header. Real widgets with names, values and keys; only their looks are our own."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QDial, QLabel, QLineEdit, QSlider, QWidget

from ...core.project import GAIN_DB
from ..parts import held
from ..theme import ink_on, mix
from .state import State, font

_TENTHS = 10  # a fader's steps are tenths of a decibel
_MOST_LETTERS = 80  # of a name that is typed


def _focus_ring(painter: QPainter, widget: QWidget, state: State, radius: float) -> None:
    if widget.hasFocus():
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(state.theme.accent), 1.5))
        painter.drawRoundedRect(QRectF(widget.rect()).adjusted(0.75, 0.75, -0.75, -0.75), radius, radius)


class Letter(QAbstractButton):
    """A button of one letter, for mute, solo and the menu.

    Args:
        letter: What it shows.
        lit: Role of its colour in the theme while it is on; "" for a button that does not stay on.
        state: Holds the theme.
        parent: The header.
    """

    def __init__(self, letter: str, lit: str, state: State, parent: QWidget) -> None:
        super().__init__(parent)
        self._letter, self._lit, self._state = letter, lit, state
        self.setCheckable(bool(lit))
        self.setFixedSize(24, 20)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click must not take the space bar away from playing
        self.setCursor(Qt.CursorShape.ArrowCursor)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A rounded square with its letter."""
        theme = self._state.theme
        on, over = self.isChecked() or self.isDown(), self.underMouse() and self.isEnabled()
        fill = getattr(theme, self._lit) if on and self._lit else theme.line if self._lit or over or on else ""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if fill:
            painter.setBrush(QColor(mix(fill, theme.text, 0.08) if over and not on else fill))
            painter.drawRoundedRect(self.rect(), 5, 5)
        painter.setFont(font(11, QFont.Weight.Bold))
        ink = ink_on(fill) if on and self._lit else theme.second if self.isEnabled() else theme.third
        painter.setPen(QColor(ink))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._letter)
        _focus_ring(painter, self, self._state, 5)


class Fader(QSlider):
    """A gain in tenths of a decibel, finer near 0 dB. Double-click resets. The wheel is left to the lanes."""

    reset = Signal()

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._state = state
        self._offset = 0.0  # pixels from the mouse to the knob that it holds
        self.colour = QColor("white")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setRange(round(GAIN_DB[0] * _TENTHS), round(GAIN_DB[1] * _TENTHS))
        self.setSingleStep(5)
        self.setPageStep(30)

    @property
    def gain_db(self) -> float:
        """Its value."""
        return self.value() / _TENTHS

    def show_gain(self, gain_db: float) -> None:
        """Show a value without telling of it."""
        self.blockSignals(True)
        self.setValue(round(gain_db * _TENTHS))
        self.blockSignals(False)
        self.update()

    def _share(self) -> float:
        """Place of the knob, 0 to 1: the square leaves 0 dB at 0.69."""
        return ((self.value() - self.minimum()) / (self.maximum() - self.minimum())) ** 2

    def _value_at(self, x: float) -> int:
        share = min(max((x - 7) / max(1, self.width() - 14), 0.0), 1.0)
        value = round(self.minimum() + (self.maximum() - self.minimum()) * math.sqrt(share))
        return 0 if abs(value) < 4 else value  # 0 dB holds on a little

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of the knob, or bring it under the mouse."""
        if event.button() == Qt.MouseButton.LeftButton:
            knob, x = 7 + self._share() * (self.width() - 14), event.position().x()
            self._offset = knob - x if abs(knob - x) <= 9 else 0.0
            self.setSliderDown(True)
            if not self._offset:
                self.setSliderPosition(self._value_at(x))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag it."""
        if self.isSliderDown():
            self.setSliderPosition(self._value_at(event.position().x() + self._offset))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let it go."""
        self.setSliderDown(False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to 0 dB."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(False)
            self.setValue(0)
            self.reset.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Not ours: a list of lanes is scrolled over its faders all the time."""
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A track filled up to the knob."""
        theme, middle = self._state.theme, self.height() / 2
        reach = self.width() - 14
        x = 7 + self._share() * reach
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(mix(theme.line, theme.text, 0.05)))
        painter.drawRoundedRect(QRectF(7, middle - 2, reach, 4), 2, 2)
        painter.setBrush(self.colour if self.isEnabled() else QColor(theme.third))
        painter.drawRoundedRect(QRectF(7, middle - 2, x - 7, 4), 2, 2)
        painter.setBrush(QColor(theme.text if self.isEnabled() else theme.third))
        if theme.name == "light":
            painter.setPen(QPen(QColor(theme.panel), 1.5))
        painter.drawEllipse(QPointF(x, middle), 6, 6)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.accent), 1.5))
            painter.drawEllipse(QPointF(x, middle), 7.25, 7.25)


class Dial(QDial):
    """A value from -1 to 1, turned by dragging up and down. Double-click resets. The wheel is left to the lanes.

    Args:
        state: Holds the theme.
        parent: The header.
        needle: Whether it shows a needle (a place) instead of a filled arc (an amount).
    """

    reset = Signal()

    def __init__(self, state: State, parent: QWidget, needle: bool = False) -> None:
        super().__init__(parent)
        self._state, self._needle = state, needle
        self._from: tuple[QPoint, int] | None = None
        self.colour = QColor("white")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setRange(-100, 100)
        self.setSingleStep(5)
        self.setPageStep(20)
        self.setFixedSize(22, 22)

    @property
    def amount(self) -> float:
        """Its value."""
        return self.value() / 100

    def show_amount(self, amount: float) -> None:
        """Show a value without telling of it."""
        self.blockSignals(True)
        self.setValue(round(amount * 100))
        self.blockSignals(False)
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._from = event.globalPosition().toPoint(), self.value()
            self.setSliderDown(True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Turn it: up and right is more; with Shift finer."""
        if self._from is None:
            return
        way = event.globalPosition().toPoint() - self._from[0]
        fine = 4 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        value = self._from[1] + (way.x() - way.y()) * 1.5 / fine
        self.setSliderPosition(0 if abs(value) < 4 else round(value))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._from = None
        self.setSliderDown(False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to the middle."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._from = None
            self.setSliderDown(False)
            self.setValue(0)
            self.reset.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Not ours."""
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """An arc of 270 degrees."""
        theme = self._state.theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        circle = QRectF(3.5, 3.5, 15, 15)
        pen = QPen(QColor(mix(theme.line, theme.text, 0.08)), 2.5)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawArc(circle, 225 * 16, -270 * 16)
        pen.setColor(self.colour if self.isEnabled() else QColor(theme.third))
        painter.setPen(pen)
        angle = 90 - 135 * self.amount
        if self._needle:
            x, y, middle = math.cos(math.radians(angle)), -math.sin(math.radians(angle)), circle.center()
            inner, outer = (QPointF(middle.x() + far * x, middle.y() + far * y) for far in (2.5, 7.5))
            painter.drawLine(inner, outer)
        else:
            painter.drawArc(circle, 225 * 16, round((angle - 225) * 16))
        _focus_ring(painter, self, self._state, 11)


class Name(QLabel):
    """A lane's name, which becomes a field when it is double-clicked. Escape leaves it as it was."""

    renamed = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._header, self._name = parent, ""
        self.field = QLineEdit(parent)
        self.field.setAcceptDrops(False)  # the window opens what is dropped on it
        self.field.hide()
        self.field.editingFinished.connect(self._finish)
        self.field.installEventFilter(self)

    def show_name(self, name: str) -> None:
        """Show a name."""
        self._name = name
        room = max(0, self.width() - 4)
        self.setText(QFontMetrics(font(14, QFont.Weight.DemiBold)).elidedText(name, Qt.TextElideMode.ElideRight, room))

    def edit(self) -> None:
        """Begin to edit."""
        self.field.setGeometry(self.geometry().adjusted(-5, 0, 0, 0))
        units = len(self._name.encode("utf-16-le", "surrogatepass")) // 2  # which Qt counts
        self.field.setMaxLength(max(_MOST_LETTERS, units))  # one made of a long prompt is not cut
        self.field.setText(self._name)
        self.field.setAccessibleName(self.accessibleName())
        self.field.show()
        self.field.setFocus(Qt.FocusReason.OtherFocusReason)
        self.field.selectAll()

    def _finish(self) -> None:
        if self.field.isHidden():
            return
        typed = self.field.text()
        name = " ".join(typed.split())
        in_hand = self.field.hasFocus()
        self.field.hide()
        if in_hand:
            self._header.setFocus(Qt.FocusReason.OtherFocusReason)
        if name and self._name not in (typed, name):
            self.renamed.emit(name)

    def dress(self, state: State) -> None:
        """Take the theme's colours."""
        theme = state.theme
        self.setStyleSheet(f"color: {theme.text}; font-size: 14px; font-weight: 600; background: transparent;")
        self.field.setStyleSheet(
            f"background: {theme.background}; border: 1px solid {theme.accent}; border-radius: 5px; padding: 0 2px;"
            f" min-height: 0; color: {theme.text}; font-size: 14px; font-weight: 600;"
        )

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Return in the field takes the new name, Escape brings the old one back; neither does anything else."""
        ends = (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if isinstance(event, QKeyEvent) and event.key() in ends:
            if event.type() == QEvent.Type.KeyPress:
                if event.key() == Qt.Key.Key_Escape:
                    self.field.setText(self._name)
                self._finish()
            event.accept()
            return True
        return super().eventFilter(watched, event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Edit."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.edit()


class Grip(QWidget):
    """The edge of a header in its lane's colour, by which a lane, or only the region, is dragged out of the window.

    Alt does that too in a lane's body, but many desktops move the window then.
    """

    drag_pressed = Signal(bool)  # only the region?
    drag_started = Signal(bool)
    FOR_REGION = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(parent)
        self._state = state
        self._from: QPoint | None = None
        self.colour = QColor("white")
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)  # its dots come and go with the mouse
        self.setAccessibleName(self.tr("Drag out"))
        hint = self.tr("Drag from here into a DAW or a folder; hold {0} or {1} to drag only the region")
        hint = hint.format(*(held(key).strip("+") for key in ("Ctrl", "Alt")))
        self.setAccessibleDescription(hint)
        self.setToolTip(hint)

    def sizeHint(self) -> QSize:
        """Narrow."""
        return QSize(14, 64)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A drag may begin, or it is a click."""
        event.ignore()  # the header selects the lane
        if event.button() == Qt.MouseButton.LeftButton:
            event.accept()
            self._from = event.position().toPoint()
            self.drag_pressed.emit(bool(event.modifiers() & self.FOR_REGION))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Beyond the drag distance it is a drag."""
        if self._from is not None:
            way = event.position().toPoint() - self._from
            if way.manhattanLength() >= QApplication.startDragDistance():
                self._from = None
                self.drag_started.emit(bool(event.modifiers() & self.FOR_REGION))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """It was a click."""
        self._from = None

    def paintEvent(self, event: QPaintEvent) -> None:
        """The stripe; dots to hold on to under the mouse."""
        painter = QPainter(self)
        painter.fillRect(0, 0, 4, self.height(), self.colour)
        if self.underMouse():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self._state.theme.second))
            for row in range(-2, 3):
                painter.drawEllipse(QPointF(9.5, self.height() / 2 + 5 * row), 1.3, 1.3)


class Edge(QWidget):
    """The lower edge of a header, by which a lane is made taller or lower. Double-click resets."""

    dragged = Signal(int)  # the height that the header would have
    reset = Signal()

    def __init__(self, header: QWidget) -> None:
        super().__init__(header)
        self._header = header
        self._from: tuple[int, int] | None = None  # place of the mouse on the screen, height of the header
        self.setCursor(Qt.CursorShape.SizeVerCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._from = event.globalPosition().toPoint().y(), self._header.height()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The edge goes with the mouse."""
        if self._from is not None:
            self.dragged.emit(self._from[1] + event.globalPosition().toPoint().y() - self._from[0])

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._from = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """As it was."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.reset.emit()
