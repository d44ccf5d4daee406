"""The command palette: every action of the window, found by a few of its letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from .parts import label, line
from .theme import DARK, Theme, mix, set_role

_WIDTH, _ROW_PX, _MOST_ROWS, _TOP_PX = 560, 32, 10, 96


@dataclass(frozen=True)
class Entry:
    """An action as palette and shortcut sheet show it.

    Attributes:
        id: Comes back in `chosen`.
        title: "Extract", as in the menu.
        shortcut: In the system's own words; "" for none.
        enabled: Whether it can be done now.
        group: Heading on the shortcut sheet; the menu it is in.
        words: What else people call it; found, not shown.
    """

    id: str
    title: str
    shortcut: str = ""
    enabled: bool = True
    group: str = ""
    words: str = ""


def fuzzy(query: str, text: str) -> float | None:
    """How well a text answers a query whose letters must occur in it in order; None if they do not.

    A run of letters, the beginning of a word and of the text count more; of equal matches the shorter text is better.
    """
    query, lower = "".join(query.casefold().split()), text.casefold()
    if not query:
        return 0.0
    best: list[float | None] = [None] * len(lower)  # best score of a match whose last letter lies at each place
    for number, letter in enumerate(query):
        now: list[float | None] = [None] * len(lower)
        before: float | None = None if number else 0.0  # best of the matches that end earlier, not just before
        for place, found in enumerate(lower):
            if found == letter:
                starts = 8.0 if place == 0 else 6.0 if not lower[place - 1].isalnum() else 0.0
                joined = best[place - 1] if number and place else None
                options = [score + bonus for score, bonus in ((before, starts), (joined, 5.0)) if score is not None]
                now[place] = 1.0 + max(options) if options else None
            if number and place and (last := best[place - 1]) is not None:
                before = last if before is None else max(before, last)
        best = now
    scores = [score for score in best if score is not None]
    return max(scores) - len(lower) / 100 if scores else None


def search(query: str, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that answer a query, best first; what can be done now before what cannot."""
    found = []
    for entry in entries:
        scores = [fuzzy(query, text) for text in (f"{entry.title} {entry.group}".strip(), entry.words)]
        if best := [score for score in scores if score is not None]:
            found.append((max(best), entry))
    return [entry for _, entry in sorted(found, key=lambda pair: (not pair[1].enabled, -pair[0]))]


_ENTRY: Final = Qt.ItemDataRole.UserRole
_Index = QModelIndex | QPersistentModelIndex


class _Model(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def show_entries(self, entries: list[Entry]) -> None:
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        return 0 if parent.isValid() else len(self.entries)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry = self.entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(part for part in (entry.title, entry.shortcut) if part)
        return entry if role == _ENTRY else None

    def flags(self, index: _Index) -> Qt.ItemFlag:
        usable = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        return usable if self.entries[index.row()].enabled else Qt.ItemFlag.NoItemFlags


class _Delegate(QStyledItemDelegate):
    """Title and group on the left, shortcut on the right."""

    def __init__(self) -> None:
        super().__init__()
        self.theme = DARK

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(0, _ROW_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        entry, theme = index.data(_ENTRY), self.theme
        box: QRect = option.rect.adjusted(6, 1, -6, -1)  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if entry.enabled and option.state & QStyle.StateFlag.State_Selected:  # type: ignore[attr-defined]
            painter.setPen(QColor(theme.accent))
            painter.setBrush(QColor(mix(theme.panel, theme.accent, 0.2)))
            painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        text, flags = box.adjusted(12, 0, -12, 0), Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(theme.text if entry.enabled else theme.third))
        keys = painter.fontMetrics().horizontalAdvance(entry.shortcut)
        title = painter.fontMetrics().elidedText(entry.title, Qt.TextElideMode.ElideRight, text.width() - keys - 16)
        painter.drawText(text, flags | Qt.AlignmentFlag.AlignLeft, title)
        painter.setPen(QColor(theme.second if entry.enabled else theme.third))
        painter.drawText(text, flags | Qt.AlignmentFlag.AlignRight, entry.shortcut)
        if entry.group:
            after = painter.fontMetrics().horizontalAdvance(title) + 10
            if after + painter.fontMetrics().horizontalAdvance(entry.group) + keys + 16 < text.width():
                painter.drawText(text.adjusted(after, 0, 0, 0), flags | Qt.AlignmentFlag.AlignLeft, entry.group)
        painter.restore()


class Palette(QFrame):
    """A search field over a list. Arrows move, Enter chooses, Escape or a click beside it closes.

    Signals:
        chosen: Id of an entry that can be done; the palette has closed by then.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        set_role(self, "popup")
        self.setAccessibleName(self.tr("Commands"))
        self._entries: tuple[Entry, ...] = ()
        self._model, self._delegate = _Model(), _Delegate()
        self.field = QLineEdit()
        set_role(self.field, "search")
        self.field.setPlaceholderText(self.tr("What do you want to do?"))
        self.field.setAccessibleName(self.tr("Search commands"))
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        self.list = QListView()
        self.list.setAccessibleName(self.tr("Commands found"))
        self.list.setModel(self._model)
        self.list.setItemDelegate(self._delegate)
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.entered.connect(self._point)
        self.list.clicked.connect(lambda _: self._choose())
        self._nothing = label(self.tr("No command has these letters."), "second")
        self._nothing.setContentsMargins(18, 8, 18, 12)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 5, 1, 6)
        column.setSpacing(5)
        column.addWidget(self.field)
        column.addWidget(line())
        column.addWidget(self.list)
        column.addWidget(self._nothing)

    def open_with(self, entries: Sequence[Entry]) -> None:
        """Show itself over the top of its parent, with nothing typed."""
        self._entries = tuple(entries)
        self.field.clear()
        self._filter("")
        if parent := self.parentWidget():
            corner = parent.mapToGlobal(QPoint((parent.width() - _WIDTH) // 2, _TOP_PX))
            self.move(corner)
        self.show()
        self.field.setFocus(Qt.FocusReason.PopupFocusReason)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._delegate.theme = theme
        self.list.viewport().update()

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Keys of the list, pressed in the field."""
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() == QKeyEvent.Type.KeyPress:
            steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -8, Qt.Key.Key_PageDown: 8}
            key = Qt.Key(event.key())
            if key in steps:
                self._step(steps[key])
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._choose()
                return True
            if key == Qt.Key.Key_Escape:
                self.close()
                return True
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        found = search(text, self._entries)
        self._model.show_entries(found)
        self.list.setCurrentIndex(self._model.index(0, 0))
        self.list.setFixedHeight(_ROW_PX * min(len(found), _MOST_ROWS))
        self.list.setVisible(bool(found))
        self._nothing.setVisible(not found)
        self.setFixedWidth(_WIDTH)
        self.adjustSize()

    def _step(self, steps: int) -> None:
        usable = sum(entry.enabled for entry in self._model.entries)  # they come first
        if usable:
            row = self.list.currentIndex().row() + steps
            row = row % usable if abs(steps) == 1 else min(max(row, 0), usable - 1)
            self.list.setCurrentIndex(self._model.index(row, 0))

    def _point(self, index: QModelIndex) -> None:
        if self._model.entries[index.row()].enabled:
            self.list.setCurrentIndex(index)

    def _choose(self) -> None:
        row = self.list.currentIndex().row()
        if 0 <= row < len(self._model.entries) and self._model.entries[row].enabled:
            self.close()
            self.chosen.emit(self._model.entries[row].id)
