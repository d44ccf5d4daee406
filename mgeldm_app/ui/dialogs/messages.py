"""Notices that float over the window's foot and wait for nobody: what happened, and what can be done about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from .. import a11y
from ..icons import icon
from ..parts import IconButton, button
from ..theme import DARK, Theme, set_role

_WIDTH, _GAP, _ICON_PX = 560, 16, 18
_MOST, _STAYS_MS = 3, 7000
_LONG_WORD = re.compile(r"\S{25,}")
_BREAKS = re.compile(r"[-_./\\]|[^-_./\\]{8}(?![\u0300-\u036f\u200d\ufe0f])")  # no accent leaves its letter

Kind = Literal["info", "good", "warn", "bad"]


@dataclass(frozen=True)
class Notice:
    """Something to say.

    Attributes:
        key: Comes back in signals; a new notice of the same key takes the old one's place.
        text: A sentence or two.
        kind: Of what sort; "info" and "good" leave by themselves, unless pointer or keyboard is on them.
        actions: What can be done about it: (id, what the button says).
        details: For a report; gives a button that copies text and details.
    """

    key: str
    text: str
    kind: Kind = "info"
    actions: tuple[tuple[str, str], ...] = ()
    details: str = ""


def _breakable(text: str) -> str:
    """The text with room for a line's end in words that no line has room for, as names of files may be."""
    return _LONG_WORD.sub(lambda word: _BREAKS.sub("\\g<0>\u200b", word[0]), text)


class _NoticeWidget(QFrame):
    """One notice."""

    def __init__(self, bar: MessageBar, notice: Notice) -> None:
        super().__init__()
        self._bar, self.notice = bar, notice
        set_role(self, "message")
        self.setAccessibleName(notice.text)
        self._sign = QLabel()
        self._sign.setFixedSize(_ICON_PX, _ICON_PX)
        text = QLabel(_breakable(notice.text))
        text.setAccessibleName(notice.text)
        text.setWordWrap(True)
        text.setTextFormat(Qt.TextFormat.PlainText)
        self.close_button = IconButton("close", self.tr("Dismiss"))
        self.close_button.clicked.connect(lambda: bar.dismiss(notice.key))
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 8, 8, 8)
        row.setSpacing(8)
        row.addWidget(self._sign)
        row.addSpacing(4)
        row.addWidget(text, 1)
        self.buttons = {}
        for action, says in notice.actions:
            made = self.buttons[action] = button(says)
            made.clicked.connect(lambda _=False, action=action: bar.act(notice.key, action))
            row.addWidget(made)
        if notice.details:
            self.copy = button(self.tr("Copy diagnostics"), "flat")
            self.copy.clicked.connect(self._copy)
            row.addWidget(self.copy)
        row.addWidget(self.close_button)
        self.timer = QTimer(self)
        self.timer.setSingleShot(True)
        self.timer.setInterval(_STAYS_MS)
        self.timer.timeout.connect(self._leave)
        if notice.kind in ("info", "good"):
            self.timer.start()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        colour = {"info": theme.accent, "good": theme.good, "warn": theme.warn, "bad": theme.bad}[self.notice.kind]
        name = {"info": "info", "good": "good", "warn": "warning", "bad": "warning"}[self.notice.kind]
        self._sign.setPixmap(icon(name, colour).pixmap(_ICON_PX, _ICON_PX))
        self.close_button.set_theme(theme)

    def _leave(self) -> None:
        """Go, or stay for longer while the pointer or the keyboard is on it."""
        focus = QApplication.focusWidget()
        if self.underMouse() or (focus is not None and self.isAncestorOf(focus)):
            self.timer.start()
        else:
            self._bar.dismiss(self.notice.key)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(f"{self.notice.text}\n{self.notice.details}")
        self.copy.setText(self.tr("Copied"))


class MessageBar(QWidget):
    """Up to three notices, the latest at the bottom, over the foot of the parent's area.

    Signals:
        acted: Key of the notice and id of the action; the notice has gone by then.
        dismissed: Key of a notice that went without an action.
    """

    acted = Signal(str, str)
    dismissed = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._widgets: dict[str, _NoticeWidget] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self.setAccessibleName(self.tr("Notices"))
        parent.installEventFilter(self)
        self.hide()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What is shown, from top to bottom."""
        return tuple(widget.notice for widget in self._widgets.values())

    def say(self, notice: Notice) -> None:
        """Show a notice; of more than three the oldest goes."""
        self._drop(notice.key)
        while len(self._widgets) >= _MOST:
            self.dismiss(next(iter(self._widgets)))
        widget = self._widgets[notice.key] = _NoticeWidget(self, notice)
        widget.set_theme(self._theme)
        self._column.addWidget(widget)
        widget.show()
        self._place()  # first: it never appears in a corner
        self.show()
        a11y.announce(self, notice.text, urgent=notice.kind == "bad")

    def act(self, key: str, action: str) -> None:
        """As if the button of an action was pressed."""
        self._drop(key)
        self.acted.emit(key, action)

    def dismiss(self, key: str) -> None:
        """Take a notice away; one that is not there is no error."""
        if self._drop(key):
            self.dismissed.emit(key)

    def forget_errors(self, with_details: bool = True) -> None:
        """Take away what stays until somebody has read it: it is about what is no longer there.

        Args:
            with_details: Also what can be reported.
        """
        for notice in self.notices:
            if notice.kind in ("warn", "bad") and (with_details or not notice.details):
                self.dismiss(notice.key)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        for widget in self._widgets.values():
            widget.set_theme(theme)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the parent's size."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent) -> bool:
        """Follow the notices' sizes."""
        if event.type() == QEvent.Type.LayoutRequest:
            self._place()
        return super().event(event)

    def _drop(self, key: str) -> bool:
        widget = self._widgets.pop(key, None)
        if widget is None:
            return False
        widget.timer.stop()
        self._column.removeWidget(widget)
        widget.hide()
        widget.deleteLater()
        self.setVisible(bool(self._widgets))
        self._place()
        return True

    def _place(self) -> None:
        parent = self.parentWidget()
        if parent is None or not self._widgets:
            return
        width = min(_WIDTH, parent.width() - 2 * _GAP)
        self._column.activate()
        height = self._column.totalHeightForWidth(width)
        self.setGeometry((parent.width() - width) // 2, parent.height() - _GAP - height, width, height)
        self.raise_()
