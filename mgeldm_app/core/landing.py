"""Where finished audio goes: onto lanes, into the takes of a part, or in the place of a draft."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from mgeldm.requests import Quality

from . import commands
from .asks import Ask, Target
from .clips import ClipStore
from .jobs import Job
from .project import Audio, Lane, Made, Part, Project, SongFile, Take
from .session import Session


@dataclass
class Work:
    """A job under way, and where its results go.

    Attributes:
        job: What the engine has.
        ask: What it came from.
        store: Where its files lie; results of a project that was closed are dropped.
        group: Jobs of one wish: a draft and its better version, the takes of a part.
        replaces: By output, the audio whose place the result takes, with what has taken that place meanwhile.
        gives_way: Of a draft: its better version's `replaces`, which gets to know the draft once it has landed.
        refines: It only changes the sensitivity.
        filled: Samples from the start of its outputs that are final.
        failed: It waits to be tried again or put away.
        keeping: What it had done is being copied, for which its outputs must stay.
        cancelled: It is not wanted any more: the engine was told to stop it, or it is gone while it is kept.
    """

    job: Job
    ask: Ask
    store: ClipStore
    group: Group
    replaces: dict[int, set[Audio]] = field(default_factory=dict)
    gives_way: dict[int, set[Audio]] | None = None
    refines: bool = False
    filled: int = 0
    failed: bool = False
    keeping: bool = False
    cancelled: bool = False

    def follow(self, old: set[Audio], new: Audio) -> None:
        """Another job's result took the place of `old`: what would have replaced that now replaces this."""
        for audios in self.replaces.values():
            if audios & old:
                audios.add(new)


@dataclass
class Group:
    """What jobs of one wish share: lanes still to come, and whether the first result is there."""

    lanes: dict[str, Lane]
    title: str
    landed: bool = False


Results = tuple[list[Audio | None], Audio | None]
"""By output its audio, None where nobody needs it; and, where a source is taken away, silence as long."""


def results(work: Work, samples: int | None = None) -> Results:
    """What a job has made, as clips; of one that is not finished, its first samples.

    Slow, so it is run on a worker.

    Raises:
        AudioError: A file is missing or damaged.
        OutputError: The store cannot be written.
    """
    store, paths = work.store, work.job.outputs
    takes_away = any(target and target.muted for target in work.ask.targets)
    silence = store.silence_like(paths[0], samples) if takes_away else None

    def clip(path: Path) -> Audio:
        return store.adopt(path) if samples is None else store.cut(path, samples)

    return [clip(path) if target else None for target, path in zip(work.ask.targets, paths, strict=True)], silence


class Landing:
    """Puts results into the project of a session.

    Args:
        session: What is open.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def replace(self, work: Work, audios: list[Audio | None]) -> list[tuple[set[Audio], Audio]]:
        """Let finished audio take the place of what it is better than, in the past too; returns (old, new) of each."""
        replaced = []
        for number, (target, audio) in enumerate(zip(work.ask.targets, audios, strict=True)):
            old = set(work.replaces.get(number, ()))
            if target and audio and old:
                only = target.made.sensitivity if work.refines else None
                self.session.amend(commands.replace_take(target.lane.id, old, self._take(target, audio), only))
                replaced.append((old, audio))
        return replaced

    def add(self, work: Work, audios: list[Audio | None], silence: Audio | None, title: str) -> None:
        """Put finished audio on its lanes: what is new as one step, further takes of one wish without one."""
        project, group, span = self.session.project, work.group, work.ask.span
        if project.song is None:
            self._open(work, audios)
            return
        steps = []
        for number, (target, audio) in enumerate(zip(work.ask.targets, audios, strict=True)):
            if target is None or audio is None or _gone_already(project, target, span.start, audio):
                continue
            take = self._take(target, audio)
            if work.gives_way is not None:
                work.gives_way[number] = {audio}
            if _has_part(project, target.lane.id, span.start, audio):
                if group.landed:
                    self.session.amend(commands.add_take(target.lane.id, span.start, take))
                else:
                    steps.append(commands.new_take(title, target.lane.id, span.start, take))
            else:
                lane = self.session.coming.pop(target.lane.id, target.lane)
                lane = dataclasses.replace(lane, muted=lane.muted or target.muted)
                steps.append(commands.add_part(lane, Part(span.start, (take,)), title))
        if steps:
            self.session.do(commands.together(title, [*self._holes(work, silence), *steps]))
        group.landed = True

    def has_all(self, work: Work, samples: int) -> bool:
        """Whether lanes of a job have something in its first `samples` already: half of another take is of no use."""
        start = work.ask.span.start
        lanes = (lane for lane in self.session.project.lanes if lane.id in work.group.lanes)
        spans = [part.span for lane in lanes for part in lane.parts]
        return any(span.start <= start and start + samples <= span.stop for span in spans)

    def _holes(self, work: Work, silence: Audio | None) -> list[commands.Command]:
        """Where a source is regenerated, silence on lanes that already hold it, so that it is not taken away twice."""
        if silence is None:
            return []
        new = next(target for target in work.ask.targets if target)
        made, example = new.made, "" if new.made.prompt else new.made.like_lane
        hole = Part(work.ask.span.start, (Take(silence, Made("extract", "", made.seed, made.quality)),))
        holes = []
        for lane in self.session.project.of_kind("extracted"):
            holds = lane.name.casefold() == new.lane.name.casefold() or lane.id == example
            if holds and any(part.span.meets(hole.span) for part in lane.parts):
                holes.append(commands.add_part(lane, hole, "silence"))
        return holes

    def _open(self, work: Work, audios: list[Audio | None]) -> None:
        """Music from nothing becomes the song of a new project."""
        made = next(target.made for target in work.ask.targets if target)
        for lane_id in work.group.lanes:
            self.session.coming.pop(lane_id, None)
        if audios[0] is not None:
            self.session.do(commands.open_song(SongFile(audios[0], made.prompt or "Generated music")))

    def _take(self, target: Target, audio: Audio) -> Take:
        engine = self.session.engine
        return Take(audio, dataclasses.replace(target.made, model=engine.model, model_sha256=engine.model_sha256))


def quality_of(work: Work) -> Quality:
    """The quality that a job was asked for."""
    return work.job.request.sampling.quality


def _gone_already(project: Project, target: Target, start: int, audio: Audio) -> bool:
    """Whether an earlier take has taken the replaced source away, all of it: once is enough."""
    parts = _parts(project, target.lane.id)
    return target.muted and any(part.start == start and part.take.audio.samples >= audio.samples for part in parts)


def _has_part(project: Project, lane_id: str, start: int, audio: Audio) -> bool:
    return any(
        part.start == start and part.take.audio.samples == audio.samples
        for part in _parts(project, lane_id)
        if project.lane(lane_id).kind == "added"
    )


def _parts(project: Project, lane_id: str) -> tuple[Part, ...]:
    """The parts of a lane; none where there is no such lane."""
    return project.lane(lane_id).parts if project.has_lane(lane_id) else ()
