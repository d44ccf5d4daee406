"""The takes of an added part: one small button each, on the part itself, or one for all where there is little room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QContextMenuEvent, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QMenu, QWidget

from ...core.project import Lane, Part
from ..theme import ink_on, mix
from .state import State, font

_WIDTH, _HEIGHT, _GAP, _TOP = 22, 18, 4, 10
_COUNTER_WIDTH = 36
_BEFORE, _BEHIND = 2, 10  # pixels of a part, at least, around its chips


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
        lit = self.isChecked() or not self.isCheckable()
        fill = self.colour.name() if lit else plain
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(fill))
        painter.drawRoundedRect(self.rect(), 5, 5)
        painter.setPen(QColor(ink_on(fill) if lit else theme.text))
        painter.setFont(font(11, QFont.Weight.DemiBold))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text())
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.text), 1.5))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.75, 0.75, -0.75, -0.75), 5, 5)


class Counter(Chip):
    """All takes of a part in one: "2/4". A click goes on to the next; its menu has each of them."""

    chosen = Signal(int)

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(0, state, parent)
        self._take, self._takes = 0, 1
        self.setCheckable(False)
        self.setFixedSize(_COUNTER_WIDTH, _HEIGHT)
        self.clicked.connect(lambda: self.chosen.emit((self._take + 1) % self._takes))

    def show_take(self, take: int, takes: int) -> None:
        """Say which of them sounds."""
        self._take, self._takes = take, takes
        self.setText(f"{take + 1}/{takes}")
        self.setAccessibleName(self.tr("Take {} of {}").format(take + 1, takes))
        self.setToolTip(self.tr("Click to hear the next take, right-click for any of them"))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Every take."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for take in range(self._takes):
            action = menu.addAction(self.tr("Take {}").format(take + 1))
            action.setCheckable(True)
            action.setChecked(take == self._take)
            action.triggered.connect(lambda _, take=take: self.chosen.emit(take))
        menu.popup(event.globalPos())


class Row(NamedTuple):
    """What stands for the takes of a part: the chips, or the counter in their place."""

    chips: list[Chip]
    counter: Counter

    @property
    def all(self) -> list[Chip]:
        """All buttons."""
        return [*self.chips, self.counter]

    def show_take(self, take: int) -> None:
        """Say which of them sounds."""
        for number, chip in enumerate(self.chips):
            chip.setChecked(number == take)
        self.counter.show_take(take, len(self.chips))

    def hide(self) -> None:
        """The part is out of sight."""
        for chip in self.all:
            chip.hide()

    def put(self, x: float, whole: bool) -> None:
        """Show the chips, or the counter, from `x` on; the keyboard stays with them."""
        shown, hidden = (self.chips, [self.counter]) if whole else ([self.counter], self.chips)
        for number, chip in enumerate(shown):
            chip.move(round(x) + number * (_WIDTH + _GAP), _TOP)
            chip.show()
        if any(chip.hasFocus() for chip in hidden):
            next((chip for chip in shown if chip.isChecked()), shown[0]).setFocus(Qt.FocusReason.OtherFocusReason)
        for chip in hidden:
            chip.hide()


class TakeChips(QObject):
    """The chips of all parts of a lane that have more than one take."""

    chosen = Signal(int, int)  # part index, take index

    def __init__(self, state: State, body: QWidget) -> None:
        super().__init__(body)
        self._state, self._body = state, body
        self._lane = Lane("", "added", "")
        self._rows: dict[int, Row] = {}

    def show_parts(self, lane: Lane) -> None:
        """Have a chip for each take; those that stay are kept, with the keyboard's focus."""
        self._lane = lane
        wanted = {index: part for index, part in enumerate(lane.parts) if lane.kind == "added" and len(part.takes) > 1}
        for index in list(self._rows):
            if index not in wanted or len(self._rows[index].chips) != len(wanted[index].takes):
                gone = self._rows.pop(index)
                gone.hide()
                for chip in gone.all:
                    chip.deleteLater()
        for index, part in wanted.items():
            if index not in self._rows:
                self._rows[index] = self._row(index, part)
            self._rows[index].show_take(part.chosen)

    def _row(self, index: int, part: Part) -> Row:
        chips = [Chip(number + 1, self._state, self._body) for number in range(len(part.takes))]
        row = Row(chips, Counter(self._state, self._body))
        for take, chip in enumerate(chips):
            chip.clicked.connect(lambda _, take=take: self._choose(index, take))
        row.counter.chosen.connect(lambda take: self._choose(index, take))
        return row

    def _choose(self, part: int, take: int) -> None:
        self._rows[part].show_take(take)
        self.chosen.emit(part, take)

    def stops(self) -> list[QWidget]:
        """Where Tab stops, in order."""
        return [chip for _, row in sorted(self._rows.items()) for chip in row.all]

    def update(self) -> None:
        """Paint them again."""
        for row in self._rows.values():
            for chip in row.all:
                chip.update()

    def place(self) -> None:
        """At the right end of each part, as far as it is in sight, or as near as there is room."""
        axis, width = self._state.axis, float(self._body.width())
        seen, parts = [], []
        for index, row in self._rows.items():
            span = self._lane.parts[index].span
            left, right = max(0.0, axis.x_of(span.start)), min(width, axis.x_of(span.stop))
            for chip in row.all:
                chip.colour = self._state.colour(self._lane)
            if left < right:
                seen.append(row)
                parts.append((left, right, len(row.chips)))
            else:
                row.hide()
        for row, (x, whole) in zip(seen, places(parts, width), strict=True):
            row.put(x, whole)


def places(parts: Sequence[tuple[float, float, int]], width: float) -> list[tuple[float, bool]]:
    """Where the chips of each part (left, right, takes) begin, and whether all are shown or just one that counts them.

    They may reach past their own part, but not to another one, nor out of the lane, which is `width` pixels long.
    """
    rooms = [
        (max((other for _, other, _ in parts if other <= left), default=0.0),
         min((other for other, _, _ in parts if other >= right), default=width))
        for left, right, _ in parts
    ]  # fmt: skip
    sizes = [takes * (_WIDTH + _GAP) - _GAP for _, _, takes in parts]
    whole = [size + 2 * _BEFORE <= stop - first for size, (first, stop) in zip(sizes, rooms, strict=True)]
    sizes = [size if fits else _COUNTER_WIDTH for size, fits in zip(sizes, whole, strict=True)]
    if sum(sizes) + _GAP * len(parts) > width:
        sizes, whole = [_COUNTER_WIDTH] * len(parts), [False] * len(parts)
    xs = []
    for (left, right, _), (_, stop), size in zip(parts, rooms, sizes, strict=True):
        x = max(right - _BEHIND - size, left + _BEFORE)
        xs.append(max(min(x, stop - _BEFORE - size), 0.0))
    order = sorted(range(len(xs)), key=lambda index: (xs[index], parts[index]))
    free = width
    for index in reversed(order):  # apart from each other, away from the right end
        xs[index] = min(xs[index], free - sizes[index])
        free = xs[index] - _GAP
    free = 0.0
    for index in order:  # and from the left one
        xs[index] = max(xs[index], free)
        free = xs[index] + sizes[index] + _GAP
    return list(zip(xs, whole, strict=True))
