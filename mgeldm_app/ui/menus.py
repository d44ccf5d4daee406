"""The table of actions (`core.actions`) as Qt actions: menus, shortcuts, the palette's entries."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from mgeldm.language import say
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QAction, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMainWindow,
)

from ..core.actions import ACTIONS, BY_ID, GROUPS, MENUS, OTHER_WORDS, Action
from ..core.controller import Controller
from ..core.settings import latest
from .lanes.minimap import Minimap
from .palette import Entry
from .parts import short

_NO_MATTER = ("progress", "growing")  # nothing can be done that could not be done before
_NOW = 40  # letters of a menu's line that say how it stands: a prompt would make the menu as wide as the screen
HOLD_KEY = Qt.Key.Key_A
_PRESSES = (Qt.Key.Key_Space, Qt.Key.Key_Return)
_ARROWS = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down)
_MOVES = (*_ARROWS, Qt.Key.Key_Home, Qt.Key.Key_End)


class Menus(QObject):
    """Fills a window's menu bar and keeps it true.

    Args:
        window: Whose menus.
        controller: Whose actions.
        keys: Knows which keys are held.
    """

    def __init__(self, window: QMainWindow, controller: Controller, keys: Keys) -> None:
        super().__init__(window)
        self.controller, self.window, self._keys = controller, window, keys
        self.actions: dict[str, QAction] = {}
        self._refreshing = QTimer(self)
        self._refreshing.setSingleShot(True)
        self._refreshing.timeout.connect(self.refresh)
        for menu_name, title in zip(MENUS, _with_keys([say(name) for name in MENUS]), strict=True):
            menu = window.menuBar().addMenu(title)
            for action in (each for each in ACTIONS if each.menu == menu_name):
                if action.id in GROUPS:
                    menu.addSeparator()
                menu.addAction(self._made(action))
                if action.id == "open":
                    self.recent = menu.addMenu(self.tr("Open recent"))
                    menu.aboutToShow.connect(self._show_recent)
        controller.session.changed.connect(lambda what: self.refresh_soon() if what not in _NO_MATTER else None)
        controller.player.changed.connect(self.refresh_soon)
        controller.settings_changed.connect(lambda _: self.refresh_soon())
        self.refresh()

    def _made(self, action: Action) -> QAction:
        made = QAction(say(action.title) + ("…" if action.dialog else ""), self.window)
        made.setShortcuts(_keys_of(action.shortcut))
        made.setAutoRepeat(action.repeats)
        made.setCheckable(action.checked is not None)
        made.triggered.connect(lambda: self.run(action.id))
        self.actions[action.id] = made
        return made

    def _show_recent(self) -> None:
        """The projects opened last, which may be those of another window by now."""
        self.recent.clear()
        paths = latest(self.controller.settings).recent
        for path in map(Path, paths):
            open_it = partial(self.controller.documents.open_paths, [path])
            self.recent.addAction(path.stem.replace("&", "&&"), open_it).setToolTip(str(path))
        self.recent.setToolTipsVisible(True)
        self.recent.setEnabled(bool(paths))

    def run(self, action_id: str) -> None:
        """Do an action, if it can be done now; while a key is held, again only if it is a step of many."""
        action = BY_ID[action_id]
        if action.enabled(self.controller) and (action.repeats or not self._keys.repeated):
            action.run(self.controller)
        self.refresh_soon()

    def refresh_soon(self) -> None:
        """Look at what can be done, once, after everything that happens now."""
        self._refreshing.start(0)

    def refresh(self) -> None:
        """Show what can be done, what is on, and how it stands."""
        for action in ACTIONS:
            made = self.actions[action.id]
            made.setEnabled(action.enabled(self.controller))
            if action.checked is not None:
                made.setChecked(action.checked(self.controller))
            if action.now is not None:
                now = short(action.now(self.controller), _NOW)
                now = now.replace("&", "&&")  # a single one would underline what follows
                made.setText(": ".join(text for text in (say(action.title), now) if text))

    def entries(self) -> list[Entry]:
        """Every action for the palette and the shortcut sheet."""
        found = []
        for action in ACTIONS:
            made = self.actions[action.id]
            shortcut = made.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            title, menu = made.text().replace("&&", "&"), say(action.menu)
            title = title.removesuffix("…") if action.dialog else title
            words = OTHER_WORDS.get(action.id, "")
            found.append(Entry(action.id, title, shortcut, made.isEnabled(), menu, say(words) if words else ""))
        return found


def _with_keys(titles: Sequence[str]) -> Iterator[str]:
    """Titles of menus with a letter for Alt in each, as early as it is free."""
    taken: set[str] = set()
    for title in titles:
        at = next((i for i, letter in enumerate(title) if letter.isalnum() and letter.casefold() not in taken), None)
        if at is not None:
            taken.add(title[at].casefold())
        yield title if at is None else f"{title[:at]}&{title[at:]}"


def _keys_of(shortcut: str) -> list[QKeySequence]:
    """A shortcut as this system's keyboards have it: the key that a Mac calls Delete is Qt's Backspace."""
    keys = [shortcut] if shortcut else []
    if sys.platform == "darwin" and shortcut.split("+")[-1] == "Delete":
        keys.insert(0, shortcut.replace("Delete", "Backspace"))
    return [QKeySequence(key) for key in keys]


class Keys(QObject):
    """What shortcuts alone cannot say: a key that is held, and keys that the focused control needs itself.

    While A is held, the original is heard. A focused button keeps Space, and a slider, a dial, a list, the strip of the
    whole song and one of several buttons keep their arrows: the keyboard can reach everything, and since buttons take
    no focus from the mouse, Space plays at all other times.

    Attributes:
        repeated: Whether the key that is down was pressed before, and only held since.
    """

    def __init__(self, controller: Controller, window: QMainWindow) -> None:
        super().__init__(window)
        self.controller, self.window = controller, window
        self.repeated = False
        self._released = (0, 0)  # which key, and when
        self._before = ""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at keys on their way."""
        if isinstance(event, QKeyEvent):
            self._follow(event)
        elif event.type() == QEvent.Type.MouseButtonPress:
            self.repeated = False  # where a key is released in another program, nobody hears of it
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier  # as arrows have on macOS
            if plain and _needs(watched, event.key()):
                event.accept()
                return True
        if event.type() in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease) and isinstance(event, QKeyEvent):
            return watched is self.window.windowHandle() and self._held(event)
        if event.type() == QEvent.Type.WindowDeactivate and watched is self.window and self._before:
            self._let_go()
        return False

    def _follow(self, event: QKeyEvent) -> None:
        """On X11, Qt often takes a key that is held for one released and pressed, both in the same millisecond."""
        this = event.key(), event.timestamp()
        if event.type() == QEvent.Type.KeyRelease:
            self.repeated, self._released = False, this
        else:
            on_x11 = QGuiApplication.platformName() == "xcb"
            self.repeated = event.isAutoRepeat() or (on_x11 and this == self._released)

    def _held(self, event: QKeyEvent) -> bool:
        """The key is the one that was pressed, whatever else is held by the time it is released."""
        if event.key() != HOLD_KEY or event.isAutoRepeat():
            return False
        typing = isinstance(QApplication.focusWidget(), QLineEdit | QAbstractSpinBox)
        if event.type() == QEvent.Type.KeyRelease and self._before:
            self._let_go()
        elif event.type() == QEvent.Type.KeyPress and not (self._before or typing or event.modifiers()):
            self._before = self.controller.listening
            self.controller.listen_to("song" if self._before == "stems" else "stems")
        return False

    def _let_go(self) -> None:
        self.controller.listen_to(self._before)
        self._before = ""


def _needs(widget: QObject, key: int) -> bool:
    """Whether a control with the keyboard has a use of its own for a key."""
    if isinstance(widget, QAbstractButton):
        group = widget.group()
        return key in _PRESSES or (group is not None and group.exclusive() and key in _ARROWS)
    return isinstance(widget, QAbstractSlider | QComboBox | Minimap) and key in _MOVES
