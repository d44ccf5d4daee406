"""What is open: the project and its history, its folder, the jobs at work. Lives on the GUI thread alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mgeldm.language import say

from .asks import NewId
from .clips import ClipStore
from .events import Event
from .history import Command, History
from .jobs import EngineStatus, Job
from .ports import Growing
from .project import Lane, Project
from .reports import UNFORESEEN, explained
from .storage import ProjectFolder

JobState = Literal["queued", "running", "failed", "stopped"]


@dataclass(frozen=True)
class JobView:
    """A job as the user sees it; finished and cancelled ones are gone.

    Attributes:
        job: What was asked for.
        state: Where it is; "stopped" when the project was closed.
        stage: What is counted: "windows", "steps".
        done: Of `total`.
        total: Zero while unknown.
        left_s: Seconds left, if known.
        message: Of one that failed or was stopped: what happened, why, what to do.
        details: Of a failure, for a report.
        can_retry: Whether trying again may help.
        cancelled: The engine was told to stop it, and has not yet.
    """

    job: Job
    state: JobState = "queued"
    stage: str = ""
    done: int = 0
    total: int = 0
    left_s: float | None = None
    message: str = ""
    details: str = ""
    can_retry: bool = False
    cancelled: bool = False

    @property
    def under_way(self) -> bool:
        """Whether something is to come of it: it waits for the engine or is with it, and nobody has called it off."""
        return self.state in ("queued", "running") and not self.cancelled


class Session:
    """The state that the window shows. `changed` is emitted after every change, with what kind of thing changed.

    Attributes:
        folder: Where the project lies; None while the window is empty.
        growing: Parts being made, by job id.
        coming: Lanes that such parts will be on and that the project does not have yet, by id.
        jobs: Jobs queued, running, failed or stopped, in the order in which they were asked for.
        selected: Ids of the selected lanes.
        compared: Id of the lane of which it was said last that the keys of takes are about it.
        engine: How the engine is.
        new_id: Gives ids of new lanes, none twice while the project is open: the past of the history has lanes too.
        changed: Of one word: "project", "growing", "jobs", "progress" of a job, "settled", "selection", "engine",
            "folder" (also when something begins to be opened), "travelled" after an undo or a redo.
        notice: Of (message, is an error, details to copy, folder to show or None): something to tell the user.
    """

    def __init__(self) -> None:
        self.history = History(Project())
        self.folder: ProjectFolder | None = None
        self.growing: dict[str, tuple[Growing, ...]] = {}
        self.coming: dict[str, Lane] = {}
        self.jobs: dict[str, JobView] = {}
        self.selected: tuple[str, ...] = ()
        self.compared = ""
        self.engine = EngineStatus("off")
        self.new_id = NewId(Project())
        self.changed = Event()
        self.notice = Event()

    @property
    def project(self) -> Project:
        """The project as it is."""
        return self.history.project

    @property
    def store(self) -> ClipStore | None:
        """The clips of the project."""
        return self.folder.store if self.folder else None

    @property
    def editable(self) -> bool:
        """Whether a song is open that may be changed."""
        return self.project.song is not None and self.folder is not None and not self.folder.read_only

    @property
    def lacks_audio(self) -> bool:
        """Whether silence sounds in place of the song, or of a stem somewhere."""
        store, project = self.store, self.project
        if store is None or project.song is None:
            return False
        stems = (part.take.audio for lane in project.of_kind("extracted") for part in lane.parts)
        return store.stands_in(project.song.audio) or any(map(store.stands_in, stems))

    @property
    def busy(self) -> bool:
        """Whether any job is queued or running."""
        return any(view.state in ("queued", "running") for view in self.jobs.values())

    @property
    def shown(self) -> Project:
        """The project with the lanes to come."""
        project = self.project
        for lane in self.coming.values():
            if not project.has_lane(lane.id):
                project = project.with_lane(lane)
        return project

    def all_growing(self) -> tuple[Growing, ...]:
        """Every part being made."""
        return tuple(part for parts in self.growing.values() for part in parts)

    def begin(self, folder: ProjectFolder | None, project: Project) -> None:
        """Show another project, or none; its history begins here."""
        if self.folder is not None and self.folder is not folder:
            self.folder.close()
        self.folder, self.history = folder, History(project)
        self.growing, self.coming, self.jobs, self.selected, self.compared = {}, {}, {}, (), ""
        self.new_id = NewId(project)
        for what in ("folder", "project", "jobs", "selection"):
            self.changed.emit(what)

    def move_to(self, folder: ProjectFolder) -> None:
        """Go on with the same project and its history in a folder that holds a copy of all its audio."""
        if self.folder is not None:
            self.folder.close()
        self.folder = folder
        for what in ("folder", "project"):
            self.changed.emit(what)

    def do(self, command: Command) -> None:
        """Apply a command."""
        if self.history.do(command):
            self._project_changed()

    def settle(self) -> None:
        """The mouse was released: what comes next is a step of its own."""
        self.history.end_merging()
        self.changed.emit("settled")

    def undo(self) -> None:
        """Take the last step back."""
        self.history.undo()
        self._project_changed()
        self.changed.emit("travelled")

    def redo(self) -> None:
        """Do it again."""
        self.history.redo()
        self._project_changed()
        self.changed.emit("travelled")

    def amend(self, change: Callable[[Project], Project]) -> None:
        """Put a result into the project and its past, without a step of its own."""
        self.history.amend(change)
        self._project_changed()

    def select(self, lane_ids: tuple[str, ...]) -> None:
        """Select lanes; ids of lanes that are not there are dropped."""
        there = tuple(lane_id for lane_id in lane_ids if self.shown.has_lane(lane_id))
        if there != self.selected:
            self.selected = there
            self.changed.emit("selection")

    def show_job(self, view: JobView) -> None:
        """A job is new, or has come further."""
        before = self.jobs.get(view.job.id)
        self.jobs[view.job.id] = view
        self.changed.emit("progress" if before is not None and before.state == view.state else "jobs")

    def drop_job(self, job_id: str) -> None:
        """A job is over; what it was filling is no longer shown as growing. Of one of another project nobody hears."""
        is_here = job_id in self.jobs or job_id in self.growing
        self.jobs.pop(job_id, None)
        self.growing.pop(job_id, None)
        if is_here:
            self.changed.emit("growing")
            self.changed.emit("jobs")

    def show_engine(self, status: EngineStatus) -> None:
        """The engine's state changed."""
        self.engine = status
        self.changed.emit("engine")

    def tell(self, message: str, error: bool = False, details: str = "", folder: Path | None = None) -> None:
        """Tell the user something; `details` can be copied for a report, and `folder` holds what it is about."""
        self.notice.emit(message, error, details, folder)

    def tell_error(self, error: BaseException, sentence: str = "") -> None:
        """Tell the user of an error, after a sentence on what came of it; of one that nobody foresaw with a report."""
        why, details = explained(error)
        said = f"{sentence} {why}".strip() or say(UNFORESEEN)
        self.tell(said, error=True, details=details)

    def _project_changed(self) -> None:
        self.select(self.selected)
        self.changed.emit("project")
