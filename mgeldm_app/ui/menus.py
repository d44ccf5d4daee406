"""The table of actions (`core.actions`) as Qt actions: menus, shortcuts, the palette's entries."""

from __future__ import annotations

from mgeldm.language import say
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QComboBox, QMainWindow, QSlider

from ..core.actions import ACTIONS, BY_ID, MENUS, Action
from ..core.controller import Controller
from .palette import Entry

_NO_MATTER = ("progress", "growing")  # nothing can be done that could not be done before
HOLD_KEY = Qt.Key.Key_A
_ARROWS = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End)


class Menus(QObject):
    """Fills a window's menu bar and keeps it true.

    Args:
        window: Whose menus.
        controller: Whose actions.
    """

    def __init__(self, window: QMainWindow, controller: Controller) -> None:
        super().__init__(window)
        self.controller, self.window = controller, window
        self.actions: dict[str, QAction] = {}
        self._refreshing = QTimer(self)
        self._refreshing.setSingleShot(True)
        self._refreshing.timeout.connect(self.refresh)
        for menu_name in MENUS:
            menu = window.menuBar().addMenu(say(menu_name))
            for action in (each for each in ACTIONS if each.menu == menu_name):
                menu.addAction(self._made(action))
        controller.session.changed.connect(lambda what: self.refresh_soon() if what not in _NO_MATTER else None)
        controller.player.changed.connect(self.refresh_soon)
        self.refresh()

    def _made(self, action: Action) -> QAction:
        made = QAction(say(action.title) + ("…" if action.dialog else ""), self.window)
        made.setShortcut(QKeySequence(action.shortcut))
        made.setCheckable(action.checked is not None)
        made.triggered.connect(lambda: self.run(action.id))
        self.actions[action.id] = made
        return made

    def run(self, action_id: str) -> None:
        """Do an action, if it can be done now."""
        action = BY_ID[action_id]
        if action.enabled(self.controller):
            action.run(self.controller)
        self.refresh_soon()

    def refresh_soon(self) -> None:
        """Look at what can be done, once, after everything that happens now."""
        self._refreshing.start(0)

    def refresh(self) -> None:
        """Show what can be done, what is on, and what undo would take back."""
        for action in ACTIONS:
            made = self.actions[action.id]
            made.setEnabled(action.enabled(self.controller))
            if action.checked is not None:
                made.setChecked(action.checked(self.controller))
        history = self.controller.session.history
        for action_id, title in (("undo", history.undo_title), ("redo", history.redo_title)):
            name = say("Undo") if action_id == "undo" else say("Redo")
            self.actions[action_id].setText(f"{name}: {title}" if title else name)

    def entries(self) -> list[Entry]:
        """Every action for the palette and the shortcut sheet."""
        found = []
        for action in ACTIONS:
            made = self.actions[action.id]
            shortcut = made.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            found.append(Entry(action.id, made.text().rstrip("…"), shortcut, made.isEnabled(), say(action.menu)))
        return found


class Keys(QObject):
    """What shortcuts alone cannot say: a key that is held, and keys that the focused control needs itself.

    While A is held, the original is heard. A focused button keeps Space, a slider or list its arrows: the keyboard can
    reach everything, and since buttons take no focus from the mouse, Space plays at all other times.
    """

    def __init__(self, controller: Controller, window: QMainWindow) -> None:
        super().__init__(window)
        self.controller, self.window = controller, window
        self._before = ""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at keys on their way."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
            button = isinstance(watched, QAbstractButton) and event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return)
            moved = isinstance(watched, QSlider | QComboBox) and event.key() in _ARROWS
            if plain and (button or moved):
                event.accept()
                return True
        if event.type() in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease) and isinstance(event, QKeyEvent):
            return watched is self.window.windowHandle() and self._held(event)
        if event.type() == QEvent.Type.WindowDeactivate and watched is self.window and self._before:
            self._let_go()
        return False

    def _held(self, event: QKeyEvent) -> bool:
        from PySide6.QtWidgets import QApplication, QLineEdit

        typing = isinstance(QApplication.focusWidget(), QLineEdit)
        if event.key() != HOLD_KEY or event.modifiers() or event.isAutoRepeat() or (typing and not self._before):
            return False
        if event.type() == QEvent.Type.KeyPress and not self._before:
            self._before = self.controller.listening
            self.controller.listen_to("song" if self._before == "stems" else "stems")
        elif event.type() == QEvent.Type.KeyRelease and self._before:
            self._let_go()
        return False

    def _let_go(self) -> None:
        self.controller.listen_to(self._before)
        self._before = ""
