"""The window: transport, lanes or the empty state, prompt bar and jobs, and what connects them to the controller."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

from mgeldm.progress import Progress
from PySide6.QtCore import QByteArray, QEvent, QPoint, QSize, Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QMainWindow, QMenu, QStackedWidget, QVBoxLayout, QWidget

from ..core import commands
from ..core.asks import span_of, takes_of
from ..core.controller import Controller
from ..core.jobs import EngineStatus
from ..core.project import Span, Tempo
from ..core.session import JobView
from ..core.settings import Settings
from ..core.taking import Errand
from ..core.text import facts_text, progress_text, summary
from ..core.timeline import Grid, place_text, span_text, start_text, time_text
from . import theme as themes
from .dialogs.messages import MessageBar, Notice
from .dragging import Dragging
from .drops import FileDrops
from .empty import EmptyState
from .jobs import JobRow, JobsBar
from .lanes.view import LanesView
from .menus import Keys, Menus
from .opening import OpeningPage
from .prompt import PromptBar
from .transport import Mood, Transport
from .wishes import Wishes

FRAME_MS, IDLE_MS, HIDDEN_MS = 16, 50, 200  # while playing; while meters fall and nothing moves; minimised
PROGRESS_MS = 60
NEARLY_S = 0.04  # so close before a beat, that beat is shown: a first beat is rarely found to the sample
LANE_MENU = (
    "rename",
    "mute",
    "solo",
    "spectrogram",
    "",
    "again",
    "vary",
    "keep_take",
    "drop_take",
    "",
    "copy_files",
    "copy_region",
    "export",
    "",
    "lane_up",
    "lane_down",
    "remove",
)
SMALLEST = (960, 600)


class MainWindow(QMainWindow):
    """Shows a controller's session.

    Args:
        controller: Does everything.

    Attributes:
        asks: Whether the user is asked before it closes, where something may be lost.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller, self.asks = controller, True
        self._history = controller.session.history
        self.transport, self.prompt, self.jobs = Transport(), PromptBar(), JobsBar()
        self.empty, self.opening = EmptyState(), OpeningPage()
        self.theme = _theme_of(controller.settings)
        self.lanes = LanesView(controller.workers, self.theme)
        self.dragging = Dragging(controller, self.lanes)
        self._lay_out()
        self.keys = Keys(controller, self)
        self.menus = Menus(self, controller, self.keys)
        self.wishes = Wishes(self, controller, self.menus)
        self._connect_widgets()
        self._connect_session()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self._timer.start(IDLE_MS)
        self._ticks = 0
        self._wished = Span(0, 0)  # where the prompt works, as is shown
        self._progress = QTimer(self)  # steps of a job come faster than anyone reads
        self._progress.setSingleShot(True)
        self._progress.setInterval(PROGRESS_MS)
        self._progress.timeout.connect(self._show_jobs)
        self.set_theme(self.theme)
        self._restore()
        for what in ("folder", "project", "jobs", "engine", "listening"):
            self._on_changed(what)

    def _lay_out(self) -> None:
        self.setWindowTitle("MGE-LDM Desktop")
        self.setMinimumSize(QSize(*SMALLEST).boundedTo(self.screen().availableSize()))
        self.middle = QStackedWidget()
        self.middle.addWidget(self.empty)
        self.middle.addWidget(self.lanes)
        self.middle.addWidget(self.opening)
        self.middle.setMinimumHeight(self.lanes.minimumSizeHint().height())  # on a low screen the prompt stays whole
        box = QWidget()
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget, stretch in ((self.transport, 0), (self.middle, 1), (self.prompt, 0), (self.jobs, 0)):
            column.addWidget(widget, stretch)
        self.setCentralWidget(box)
        self.messages = MessageBar(self.middle)
        self.middle.currentChanged.connect(lambda _: self.messages.raise_())  # a page that comes covers them

    # ------------------------------------------------------------------------------------------------------ connecting

    def _connect_widgets(self) -> None:
        c, t = self.controller, self.transport
        self.empty.open_clicked.connect(lambda: c.wants.emit("open"))
        self.empty.demo_clicked.connect(lambda: c.wants.emit("demo"))
        self.empty.recent_clicked.connect(lambda path: c.documents.open_paths([Path(path)]))
        self.empty.files_dropped.connect(c.documents.open_paths)
        self.opening.cancelled.connect(c.documents.cancel_opening)
        t.start_clicked.connect(lambda: c.player.seek(0))
        t.play_clicked.connect(c.toggle_play)
        t.loop_toggled.connect(c.set_looping)
        t.click_toggled.connect(c.set_click)
        t.listen_chosen.connect(c.listen_to)
        t.tap_clicked.connect(c.tap)
        t.tempo_entered.connect(lambda bpm: c.set_tempo(replace(self._tempo, bpm=bpm, source="given")))
        t.refused.connect(lambda text: self.tell(text, error=True))
        t.key_entered.connect(lambda key: c.set_tempo(replace(self._tempo, key=key)))
        t.metre_chosen.connect(lambda n, unit: c.set_tempo(replace(self._tempo, beats_per_bar=n, beat_unit=unit)))
        t.device_clicked.connect(lambda: c.wants.emit("models"))
        t.output_clicked.connect(lambda: c.wants.emit("settings"))
        self.prompt.changed.connect(c.set_prompt)
        self.prompt.submitted.connect(lambda prompt: c.submit(prompt) if not self.keys.repeated else None)
        self.prompt.left.connect(self.lanes.setFocus)
        self.messages.acted.connect(lambda _, folder: self.wishes.show_folder(Path(folder)))
        self.jobs.cancel_clicked.connect(c.making.cancel)
        self.jobs.cancel_clicked.connect(c.taking.cancel)
        self.jobs.dismiss_clicked.connect(c.making.cancel)
        self.jobs.retry_clicked.connect(c.retry)
        drops = FileDrops(self)  # of what lies around the middle
        drops.dropped.connect(c.documents.open_paths)
        for show in (self.empty.welcome, self.lanes.drop_hint.show_over):
            drops.held.connect(show)
        self._connect_lanes()
        app = QApplication.instance()
        if app is not None:
            app.installEventFilter(self.keys)

    def _connect_lanes(self) -> None:
        c, lanes = self.controller, self.lanes
        lanes.region_changed.connect(lambda region, final: c.set_region(region, final, looped=True))
        lanes.seek.connect(c.player.seek)
        lanes.lane_changed.connect(c.set_lane)
        lanes.take_chosen.connect(lambda lane, part, take: c.session.do(commands.choose_take(lane, part, take)))
        lanes.lanes_selected.connect(c.session.select)
        lanes.lane_menu.connect(self._lane_menu)
        lanes.files_dropped.connect(c.documents.open_paths)
        lanes.drag_pressed.connect(self.dragging.press)
        lanes.drag_started.connect(self.dragging.start)
        lanes.snap_clicked.connect(lambda: self.menus.run("snap"))

    def _connect_session(self) -> None:
        c = self.controller
        c.session.changed.connect(self._on_changed)
        c.session.notice.connect(self.tell)
        c.player.changed.connect(self._player_changed)
        c.settings_changed.connect(self._settings_changed)
        # the hints outlive the window, and so would a lambda of theirs, with all that it knows
        QApplication.styleHints().colorSchemeChanged.connect(self._scheme_changed)

    @property
    def _tempo(self) -> Tempo:
        return self.controller.session.project.tempo

    # ---------------------------------------------------------------------------------------------------------- showing

    def tell(self, text: str, error: bool = False, details: str = "", folder: Path | None = None) -> None:
        """Say something over the lanes; `details` can be copied, and `folder` can be shown."""
        actions = ((str(folder), self.tr("Show in folder")),) if folder else ()
        self.messages.say(Notice(text, text, "bad" if error else "info", actions, details))

    def _on_changed(self, what: str) -> None:
        if what == "folder":
            self._show_folder()
        elif what == "project":
            self._show_lanes()
            self._show_project()
        elif what == "travelled" and not self.controller.documents.failing:
            self.messages.forget_errors(with_details=False)  # what could not be done as things were
        elif what == "growing":
            self._show_lanes()
        elif what == "jobs":
            self._show_jobs()
            self._show_wish()
        elif what == "progress":
            if not self._progress.isActive():
                self._progress.start()
        elif what == "selection":
            self.lanes.select_lanes(self.controller.session.selected)
            self._show_wish()
        elif what == "engine":
            self._show_engine(self.controller.session.engine)
        elif what == "listening":
            self.transport.set_listening(self.controller.listening)
            self.transport.set_click(self.controller.click)
            self._show_lanes()

    def _show_folder(self) -> None:
        session = self.controller.session
        if session.history is not self._history:  # another song: what was said and heard of the one before is over
            self._history = session.history
            self.messages.forget_errors()
            self.transport.meter.clear()
        self.lanes.set_store(session.store.view if session.store else None)
        self.empty.set_recent(self.controller.settings.recent)
        opening = self.controller.documents.opening
        doing = self.tr("Saving {0}…") if opening and opening.is_copy else self.tr("Opening {0}…")
        self.jobs.set_idle_text(doing.format(opening.name) if opening else "")
        name = session.folder.folder.stem if session.folder else ""
        if session.folder is not None and session.folder.read_only:
            name = self.tr("{0} (read only)").format(name)
        self.setWindowTitle(f"{name} – MGE-LDM Desktop" if name else "MGE-LDM Desktop")
        self._show_project()

    def _show_project(self) -> None:
        project = self.controller.session.project
        opening = self.controller.documents.opening
        if opening is not None and opening.is_song:
            self.opening.show_opening(opening)
            self._show_in_the_middle(self.opening)
        else:
            self._show_in_the_middle(self.lanes if project.song else self.empty)
        if project.song:
            audio = project.song.audio
            self.transport.set_song(project.song.name, facts_text(audio.rate_hz, audio.channels, audio.samples))
        else:
            self.transport.set_song("", "")
        self.transport.set_tempo(project.tempo)
        self.transport.set_looping(project.looping)
        self.prompt.show_prompt(project.prompt)
        self.prompt.set_history(self.controller.settings.prompts)
        self._show_wish()

    def _show_in_the_middle(self, widget: QWidget) -> None:
        """The keyboard comes along, unless somebody writes: Space then plays the song that has just come."""
        if self.middle.currentWidget() is not widget:
            self.middle.setCurrentWidget(widget)
            if not isinstance(QApplication.focusWidget(), QLineEdit):
                widget.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_lanes(self) -> None:
        session = self.controller.session
        busy = {}
        for job_id, growing in session.growing.items():
            view = session.jobs.get(job_id)
            for part in growing:
                if part.lane_id not in busy or (view is not None and view.state == "running"):
                    busy[part.lane_id] = _share_and_text(view) if view else (0.0, "")
        listening = self.controller.listening
        self.lanes.show_project(session.shown, session.all_growing(), busy=busy, listening=listening)

    def _show_jobs(self) -> None:
        self._show_lanes()
        jobs, errands = self.controller.session.jobs.values(), self.controller.taking.errands.values()
        self.jobs.set_rows([*map(_row, jobs), *(_errand_row(each, each.progress) for each in errands if each.progress)])

    def _show_wish(self) -> None:
        """What the button of the prompt bar will do, about how long, and what a selection is an example of."""
        c, lanes = self.controller, self.controller.selected_lanes()
        project, prompt = c.session.project, c.session.project.prompt
        lane = lanes[0] if len(lanes) == 1 and lanes[0].parts else None
        self.prompt.set_example(project.region, lane, partial(place_text, project))
        region_s = None if project.region is None else project.region.samples / project.rate_hz
        self.prompt.set_beside(region_s, project.song is not None)
        why_not = c.blocked(prompt)
        span = self._wished = span_of(project, prompt, c.player.position)
        is_placed = prompt.task == "generate" and project.song is not None and project.region is None
        if project.song is None and prompt.task != "generate":
            text, seconds = self.tr("a song"), None
        else:
            whole = project.song is not None and span == Span(0, project.samples)
            text, seconds = self.tr("the whole song") if whole else span_text(project, span), c.seconds_for(prompt)
        like = place_text(project, prompt.like, prompt.like_lane) if prompt.like else ""
        start = start_text(project, span.start) if is_placed else ""
        said = summary(prompt, text, seconds, c.session.engine.device, takes_of(project, prompt), like, start)
        self.prompt.set_summary(said.button, said.note, not why_not, why_not)

    def _show_engine(self, status: EngineStatus) -> None:
        device = {"cpu": "CPU", "cuda": "GPU", "mps": "GPU"}.get(status.device, "")
        times = f"{status.speed:.{1 if status.speed < 10 else 0}f}" if status.speed else ""
        speed = " · " + self.tr("{0}× live").format(times) if times else ""
        moods: dict[str, tuple[str, Mood]] = {
            "off": (self.tr("Model asleep"), "off"),
            "starting": (self.tr("Loading the model"), "off"),
            "failed": (self.tr("No model"), "bad"),
        }
        text, mood = moods.get(status.state, (device + speed, "good"))
        hint = f"{status.model} {status.model_sha256[:12]}\n{status.message}".strip()
        self.transport.set_device(text, hint, mood)
        if status.message and status.state == "failed" and not self.controller.session.busy:  # else its jobs say it
            self.tell(status.message, True)
        self._show_wish()

    def _player_changed(self) -> None:
        player = self.controller.player
        self.transport.set_playing(player.playing)
        self.lanes.set_playing(player.playing)
        status = player.status  # without a song no device is open, which nobody misses
        silent = self.tr("No sound card: silent clock") if status.message and not status.device else ""
        self.transport.set_output_notice(silent, status.message)
        self._pace()
        self._tick()

    def _pace(self) -> None:
        """Look at the player as often as there is something to see."""
        self._timer.setInterval(
            HIDDEN_MS if self.isMinimized() else FRAME_MS if self.controller.player.playing else IDLE_MS
        )

    def _tick(self) -> None:
        """The playhead each frame, meters each second one."""
        player, project = self.controller.player, self.controller.session.project
        position = player.position
        self.lanes.set_position(position)
        if span_of(project, project.prompt, position) != self._wished:
            self._show_wish()
        self._ticks += 1
        if self._ticks % 2 and player.playing:
            return
        if self.controller.documents.opening is not None:
            self.opening.show_opening(self.controller.documents.opening)
        if self.controller.taking.errands:
            self._on_changed("progress")
        bar, beat, _ = Grid.of(project).place(position + round(NEARLY_S * project.rate_hz))
        place = self.tr("bar {0} . {1}").format(bar, beat) if project.tempo.source != "none" else ""
        self.transport.set_position(time_text(position, project.rate_hz), place)
        levels = player.levels()
        self.transport.set_levels(levels.left, levels.right)
        null_db = 20 * math.log10(levels.null + 1e-12) if player.playing else None
        self.transport.set_null(null_db, player.playing and self.controller.session.lacks_audio)

    # ------------------------------------------------------------------------------------------------------------ theme

    def set_theme(self, theme: themes.Theme) -> None:
        """Take other colours, everywhere."""
        self.theme = theme
        app = QApplication.instance()
        if isinstance(app, QApplication):
            themes.apply(app, theme)
        for widget in (self.transport, self.prompt, self.jobs, self.empty, self.opening, self.messages, self.lanes):
            widget.set_theme(theme)

    def _scheme_changed(self) -> None:
        if not self.isHidden():  # closed, it would dress the whole program once more
            self.set_theme(_theme_of(self.controller.settings))

    def _settings_changed(self, settings: Settings) -> None:
        if _theme_of(settings) != self.theme:
            self.set_theme(_theme_of(settings))
        self.lanes.set_snap(self.controller.snap)
        self.prompt.set_history(self.controller.settings.prompts)

    # ----------------------------------------------------------------------------------------------------------- events

    def _lane_menu(self, lane_id: str, place: QPoint) -> None:
        if lane_id not in self.controller.session.selected:
            self.controller.session.select((lane_id,))
        self.menus.refresh()
        menu = QMenu(self)
        for action_id in LANE_MENU:
            if action_id:
                menu.addAction(self.menus.actions[action_id])
            else:
                menu.addSeparator()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def _restore(self) -> None:
        self.resize(QSize(1440, 900).boundedTo(self.screen().availableSize()))
        if self.controller.settings.geometry:
            place = self.controller.settings.geometry.encode("ascii", "ignore")  # whatever stands there
            self.restoreGeometry(QByteArray.fromBase64(place))
        self.lanes.set_snap(self.controller.snap)
        self.middle.currentWidget().setFocus(Qt.FocusReason.OtherFocusReason)

    def changeEvent(self, event: QEvent) -> None:
        """Nothing is drawn that nobody sees."""
        if event.type() == QEvent.Type.WindowStateChange:
            self._pace()
        super().changeEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Everything is saved already, or the user is asked; remember the window and end what runs.

        Whether to leave what is being made or written is asked of a user who closes it, not of the program itself.
        """
        wishes = self.wishes
        stays = self.asks and not ((not event.spontaneous() or wishes.may_quit()) and wishes.may_close())
        if stays and self.asks:  # which may have changed while the user was asked
            event.ignore()
            return
        try:
            geometry = bytes(self.saveGeometry().toBase64().data()).decode()
            self.controller.set_settings(replace(self.controller.settings, geometry=geometry))
            self._timer.stop()
            self.lanes.sources.stop()
            app = QApplication.instance()
            if app is not None:
                app.removeEventFilter(self.keys)
        finally:  # threads and the model's process must not outlive the window, whatever went wrong
            self.controller.close()
        event.accept()


def _theme_of(settings: Settings) -> themes.Theme:
    return themes.THEMES.get(settings.theme) or themes.system_theme()


def _share_and_text(view: JobView) -> tuple[float, str]:
    share = view.done / view.total if view.total else 0.0
    left = f" · {max(view.left_s, 1):.0f} s" if view.left_s is not None else ""
    return share, f"{share:.0%}{left}" if view.state == "running" else ""


def _row(view: JobView) -> JobRow:
    """A job for the bar at the bottom."""
    counted = (view.done, view.total) if view.total else None
    progress = progress_text(
        counted if view.stage != "steps" else None, counted if view.stage == "steps" else None, view.left_s
    )
    return JobRow(
        view.job.id,
        view.job.title,
        view.state,
        view.done / view.total if view.total else None,
        progress,
        view.message,
        view.details,
        view.can_retry,
    )


def _errand_row(errand: Errand, progress: Progress) -> JobRow:
    """Files being written, for the bar at the bottom."""
    share = progress.done / max(progress.total, 1)
    return JobRow(errand.id, errand.title, "running", share, progress_text(left_s=progress.left_s))
