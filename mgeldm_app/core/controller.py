"""What the window calls: every intent of a user, checked and carried out. A failure becomes a notice, never a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from mgeldm.errors import InputError, MgeldmError
from mgeldm.progress import Reporter
from mgeldm.requests import Quality

from . import asks, commands
from .delivery import Delivery
from .documents import Documents
from .events import Event
from .files import whole_path
from .history import History
from .jobs import EngineConfig
from .making import Making
from .models import Models
from .opening import Opening
from .ports import Engine, Player, Workers
from .project import REST_ID, SONG_ID, Lane, Project, Prompt, Span, Task, Tempo
from .reports import explained
from .session import Session
from .settings import Settings, Speed, latest, load_settings, save_changes
from .storage import ProjectFolder, clear_shell, projects_home
from .taking import Taking
from .timeline import TAP_PAUSE_S, Grid, Unit, tapped


class Controller:
    """Binds session, engine, player and files.

    Args:
        session: What is open.
        engine: Does the model's work.
        player: Plays.
        workers: Whatever is slow, but over in seconds.
        saver: Saves, and nothing else: one after the other, held up by nothing.
        porters: What may take minutes, exports and models: neither stems nor the window wait for it.
        analyse: Finds the tempo of a song.

    Attributes:
        session: What is open.
        making: Jobs and their results.
        documents: Opening and saving.
        taking: Exports, and files to drag.
        player: The sound.
        settings: The user's, saved when changed by `set_settings`.
        models: On this computer.
        snap: What regions snap to.
        listening: "song" or "stems".
        wants: Emitted with a word for what only a window can do: "open", "export", "settings", "palette", ...
        settings_changed: Emitted with the new settings.
    """

    def __init__(
        self,
        session: Session,
        engine: Engine,
        player: Player,
        workers: Workers,
        saver: Workers,
        porters: Workers,
        analyse: Callable[[Path, Reporter], Tempo],
    ) -> None:
        self.session = session
        self.engine, self.player, self.workers, self.saver, self.porters = engine, player, workers, saver, porters
        self.settings = self._kept = load_settings()
        self._unkept = ""  # why settings could not be kept, once that was told
        self.models = Models()
        self.wants, self.settings_changed = Event(), Event()
        self._delivery = Delivery(workers)
        self.making = Making(self.session, engine, self._delivery, self._learn)
        self.documents = Documents(
            session,
            workers,
            saver,
            home=lambda: whole_path(self.settings.projects) if self.settings.projects else projects_home(),
            analyse=analyse,
            opened=lambda folder: self.set_settings(latest(self.settings).opened(folder)),
        )
        self.documents.unfinished, self.documents.finish = self.making.unfinished, self._delivery.finish
        self.taking = Taking(session, porters, self.making.unfinished)
        self.snap: Unit = self.settings.snap
        self.listening: Literal["song", "stems"] = "stems"
        self.click = False
        self._taps_s: list[float] = []
        self._history = session.history = History(Project(prompt=Prompt(quality=self.settings.quality)))
        self._song = self._history.project.song
        self._folder = session.folder
        self.session.changed.connect(self._on_changed)
        self.configure_engine()
        player.set_device(self.settings.device, self.settings.latency)

    # ------------------------------------------------------------------------------------------------- lanes, region

    def set_lane(self, lane_id: str, field: str, value: Any, final: bool = True) -> None:
        """Change a lane; a lane still to come keeps the change until it is there."""
        with self.told():
            if lane_id in self.session.coming and not self.session.project.has_lane(lane_id):
                changed = replace(self.session.coming[lane_id], **{field: value})
                self.session.coming[lane_id] = changed
                self.session.changed.emit("growing")
                return
            if not self.session.project.has_lane(lane_id):
                return  # it went while the mouse was on it
            lane = self.session.project.lane(lane_id)
            self.session.do(commands.set_lane(lane, field, value))
            if final:
                self.session.settle()
                if field == "sensitivity":
                    self.making.refine_again(lane_id)

    def set_region(self, region: Span | None, final: bool = True, looped: bool = False) -> None:
        """Select a stretch; `looped` as somebody does by hand, who wants to hear it."""
        self.session.do(commands.set_region(region, looped))
        if final:
            self.session.settle()

    def nudge(self, steps: int, end_only: bool = False) -> None:
        """Move the region by bars or beats; without one, the playhead. `end_only` makes it longer or shorter."""
        project, grid = self.session.project, Grid.of(self.session.project)
        if project.region is None:
            head = Span(self.player.position, self.player.position)
            self.player.seek(grid.nudge(head, steps, "bar" if self.snap == "bar" else "beat").start)
        elif end_only:
            moved = grid.nudge(Span(project.region.stop, project.region.stop), steps, self.snap)
            if moved.start > project.region.start:
                self.set_region(Span(project.region.start, moved.start))
        else:
            self.set_region(grid.nudge(project.region, steps, self.snap))

    def remove_selected(self) -> None:
        """Remove the selected stems and parts; what is still being made for them is cancelled."""
        self.making.cancel_all(self.session.selected)
        gone = tuple(x for x in self.session.selected if x not in (SONG_ID, REST_ID))
        if any(self.session.project.has_lane(x) for x in gone):
            self.session.do(commands.remove_lanes(gone))

    def selected_lanes(self) -> list[Lane]:
        """The selected lanes of the project, from top to bottom."""
        return [lane for lane in self.session.project.lanes if lane.id in self.session.selected]

    # -------------------------------------------------------------------------------------------------------- prompt

    def set_prompt(self, prompt: Prompt) -> None:
        """What stands in the prompt bar changed."""
        self.session.do(commands.set_prompt(prompt))

    def submit(self, prompt: Prompt) -> None:
        """Do what the prompt bar says."""
        with self.told():
            self.set_prompt(prompt)
            _check(self.session, self.documents.opening, prompt)
            if self.session.folder is None:
                self.documents.begin_empty(prompt.text or "Generated music")
            self.making.submit(prompt, self.player.position)
            if self.session.project.looping:  # what is being made is heard there as soon as it comes
                _play(self.player, self.session.project)
            self.set_settings(latest(self.settings).asked_for(prompt.text))

    def retry(self, job_id: str) -> None:
        """Try a failed job again."""
        with self.told():
            self.making.retry(job_id)

    def blocked(self, prompt: Prompt) -> str:
        """Why the prompt cannot be submitted; "" if it can."""
        try:
            _check(self.session, self.documents.opening, prompt)
        except InputError as error:
            return str(error)
        return ""

    def seconds_for(self, prompt: Prompt) -> float | None:
        """About how long the prompt will take, from what this computer needed before; None while unknown."""
        project = self.session.project
        speed = self.settings.speed(prompt.task, prompt.quality, self.session.engine.device)
        if speed is None and prompt.task == "extract":
            speed = self.session.engine.speed
        if not speed:
            return None
        parts = 1 if prompt.task == "extract" else max(1, len(asks.prompts_of(prompt)))
        made = parts * asks.takes_of(project, prompt)
        return asks.span_of(project, prompt, self.player.position).samples / project.rate_hz / speed * made

    # ------------------------------------------------------------------------------------------------- tempo, playing

    def set_tempo(self, tempo: Tempo) -> None:
        """The user knows better."""
        self.session.do(commands.set_tempo(tempo, self.session.project.tempo))

    def tap(self) -> None:
        """One tap of the tempo; three make a tempo. While the song plays they are its beats, the first one of a bar.

        All taps until a pause are one step.
        """
        now_s = time.monotonic()
        if self._taps_s and now_s - self._taps_s[-1] > TAP_PAUSE_S:
            self._taps_s.clear()
            self.session.settle()
        self._taps_s.append(now_s)
        project = self.session.project
        tempo = tapped(self._taps_s, project.tempo)
        if tempo is not None and self.player.playing:
            tempo = Grid(tempo, project.rate_hz, project.samples).counted(self.player.position, len(self._taps_s) - 1)
        if tempo is not None:
            self.session.do(replace(commands.set_tempo(tempo, project.tempo), merge="taps"))

    def downbeat_here(self) -> None:
        """A bar begins at the playhead."""
        project = self.session.project
        self.set_tempo(replace(project.tempo, downbeat_s=self.player.position / project.rate_hz))

    def toggle_play(self) -> None:
        """Play or pause."""
        if self.session.project.song is None:
            return
        if self.player.playing:
            self.player.pause()
        else:
            _play(self.player, self.session.project)

    def set_looping(self, on: bool) -> None:
        """Loop the region; without one, the bar under the playhead becomes it."""
        project = self.session.project
        if on and project.region is None and project.song is not None:
            self.set_region(Grid.of(project).bar_around(self.player.position))
        self.session.do(commands.set_looping(on))

    def listen_to(self, what: str) -> None:
        """Hear the original, or the stems."""
        self.listening = "song" if what == "song" else "stems"
        self.player.listen_to("song" if what == "song" else "stems")
        self.session.changed.emit("listening")

    def set_click(self, on: bool) -> None:
        """A click on every beat, or none."""
        self.click = on
        self.player.set_click(on)
        self.session.changed.emit("listening")

    # -------------------------------------------------------------------------------------------------------- settings

    def set_settings(self, settings: Settings) -> None:
        """Use and keep settings."""
        before, self.settings = self.settings, settings
        try:
            save_changes(settings, self._kept)
            self._kept, self._unkept = settings, ""
        except (MgeldmError, OSError) as error:
            if (why := explained(error)[0]) != self._unkept:  # every prompt and every finished job is a setting
                self.session.tell_error(error)
            self._unkept = why
        if settings != before:
            self.snap = settings.snap
            self.settings_changed.emit(settings)

    def configure_engine(self) -> None:
        """Let the engine use the model and the device of the settings."""
        clap = self.settings.clap or str(self.models.clap or "")
        self.engine.configure(EngineConfig(self.settings.model, self.settings.compute, clap))

    def close(self) -> None:
        """Save, and end what runs."""
        self.documents.save_now()
        self._end_errands()
        unfinished = self.making.unfinished()
        self.documents.unfinished = lambda: unfinished  # the next time the project is opened
        self.making.leave(everything=True)
        self.player.close()
        self.engine.close()
        self._end_errands()  # what came of that
        self.documents.save_now()  # nothing can be asked for any more, so this state is the last one
        self.saver.close()
        if self.session.folder is not None:
            self.session.folder.close()
            _leave(self, self.session.folder)

    def _end_errands(self) -> None:
        """Wait for what the workers are at, and drop what is of no use any more."""
        stops = (self.documents.stop, self.taking.cancel_all, self.models.stop)
        # stems that were finished just now land first, and what that sets off is of no use any more
        for end in (*stops, self._delivery.finish, *stops, self.workers.close, self.porters.close):
            end()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turns errors meant for the user into notices."""
        try:
            yield
        except (MgeldmError, OSError) as error:
            self.session.tell_error(error)

    def _learn(self, task: Task, quality: Quality, times_real_time: float) -> None:
        """What this computer needed; new figures count as much as all before them, since models and loads change."""
        device = self.session.engine.device
        old = self.settings.speed(task, quality, device) or times_real_time
        new = Speed(task, quality, device, (old * times_real_time) ** 0.5)
        self.set_settings(latest(self.settings).measured(new))

    def _on_changed(self, what: str) -> None:
        song, left = self.session.project.song, self._folder
        if left is not self.session.folder:
            self._folder = self.session.folder
            _leave(self, left)
        if self.session.history is not self._history:  # another project: from its start, as it is
            self._history, self._song = self.session.history, song
            self.player.pause()
            self.player.seek(0)
            self.listen_to("stems")
        elif song != self._song:  # made from nothing, or back after an undo
            self._song = song
            if self.session.project.tempo.source == "none":
                self.documents.find_tempo()
        if what in ("project", "growing", "folder"):
            self.player.show(self.session.shown, self.session.all_growing())


def _check(session: Session, opening: Opening | None, prompt: Prompt) -> None:
    """Raise `InputError` where a prompt cannot be submitted; one that comes while a song is read is meant for that."""
    if opening is not None and not opening.is_copy:
        raise InputError("{name} is still being opened; ask when it is there.", name=opening.name)
    if session.folder is not None:
        session.folder.check_writable()
    asks.check(session.project, prompt, session.selected)


def _leave(c: Controller, left: ProjectFolder | None) -> None:
    """Of a project that was begun for music that never came nothing stays; it is closed by now."""
    if left is not None and left.is_new and clear_shell(left.folder):
        c.set_settings(latest(c.settings).removed(left.folder))


def _play(player: Player, project: Project) -> None:
    """Play, from the region's start where a loop is on and the playhead lies outside."""
    region = project.region
    if project.looping and region is not None and not region.start <= player.position < region.stop:
        player.seek(region.start)
    player.play()
