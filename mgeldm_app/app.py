"""The composition root: makes everything, wires it, runs it. Nothing else."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mgeldm.bundled import APP_ICON
from mgeldm.errors import AudioError
from mgeldm.language import say
from PySide6.QtCore import QCoreApplication, QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QFileOpenEvent, QFont, QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication

from .core import reports
from .core.clips import Frames
from .core.controller import Controller
from .core.files import let_many_be_open
from .core.project import Audio
from .core.session import Session
from .core.settings import damaged_copy, is_damaged, settings_path
from .services.analysis import analyse
from .services.devices import Devices
from .services.engine import Engine
from .services.playback import SoundPlayer
from .services.workers import Workers
from .ui.bridge import Bridge
from .ui.language import take_language
from .ui.main_window import MainWindow

SAVE_MS = 300  # of what somebody types or drags
LARGE_BYTES = 1 << 20
"""From this size on, memory is asked of the system block by block, and goes back to it with the block."""
WARM_UP_MS = 300  # after the window is there: the model loads while the user looks for a song
NO_DISPLAY = (
    "There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set), so no window can be shown. Start the program in "
    "a desktop session, or use the command line, mgeldm; QT_QPA_PLATFORM=offscreen runs it unseen."
)


@dataclass
class App:
    """The parts of a running program."""

    qt: QApplication
    bridge: Bridge
    controller: Controller
    window: MainWindow


class Application(QApplication):
    """Qt's application. On macOS the system hands a running program files to open: `handed` has them."""

    handed = Signal(Path)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent) and event.file():
            self.handed.emit(Path(event.file()))
            return True
        return super().event(event)


def has_display() -> bool:
    """Whether a window can be shown, or the user has said where to draw it."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in names)


def qt_application() -> QApplication:
    """The one Qt application."""
    there = QApplication.instance()
    if isinstance(there, QApplication):
        return there
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    QCoreApplication.setApplicationName("MGE-LDM Desktop")
    QCoreApplication.setOrganizationName("mgeldm-desktop")
    application = Application(sys.argv[:1])
    application.setDesktopFileName("mgeldm-desktop")
    application.setWindowIcon(QIcon(str(APP_ICON)))
    application.setFont(QFont(application.font().family(), 10))
    take_language(application)
    return application


def _give_memory_back() -> None:
    """Keep glibc from raising that size to 32 MB by itself: each thread would then hold on to 64 MB that are free."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt, trim_threshold, mmap_threshold = ctypes.CDLL("libc.so.6").mallopt, -1, -3
        mallopt(mmap_threshold, LARGE_BYTES)
        mallopt(trim_threshold, 2 * LARGE_BYTES)


def build(devices: Devices | None = None) -> App:
    """Everything, with the window not yet shown; `devices` in place of the computer's sound cards."""
    _give_memory_back()
    let_many_be_open()
    application = qt_application()
    bridge = Bridge(application)
    session, damaged = Session(), is_damaged()

    def view(audio: Audio) -> Frames:
        if session.store is None:
            raise AudioError("No project is open.")
        return session.store.view(audio)

    player, engine = SoundPlayer(view, bridge.post, devices), Engine(bridge.post)
    workers, saver, porters = Workers(bridge.post), Workers(bridge.post, threads=1), Workers(bridge.post)
    controller = Controller(session, engine, player, workers, saver, porters, analyse)
    controller.documents.later = lambda save: QTimer.singleShot(SAVE_MS, save)
    app = App(application, bridge, controller, MainWindow(controller))
    if damaged:
        session.tell(
            say(
                "The settings could not be read, so all are as at first; what was in {file} is kept as {copy}.",
                file=settings_path(),
                copy=damaged_copy().name,
            ),
            error=True,
        )
    return app


def end_on_signals(window: MainWindow) -> None:
    """Ctrl+C in the terminal, and a system that shuts down, close the window: everything is saved, nothing is asked.

    Python calls a handler between any two of its instructions, which the window's timer sees to even when nobody does
    anything; closing is left to the event loop. The same signal once more ends the program as if there were no handler.
    """

    def end() -> None:
        window.asks = False
        if not window.isHidden():
            window.close()
        QCoreApplication.exit()  # also out of a dialog

    def handle(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        QTimer.singleShot(0, end)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, handle)


def run(paths: Sequence[Path] = (), demo: bool = False) -> int:
    """Show the window and run until it is closed; returns the exit status. Without a display it says so.

    Args:
        paths: A song or a project to open.
        demo: Open the demo song.
    """
    if not has_display():
        print(f"mgeldm-desktop: {NO_DISPLAY}", file=sys.stderr)
        return 1
    app = build()
    if isinstance(app.qt, Application):
        app.qt.handed.connect(lambda path: app.controller.documents.open_paths([path]))
    reports.install(lambda text, details: app.bridge.post(lambda: app.window.tell(text, True, details)))
    end_on_signals(app.window)
    app.window.show()
    if demo:
        app.controller.wants.emit("demo")
    elif paths:
        app.controller.documents.open_paths(paths)
    QTimer.singleShot(WARM_UP_MS, app.controller.engine.warm_up)
    QTimer.singleShot(WARM_UP_MS, gc.freeze)  # what is there now stays: each look for garbage in it holds up the sound
    return app.qt.exec()
