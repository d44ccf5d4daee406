"""Where finished audio goes: onto lanes, into the takes of a part, or in the place of a draft."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from mgeldm.requests import Quality

from . import commands
from .asks import Ask, Target
from .clips import ClipStore
from .jobs import Job
from .project import Audio, Lane, Part, Project, SongFile, Take
from .session import Session


@dataclass
class Work:
    """A job under way, and where its results go.

    Attributes:
        job: What the engine has.
        ask: What it came from.
        store: Where its files lie; results of a project that was closed are dropped.
        group: Jobs of one wish: a draft and its better version, the takes of a part.
        replaces: By output, the audio whose place the result takes.
    """

    job: Job
    ask: Ask
    store: ClipStore
    group: Group
    replaces: dict[int, Audio] = field(default_factory=dict)


@dataclass
class Group:
    """What jobs of one wish share: lanes still to come, and landed drafts by output (None: without drafts)."""

    lanes: dict[str, Lane]
    title: str
    drafts: dict[int, Audio] | None = None
    landed: bool = False


class Landing:
    """Puts results into the project of a session.

    Args:
        session: What is open.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def replace(self, work: Work, audios: list[Audio | None]) -> None:
        """Let finished audio take the place of what it is better than, in the past too."""
        for number, (target, audio) in enumerate(zip(work.ask.targets, audios, strict=True)):
            old = work.replaces.get(number) or (work.group.drafts or {}).get(number)
            if target and audio and old:
                self.session.amend(commands.replace_take(target.lane.id, old, self._take(target, audio)))

    def add(self, work: Work, audios: list[Audio | None], title: str) -> None:
        """Put finished audio on its lanes: new parts as one step, further takes of a part without one."""
        project, group, span = self.session.project, work.group, work.ask.span
        if project.song is None:
            self._open(work, audios)
            return
        steps = []
        for number, (target, audio) in enumerate(zip(work.ask.targets, audios, strict=True)):
            if target is None or audio is None:
                continue
            take = self._take(target, audio)
            if group.drafts is not None:
                group.drafts[number] = audio
            if _has_part(project, target.lane.id, span.start, audio):
                self.session.amend(commands.add_take(target.lane.id, span.start, take))
            else:
                lane = self.session.coming.pop(target.lane.id, target.lane)
                lane = dataclasses.replace(lane, muted=lane.muted or target.muted)
                steps.append(commands.add_part(lane, Part(span.start, (take,)), title))
        if steps:
            self.session.do(commands.together(title, [*self._holes(work), *steps]))
        group.landed = True

    def _holes(self, work: Work) -> list[commands.Command]:
        """Where a source is regenerated, silence on lanes that already hold it, so that it is not taken away twice."""
        if not any(target and target.muted for target in work.ask.targets):
            return []
        made = next(target.made for target in work.ask.targets if target)
        project, span, holes = self.session.project, work.ask.span, []
        channels = project.song.audio.channels if project.song else 2
        for lane in project.of_kind("extracted"):
            if lane.name.casefold() == made.prompt.casefold() and any(part.span.meets(span) for part in lane.parts):
                path = work.store.begin(project.rate_hz, channels, span.samples)
                take = Take(work.store.adopt(path), dataclasses.replace(made, task="extract"))
                holes.append(commands.add_part(lane, Part(span.start, (take,)), "silence"))
        return holes

    def _open(self, work: Work, audios: list[Audio | None]) -> None:
        """Music from nothing becomes the song of a new project."""
        made = next(target.made for target in work.ask.targets if target)
        if audios[0] is not None:
            self.session.do(commands.open_song(SongFile(audios[0], made.prompt or "Generated music")))

    def _take(self, target: Target, audio: Audio) -> Take:
        engine = self.session.engine
        return Take(audio, dataclasses.replace(target.made, model=engine.model, model_sha256=engine.model_sha256))


def quality_of(work: Work) -> Quality:
    """The quality that a job was asked for."""
    return work.job.request.sampling.quality


def _has_part(project: Project, lane_id: str, start: int, audio: Audio) -> bool:
    parts = project.lane(lane_id).parts if project.has_lane(lane_id) else ()
    return (
        project.has_lane(lane_id)
        and project.lane(lane_id).kind == "added"
        and any(part.start == start and part.take.audio.samples == audio.samples for part in parts)
    )
