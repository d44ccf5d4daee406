"""Taking it away: workers write exports and files to drag; the window shows how far they are, and can stop them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mgeldm.audio import writing
from mgeldm.errors import Cancelled, MgeldmError
from mgeldm.language import say
from mgeldm.outputs import aside_of, sweep_old_parts
from mgeldm.progress import Reporter

from .asks import Unfinished
from .export import Colours, ExportReport, export, prepare
from .files import whole_path
from .ports import Workers
from .project import Project
from .session import Session
from .settings import ExportSettings
from .text import listed
from .underway import Underway


@dataclass
class Errand(Underway):
    """Files being written.

    Attributes:
        title: What the user reads: "Exporting to Stems".
        id: Names it.
    """

    title: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


class Taking:
    """Writes lanes to files.

    Args:
        session: What is open.
        workers: Write.
        unfinished: What is being made, some of it better versions of what is there.

    Attributes:
        errands: What is being written or waits for a worker, by id, in the order in which it was asked for.
    """

    def __init__(
        self, session: Session, workers: Workers, unfinished: Callable[[], tuple[Unfinished, ...]] = tuple
    ) -> None:
        self.session, self.workers, self.unfinished = session, workers, unfinished
        self.errands: dict[str, Errand] = {}

    def export(
        self, lane_ids: Sequence[str], options: ExportSettings, colours: Colours, chosen: Project | None = None
    ) -> None:
        """Export lanes to the folder of the options; what came of it is told.

        Args:
            lane_ids: Which.
            options: What is made of them.
            colours: Of lanes.
            chosen: The project when the user chose them, if their parts were made better since: of it are names,
                faders and region.
        """
        project, store, folder = self.session.project, self.session.store, whole_path(options.folder)
        if store is None:
            return
        if chosen is not None:
            project = _as_chosen(chosen, project)
        lanes = [lane for lane in project.lanes if lane.id in lane_ids]

        def write(reporter: Reporter) -> ExportReport:
            with writing(folder, aside_of(folder)), contextlib.suppress(FileExistsError):  # export says what is there
                folder.mkdir(parents=True, exist_ok=True)
            sweep_old_parts(folder)
            return export(project, store.real, lanes, folder, options, colours, reporter)

        title = say("Exporting to {folder}", folder=folder.name or folder)
        soon = self._better_soon(lane_ids)

        def told(report: ExportReport) -> None:
            self.session.tell(f"{report.text} {soon}".strip(), folder=report.files[0].path.parent)

        self._run(Errand(title), write, told)

    def prepare(self, lane_ids: Sequence[str], region_only: bool, done: Callable[[list[Path]], None]) -> None:
        """Files of lanes, ready to be dragged or copied, in the project's folder."""
        project, store, folder = self.session.project, self.session.store, self.session.folder
        if store is None or folder is None:
            return
        lanes = [lane for lane in project.lanes if lane.id in lane_ids]

        def write(reporter: Reporter) -> list[Path]:
            return prepare(project, store.real, lanes, folder.exports, region_only, reporter)

        title = say("Making files of {lanes}", lanes=", ".join(lane.name for lane in lanes))
        soon = self._better_soon(lane_ids)

        def ready(files: list[Path]) -> None:
            done(files)
            if soon:
                self.session.tell(soon)

        self._run(Errand(title), write, ready)

    def _better_soon(self, lane_ids: Sequence[str]) -> str:
        """That what is taken now will not stay as it is, if so: who has it elsewhere does not see that it changed.

        What lost sound to a stem changes with it.
        """
        old = {audio for job in self.unfinished() for audios in job.replaces for audio in audios}
        project = self.session.project
        ids = {*lane_ids, *(lane.id for lane in project.stems_behind(lane_ids))}
        lanes = [lane for lane in project.lanes if lane.id in ids]
        change = {lane.id for lane in project.lanes if any(part.take.audio in old for part in lane.parts)}
        lost_to = {lane.id: {each for part in lane.parts for each in part.take.made.lost_to} for lane in lanes}
        names = [lane.name for lane in lanes if lane.id in change or lost_to[lane.id] & change]
        if not names:
            return ""
        return say("{lanes}: a better version is still to come; take it again when it is there.", lanes=listed(names))

    def cancel(self, errand_id: str) -> None:
        """Stop writing; nothing of it stays."""
        if errand_id in self.errands:
            self.errands[errand_id].cancelled = True

    def cancel_all(self) -> None:
        """Stop writing anything."""
        for errand in self.errands.values():
            errand.cancelled = True

    def _run(self, errand: Errand, write: Callable[[Reporter], Any], done: Callable[[Any], None]) -> None:
        def over() -> None:
            del self.errands[errand.id]
            self.session.changed.emit("jobs")

        def written(result: Any) -> None:
            over()
            done(result)

        def failed(error: BaseException) -> None:
            over()
            if isinstance(error, Cancelled):
                self.session.tell(str(error))
            else:
                sentence = say("The files could not be written; try another folder.")
                self.session.tell_error(error, "" if isinstance(error, MgeldmError) else sentence)

        self.errands[errand.id] = errand
        self.session.changed.emit("jobs")
        self.workers.run(lambda: write(errand.reporter()), written, failed)


def _as_chosen(chosen: Project, now: Project) -> Project:
    """A project as it was, with what its lanes hold by now; those that are gone stay."""
    lanes = (replace(lane, parts=now.lane(lane.id).parts) if now.has_lane(lane.id) else lane for lane in chosen.lanes)
    return replace(chosen, lanes=tuple(lanes))
