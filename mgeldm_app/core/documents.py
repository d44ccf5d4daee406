"""Opening songs and projects, and keeping them: every change is saved at once, beside what the user does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from mgeldm.errors import Cancelled, MgeldmError
from mgeldm.language import say
from mgeldm.progress import Reporter

from . import commands, drop
from .asks import Target, Unfinished, name_of, stem_called
from .delivery import Delivery
from .opening import Opening, Overview, look_into
from .ports import Workers
from .project import Lane, Project, SongFile, Tempo
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
        ask_to_lose: Asks the user whether a project may be left with changes that could not be saved.
        finish: Waits for stems that workers are naming, and puts them into the project: their turn may come too late.
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
        self._reading = Delivery(workers)
        self._heard: Opening | None = None  # the song whose tempo is being found
        self._saved: Project | None = None
        self._coming: dict[str, Lane] = {}  # lanes still being made, as they were last
        self._saving = self._waiting = self.failing = self._closing = False
        self.later: Callable[[Callable[[], None]], None] = lambda function: function()
        self.unfinished: Callable[[], tuple[Unfinished, ...]] = tuple
        self.ask_to_leave: Callable[[], bool] = lambda: True
        self.ask_to_lose: Callable[[], bool] = lambda: True
        self.finish: Callable[[], None] = lambda: None
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
                folder.remove()
                raise

        def show(result: tuple[ProjectFolder, SongFile]) -> None:
            folder, song = result
            prompt = replace(self.session.project.prompt, like=None)  # what was typed while the song was read
            self._begin(folder, commands.open_song(song).apply(Project(prompt=prompt)))
            self.find_tempo()

        def seen(overview: Overview | None) -> None:
            opening.overview = overview
            self.session.changed.emit("folder")

        def drop(result: tuple[ProjectFolder, SongFile]) -> None:
            result[0].remove()

        # the other worker looks into the file meanwhile; why it fails, `read` says
        if self._go_to(opening, read, show, drop):
            self.workers.run(lambda: look_into(path), seen, lambda error: None)

    def cancel_opening(self) -> None:
        """Do not open what is being opened."""
        if self.opening is not None:
            self.opening.cancelled = True

    def stop(self) -> None:
        """End what is slow and of no use any more, and drop what came of it: the window closes.

        What workers were still at then is dropped by calling it again when they are at rest. A copy is waited for, and
        stays where it was asked for.
        """
        self._closing = True
        if self.opening is not None and not self.opening.is_copy:
            self.cancel_opening()
        self._stop_listening()
        self._reading.deliver()

    def _stop_listening(self) -> None:
        if self._heard is not None:
            self._heard.cancelled = True

    def open_project(self, folder: Path) -> None:
        """Open a project as it was left; the one that is open anew, if it was moved or could only be read."""
        here = self.session.folder if self.session.folder and self.session.folder.is_at(folder) else None
        if here is not None and not (here.moved or here.read_only):
            self.session.tell(say("{project} is open already.", project=folder.stem))
            return
        goes_on = here is not None and not here.read_only
        if here is not None:
            here.follow(folder)  # where it was, what was done since it was moved could not be saved

        def read() -> ProjectFolder:
            if here is not None:
                here.close()  # its lock went along with the folder
            opened = ProjectFolder.open(folder)
            if not goes_on:
                opened.tidy()
            return opened

        def show(opened: ProjectFolder) -> None:
            if goes_on and not self.session.jobs:  # those begin anew, from what is kept of them
                self._saved = None
                self.session.move_to(opened)
                self.opened(opened.folder)
            else:
                self._begin(opened, opened.project)
                self._saved = opened.project
            if opened.notice:
                self.session.tell(opened.notice)
            if self.session.project.tempo.source == "none":
                self.find_tempo()

        self._go_to(Opening(folder.stem), read, show, ProjectFolder.close)

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
            if self._closing or self.session.folder is not here:
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
                here.store.hand_on(self.session.project.audios(), copied.store.folder)  # what came meanwhile, too
            except (MgeldmError, OSError) as error:
                copied.close()
                self._tell(say("{project} has not got all audio; this project stays open.", project=copied_name), error)
                return
            self._saved = None  # the copy has what was saved when it was made, the session may be further
            self.session.move_to(copied)
            self.opened(copied.folder)
            told = say("Saved as {project}; the project goes on there.", project=copied_name)
            self.session.tell(f"{told} {copied.notice}".strip())

        project, opening = self.session.project, Opening(folder.stem, is_copy=True)
        self._open(opening, lambda: here.copy_to(folder, project, opening.reporter()), show, ProjectFolder.remove)

    def may_leave(self, agreed: Set[object] = frozenset()) -> bool:
        """Whether nothing is being made for the project, or the user would leave it all the same.

        Args:
            agreed: Ids of the jobs that the user would leave, as is known already.
        """
        return _under_work(self.session) <= agreed or self.ask_to_leave()

    def may_lose(self, agreed: Set[object] = frozenset()) -> bool:
        """Save what is not saved; whether that is all, or the user would do without it.

        Args:
            agreed: States of the project that the user would lose, as is known already.
        """
        self.save_now()
        return not self.unsaved or self.session.project in agreed or self.ask_to_lose()

    def close(self) -> None:
        """Close the project, if it may be left; the window becomes empty."""
        if self.session.busy and self._is_opening():  # `_may_go` would let the window stand still until that is there
            return
        if self._may_go():
            self._stop_listening()
            self._coming.clear()
            self.session.begin(None, Project(prompt=replace(self.session.project.prompt, like=None)))

    @property
    def unsaved(self) -> bool:
        """Whether there is something that is not yet on the disk; of a project that is read only, any change."""
        folder, project = self.session.folder, self.session.project
        if folder is None:
            return False
        return project != self._saved if folder.read_only else project is not self._saved

    def save_again(self) -> None:
        """Try once more if the last try failed; the window calls it every few seconds."""
        if self.unsaved and self.failing:
            self._save()

    def save_now(self) -> None:
        """Write the project before returning, after all that is still being written; a failure is told."""
        folder, project = self.session.folder, self.session.project
        if folder is None:
            return
        self.saver.wait()
        folder.save_unfinished(self._under_way())
        try:
            folder.save(project)  # which alone knows what lies on the disk, and writes nothing twice
            if not folder.read_only:
                self._saved = project
        except (MgeldmError, OSError) as error:
            self._tell(say("The project could not be saved."), error)

    # -------------------------------------------------------------------------------------------------------- pieces

    def _go_to(
        self, opening: Opening, read: Callable[[], Any], show: Callable[[Any], None], drop: Callable[[Any], None]
    ) -> bool:
        """`_open` in place of this project, if that may be left, both now and when it is read."""
        if self._is_opening() or not (self.may_leave() and self.may_lose()):
            return False
        agreed = _under_work(self.session) | {self.session.project}

        def go(result: Any) -> None:
            if self._may_go(agreed):  # jobs and changes may have come meanwhile
                show(result)
            else:
                drop(result)
                self.session.changed.emit("folder")

        return self._open(opening, read, go, drop)

    def _may_go(self, agreed: Set[object] = frozenset()) -> bool:
        """Whether the project may be left now; see `may_leave` and `may_lose`."""
        if not self.may_leave(agreed):
            return False
        if self.session.busy:  # a stem may be finished and still being named: it is kept
            self._stop_listening()
            self.finish()
        return self.may_lose(agreed)

    def _is_opening(self) -> bool:
        """Whether something is being opened already, which is told."""
        if self.opening is not None:
            name = self.opening.name
            opened = say("{name} is still being opened; wait a moment.", name=name)
            copied = say("{name} is still being saved; wait a moment.", name=name)
            self.session.tell(copied if self.opening.is_copy else opened)
        return self.opening is not None

    def _open(
        self, opening: Opening, read: Callable[[], Any], show: Callable[[Any], None], drop: Callable[[Any], None]
    ) -> bool:
        """Run `read` on a worker, then `show` what it gives, or `drop` it if it was called off; one at a time."""
        if self._is_opening():
            return False
        self.opening = opening
        self.session.changed.emit("folder")

        def done(result: Any) -> None:
            self.opening = None
            if opening.cancelled:  # too late for `read` to hear of it
                drop(result)
                self.session.changed.emit("folder")
            else:
                show(result)

        def failed(error: BaseException) -> None:
            self.opening = None
            self.session.changed.emit("folder")
            if not isinstance(error, Cancelled):
                said = say("{name} could not be opened; try another file.", name=opening.name)
                if opening.is_copy:
                    said = say("{name} could not be saved; try another place.", name=opening.name)
                self._tell(said, error)

        self._reading.run(read, done, failed)
        return self.opening is opening

    def _tell(self, sentence: str, error: BaseException) -> None:
        """An error meant for people says it itself; of any other the sentence, with details to copy."""
        self.session.tell_error(error, "" if isinstance(error, MgeldmError) else sentence)

    def _begin(self, folder: ProjectFolder, project: Project) -> None:
        """Show another project; this one may be left."""
        self._stop_listening()
        self._saved = None
        self._coming.clear()
        self.session.begin(folder, project)
        self.opened(folder.folder)

    def find_tempo(self) -> None:
        """Hear how fast the song is, on a worker; what the user says meanwhile holds."""
        song, store = self.session.project.song, self.session.store
        if song is None or store is None:
            return
        self._stop_listening()
        path = store.path(song.audio)
        heard = self._heard = Opening(song.name, is_song=True)

        def found(tempo: Tempo) -> None:
            if not heard.cancelled:
                is_opened = not self.unsaved
                self.session.amend(commands.found_tempo(tempo))
                if is_opened and self.session.folder is not None and self.session.folder.read_only:
                    self._saved = self.session.project  # nothing that a user would miss

        def failed(error: BaseException) -> None:
            if not heard.cancelled:
                self.session.tell(say("The tempo could not be found; tap or type it."), details=trace_of(error))

        self.workers.run(lambda: self.analyse(path, heard.reporter()), found, failed)

    def _under_way(self) -> tuple[Unfinished, ...]:
        """What is under way, for lanes as the user has set them since; a window that closes drops these first."""
        self._coming |= self.session.coming
        return tuple(_as_set(job, self._coming, self.session.project) for job in self.unfinished())

    def _on_changed(self, what: str) -> None:
        def save_waiting() -> None:
            self._waiting = False
            self._save()

        if what == "growing" or (what == "project" and self.session.history.merging):
            if not self._waiting:
                self._waiting = True
                self.later(save_waiting)
        elif what in ("project", "settled", "jobs"):
            self._save()

    def _save(self) -> None:
        """Let the saver write what is new of project and jobs; while that is being written, the next waits."""
        folder, project, jobs = self.session.folder, self.session.project, self._under_way()
        is_new = project is not self._saved
        if folder is None or folder.read_only or self._saving or not (is_new or jobs != folder.unfinished):
            return
        self._saving = True

        def write() -> None:
            if is_new:
                folder.save(project)
            folder.save_unfinished(jobs)

        def done(_: object) -> None:
            self._saving = self.failing = False
            if self.session.folder is folder:
                self._saved = project
            self._save()

        def failed(error: BaseException) -> None:
            self._saving = False
            if not self.failing:  # once is enough to say
                self._tell(say("The project could not be saved; it is tried again every few seconds."), error)
            self.failing = True

        self.saver.run(write, done, failed)


def _under_work(session: Session) -> set[object]:
    """Ids of the jobs that something is to come of."""
    return {view.job.id for view in session.jobs.values() if view.under_way}


def _as_set(job: Unfinished, lanes: Mapping[str, Lane], project: Project) -> Unfinished:
    """A job for lanes as they are set by now.

    Where a source was or is regenerated they keep their names, which say which stems fall silent (`landing.Landing`).
    """
    targets = [target for target in job.targets if target]
    named = any(each.muted or stem_called(project.lanes, name_of(each), replaced=True) for each in targets)

    def known(target: Target) -> Target:
        lane = lanes.get(target.lane.id, target.lane)
        return replace(target, lane=replace(lane, name=target.lane.name) if named else lane)

    return replace(job, targets=tuple(target and known(target) for target in job.targets))
