"""Small widgets that panels and dialogs share."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSignalBlocker, QSize, Qt
from PySide6.QtGui import QDropEvent, QKeyEvent, QKeySequence, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOption,
    QStyleOptionButton,
    QStylePainter,
    QToolButton,
    QWidget,
)

from ..core.actions import BY_ID
from . import a11y
from .icons import icon
from .theme import Theme, set_role

TITLE_BAR_PX = 36  # which a window's system draws over it
_WORD_PX = 36
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


class ElidedButton(QPushButton):
    """A button whose text ends in "…" where there is no room for all of it.

    Args:
        role: Of the stylesheet.
        wide: How its width follows the room there is.
    """

    def __init__(self, role: str = "", wide: QSizePolicy.Policy = QSizePolicy.Policy.Preferred) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(wide, QSizePolicy.Policy.Fixed)
        set_role(self, role)

    @property
    def spared_px(self) -> int:
        """How much narrower than its text it can be, while it is shown."""
        return 0 if self.isHidden() else self.sizeHint().width() - self.minimumSizeHint().width()

    def minimumSizeHint(self) -> QSize:
        """Wide enough for a word's beginning."""
        whole, spared = self.sizeHint(), self.fontMetrics().horizontalAdvance(self.text())
        return whole - QSize(max(0, spared - _WORD_PX), 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The button with as much of its text as fits."""
        option = QStyleOptionButton()
        self.initStyleOption(option)
        room = self.style().subElementRect(QStyle.SubElement.SE_PushButtonContents, option, self).width()
        option.text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, room)  # type: ignore[attr-defined]
        QStylePainter(self).drawControl(QStyle.ControlElement.CE_PushButton, option)


class TextLine(QLineEdit):
    """A field that keeps the keys of editing text and leaves the window's other shortcuts to the window.

    Qt would take Ctrl+K, Ctrl+E and more for itself on some systems: they kill lines there. What was typed is undone
    first; once there is nothing left of that, undo and redo are the project's. Files that are dragged over it are no
    text either: the window opens them.
    """

    def forget(self) -> None:
        """Keep what is typed, and undo none of it any more."""
        blocker, place = QSignalBlocker(self), self.cursorPosition()
        self.setText(self.text())
        self.setCursorPosition(place)
        del blocker

    def event(self, event: QEvent) -> bool:
        """Claim only what editing needs."""
        if isinstance(event, QDropEvent) and event.mimeData().hasUrls():
            event.ignore()
            return True
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


def short(text: str, most: int = 27) -> str:
    """A text that fits a button, or a line of a menu."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def keyed(text: str, action: str) -> str:
    """A hint with the key of an action of the table: "Loop the region (L)"."""
    keys = QKeySequence(BY_ID[action].shortcut).toString(QKeySequence.SequenceFormat.NativeText)
    return f"{text} ({keys})" if keys else text


def held(key: str) -> str:
    """What stands before another key, or a move of the mouse, while this one is held: "Ctrl+", on a Mac the sign."""
    return QKeySequence(f"{key}+A").toString(QKeySequence.SequenceFormat.NativeText).removesuffix("A")


def within_screen(dialog: QWidget, width: int, height: int = 0) -> QSize:
    """A first size of a dialog, no larger than there is room for on its screen."""
    return QSize(width, height).boundedTo(dialog.screen().availableSize() - QSize(0, TITLE_BAR_PX))


def line() -> QFrame:
    """A hair line across."""
    made = QFrame()
    set_role(made, "line")
    return made
