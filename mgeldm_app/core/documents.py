"""Opening songs and projects, and keeping them: every change is saved at once, beside what the user does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mgeldm.errors import Cancelled, MgeldmError
from mgeldm.language import say
from mgeldm.progress import Reporter

from . import commands, drop
from .asks import Unfinished
from .files import link_or_copy
from .opening import Opening, Overview, look_into
from .ports import Workers
from .project import Project, SongFile, Tempo
from .reports import trace_of
from .session import Session
from .storage import ProjectFolder, free_name


class Documents:
    """The project's life on disk.

    Args:
        session: What is open.
        workers: Read and decode.
        saver: Writes states of the project, one after the other, so that none ever follows a newer one.
        home: Gives the folder in which new projects are made.
        analyse: Finds the tempo of a float wav file (slow; runs on a worker); stops when its reporter says so.
        opened: Hears of each project folder that was opened, for the list of recent ones.

    Attributes:
        opening: What is being opened.
        later: Calls a function a third of a second later: what somebody types or drags is saved that often.
        unfinished: Gives what is under way, which is kept beside the project.
        ask_to_leave: Asks the user whether a project may be left while stems are being made for it.
    """

    def __init__(
        self,
        session: Session,
        workers: Workers,
        saver: Workers,
        home: Callable[[], Path],
        analyse: Callable[[Path, Reporter], Tempo],
        opened: Callable[[Path], None],
    ) -> None:
        self.session, self.workers, self.saver, self.home = session, workers, saver, home
        self.analyse, self.opened = analyse, opened
        self.opening: Opening | None = None
        self._heard: Opening | None = None  # the song whose tempo is being found
        self._saved: Project | None = None
        self._saving = self._waiting = self._failed = False
        self.later: Callable[[Callable[[], None]], None] = lambda function: function()
        self.unfinished: Callable[[], tuple[Unfinished, ...]] = tuple
        self.ask_to_leave: Callable[[], bool] = lambda: True
        session.changed.connect(self._on_changed)

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open what was dropped or chosen; what cannot be opened is told."""
        plan = drop.plan(paths)
        if refusals := drop.refusals(plan):
            self.session.tell(refusals, error=plan.song is None and plan.project is None)
        if plan.project is not None:
            self.open_project(plan.project)
        elif plan.song is not None:
            self.open_song(plan.song)

    def open_song(self, path: Path, name: str = "") -> None:
        """Decode a song into a new project; the window shows it when it is there."""
        name = name or path.name
        opening = Opening(name, is_song=True)

        def read() -> tuple[ProjectFolder, SongFile]:
            folder = ProjectFolder.create(free_name(self.home(), Path(name).stem))
            try:
                return folder, SongFile(folder.store.take_in(path, opening.reporter()), name, str(path))
            except BaseException:
                folder.close()
                shutil.rmtree(folder.folder, ignore_errors=True)
                raise

        def show(result: tuple[ProjectFolder, SongFile]) -> None:
            folder, song = result
            prompt = replace(self.session.project.prompt, like=None)  # what was typed while the song was read
            self._begin(folder, commands.open_song(song).apply(Project(prompt=prompt)))
            self._find_tempo()

        def seen(overview: Overview | None) -> None:
            opening.overview = overview
            self.session.changed.emit("folder")

        if self._open(opening, read, show):  # the other worker looks into the file meanwhile; why it fails, `read` says
            self.workers.run(lambda: look_into(path), seen, lambda error: None)

    def cancel_opening(self) -> None:
        """Do not open what is being opened."""
        if self.opening is not None:
            self.opening.cancelled = True

    def stop(self) -> None:
        """End what is slow and of no use any more: the window closes."""
        self.cancel_opening()
        self._stop_listening()

    def _stop_listening(self) -> None:
        if self._heard is not None:
            self._heard.cancelled = True

    def open_project(self, folder: Path) -> None:
        """Open a project as it was left."""
        here = self.session.folder
        if here is not None and here.folder.resolve() == folder.resolve():
            self.session.tell(say("{project} is open already.", project=folder.stem))
            return

        def read() -> ProjectFolder:
            opened = ProjectFolder.open(folder)
            opened.tidy()
            return opened

        def show(opened: ProjectFolder) -> None:
            self._begin(opened, opened.project)
            self._saved = opened.project
            if opened.notice:
                self.session.tell(opened.notice)
            if opened.project.tempo.source == "none":
                self._find_tempo()

        self._open(Opening(folder.stem), read, show)

    def begin_empty(self, name: str) -> None:
        """A project without a song, for music from nothing.

        Raises:
            OutputError, StorageError: It cannot be made.
        """
        self._begin(ProjectFolder.create(free_name(self.home(), name)), self.session.project)

    def save_as(self, folder: Path) -> None:
        """Copy the project, with all its audio, and go on there."""
        here = self.session.folder
        if here is None:
            return
        if self.session.busy:  # what is being made would stay behind
            self.session.tell(
                say("Stems are still being made; save under another name when they are done, or cancel them.")
            )
            return

        def show(copied: ProjectFolder) -> None:
            copied_name = copied.folder.name
            if self.session.folder is not here:
                copied.close()
                return
            if self.session.busy:  # asked for while it was copied
                copied.close()
                lacks = say(
                    "{project} lacks the stems now being made, so this project stays open.", project=copied_name
                )
                self.session.tell(lacks)
                return
            self.save_now()
            try:
                for audio in self.session.project.audios():  # what came while the rest was copied
                    if not copied.store.path(audio).exists():
                        link_or_copy(here.store.path(audio), copied.store.path(audio))
            except OSError as error:
                copied.close()
                self._tell(say("{project} has not got all audio; this project stays open.", project=copied_name), error)
                return
            self._saved = None  # the copy has what was saved when it was made, the session may be further
            self.session.move_to(copied)
            self.opened(copied.folder)
            self.session.tell(say("Saved as {project}; the project goes on there.", project=copied_name))

        self.save_now()  # what is on the disk is copied
        self._open(Opening(folder.stem), lambda: here.copy_to(folder), show)

    def may_leave(self) -> bool:
        """Whether nothing is being made for the project, or the user would leave it all the same."""
        return not self.session.busy or self.ask_to_leave()

    def close(self) -> None:
        """Close the project, if it may be left; the window becomes empty."""
        if not self.may_leave():
            return
        self.save_now()
        self._stop_listening()
        self.session.begin(None, Project(prompt=replace(self.session.project.prompt, like=None)))

    @property
    def unsaved(self) -> bool:
        """Whether there is something that is not yet on the disk, and should be."""
        folder = self.session.folder
        return folder is not None and not folder.read_only and self.session.project is not self._saved

    def save_again(self) -> None:
        """Try once more if the last try failed; the window calls it every few seconds."""
        if self.unsaved and self._failed:
            self._save()

    def save_now(self) -> None:
        """Write the project before returning, after all that is still being written; a failure is told."""
        folder, project = self.session.folder, self.session.project
        if folder is None:
            return
        self.saver.wait()
        folder.save_unfinished(self.unfinished())
        try:
            folder.save(project)  # which alone knows what lies on the disk, and writes nothing twice
            self._saved = project
        except (MgeldmError, OSError) as error:
            self._tell(say("The project could not be saved."), error)

    # -------------------------------------------------------------------------------------------------------- pieces

    def _open(self, opening: Opening, read: Callable[[], object], show: Callable[..., None]) -> bool:
        """Run `read` on a worker, then `show` what it gives; one at a time, and if the project may be left."""
        if self.opening is not None:
            self.session.tell(say("{name} is still being opened; wait a moment.", name=self.opening.name))
            return False
        if not self.may_leave():
            return False
        self.opening = opening
        self.session.changed.emit("folder")

        def done(result: object) -> None:
            self.opening = None
            show(result)

        def failed(error: BaseException) -> None:
            self.opening = None
            self.session.changed.emit("folder")
            if not isinstance(error, Cancelled):
                self._tell(say("{name} could not be opened; try another file.", name=opening.name), error)

        self.workers.run(read, done, failed)
        return self.opening is opening

    def _tell(self, sentence: str, error: BaseException) -> None:
        """An error meant for people says it itself; of any other the sentence, with details to copy."""
        known = isinstance(error, MgeldmError)
        self.session.tell(str(error) if known else sentence, error=True, details="" if known else trace_of(error))

    def _begin(self, folder: ProjectFolder, project: Project) -> None:
        self.save_now()
        self._stop_listening()
        self._saved = None
        self.session.begin(folder, project)
        self.opened(folder.folder)

    def _find_tempo(self) -> None:
        song, store = self.session.project.song, self.session.store
        if song is None or store is None:
            return
        path = store.path(song.audio)
        heard = self._heard = Opening(song.name, is_song=True)

        def found(tempo: Tempo) -> None:
            if not heard.cancelled:
                self.session.amend(commands.found_tempo(tempo))

        def failed(error: BaseException) -> None:
            if not heard.cancelled:
                self.session.tell(say("The tempo could not be found; tap or type it."), details=trace_of(error))

        self.workers.run(lambda: self.analyse(path, heard.reporter()), found, failed)

    def _on_changed(self, what: str) -> None:
        if what == "growing" or (what == "project" and self.session.history.merging):
            if not self._waiting:
                self._waiting = True
                self.later(self._save_waiting)
        elif what in ("project", "settled", "jobs"):
            self._save()

    def _save_waiting(self) -> None:
        self._waiting = False
        self._save()

    def _save(self) -> None:
        """Let the saver write what is new of project and jobs; while that is being written, the next waits."""
        folder, project, jobs = self.session.folder, self.session.project, self.unfinished()
        is_new = project is not self._saved
        if folder is None or folder.read_only or self._saving or not (is_new or jobs != folder.unfinished):
            return
        self._saving = True

        def write() -> None:
            if is_new:
                folder.save(project)
            folder.save_unfinished(jobs)

        def done(_: object) -> None:
            self._saving = self._failed = False
            if self.session.folder is folder:
                self._saved = project
            self._save()

        def failed(error: BaseException) -> None:
            self._saving = False
            if not self._failed:  # once is enough to say
                self._tell(say("The project could not be saved; it is tried again every few seconds."), error)
            self._failed = True

        self.saver.run(write, done, failed)
