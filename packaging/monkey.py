# ruff: noqa: E402 (the tests' fakes are found once the path is set)
"""Random valid actions, for as long as is wanted: `python packaging/monkey.py --minutes 30 --seed 1`.

The real window, the real player on the silent clock, and an engine: a fake one that is quick (thousands of actions), or
with `--engine real` the model in its process. After each action nothing may have been raised and every clip must be
there; now and then all comes to rest, and the project on the disk, the sum of the stems and the way back to the first
state are looked at. In the end no thread, timer, widget or process may be left. Prints one line; exit status 1 and the
last actions if something broke.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import itertools
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[0] = str(ROOT)

import numpy as np
import psutil
from mgeldm.audio import AudioClip, read, write
from mgeldm.requests import QUALITIES
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QDesktopServices, QKeySequence, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QMenu, QMessageBox, QWidget
from shiboken6 import isValid

from mgeldm_app.app import App, build, qt_application
from mgeldm_app.core import storage
from mgeldm_app.core.actions import ACTIONS, TASK_TITLES
from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.jobs import Failed, Filled, Finished, Progressed, Started
from mgeldm_app.core.project import Project, Span, Tempo
from mgeldm_app.core.sound import read_lane
from mgeldm_app.self_test import NoDevices
from mgeldm_app.ui.dialogs.export import ExportDialog
from mgeldm_app.ui.dialogs.settings import SettingsDialog
from mgeldm_app.ui.palette import Palette
from tests.fakes.bad_files import BAD, BAD_INSIDE
from tests.fakes.world import FakeEngine, write_song

DEMO = ROOT / "resources" / "demo" / "demo.flac"
PROMPTS = ("bass", "drums", "the slide guitar", "a warm Rhodes part", "bass, drums", "vocals, organ", "Bass", "ü 鼓")
REST_S, PATIENCE_S = 120.0, 20.0  # within which everything must come to rest, and after which all jobs are cancelled
NULL = 1e-6
BASE_SHARE, BASE_S = 0.2, 120.0  # of the run, or seconds, after which memory is measured first
CENSUS_S, SEVERAL = 60.0, 3  # one census more or less is chance: memory counts by the middle one of several
GROWTH = 0.1
ONCE = 4  # timers, widgets: what is made at the first use, and kept
FAILS = 0.04
IGNORED = ("This plugin does not support", "propagateSizeHints", "QFont::", "Populating font", "OpenType support")


class Broken(Exception):
    """Something that must hold does not."""


class QuickEngine(FakeEngine):
    """The fake engine at work by itself: a piece of a job every few milliseconds, and sometimes it fails."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng, self._shares, self._stopping = rng, {}, set()  # type: ignore[var-annotated]
        self._timer = QTimer()
        self._timer.timeout.connect(self._step)
        self._timer.start(4)

    def cancel(self, job_id: str) -> None:
        """As the real one: it takes a moment."""
        self._stopping.add(job_id)
        QTimer.singleShot(self._rng.choice((0, 20)), lambda: super(QuickEngine, self).cancel(job_id))

    def close(self) -> None:
        """No more work."""
        self._timer.stop()
        super().close()

    def _step(self) -> None:
        jobs = [job for job in self.jobs if job.id not in self._stopping]
        if not jobs:
            return
        job = min(jobs, key=lambda job: not job.urgent)
        share = self._shares.pop(job.id, 0.0)
        if not share:
            self.events.emit(Started(job.id))
        if self._rng.random() < FAILS:
            self.jobs.remove(job)
            self.events.emit(Failed(job.id, "The model's process ended; try once more.", "signal 9"))
            return
        end = min(share + self._rng.choice((0.2, 0.5, 1.0)), 1.0)
        stop = self._fill(job, share, end)
        self.events.emit(Progressed(job.id, "windows", round(4 * end), 4, 1.5))
        self.events.emit(Filled(job.id, 0, stop))
        if end < 1:
            self._shares[job.id] = end
        else:
            self.jobs.remove(job)
            self.events.emit(Finished(job.id, 0.5, 10.0))


class Answers(QObject):
    """Whoever sits before the dialogs: fills them in by chance, then accepts or closes them."""

    def __init__(self, rng: random.Random, folder: Path) -> None:
        super().__init__()
        self.rng, self.folder = rng, folder
        self.files: Callable[[], Path] = lambda: folder / "nothing"
        self._over = False
        self._numbers = itertools.count()
        self._look()

    def end(self) -> None:
        """Nobody answers any more."""
        self._over = True

    def open_file(self, *_: object) -> tuple[str, str]:
        """For `QFileDialog.getOpenFileName`."""
        return (str(self.files()) if self.rng.random() < 0.7 else ""), ""

    def save_file(self, *_: object) -> tuple[str, str]:
        """For `QFileDialog.getSaveFileName`: sometimes a place that is taken."""
        number = next(self._numbers)
        chosen = self.rng.choice(("", f"copy {number}", f"copy {number}.mgeldm", "copy 0", "no such folder/x"))
        return (str(self.folder / "copies" / chosen) if chosen else ""), ""

    def _look(self) -> None:
        if self._over:
            return
        QTimer.singleShot(8, self._look)  # first: what follows may open a dialog, and returns when that is closed
        popup, dialog = QApplication.activePopupWidget(), QApplication.activeModalWidget()
        if popup is not None:
            self._answer_popup(popup)
        elif isinstance(dialog, ExportDialog):
            self._answer_export(dialog)
        elif isinstance(dialog, SettingsDialog):
            self._answer_settings(dialog)
        elif isinstance(dialog, QMessageBox) and dialog.buttons():
            self.rng.choice(dialog.buttons()).click()
        elif isinstance(dialog, QDialog):
            dialog.reject()

    def _answer_popup(self, popup: QWidget) -> None:
        if isinstance(popup, Palette) and self.rng.random() < 0.7:
            QTest.keyClicks(popup.field, self.rng.choice(("mute", "zo", "und", "xyzzy", "e", "loop")))
            QTest.keyClick(popup.field, Qt.Key.Key_Return)
        elif isinstance(popup, QMenu) and self.rng.random() < 0.7:
            usable = [action for action in popup.actions() if action.isEnabled() and not action.isSeparator()]
            popup.close()
            self.rng.choice(usable).trigger() if usable else None
        if isValid(popup) and popup.isVisible():
            popup.close()

    def _answer_export(self, dialog: ExportDialog) -> None:
        for radio in (dialog.whole, dialog.region, dialog.each, dialog.mix, dialog.faders):
            if radio.isEnabled() and self.rng.random() < 0.4:
                radio.click()
        forms = [row for row in range(dialog.format.count()) if dialog.format.itemData(row)]  # the others separate
        dialog.format.setCurrentIndex(self.rng.choice(forms))
        dialog.pattern.setText(self.rng.choice(("{song} {lane}", "{number} {lane} {bpm}", "{nonsense}", "x")))
        dialog.folder.edit.setText(str(self.folder / "exported"))
        self._close(dialog)

    def _answer_settings(self, dialog: SettingsDialog) -> None:
        for combo in (dialog.latency, dialog.quality, dialog.theme):
            combo.setCurrentIndex(self.rng.randrange(combo.count()))
        if self.rng.random() < 0.2:
            dialog.models_clicked.emit()
        self._close(dialog)

    def _close(self, dialog: Any) -> None:
        if dialog.accept_button.isEnabled() and self.rng.random() < 0.7:
            dialog.accept_button.click()
        elif isValid(dialog):
            dialog.reject()


class Hands:
    """What a user may do, each by a method; `act` does one.

    Args:
        app: The program.
        rng: Chooses.
        songs: Files that can be opened.
        bad: Files that cannot.
    """

    def __init__(self, app: App, rng: random.Random, songs: list[Path], bad: list[Path]) -> None:
        self.c, self.window, self.rng, self.songs, self.bad = app.controller, app.window, rng, songs, bad
        self.table = [action for action in ACTIONS if action.id not in ("quit", "demo")]
        self.weighted = {
            self.from_table: 30, self.select_region: 10, self.edit_lane: 16, self.choose_take: 3, self.choose_lanes: 8,
            self.ask: 10, self.type_prompt: 4, self.drop_files: 2, self.open_again: 1, self.storm: 3, self.resize: 1,
            self.click_somewhere: 6, self.turn_wheel: 2, self.press_keys: 4, self.tend_jobs: 4, self.set_tempo: 2,
            self.hold_key: 1, self.drag_out: 1, self.play_at: 3, self.demo: 0.2,
        }  # fmt: skip

    def act(self) -> str:
        """Do something; in a few words what."""
        (chosen,) = self.rng.choices(list(self.weighted), list(self.weighted.values()))
        return f"{chosen.__name__} {chosen() or ''}".strip()

    def file(self) -> Path:
        """Something to open: mostly a song, sometimes a project, or what cannot be opened."""
        recent = [Path(path) for path in self.c.settings.recent]
        kinds = [self.songs, self.songs, self.bad, recent or self.songs]
        return self.rng.choice(self.rng.choice(kinds))

    # ------------------------------------------------------------------------------------------------------- the table

    def from_table(self) -> str:
        """An action that can be done now."""
        action = self.rng.choice([each for each in self.table if each.enabled(self.c)])
        self.window.menus.run(action.id)
        return action.id

    def demo(self) -> None:
        """The demo song."""
        self.window.menus.run("demo")

    def press_keys(self) -> str:
        """A shortcut, into whatever has the focus."""
        action = self.rng.choice([each for each in self.table if each.shortcut])
        target = QApplication.focusWidget() or self.window
        QTest.keySequence(target, QKeySequence(action.shortcut))
        return action.shortcut

    def hold_key(self) -> None:
        """The original, for a moment."""
        handle = self.window.windowHandle()
        QTest.keyPress(handle, Qt.Key.Key_A)
        QTest.keyRelease(handle, Qt.Key.Key_A)

    def storm(self) -> str:
        """Undo and redo, many times."""
        steps = [self.rng.choice(("undo", "undo", "redo")) for _ in range(self.rng.randrange(2, 40))]
        for step in steps:
            self.window.menus.run(step)
        return f"{len(steps)} steps"

    # ----------------------------------------------------------------------------------------------------------- lanes

    def select_region(self) -> str:
        """Drag over the song."""
        samples = self.c.session.project.samples
        edges = sorted(self.rng.randrange(-100, samples + 1000) for _ in range(2))
        for stop in np.linspace(edges[0], edges[1], self.rng.randrange(2, 8)).astype(int)[1:]:
            self.window.lanes.region_changed.emit(Span(edges[0], int(stop)), False)
        region = self.rng.choice((Span(*edges), Span(*edges), Span(*edges), None))
        self.window.lanes.region_changed.emit(region, True)
        return str(region)

    def edit_lane(self) -> str:
        """A fader, a switch, a name: of any lane, also of one that is still to come."""
        lanes = self.window.lanes._state.lanes
        if not lanes:
            return ""
        lane = self.rng.choice(lanes)
        values: dict[str, Any] = {
            "gain_db": self.rng.uniform(-80, 20),
            "pan": self.rng.uniform(-1.5, 1.5),
            "name": self.rng.choice(("", "Slide", "Bass", lane.name)),
            "muted": self.rng.random() < 0.5,
            "soloed": self.rng.random() < 0.3,
            "view": self.rng.choice(("waveform", "spectrogram")),
        }
        if lane.kind == "extracted":
            values["sensitivity"] = self.rng.uniform(-1, 1)
        field = self.rng.choice(list(values))
        if isinstance(values[field], float):
            for _ in range(self.rng.randrange(4)):
                self.window.lanes.lane_changed.emit(lane.id, field, self.rng.uniform(-1, 1), False)
        self.window.lanes.lane_changed.emit(lane.id, field, values[field], True)
        return f"{lane.id} {field} {values[field]}"

    def choose_take(self) -> str:
        """Another take of some part."""
        parts = [(lane.id, i, part) for lane in self.c.session.project.lanes for i, part in enumerate(lane.parts)]
        if not parts:
            return ""
        lane_id, index, part = self.rng.choice(parts)
        take = self.rng.randrange(len(part.takes))
        self.window.lanes.take_chosen.emit(lane_id, index, take)
        return f"{lane_id} {index} {take}"

    def choose_lanes(self) -> str:
        """Some, one or none."""
        ids = [lane.id for lane in self.c.session.shown.lanes]
        some = tuple(x for x in ids if self.rng.random() < 0.3)
        chosen = self.rng.choice((some, (self.rng.choice(ids),)))
        self.window.lanes.lanes_selected.emit(chosen)
        return " ".join(chosen)

    def drag_out(self) -> None:
        """Lanes, as far as a mouse that is not there can."""
        region = self.rng.random() < 0.3 and self.c.session.project.region is not None
        ids = tuple(lane.id for lane in self.c.selected_lanes())
        if ids and self.c.session.project.song is not None:
            self.window.lanes.drag_pressed.emit(ids, region)
            self.window.lanes.drag_started.emit(ids, region)

    def turn_wheel(self) -> None:
        """Zoom and scroll."""
        held = Qt.KeyboardModifier
        keys = self.rng.choice((held.NoModifier, held.ControlModifier, held.ShiftModifier))
        lanes, none = self.window.lanes, Qt.MouseButton.NoButton
        place = QPointF(self.rng.uniform(0, lanes.width()), self.rng.uniform(0, lanes.height()))
        angle = QPoint(self.rng.choice((0, 120)), self.rng.choice((-360, -120, 120, 240)))
        event = QWheelEvent(place, place, QPoint(), angle, none, keys, Qt.ScrollPhase.NoScrollPhase, False)
        QApplication.sendEvent(lanes, event)

    # ---------------------------------------------------------------------------------------------------------- asking

    def ask(self) -> str:
        """A prompt of any task and quality."""
        project, rng = self.c.session.project, self.rng
        prompt = replace(
            project.prompt,
            text=rng.choice(PROMPTS),
            task=rng.choice(list(TASK_TITLES)),
            quality=rng.choice(QUALITIES),
            negative=rng.choice(("", "", "drums")),
            like=rng.choice((None, None, project.region)),
            like_lane=rng.choice(("", "gone", *(lane.id for lane in project.lanes))),
            takes=rng.choice((1, 1, 2, 3)),
            seed=rng.choice((None, 7)),
        )
        self.window.prompt.submitted.emit(prompt)
        return f"{prompt.task} {prompt.text} {prompt.quality}"

    def type_prompt(self) -> str:
        """Into the bar, and perhaps Enter."""
        bar, text = self.window.prompt, self.rng.choice(PROMPTS)
        bar.tasks[self.rng.choice(list(TASK_TITLES))].click()
        bar.line.clear()
        if text.isascii():  # others cannot be pressed in a test
            QTest.keyClicks(bar.line, text[:12])
        else:
            bar.line.insert(text)
        QTest.keyClick(bar.line, self.rng.choice((Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Left)))
        return text

    def tend_jobs(self) -> str:
        """Cancel, retry, dismiss one."""
        if not self.c.session.jobs:
            return ""
        job_id, view = self.rng.choice(list(self.c.session.jobs.items()))
        jobs = self.window.jobs
        after = (jobs.retry_clicked, jobs.dismiss_clicked) if view.state == "failed" else (jobs.cancel_clicked,)
        self.rng.choice(after).emit(job_id)
        return view.state

    # ---------------------------------------------------------------------------------------------------------- others

    def drop_files(self) -> str:
        """One or several, good and bad."""
        paths = [self.file() for _ in range(self.rng.choice((1, 1, 1, 3)))]
        target = self.window.lanes if self.c.session.project.song else self.window.empty
        target.files_dropped.emit(paths)
        return ", ".join(path.name for path in paths)

    def open_again(self) -> str:
        """Close the project, and open it or another."""
        self.c.documents.close()
        if not self.c.settings.recent:
            return ""
        path = self.rng.choice(self.c.settings.recent)
        self.window.empty.recent_clicked.emit(path)
        return Path(path).name

    def resize(self) -> None:
        """Of the window; hidden and shown, too."""
        self.window.resize(self.rng.randrange(960, 2560), self.rng.randrange(600, 1440))
        if self.rng.random() < 0.3:
            self.window.showMinimized()
            self.window.showNormal()

    def click_somewhere(self) -> str:
        """A click on whatever is there, but not beyond a press on a lane, which could begin a drag."""
        widgets = [each for each in self.window.findChildren(QWidget) if each.isVisible() and each.isEnabled()]
        widget = self.rng.choice(widgets)
        place = QPoint(self.rng.randrange(max(widget.width(), 1)), self.rng.randrange(max(widget.height(), 1)))
        name = f"{type(widget).__name__} {widget.accessibleName()}"
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=place)
        return name

    def set_tempo(self) -> None:
        """Typed."""
        transport = self.window.transport
        if self.c.session.project.song is not None:
            self.rng.choice((
                lambda: transport.tempo_entered.emit(self.rng.uniform(1, 500)),
                lambda: transport.metre_chosen.emit(*self.rng.choice(((2, 4), (3, 4), (4, 4), (7, 8)))),
                lambda: transport.key_entered.emit(self.rng.choice(("A minor", "C major"))),
            ))()  # fmt: skip

    def play_at(self) -> None:
        """From anywhere."""
        self.window.lanes.seek.emit(self.rng.randrange(self.c.session.project.samples + 1))
        if not self.c.player.playing:
            self.c.toggle_play()


@dataclass(frozen=True)
class Census:
    """What there is while the window is empty."""

    threads: int
    timers: int
    widgets: int
    windows: int
    files: int
    private_mb: float


class Watch:
    """Looks whether everything that must hold holds."""

    def __init__(self, app: App, home: Path) -> None:
        self.app, self.c, self.window, self.home = app, app.controller, app.window, home
        self.faults: list[str] = []
        self.first: Project = Project()
        self.looks = 0
        self.c.session.changed.connect(lambda what: self._begin() if what == "folder" else None)

    def _begin(self) -> None:
        if not self.c.session.history.undo_title:
            self.first = self.c.session.project

    def hook(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        """For `sys.excepthook`."""
        self.faults.append("".join(traceback.format_exception(kind, error, trace)))

    def message(self, kind: QtMsgType, _: object, text: str) -> None:
        """For Qt's warnings."""
        if kind == QtMsgType.QtFatalMsg:
            print(text, file=sys.stderr, flush=True)
        if kind not in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg) and not any(x in text for x in IGNORED):
            self.faults.append(f"Qt: {text}\n{''.join(traceback.format_stack(limit=12))}")

    def glance(self) -> None:
        """After each action."""
        if self.faults:
            raise Broken("\n".join(self.faults))
        session = self.c.session
        if session.folder is not None:
            if session.folder.read_only:
                raise Broken(f"{session.folder.folder} is read-only, and nobody else has it open")
            for audio in session.project.audios():
                if not session.folder.store.path(audio).exists():
                    raise Broken(f"{audio} is not in the store")
        if not all(session.shown.has_lane(lane_id) for lane_id in session.selected):
            raise Broken(f"{session.selected} selected, and not all are there")

    # ------------------------------------------------------------------------------------------------------------- rest

    def rest(self) -> None:
        """Wait until nothing is done any more."""
        documents, making = self.c.documents, self.c.making
        pools = [workers._pool for workers in (self.c.workers, self.c.porters)]  # type: ignore[attr-defined]
        keeper = self.c.player._keeper  # type: ignore[attr-defined]
        began_s, calm = time.monotonic(), 0
        while calm < 5:
            waited_s = time.monotonic() - began_s
            if waited_s > PATIENCE_S:
                making.cancel_all()
            saving = documents._saving or documents._waiting
            at_work = any(pool.activeThreadCount() for pool in pools) or keeper.wished != keeper._done
            busy = self.c.session.busy or documents.opening or saving or at_work
            calm = 0 if busy or QApplication.activeModalWidget() or QApplication.activePopupWidget() else calm + 1
            self.turn(0.004)
            if waited_s > REST_S:
                jobs = [(view.state, view.job.title) for view in self.c.session.jobs.values()]
                raise Broken(f"no rest: {jobs}, opening {documents.opening}, saving {documents._saving}")
        self.glance()

    def turn(self, seconds: float) -> None:
        """Let the program run, as its own loop would: that also deletes what was put away."""
        end_s = time.monotonic() + seconds
        while True:
            try:
                self.app.qt.processEvents()
            except Exception:  # PySide hands on what some slots raise
                self.hook(*sys.exc_info())  # type: ignore[arg-type]
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)  # type: ignore[call-overload]
            if time.monotonic() >= end_s:
                return
            time.sleep(0.001)

    def look(self) -> None:
        """At everything, at rest."""
        self.rest()
        self.looks += 1
        session = self.c.session
        self._look_at_jobs()
        if session.folder is None:
            return
        saved = storage._decode((session.folder.folder / "project.json").read_bytes())
        if saved != session.project:
            raise Broken(f"the disk has\n{saved}\nand the window\n{session.project}")
        kept = {path for view in session.jobs.values() for path in view.job.outputs}
        parts = [path for path in session.folder.folder.rglob("*.part*") if path not in kept]
        if parts:
            raise Broken(f"left over: {parts}")
        if self.window.lanes._state.project != session.shown:
            raise Broken("the window does not show the project")
        self._look_at_sound(session.project, session.folder.store)
        self._look_back()

    def _look_at_jobs(self) -> None:
        session, works = self.c.session, self.c.making._works
        if set(works) != set(session.jobs):
            raise Broken(f"jobs {list(session.jobs)}, and works {[work.job.title for work in works.values()]}")
        if session.growing or (session.coming and not works):
            raise Broken(f"at rest, and growing {session.growing}, coming {session.coming}")

    def _look_at_sound(self, project: Project, store: ClipStore) -> None:
        """Every clip can be read, and stems and rest are the song."""
        for audio in project.audios():
            store.view(audio)
        if project.song is None:
            return
        shape, kinds = store.view(project.song.audio).shape, ("song", "extracted", "rest", "added")
        sounds = {kind: np.zeros(shape) for kind in kinds}
        for lane in project.lanes:
            sounds[lane.kind] += read_lane(project, lane, store.view, 0, project.samples)
        worst = float(np.abs(sounds["song"] - sounds["extracted"] - sounds["rest"]).max())
        if not worst <= NULL * max(1.0, float(np.abs(sounds["extracted"]).max())):
            raise Broken(f"stems and rest differ from the song by {worst:.1e}")

    def _look_back(self) -> None:
        """Undo to the bottom gives the first state, and redo the last one."""
        session, steps = self.c.session, 0
        last = session.project
        while session.history.undo_title:
            session.undo()
            steps += 1
        bottom = session.project
        for _ in range(steps):
            session.redo()
        if session.project != last:
            raise Broken("after undo and redo the project is another")
        if steps < 500 and outline(bottom) != outline(self.first):
            raise Broken(f"undone, the project is\n{outline(bottom)}\nand was\n{outline(self.first)}")
        self.rest()

    # ----------------------------------------------------------------------------------------------------------- census

    def census(self) -> Census:
        """Close the project and count."""
        self.rest()
        self.c.documents.close()
        for notice in self.window.messages.notices:
            self.window.messages.dismiss(notice.key)
        self.window.resize(1440, 900)  # always the same, since its picture counts
        self.rest()
        for folder in self.home.glob("**/*.mgeldm"):  # the disk is not endless
            shutil.rmtree(folder, ignore_errors=True)
        return self.count()

    def count(self) -> Census:
        """What there is now."""
        self.turn(0.05)
        gc.collect()
        timers = [each for each in gc.get_objects() if issubclass(type(each), QTimer) and isValid(each)]
        process = psutil.Process()
        files = process.num_fds() if hasattr(process, "num_fds") else 0
        _give_back()
        memory = process.memory_full_info()  # on Linux without libraries' pages, which are shared while others run
        used = (memory.rss - memory.shared if sys.platform == "linux" else memory.uss) / 1e6
        widgets, windows = len(QApplication.allWidgets()), len(QApplication.topLevelWidgets())
        threads = sum(not isinstance(thread, threading._DummyThread) for thread in threading.enumerate())  # a pool's
        return Census(threads, len(timers), widgets, windows, files, round(used, 1))


def _give_back() -> None:
    """Let the C library give back what was freed: only what is in use counts, not how it lies."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def outline(project: Project) -> Any:
    """What no later result may change in a first state: better versions and more takes may, and the tempo found."""
    lanes = [replace(lane, parts=tuple(part.start for part in lane.parts)) for lane in project.lanes]  # type: ignore[misc]
    tempo = project.tempo if project.tempo.source == "given" else Tempo()
    return replace(project, lanes=tuple(lanes), tempo=tempo)


def files(folder: Path, real: bool) -> tuple[list[Path], list[Path]]:
    """Songs and files that are none."""
    folder.mkdir()
    if real:
        clip = read(DEMO, 4.0, 12.0)
        write(folder / "Demo cut.flac", AudioClip(clip.samples, clip.rate_hz), "flac")
        songs = [folder / "Demo cut.flac"]
    else:
        songs = [write_song(folder / "Midnight Ferry.wav"), write_song(folder / "Mono.wav", 7.3, 1)]
    bad = folder / "bad"
    bad.mkdir()
    return songs, [each.make(bad) for each in (*BAD, *BAD_INSIDE)] + [folder / "missing.wav", bad]


@contextmanager
def running(folder: Path, rng: random.Random, real: bool) -> Iterator[tuple[Watch, Hands]]:
    """The program, watched, with somebody before its dialogs."""
    (folder / "copies").mkdir(parents=True)
    qt_application()  # before any timer
    answers = Answers(rng, folder)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {"MGELDM_HOME": str(folder / "home")}))
        if not real:
            stack.enter_context(mock.patch("mgeldm_app.app.Engine", lambda _: QuickEngine(rng)))
        stack.enter_context(mock.patch.object(QFileDialog, "getOpenFileName", answers.open_file))
        stack.enter_context(mock.patch.object(QFileDialog, "getSaveFileName", answers.save_file))
        stack.enter_context(mock.patch.object(QDesktopServices, "openUrl", lambda _: True))
        app = build(NoDevices())
        watch, hands = Watch(app, folder), Hands(app, rng, *files(folder / "songs", real))
        stack.enter_context(mock.patch.object(sys, "excepthook", watch.hook))
        stack.callback(qInstallMessageHandler, qInstallMessageHandler(watch.message))
        app.window.wishes.table["quit"] = lambda: None
        answers.files = hands.file
        app.window.show()
        app.controller.engine.warm_up()
        try:
            yield watch, hands
        finally:
            answers.end()
            app.window.close()
            watch.turn(0.1)
            QApplication.clipboard().clear()  # see `tests/conftest.py`


def run(seconds: float, seed: int, real: bool = False, log: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Act for a while.

    Returns:
        How many actions and looks there were, and how things stood early and late.

    Raises:
        Broken: Something does not hold; names the last actions.
    """
    rng, last = random.Random(seed), deque[str](maxlen=30)
    threads, children, began_s = set(threading.enumerate()), _children(), time.monotonic()
    censuses: list[Census] = []
    done = 0
    with tempfile.TemporaryDirectory(prefix="mgeldm-monkey-", ignore_cleanup_errors=True) as name:
        try:
            with running(Path(name), rng, real) as (watch, hands):
                counted_s = began_s
                while time.monotonic() < began_s + seconds:
                    last.append(hands.act())
                    log(last[-1])
                    done += 1
                    watch.turn(rng.choice((0.0, 0.0, 0.005, 0.03)))
                    watch.glance()
                    if rng.random() < 0.03:
                        watch.look()
                    now_s = time.monotonic()
                    due_s = min(BASE_S, BASE_SHARE * seconds) if not censuses else CENSUS_S
                    if now_s > counted_s + due_s:
                        counted_s = now_s
                        censuses.append(watch.census())
                        log(f"after {now_s - began_s:.0f} s and {done} actions: {censuses[-1]}")
                watch.look()
                censuses.append(watch.census())
            _nothing_left(threads, children)
            if watch.faults:
                raise Broken("\n".join(watch.faults))
        except Broken as error:
            raise Broken(f"{error}\nseed {seed}, action {done}; the last ones:\n  " + "\n  ".join(last)) from error
    growth = _compare(censuses, memory=seconds > 2 * BASE_S)
    return {
        "seconds": round(time.monotonic() - began_s), "seed": seed, "engine": "real" if real else "fake",
        "actions": done, "looks": watch.looks, "memory_growth": f"{growth:+.1%}",
        "early": asdict(censuses[0]), "late": asdict(censuses[-1]),
    }  # fmt: skip


def _nothing_left(threads: set[threading.Thread], others: set[psutil.Process]) -> None:
    """After the window was closed, but for threads and processes that were there before."""
    gc.collect()
    new = set(threading.enumerate()) - threads
    alive = [thread.name for thread in new if not isinstance(thread, threading._DummyThread)]
    children = [" ".join(child.cmdline()) for child in _children() - others]
    children = [command for command in children if "resource_tracker" not in command]  # Python's own, until it ends
    shown = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
    if alive or children or shown:
        raise Broken(f"left: threads {alive}, processes {children}, windows {shown}")


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _compare(censuses: list[Census], memory: bool) -> float:
    """The share by which memory grew; raises `Broken` if anything did that must not."""
    first, last = censuses[0], censuses[-1]
    for field in ("threads", "timers", "widgets", "windows", "files"):
        if getattr(last, field) > getattr(first, field) + ONCE:
            raise Broken(f"{field} grew:\n{first}\n{last}")
    early, late = (median(each.private_mb for each in some) for some in (censuses[:SEVERAL], censuses[-SEVERAL:]))
    if memory and late > early * (1 + GROWTH):
        raise Broken(f"memory grew from {early} to {late} MB:\n{first}\n{last}")
    return late / early - 1


def main() -> int:
    """Run it; exit status 0 if all holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("fake", "real"), default="fake")
    parser.add_argument("--log", type=Path, help="a file for every action")
    args = parser.parse_args()
    if args.log:
        logging.basicConfig(filename=args.log, level=logging.INFO, format="%(relativeCreated)d %(message)s")
    try:
        print(json.dumps(run(60 * args.minutes, args.seed, args.engine == "real", logging.info)), flush=True)
    except Broken as error:
        print(f"monkey: broken: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
