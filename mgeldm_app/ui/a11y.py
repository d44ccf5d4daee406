"""Names and news for those who do not see the window; a walker tells what has no name or no way for the keyboard."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QWidget,
)

_CONTROLS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QAbstractItemView)
_MOST_STEPS = 2000


def describe(widget: QWidget, name: str, description: str = "") -> None:
    """Name a widget for screen readers, and in a tooltip where nothing else is said there."""
    widget.setAccessibleName(name)
    if description:
        widget.setAccessibleDescription(description)
    if not widget.toolTip():
        widget.setToolTip(description or name)


def announce(widget: QWidget, text: str, urgent: bool = False) -> None:
    """Let a screen reader say what happened, wherever the keyboard is; `urgent` does not wait for its sentence to end.
    """
    event = QAccessibleAnnouncementEvent(widget, text)
    kinds = QAccessible.AnnouncementPoliteness
    event.setPoliteness(kinds.Assertive if urgent else kinds.Polite)
    QAccessible.updateAccessibility(event)


def name_of(widget: QWidget) -> str:
    """What a screen reader reads first."""
    interface = QAccessible.queryAccessibleInterface(widget)
    return interface.text(QAccessible.Text.Name).strip() if interface else widget.accessibleName()


def controls(root: QWidget) -> list[QWidget]:
    """Every visible widget under `root` that takes the keyboard or is operated; no parts of other controls."""
    found = []
    for widget in root.findChildren(QWidget):
        parent = widget.parentWidget()
        part = isinstance(parent, QAbstractSpinBox | QComboBox) or isinstance(widget, QScrollBar)
        inside = isinstance(parent, QAbstractScrollArea) and parent.viewport() is widget
        takes_keys = widget.focusPolicy() != Qt.FocusPolicy.NoFocus
        if widget.isVisibleTo(root) and not part and not inside and (takes_keys or isinstance(widget, _CONTROLS)):
            found.append(widget)
    return found


def tab_walk(window: QWidget) -> list[QWidget]:
    """The widgets that get the focus when Tab is pressed again and again in an active window, in that order."""
    visited: list[QWidget] = []
    for _ in range(_MOST_STEPS):
        focus = QApplication.focusWidget() or window
        for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            QApplication.sendEvent(focus, QKeyEvent(kind, Qt.Key.Key_Tab, Qt.KeyboardModifier.NoModifier, "\t"))
        now = QApplication.focusWidget()
        if now is None or now in visited:
            return visited
        visited.append(now)
    return visited


def problems(window: QWidget) -> list[str]:
    """What is wrong with a shown, active window: a sentence for each control without a name or that Tab cannot reach.

    Of buttons of which only one can be down Tab reaches the one that is; arrows reach the others.
    """
    reached = tab_walk(window)
    found = []
    for widget in controls(window):
        known_by = widget.objectName() or name_of(widget)
        label = f"{type(widget).__name__} {known_by!r} in {type(widget.parent()).__name__}"
        if not name_of(widget):
            found.append(f"{label} has no accessible name")
        if widget.isEnabled() and not _reached(widget, reached):
            found.append(f"{label} cannot be reached by Tab")
    return found


def _reached(widget: QWidget, reached: list[QWidget]) -> bool:
    """Whether Tab came to a widget, its proxy or another of its exclusive group."""
    if widget in reached or widget.focusProxy() in reached:
        return True
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    siblings = group.buttons() if group is not None and group.exclusive() else []
    parent = widget.parentWidget()
    if isinstance(widget, QAbstractButton) and widget.autoExclusive() and group is None and parent is not None:
        siblings = [button for button in parent.findChildren(QAbstractButton) if button.autoExclusive()]
    return any(button in reached for button in siblings)
