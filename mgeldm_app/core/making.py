"""From a prompt to stems on lanes: submits jobs, follows them, puts their results into the project.

Somebody who loops a region hears a draft first; the better version then takes its place, in the past of the history
too. Takes of a new part come one after the other and join the first. What a failed job had finished is kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mgeldm.errors import InputError, MgeldmError
from mgeldm.language import later, say
from mgeldm.outputs import discard
from mgeldm.requests import QUALITIES, Quality

from . import commands
from .apart import Results
from .asks import Ask, Target, Unfinished, again, asks, check, repeatable, takes_of
from .clips import ClipStore
from .delivery import Delivery
from .jobs import CancelledJob, EngineStatus, Failed, Filled, Finished, Job, JobEvent, Progressed, Started
from .landing import Group, Landing, Work, quality_of, song_of
from .placing import Plan, results
from .ports import Engine, Growing
from .project import MOST_TAKES, Audio, Lane, Project, Prompt, Span, Take, Task, joined
from .resuming import LOST_ITS_LANE, NOT_FINISHED, NOTHING_DONE, NOTHING_DONE_LOST, kept, moved, resumed
from .session import JobView, Session
from .storage import ProjectFolder
from .text import QUALITY_NAMES, drawn_seed

_STEPS: dict[Task, str] = {
    "extract": later("extract {lanes}"),
    "impute": later("add {lanes}"),
    "accompany": later("accompany with {lanes}"),
    "inpaint": later("regenerate {lanes}"),
    "generate": later("generate {lanes}"),
}
LEAST_KEPT_S = 0.5  # of a failed job is worth a part


class Making:
    """The jobs of a session.

    Args:
        session: What is open.
        engine: Does the work.
        workers: Hash files and copy. Files that they have renamed are found no more by the next run, so what they did
            must be delivered, even where the window closes meanwhile.
        learned: Receives (task, quality, seconds of music a second of work) of finished jobs.
    """

    def __init__(
        self, session: Session, engine: Engine, workers: Delivery, learned: Callable[[Task, Quality, float], None]
    ) -> None:
        self.session, self.engine, self.workers, self.learned = session, engine, workers, learned
        self._landing = Landing(session)
        self._works: dict[str, Work] = {}
        self._folder: ProjectFolder | None = None  # whose unfinished jobs have been taken up
        self._idle: list[Callable[[], None]] = []
        self._asleep: list[Work] = []  # better versions and further takes of what was undone
        engine.events.connect(self._on_event)
        session.changed.connect(self._on_changed)

    # ------------------------------------------------------------------------------------------------------ asking

    def submit(self, prompt: Prompt, playhead: int = 0) -> None:
        """Begin the work that a prompt stands for; music from nothing is made for where the playhead is.

        Raises:
            InputError: It cannot be worked on as it stands.
            OutputError: The disk has no room.
        """
        session = self.session
        check(session.project, prompt, session.selected)
        assert session.store is not None
        first = drawn_seed() if prompt.seed is None else prompt.seed
        seeds = [first + number for number in range(takes_of(session.project, prompt))]
        coming = tuple(session.coming.values())
        wanted = asks(session.project, prompt, session.store, session.selected, seeds, session.new_id, coming, playhead)
        for same_lane in _by_lane(wanted):
            self._submit_takes(same_lane, prompt.quality)

    def make_again(self, lane_id: str, part: int, vary: bool) -> None:
        """Make a part once more, as another take: with the same seed, or with a new one.

        It is made at what quality the prompt asks for, if that is better, as drafts would else breed drafts.

        Raises:
            InputError: It has as many takes as there can be.
            OutputError: The disk has no room.
        """
        lane = self.session.project.lane(lane_id)
        assert self.session.store is not None
        start = lane.parts[part].start
        _check_room(lane, start, self._works.values())
        taken = {take.made.seed for take in lane.parts[part].takes}
        taken |= {work.ask.request.sampling.seed for work in _asked(self._works.values(), lane, start)}
        changes: dict[str, object] = {"seed": drawn_seed(taken)} if vary else {}
        changes["quality"] = _quality_again(self.session.project, lane.parts[part].take, self._works.values())
        ask = again(self.session.project, lane, part, self.session.store, **changes)
        group = _group_of(ask)
        group.title = say("vary {lane}", lane=lane.name) if vary else say("make {lane} again", lane=lane.name)
        self._submit(ask, group, urgent=True)

    def refine_again(self, lane_id: str) -> None:
        """Give the parts of an extracted lane the sensitivity that the lane now has.

        Raises:
            InputError: Some cannot be made again; the others are.
            OutputError: The disk has no room.
        """
        lane = self.session.project.lane(lane_id)
        for work in list(self._works.values()):
            if work.refines and lane_id in work.group.lanes:
                self.cancel(work.job.id)
        made = {number: part.take.made for number, part in enumerate(lane.parts)}
        unmet = [n for n, each in made.items() if each.repeatable and each.sensitivity != lane.sensitivity]
        for number in sorted(unmet, key=lambda n: not repeatable(self.session.project, made[n])):
            self._make_in_place(lane, number, refines=True, sensitivity=lane.sensitivity)

    def best(self, lane_ids: Sequence[str]) -> int:
        """Extract the stems behind lanes once more at best quality, in place and as one step that can be undone.

        Returns how many jobs this takes.
        """
        self.session.history.end_merging()  # a wish before this one is a step of its own
        count = 0
        for lane in self.session.project.stems_behind(lane_ids):
            for number in below_best(self.session.project, lane):
                self._make_in_place(lane, number, quality="best")
                count += 1
        return count

    def keep_alone(self, lane_id: str, part: int) -> None:
        """Keep the take of a part that sounds and no other, not those either that were still to come.

        Its better version takes its place all the same, and what was asked for anew from it comes.
        """
        lane = self.session.project.lane(lane_id)
        self.session.do(commands.keep_takes(lane_id, part, (lane.parts[part].chosen,)))
        for work in _asked(list(self._works.values()), lane, lane.parts[part].start):
            if not (work.failed or work.replaces or _is_again(work)):
                self.cancel(work.job.id)

    def cancel(self, job_id: str) -> None:
        """Stop a job; one that waits to be tried again is only taken off the list."""
        work = self._works.get(job_id)
        if work is not None and work.failed:
            self._forget(work)
        elif work is not None:
            work.cancelled = True
            if job_id in self.session.jobs:
                self.session.jobs[job_id] = replace(self.session.jobs[job_id], cancelled=True)
            self.engine.cancel(job_id)

    def cancel_all(self, lane_ids: Sequence[str] | None = None) -> None:
        """Stop everything, or what will be new on some lanes: a better version of what is there goes with its lane.

        A job that also makes something for other lanes goes on without these.
        """
        if lane_ids is None:
            _call_off(self.session, self._idle)  # what waits for the stems must not begin because they do not come
            self._asleep.clear()
        growing = self.session.growing
        for work in list(self._works.values()):
            is_new = not (work.failed or work.replaces)
            if lane_ids is None or (is_new and not _goes_on_without(work, lane_ids)):
                self.cancel(work.job.id)
            elif is_new and work.job.id in growing:
                growing[work.job.id] = tuple(part for part in growing[work.job.id] if part.lane_id not in lane_ids)
        if lane_ids:
            self._drop_coming(lane_ids)
            self.session.changed.emit("growing")

    def retry(self, job_id: str) -> None:
        """Try a job again that failed or was stopped, with new files.

        Raises:
            InputError: Its part has as many takes as there can be.
            OutputError: The disk has no room.
        """
        work = self._works.get(job_id)
        if work is not None and work.failed:
            self._landing.settle(work)
            for lane in self.session.project.lanes:
                if lane.id in work.lanes and not work.replaces:
                    _check_room(lane, work.ask.span.start, self._works.values())
            self._submit(work.ask, work.group, work.job.urgent, **_as_before(work))
            self._forget(work)

    def unfinished(self) -> tuple[Unfinished, ...]:
        """What is under way or waits to be tried again, to be taken up when the project is opened the next time."""
        works = [work for work in self._works.values() if work.store is self.session.store and not work.cancelled]
        found = [kept(work) for work in works]
        return tuple(each for each in found if each)

    def when_idle(self, function: Callable[[], None]) -> None:
        """Call `function`, which exports, once nothing is queued or running; that it never will be called is told."""
        self._idle.append(function)
        self._on_changed("jobs")

    # -------------------------------------------------------------------------------------------------- submitting

    def _submit_takes(self, takes: list[Ask], quality: Quality) -> None:
        """Begin the work of one wish. Where somebody listens, a draft of the first take goes before all else."""
        group, listens = _group_of(takes[0]), self.session.project.looping
        with_draft, better = listens and quality != "draft", dict[int, set[Audio]]()
        urgent = listens and not with_draft
        if with_draft:
            self._submit(_in_quality(takes[0], "draft"), group, urgent=True, gives_way=better)
        self._submit(takes[0], group, urgent, shown=not with_draft, replaces=better)
        for ask in takes[1:]:
            self._submit(ask, group, urgent)

    def _make_in_place(self, lane: Lane, part: int, refines: bool = False, **changes: object) -> None:
        """Make a part of an extracted lane once more, to take the place of what is there.

        With `refines` it follows the sensitivity, which is a step already; else it is one of its own.
        """
        assert self.session.store is not None
        ask = again(self.session.project, lane, part, self.session.store, **changes)
        output = next(i for i, target in enumerate(ask.targets) if target)
        replaces = {output: {lane.parts[part].take.audio}}
        self._submit(ask, _group_of(ask), urgent=refines, replaces=replaces, refines=refines, undoable=not refines)

    def _submit(
        self,
        ask: Ask,
        group: Group,
        urgent: bool,
        shown: bool = True,
        replaces: dict[int, set[Audio]] | None = None,
        gives_way: dict[int, set[Audio]] | None = None,
        refines: bool = False,
        undoable: bool = False,
    ) -> None:
        store, project = self.session.store, self.session.project
        assert store is not None and self.session.folder is not None
        self.session.folder.check_writable()
        channels = project.song.audio.channels if project.song else 2
        paths = _begun(store, project.rate_hz, channels, ask)
        job = Job(uuid.uuid4().hex, ask.title, ask.request, ask.heard, paths, ask.span.start, urgent, ask.example)
        replaces = {} if replaces is None else replaces  # an empty one may be filled by a draft
        song = song_of(project)
        work = self._works[job.id] = Work(job, ask, store, group, replaces, gives_way, refines, undoable, song=song)
        work.look(project)  # it ends with lanes that are there already
        if shown and not replaces and _is_heard_at_once(work):
            taken_away = {target.lane.id for target in ask.targets if target and target.muted}
            for lane in (lane for lane in group.lanes.values() if not project.has_lane(lane.id)):
                lane = replace(lane, muted=lane.muted or lane.id in taken_away)
                self.session.coming.setdefault(lane.id, lane)
            growing = [_growing(target, path, ask) for target, path in zip(ask.targets, paths, strict=True) if target]
            self.session.growing[job.id] = tuple(growing)
        self.session.show_job(JobView(job))
        self.engine.submit(job)

    # ------------------------------------------------------------------------------------------------------ events

    def _on_event(self, event: JobEvent | EngineStatus) -> None:
        if isinstance(event, EngineStatus):
            self.session.show_engine(event)
            return
        work, view = self._works.get(event.job_id), self.session.jobs.get(event.job_id)
        if work is None:
            return
        if view is None:  # its project was closed
            if isinstance(event, Finished | Failed | CancelledJob):
                self._forget(work)
        elif isinstance(event, Started):
            self.session.show_job(replace(view, state="running"))
        elif isinstance(event, Progressed):
            further = replace(view, stage=event.stage, done=event.done, total=event.total, left_s=event.left_s)
            self.session.show_job(further)
        elif isinstance(event, Filled):
            _fill(self.session, work, Span(event.start, event.stop))
        elif isinstance(event, Finished):
            self._finish(work, event)
        elif isinstance(event, Failed):
            failed = JobView(view.job, "failed", message=event.message, details=event.details)
            self._stop(work, replace(failed, can_retry=event.can_retry))
        elif isinstance(event, CancelledJob):
            self._forget(work)

    def _finish(self, work: Work, event: Finished) -> None:
        """Put on its lanes what a job has made, once what came before it is there: no two may share a sound."""

        def begin() -> Callable[[], Results]:
            if work.store is self.session.store:
                self._landing.settle(work)
            return partial(adopt, self._landing.plan(work, work.ask.span.samples))

        def adopt(plan: Plan) -> Results:
            found = results(plan, work.job.outputs)
            discard(*work.job.outputs)  # those that nobody needs
            return found

        def land(found: Results) -> None:
            try:
                self._land(work, found)
            except Exception as error:  # whatever it is, the job is over, and the user hears of it
                lost(error)

        def lost(error: BaseException) -> None:
            self._forget(work)
            self.session.tell_error(error, say("A finished stem could not be kept; ask for it again."))

        self.workers.run_in_turn(begin, land, lost)
        made = next((target.made for target in work.ask.targets if target), None)
        if made is not None and event.seconds > 0 and event.is_new:
            self.learned(made.task, quality_of(work), event.audio_s / event.seconds)

    def _stop(self, work: Work, view: JobView) -> None:
        """A job ends unfinished and waits to be tried again, unless it was cancelled before that was heard of."""
        if work.cancelled:
            self._forget(work)
            return
        work.failed = True
        self.session.growing.pop(work.job.id, None)
        if _is_worth_keeping(work, self._landing):
            self._keep(work)
        else:
            work.filled = 0
            self._drop_coming(work.group.lanes)
        self.session.show_job(view)
        self.session.changed.emit("growing")

    def _take_up(self) -> None:
        """What was under way when the project was last open waits to be tried again."""
        folder, session = self.session.folder, self.session
        if folder is self._folder:
            return
        self._folder, project = folder, session.project
        self.engine.forget()  # of what was open before
        if folder is None or folder.read_only:
            return
        works = resumed(project, folder.store, folder.unfinished)
        self._works |= {work.job.id: work for work in works}
        for lane in (lane for work in works for lane in work.group.lanes.values()):
            project = project if project.has_lane(lane.id) else project.with_lane(lane)
        session.new_id.pass_over(project)
        for work in works:
            whole = all(repeatable(session.project, target.made) for target in work.ask.targets if target)
            if _is_worth_keeping(work, self._landing) or _was_kept(work, session.project):
                message = NOT_FINISHED if whole else LOST_ITS_LANE
            else:
                message = NOTHING_DONE if whole else NOTHING_DONE_LOST
            self._stop(work, JobView(work.job, "stopped", message=say(message), can_retry=whole))

    def _keep(self, work: Work) -> None:
        """What an unfinished job had done becomes a part of its own, so that nothing is lost.

        Until that has come about, it counts as filled: if the project is left, it is done when it is opened again.
        """
        samples, work.keeping = work.filled, True

        def begin() -> Callable[[], Results]:
            return partial(results, self._landing.plan(work, samples), work.job.outputs, samples)

        def land(found: Results) -> None:
            ended()
            if work.store is not self.session.store:
                return
            if not self._landing.has_all(work, samples):
                try:
                    self._landing.add(work, found, say("keep what was finished of {step}", step=work.group.title))
                except Exception as error:  # whatever it is, it must not keep the window from closing
                    failed(error)
                    return
            work.filled = 0

        def failed(error: BaseException) -> None:
            ended()
            self.session.tell_error(error, say("What was finished of a stem could not be kept; ask for it again."))

        def ended() -> None:
            work.keeping = False
            if work.cancelled:  # tried again or put away meanwhile
                discard(*work.job.outputs)

        self.workers.run_in_turn(begin, land, failed)

    # ----------------------------------------------------------------------------------------------------- landing

    def _land(self, work: Work, found: Results) -> None:
        """Put finished audio into the project it was made for, unless it was cancelled while its files were read."""
        self._works.pop(work.job.id, None)
        if work.store is self.session.store and not work.cancelled:
            self.session.growing.pop(work.job.id, None)  # what is put into the project takes its place in one step
            for draft in [each for each in self._works.values() if each.gives_way is work.replaces]:
                self.cancel(draft.job.id)  # it failed or comes too late: what is better is there
            landing = self._landing
            changed = landing.replace(work, found) if work.replaces else landing.add(work, found, work.group.title)
            for old, new in changed:
                for other in (*self._works.values(), *self._asleep):
                    other.follow(old, new)
            for other in [each for each in self._works.values() if not _is_heard_at_once(each)]:
                self.session.growing.pop(other.job.id, None)
            self._refine_unmet(set(work.group.lanes))
        self._forget(work)

    def _refine_unmet(self, lane_ids: Set[str]) -> None:
        """Lanes whose sensitivity is not that of their parts: it was turned meanwhile, or undone before it was met."""
        project = self.session.project
        for lane in project.of_kind("extracted"):
            made = [part.take.made for part in lane.parts if repeatable(project, part.take.made)]
            if lane.id in lane_ids and any(each.sensitivity != lane.sensitivity for each in made):
                with _told(self.session):
                    self.refine_again(lane.id)

    # ------------------------------------------------------------------------------------------------- housekeeping

    def _forget(self, work: Work) -> None:
        """A job is over. Its files go last: Windows keeps them while the player shows them."""
        self._works.pop(work.job.id, None)
        if work.store is self.session.store:
            self._drop_coming(work.group.lanes)
        self.session.drop_job(work.job.id)
        if work.keeping:
            work.cancelled = True  # `_keep` needs its files, and removes them
        else:
            discard(*work.job.outputs)

    def _drop_coming(self, lane_ids: Iterable[str]) -> None:
        """Lanes that nothing is being made for any more do not come."""
        waiting = {lane_id for other in self._works.values() if not other.failed for lane_id in other.group.lanes}
        for lane_id in set(lane_ids) - waiting:
            self.session.coming.pop(lane_id, None)

    def leave(self, everything: bool = False) -> None:
        """End the work for projects that are not open any more, or all; files stay for when they are opened again.

        What waits to be tried again goes along when the project is saved under another name.
        """
        here = self.session.store
        for work in [work for work in self._works.values() if everything or work.store is not here]:
            _call_off(self.session, self._idle)
            if here and not everything and work.failed and work.job.id in self.session.jobs:
                self._works[work.job.id] = moved(work, here)
                if not work.filled:
                    discard(*work.job.outputs)
            elif work.filled:
                del self._works[work.job.id]
                self.engine.cancel(work.job.id)
            else:
                self.cancel(work.job.id)

    def _on_changed(self, what: str) -> None:
        """Undoing a part also ends the jobs that would make it better or give it more takes, until it is back."""
        if what == "folder":
            self._asleep = [work for work in self._asleep if work.store is self.session.store]
            self.leave()
        if what == "travelled" and self.session.editable:
            for work in [each for each in self._asleep if _is_back(each, self.session.project)]:
                self._asleep.remove(work)
                with _told(self.session):
                    self._submit(work.ask, work.group, work.job.urgent, **_as_before(work))
            lanes = self.session.project.of_kind("extracted")
            works = self._works.values()
            self._refine_unmet({lane.id for lane in lanes if not any(_meets(work, lane) for work in works)})
        if what == "jobs" and self._idle and not self.session.busy:
            waiting, self._idle = self._idle, []
            for function in waiting:
                function()
        if what != "project":
            return
        self._take_up()
        for work in list(self._works.values()):
            if work.store is self.session.store and work.look(self.session.project) and not work.cancelled:
                if work.seen and not (work.refines or work.failed):
                    self._asleep.append(work)
                self.cancel(work.job.id)


def _call_off(session: Session, waiting: list[Callable[[], None]]) -> None:
    """What waits for stems that do not come never begins."""
    if waiting:
        waiting.clear()
        session.tell(say("The export that waited for stems was called off with them; ask for it again."))


@contextmanager
def _told(session: Session) -> Iterator[None]:
    """Turns errors of work that nobody waits for into notices."""
    try:
        yield
    except MgeldmError as error:
        session.tell_error(error)


def _fill(session: Session, work: Work, span: Span) -> None:
    """More of what a job makes is final."""
    growing = session.growing.get(work.job.id)
    if growing is not None:
        grown = tuple(replace(part, filled=tuple(joined((*part.filled, span)))) for part in growing)
        session.growing[work.job.id] = grown
        work.filled = max((each.stop for each in grown[0].filled if each.start == 0), default=0)
        session.changed.emit("growing")


def _is_worth_keeping(work: Work, landing: Landing) -> bool:
    """Whether a job that ended unfinished has done enough for a part of its own."""
    worth_it = work.filled >= LEAST_KEPT_S * landing.session.project.rate_hz and work.gives_way is None
    return worth_it and not landing.has_all(work, work.filled)


def _as_before(work: Work) -> dict[str, Any]:
    """How a job is begun that comes after one of the same ask."""
    places = {"replaces": work.replaces, "gives_way": work.gives_way}
    return {**places, "refines": work.refines, "undoable": work.undoable}


def _was_kept(work: Work, project: Project) -> bool:
    """Whether what a job had done lies on one of its lanes, since it failed and waits to be tried again."""
    is_new, start = not (work.replaces or _is_again(work)), work.ask.span.start
    parts = [part for lane in project.lanes if lane.id in work.lanes for part in lane.parts if part.start == start]
    return is_new and work.ask.request.sampling.seed in {take.made.seed for part in parts for take in part.takes}


def _is_heard_at_once(work: Work) -> bool:
    """Whether it sounds as it grows: not a further take of what is there, which would break into the one that plays."""
    targets = [target for target in work.ask.targets if target]
    return not work.group.landed or _is_again(work) or any(each.lane.kind == "extracted" for each in targets)


def _is_again(work: Work) -> bool:
    """Whether somebody asked for it anew from a part."""
    return any(target.again for target in work.ask.targets if target)


def _is_back(work: Work, project: Project) -> bool:
    """Whether there is again what a job would make better, or the part that it would give another take."""
    if work.replaces:
        return bool(project.audios() & set().union(*work.replaces.values()))
    parts = [part for lane in project.lanes if lane.id in work.lanes for part in lane.parts]
    return work.is_of(project) and any(part.start == work.ask.span.start for part in parts)


def _quality_again(project: Project, take: Take, works: Iterable[Work]) -> Quality:
    """At which quality a take is made anew: as good as it is, as its better version will be, or as the prompt asks."""
    better = [quality_of(work) for work in works if take.audio in set().union(*work.replaces.values())]
    return max(take.made.quality, project.prompt.quality, *better, key=QUALITIES.index)


def below_best(project: Project, lane: Lane) -> list[int]:
    """Parts of an extracted lane that could be had better."""
    made = [part.take.made for part in lane.parts] if lane.kind == "extracted" else []
    return [number for number, each in enumerate(made) if repeatable(project, each) and each.quality != "best"]


def _check_room(lane: Lane, start: int, works: Iterable[Work]) -> None:
    """Takes still to come count too, so that none is made in vain; a draft and its better version are one.

    Raises:
        InputError: The part that begins at `start` has as many takes as there can be.
    """
    takes = sum(len(part.takes) for part in lane.parts if part.start == start)
    asked = _asked(works, lane, start)
    takes += sum(not (work.failed or work.cancelled or work.replaces or work.gives_way is not None) for work in asked)
    if takes >= MOST_TAKES:
        raise InputError("{lane} has {most} takes here; remove some first.", lane=lane.name, most=MOST_TAKES)


def _asked(works: Iterable[Work], lane: Lane, start: int) -> list[Work]:
    """What is to come, or has failed, for the parts of a lane that begin there."""
    return [work for work in works if lane.id in work.lanes and work.ask.span.start == start]


def _begun(store: ClipStore, rate_hz: int, channels: int, ask: Ask) -> tuple[Path, ...]:
    """A silent file for each output; none stays where there is no room for all."""
    paths: list[Path] = []
    try:
        for _ in ask.targets:
            paths.append(store.begin(rate_hz, channels, ask.span.samples))
    except BaseException:
        discard(*paths)
        raise
    return tuple(paths)


def _group_of(ask: Ask) -> Group:
    return Group({target.lane.id: target.lane for target in ask.targets if target}, _title_of_step(ask))


def _meets(work: Work, lane: Lane) -> bool:
    """Whether a job gives a lane the sensitivity that it has, or waits to be tried again with it."""
    made = [target.made for target in work.ask.targets if target and target.lane.id == lane.id]
    return work.refines and not work.cancelled and any(each.sensitivity == lane.sensitivity for each in made)


def _goes_on_without(work: Work, lane_ids: Sequence[str]) -> bool:
    """Let a job make nothing for some lanes; False, and all is as it was, where that leaves nothing to be made.

    A source is not made anew without a lane for what it takes the place of.
    """
    targets = [target for target in work.ask.targets if target]
    left = [target for target in targets if target.lane.id not in lane_ids]
    if left == targets:
        return True
    if not left or any(target.muted for target in targets):
        return False
    work.ask = replace(work.ask, targets=tuple(target if target in left else None for target in work.ask.targets))
    work.group.title = _title_of_step(work.ask)
    for lane_id in lane_ids:
        work.group.lanes.pop(lane_id, None)
    return True


def _growing(target: Target, path: Path, ask: Ask) -> Growing:
    return Growing(
        target.lane.id, path, ask.span.start, (), "extracted" if target.lane.kind == "extracted" else "added"
    )


def _in_quality(ask: Ask, quality: Quality) -> Ask:
    request = replace(ask.request, sampling=replace(ask.request.sampling, quality=quality))
    targets = tuple(t and replace(t, made=replace(t.made, quality=quality)) for t in ask.targets)
    title = say("{job} ({quality})", job=ask.title, quality=say(QUALITY_NAMES[quality]).lower())
    return replace(ask, request=request, targets=targets, title=title)


def _title_of_step(ask: Ask) -> str:
    names = ", ".join(target.lane.name for target in ask.targets if target and not target.muted)
    made = next(target.made for target in ask.targets if target)
    return say(_STEPS[made.task], lanes=names)


def _by_lane(wanted: list[Ask]) -> list[list[Ask]]:
    """Asks that are takes of one part, together."""
    found: dict[str, list[Ask]] = {}
    for ask in wanted:
        key = next(target.lane.id for target in ask.targets if target)
        found.setdefault(key, []).append(ask)
    return list(found.values())
