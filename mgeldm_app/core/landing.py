"""Where finished audio goes: onto lanes, into the takes of a part, or in the place of a draft."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

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
        cancelled: The engine was told to stop it.
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

    def add(self, work: Work, audios: list[Audio | None], title: str) -> None:
        """Put finished audio on its lanes: what is new as one step, further takes of one wish without one."""
        project, group, span = self.session.project, work.group, work.ask.span
        if project.song is None:
            self._open(work, audios)
            return
        steps = []
        for number, (target, audio) in enumerate(zip(work.ask.targets, audios, strict=True)):
            if target is None or audio is None or _gone_already(project, target, span.start):
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
            self.session.do(commands.together(title, [*self._holes(work), *steps]))
        group.landed = True

    def has_all(self, work: Work, samples: int) -> bool:
        """Whether lanes of a job have something in its first `samples` already: half of another take is of no use."""
        start = work.ask.span.start
        lanes = (lane for lane in self.session.project.lanes if lane.id in work.group.lanes)
        spans = [part.span for lane in lanes for part in lane.parts]
        return any(span.start <= start and start + samples <= span.stop for span in spans)

    def _holes(self, work: Work) -> list[commands.Command]:
        """Where a source is regenerated, silence on lanes that already hold it, so that it is not taken away twice."""
        if not any(target and target.muted for target in work.ask.targets):
            return []
        new = next(target for target in work.ask.targets if target)
        made, example = new.made, "" if new.made.prompt else new.made.like_lane
        project, span, holes = self.session.project, work.ask.span, []
        channels = project.song.audio.channels if project.song else 2
        for lane in project.of_kind("extracted"):
            holds = lane.name.casefold() == new.lane.name.casefold() or lane.id == example
            if holds and any(part.span.meets(span) for part in lane.parts):
                path = work.store.begin(project.rate_hz, channels, span.samples)
                take = Take(work.store.adopt(path), Made("extract", "", made.seed, made.quality))
                holes.append(commands.add_part(lane, Part(span.start, (take,)), "silence"))
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


def _gone_already(project: Project, target: Target, start: int) -> bool:
    """Whether an earlier take has taken the replaced source away: once is enough."""
    return target.muted and any(part.start == start for part in _parts(project, target.lane.id))


def _has_part(project: Project, lane_id: str, start: int, audio: Audio) -> bool:
    return any(
        part.start == start and part.take.audio.samples == audio.samples
        for part in _parts(project, lane_id)
        if project.lane(lane_id).kind == "added"
    )


def _parts(project: Project, lane_id: str) -> tuple[Part, ...]:
    """The parts of a lane; none where there is no such lane."""
    return project.lane(lane_id).parts if project.has_lane(lane_id) else ()
