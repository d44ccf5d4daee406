"""The shortcut sheet: every key of the window, by menu, made from the same entries as the palette."""

from __future__ import annotations

from collections.abc import Sequence

from mgeldm.language import say
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from ..core.actions import BY_ID
from .palette import Entry
from .parts import button, label, within_screen
from .theme import set_role

_COLUMNS = 3


def grouped(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries that have a key, by group, in the order in which groups first occur."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.shortcut:
            groups.setdefault(entry.group, []).append(entry)
    return groups


def in_columns(groups: dict[str, list[Entry]], columns: int = _COLUMNS) -> list[list[str]]:
    """Names of groups spread over columns of about equal height, each on the shortest so far."""
    heights, spread = [0] * columns, [[] for _ in range(columns)]  # type: tuple[list[int], list[list[str]]]
    for name, entries in groups.items():
        column = heights.index(min(heights))
        spread[column].append(name)
        heights[column] += len(entries) + 2
    return [names for names in spread if names]


class ShortcutSheet(QDialog):
    """A window of keys."""

    def __init__(self, entries: Sequence[Entry], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        groups = grouped(entries)
        sheet = QWidget()
        columns = QHBoxLayout(sheet)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(40)
        for names in in_columns(groups):
            column = QVBoxLayout()
            column.setSpacing(20)
            for name in names:
                column.addLayout(self._group(name, groups[name]))
            column.addStretch()
            columns.addLayout(column, 1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(sheet)
        scroll.setAccessibleName(self.tr("Shortcuts"))
        close = button(self.tr("Close"))
        close.clicked.connect(self.reject)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(24, 20, 24, 20)
        whole.setSpacing(16)
        whole.addWidget(label(self.tr("Keyboard shortcuts"), "title"))
        whole.addWidget(scroll)
        whole.addWidget(close, alignment=Qt.AlignmentFlag.AlignRight)
        self.resize(within_screen(self, 960, min(720, sheet.sizeHint().height() + 140)))

    def _group(self, name: str, entries: Sequence[Entry]) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 1)
        grid.addWidget(label(name, "heading"), 0, 0, 1, 2)
        for row, entry in enumerate(entries, 1):
            plain = say(BY_ID[entry.id].title) if entry.id in BY_ID else entry.title  # not "Undo: rename"
            title = label(plain, "second")
            title.setWordWrap(True)
            keys = label(entry.shortcut)
            set_role(keys, "key")
            grid.addWidget(title, row, 0, Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(keys, row, 1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        return grid
