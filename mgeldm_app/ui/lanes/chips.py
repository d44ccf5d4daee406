"""The takes of an added part: one small button each, on the part itself."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QWidget

from ...core.project import Lane, Part
from ..theme import ink_on, mix
from .state import State, font

_WIDTH, _HEIGHT, _GAP, _TOP = 22, 18, 4, 10


class Chip(QAbstractButton):
    """One take."""

    def __init__(self, number: int, state: State, parent: QWidget) -> None:
        super().__init__(parent)
        self._state = state
        self.colour = QColor("white")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setFixedSize(_WIDTH, _HEIGHT)
        self.setText(str(number))
        self.setAccessibleName(self.tr("Take {}").format(number))
        self.setToolTip(self.tr("Hear take {}").format(number))
        self.setCursor(Qt.CursorShape.ArrowCursor)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Its number; in the lane's colour if it is the one that sounds."""
        theme = self._state.theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        plain = mix(theme.raised, theme.text, 0.1 if self.underMouse() else 0)
        fill = self.colour.name() if self.isChecked() else plain
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(fill))
        painter.drawRoundedRect(self.rect(), 5, 5)
        painter.setPen(QColor(ink_on(fill) if self.isChecked() else theme.text))
        painter.setFont(font(11, QFont.Weight.DemiBold))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text())
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.text), 1.5))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.75, 0.75, -0.75, -0.75), 5, 5)


class TakeChips(QObject):
    """The chips of all parts of a lane that have more than one take."""

    chosen = Signal(int, int)  # part index, take index

    def __init__(self, state: State, body: QWidget) -> None:
        super().__init__(body)
        self._state, self._body = state, body
        self._lane = Lane("", "added", "")
        self._rows: dict[int, list[Chip]] = {}

    def show_parts(self, lane: Lane) -> None:
        """Have a chip for each take; those that stay are kept, with the keyboard's focus."""
        self._lane = lane
        wanted = {index: part for index, part in enumerate(lane.parts) if lane.kind == "added" and len(part.takes) > 1}
        for index in list(self._rows):
            if index not in wanted or len(self._rows[index]) != len(wanted[index].takes):
                for chip in self._rows.pop(index):
                    chip.hide()
                    chip.deleteLater()
        for index, part in wanted.items():
            if index not in self._rows:
                self._rows[index] = [self._chip(index, take) for take in range(len(part.takes))]
            for take, chip in enumerate(self._rows[index]):
                chip.setChecked(take == part.chosen)

    def _chip(self, part: int, take: int) -> Chip:
        chip = Chip(take + 1, self._state, self._body)
        chip.clicked.connect(lambda: self._choose(part, take))
        return chip

    def _choose(self, part: int, take: int) -> None:
        for index, chip in enumerate(self._rows[part]):
            chip.setChecked(index == take)
        self.chosen.emit(part, take)

    def stops(self) -> list[QWidget]:
        """Where Tab stops, in order."""
        return [chip for _, row in sorted(self._rows.items()) for chip in row]

    def update(self) -> None:
        """Paint them again."""
        for row in self._rows.values():
            for chip in row:
                chip.update()

    def place(self) -> None:
        """At the right end of each part, as far as it is in sight; gone where there is no room."""
        for index, row in self._rows.items():
            part: Part = self._lane.parts[index]
            axis = self._state.axis
            left = max(0.0, axis.x_of(part.span.start))
            right = min(float(self._body.width()), axis.x_of(part.span.stop))
            width = len(row) * (_WIDTH + _GAP) + 8
            room = right - left >= width and self._body.height() >= _TOP + _HEIGHT + 8
            for take, chip in enumerate(row):
                chip.colour = self._state.colour(self._lane)
                chip.setVisible(room)
                chip.move(round(right - width + 2 + take * (_WIDTH + _GAP)), _TOP)
