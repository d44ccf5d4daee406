"""Where finished audio goes: onto lanes, into the takes of a part, or in the place of a draft."""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from mgeldm.audio import map_wav
from mgeldm.requests import Quality

from . import commands
from .asks import Ask, Target, replaced_name, stems_called
from .clips import ClipStore
from .jobs import Job
from .project import Audio, Lane, Made, Part, Project, SongFile, Span, Take
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
        seen: Those of its lanes that have been in the project with what it goes on from.
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
    seen: set[str] = field(default_factory=set)

    @property
    def lanes(self) -> set[str]:
        """Ids of the lanes that it is for; where it puts what it takes away does not count."""
        return {target.lane.id for target in self.ask.targets if target and not target.muted}

    def look(self, project: Project) -> bool:
        """Look after every change for its lanes; whether it goes on from what is not in the project any more.

        More of a stem, elsewhere in the song, is a wish of its own.
        """
        there = {lane.id for lane in project.lanes}
        if self.group.landed or self.replaces or any(target.again for target in self.ask.targets if target):
            self.seen |= self.lanes & there
        return self.lanes <= self.seen - there

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


Results = list[Audio | None]
"""By output its audio, None where nobody needs it."""


def results(work: Work, silences: Set[int], samples: int | None = None) -> Results:
    """What a job has made, as clips; of one that is not finished, its first samples.

    Slow, so it is run on a worker.

    Args:
        work: The job.
        silences: Lengths of silence that will be needed where it lands.
        samples: How many; None for all.

    Raises:
        AudioError: A file is missing or damaged.
        OutputError: The store cannot be written.
    """
    store, paths = work.store, work.job.outputs
    frames, rate_hz = map_wav(paths[0])
    channels = frames.shape[1]
    del frames  # a mapped file cannot be renamed on Windows
    for each in silences:
        store.silence(rate_hz, channels, each)

    def clip(path: Path) -> Audio:
        return store.adopt(path) if samples is None else store.cut(path, samples)

    return [clip(path) if target else None for target, path in zip(work.ask.targets, paths, strict=True)]


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
        """Put finished audio on its lanes: what is new as one step, further takes of one wish without one.

        What was asked for anew from a part that is not there any more is dropped.
        """
        project, group, span = self.session.project, work.group, work.ask.span
        if project.song is None:
            self._open(work, audios)
            return
        steps = []
        for number, (target, audio) in enumerate(zip(work.ask.targets, audios, strict=True)):
            if target is None or audio is None or _gone_already(project, target, span.start, audio):
                continue
            take, is_stem = self._take(target, audio), target.lane.kind == "extracted"
            has_part = any(part.span == _span(span.start, audio) for part in _parts(project, target.lane.id))
            if work.gives_way is not None:
                work.gives_way[number] = {audio}
            if has_part and group.landed and not is_stem:
                self.session.amend(commands.add_take(target.lane.id, span.start, take))
            elif has_part and (target.again or not is_stem):
                steps.append(commands.new_take(title, target.lane.id, span.start, take, instead=is_stem))
            elif not target.again:
                lane = self.session.coming.pop(target.lane.id, target.lane)
                lane = dataclasses.replace(lane, parts=(), muted=lane.muted or target.muted)
                steps.append(commands.add_part(lane, Part(span.start, (take,)), title))
        group.landed = True  # its other takes end with what is put there now
        if steps:
            self.session.do(commands.together(title, [*steps, *self._holes(work, audios)]))

    def has_all(self, work: Work, samples: int) -> bool:
        """Whether lanes of a job have something in its first `samples` already: half of another take is of no use."""
        first = Span(work.ask.span.start, work.ask.span.start + samples)
        parts = [part for lane_id in work.lanes for part in _parts(self.session.project, lane_id)]
        return any(part.span.covers(first) for part in parts)

    def silences(self, work: Work, samples: int) -> set[int]:
        """How long the silences are that will be needed where the first `samples` of a job land, as things are now."""
        return {span.samples for _, span in self._silent(work, samples)}

    def _silent(self, work: Work, samples: int) -> list[tuple[Lane, Span]]:
        """Where stems fall silent so that no source is taken away twice, by its stem and by what it was replaced with.

        Where a source is regenerated those are the stems that hold it already; where it is extracted those that it
        goes to, since it was regenerated before.
        """
        made, targets = Span(work.ask.span.start, work.ask.span.start + samples), [t for t in work.ask.targets if t]
        stems, new = self.session.project.of_kind("extracted"), targets[0]
        if any(target.muted for target in targets):
            example = "" if new.made.prompt else new.made.like_lane
            hold = [lane for lane in stems if lane.name.casefold() == new.lane.name.casefold() or lane.id == example]
            return [(lane, made) for lane in hold if any(part.span.meets(made) for part in lane.parts)]
        found = []
        for target in targets if new.made.task == "extract" and not new.again else []:
            replaced = stems_called(stems, replaced_name(target.lane.name))
            spans = [part.span for lane in replaced for part in lane.parts]
            found += [(target.lane, span) for span in spans if span.meets(made)]
        return found

    def _holes(self, work: Work, audios: list[Audio | None]) -> list[commands.Command]:
        audio = next(audio for audio in audios if audio)
        made = next(target.made for target in work.ask.targets if target)
        story, holes = Made("extract", "", made.seed, made.quality), []
        for lane, span in self._silent(work, audio.samples):
            silence = work.store.silence(audio.rate_hz, audio.channels, span.samples)
            holes.append(commands.add_part(lane, Part(span.start, (Take(silence, story),)), "silence"))
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
    return target.muted and any(part.span.covers(_span(start, audio)) for part in parts)


def _span(start: int, audio: Audio) -> Span:
    return Span(start, start + audio.samples)


def _parts(project: Project, lane_id: str) -> tuple[Part, ...]:
    """The parts of a lane; none where there is no such lane."""
    return project.lane(lane_id).parts if project.has_lane(lane_id) else ()
