"""Small widgets that panels and dialogs share."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSignalBlocker, QSize, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QFrame, QLabel, QLineEdit, QPushButton, QSizePolicy, QStyleOption, QToolButton, QWidget

from ..core.actions import BY_ID
from . import a11y
from .icons import icon
from .theme import Theme, set_role

_KEY = Qt.Key
_EDITING_KEYS = frozenset(
    {
        _KEY.Key_A, _KEY.Key_C, _KEY.Key_V, _KEY.Key_X, _KEY.Key_Y, _KEY.Key_Z, _KEY.Key_Left, _KEY.Key_Right,
        _KEY.Key_Up, _KEY.Key_Down, _KEY.Key_Home, _KEY.Key_End, _KEY.Key_Backspace, _KEY.Key_Delete, _KEY.Key_Insert,
    }
)  # fmt: skip


class ElidedLabel(QLabel):
    """One line that gives way: what does not fit ends in "…", and the tooltip says all of it."""

    def __init__(self, role: str = "", mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight) -> None:
        super().__init__()
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        set_role(self, role)

    def minimumSizeHint(self) -> QSize:
        """Wide enough for an ellipsis."""
        return QSize(min(24, super().sizeHint().width()), super().minimumSizeHint().height())

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw what fits."""
        option = QStyleOption()
        option.initFrom(self)
        painter = QPainter(self)
        shown = self.fontMetrics().elidedText(self.text(), self._mode, self.contentsRect().width())
        self.setToolTip(self.text() if shown != self.text() else "")
        align = self.alignment() | Qt.AlignmentFlag.AlignVCenter
        self.style().drawItemText(
            painter, self.contentsRect(), align, option.palette, self.isEnabled(), shown, QPalette.ColorRole.WindowText
        )


class TextLine(QLineEdit):
    """A field that keeps the keys of editing text and leaves the window's other shortcuts to the window.

    Qt would take Ctrl+K, Ctrl+E and more for itself on some systems: they kill lines there. What was typed is undone
    first; once there is nothing left of that, undo and redo are the project's.
    """

    def forget(self) -> None:
        """Keep what is typed, and undo none of it any more."""
        blocker, place = QSignalBlocker(self), self.cursorPosition()
        self.setText(self.text())
        self.setCursorPosition(place)
        del blocker

    def event(self, event: QEvent) -> bool:
        """Claim only what editing needs."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            control = event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.MetaModifier)
            undo, redo = QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo
            done = event.matches(undo) and not self.isUndoAvailable()
            undone = event.matches(redo) and not self.isRedoAvailable()
            if done or undone or (control and event.key() not in _EDITING_KEYS):
                event.ignore()
                return False
        return super().event(event)


class IconButton(QToolButton):
    """A button with an icon alone; its name is read aloud and shown in the tooltip.

    Args:
        name: File name of the icon.
        label: What the button does.
        role: Of the stylesheet.
        size: Of the button, in pixels.
        icon_px: Of the icon.
    """

    def __init__(
        self, name: str, label: str, role: str = "flat", size: tuple[int, int] = (26, 26), icon_px: int = 16
    ) -> None:
        super().__init__()
        self._name = name
        self._theme: Theme | None = None
        self.setFixedSize(*size)
        self.setIconSize(QSize(icon_px, icon_px))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        a11y.describe(self, label)
        set_role(self, role)

    def set_icon(self, name: str) -> None:
        """Show another icon."""
        if name != self._name:
            self._name = name
            if self._theme:
                self.set_theme(self._theme)

    def set_label(self, label: str) -> None:
        """Say something else."""
        self.setToolTip(label)
        self.setAccessibleName(label)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        calm, on = {"flat": (theme.second, theme.text), "play": (theme.on_accent, theme.on_accent)}.get(
            self.property("role"), (theme.text, theme.on_accent)
        )
        self.setIcon(icon(self._name, calm, theme.third, on))


def button(text: str, role: str = "", checkable: bool = False, hint: str = "") -> QPushButton:
    """A push button that a click does not focus, so that keys keep going where they went."""
    made = QPushButton(text)
    made.setCheckable(checkable)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    made.setToolTip(hint)
    made.setAutoDefault(False)
    set_role(made, role)
    return made


def label(text: str = "", role: str = "", buddy: QWidget | None = None) -> QLabel:
    """A label of a role, that names `buddy` for screen readers."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    set_role(made, role)
    if buddy is not None:
        made.setBuddy(buddy)
        if not buddy.accessibleName():
            buddy.setAccessibleName(text)
    return made


def keyed(text: str, action: str) -> str:
    """A hint with the key of an action of the table: "Loop the region (L)"."""
    keys = QKeySequence(BY_ID[action].shortcut).toString(QKeySequence.SequenceFormat.NativeText)
    return f"{text} ({keys})" if keys else text


def held(key: str) -> str:
    """What stands before another key, or a move of the mouse, while this one is held: "Ctrl+", on a Mac the sign."""
    return QKeySequence(f"{key}+A").toString(QKeySequence.SequenceFormat.NativeText).removesuffix("A")


def line() -> QFrame:
    """A hair line across."""
    made = QFrame()
    set_role(made, "line")
    return made
