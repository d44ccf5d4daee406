"""Where finished audio goes: onto lanes, into the takes of a part, or in the place of a draft."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mgeldm.audio import map_wav
from mgeldm.language import later, say
from mgeldm.requests import Quality

from . import commands
from .apart import Less, Results, Silent, silence, taken_apart
from .asks import Ask, Target, is_replaced, name_of, stem_called, stems_called
from .clips import ClipStore
from .jobs import Job
from .project import Audio, Lane, Part, Project, SongFile, Span, Take
from .session import Session
from .text import called

_WAS_PART = later("{new} was part of {old}, which goes on without it.")
_SILENT = later("{old} is part of what was regenerated, and silent there.")
_REGENERATED = later("{source} was regenerated here; its original is in {lane}.")
_REGENERATED_MUTED = later("{source} was regenerated here; its original is in {lane}, which is muted.")
_WITHOUT = later("{new} comes without {old}, which is a stem of its own.")

Change = Callable[[Project], Project]


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
        song: What it is made from or beside; None of music from nothing.
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
    song: Audio | None = None

    def is_of(self, project: Project) -> bool:
        """Whether the song is the one that it is made from."""
        return self.song is None or (project.song is not None and project.song.audio == self.song)

    @property
    def lanes(self) -> set[str]:
        """Ids of the lanes that it is for; where it puts what it takes away does not count."""
        return {target.lane.id for target in self.ask.targets if target and not target.muted}

    def look(self, project: Project) -> bool:
        """Look after every change for its lanes and song; whether it goes on from what is not there any more.

        More of a stem, elsewhere in the song, is a wish of its own.
        """
        there = {lane.id for lane in project.lanes}
        if self.group.landed or self.replaces or any(target.again for target in self.ask.targets if target):
            self.seen |= self.lanes & there
        return not self.is_of(project) or self.lanes <= self.seen - there

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


def results(
    work: Work, project: Project, silent: Silent, undone: Sequence[Lane], samples: int | None = None
) -> Results:
    """What a job has made, as clips; of one that is not finished, its first samples.

    Slow, so it is run on a worker.

    Args:
        work: The job.
        project: Where they land.
        silent: Where stems fall silent as it lands.
        undone: Stems that redoing would bring back.
        samples: How many; None for all.

    Raises:
        AudioError: A file is missing or damaged.
        OutputError: The store cannot be written.
    """
    store, paths = work.store, work.job.outputs
    served = set() if samples is None else _served(work, project, samples)
    frames, rate_hz = map_wav(paths[0])
    channels = frames.shape[1]
    del frames  # a mapped file cannot be renamed on Windows
    for _, span in silent:
        store.silence(rate_hz, channels, span.samples)

    def clip(path: Path) -> Audio:
        return store.adopt(path) if samples is None else store.cut(path, samples)

    pairs = zip(work.ask.targets, paths, strict=True)
    audios = [clip(path) if target and target.lane.id not in served else None for target, path in pairs]
    return taken_apart(project, work.ask, store, audios, silent, undone)


class Landing:
    """Puts results into the project of a session.

    Args:
        session: What is open.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def settle(self, work: Work) -> None:
        """Let what would be a new stem go to the lane that its source has by now: asked for anew, or redone."""
        project, lanes = self.session.project, self.session.project.of_kind("extracted")
        for target in [target for target in work.ask.targets if target and not target.again]:
            taken = {each.lane.id for each in work.ask.targets if each}
            free = [lane for lane in lanes if lane.id not in taken]
            is_new = target.lane.kind == "extracted" and not project.has_lane(target.lane.id)
            lane = stem_called(free, name_of(target), target.muted) if is_new else None
            if lane is not None:
                there = dataclasses.replace(target, lane=dataclasses.replace(lane, parts=()))
                targets = tuple(there if each is target else each for each in work.ask.targets)
                work.ask = dataclasses.replace(work.ask, targets=targets)
                work.group.lanes.pop(target.lane.id, None)
                work.group.lanes[lane.id] = there.lane
                self.session.coming.pop(target.lane.id, None)

    def replace(self, work: Work, found: Results) -> list[tuple[set[Audio], Audio]]:
        """Let finished audio take the place of what it is better than, in the past too.

        Returns (old, new) of that, and of what follows it.
        """
        self.settle(work)
        replaced = []
        for old, audio, change in self._replacing(work, found):
            self.session.amend(change)
            replaced.append((old, audio))
        return [*replaced, *found.losses.followed]

    def rehearse(self, work: Work, found: Results, projects: Iterable[Project]) -> None:
        """Write what `replace` will need in those projects, so that it takes no time. Slow, so it is run on a worker.

        Raises:
            OutputError: The store cannot be written.
        """
        changes = [change for _, _, change in self._replacing(work, found)]
        for project in projects:
            for change in changes:
                project = change(project)

    def _replacing(self, work: Work, found: Results) -> list[tuple[set[Audio], Audio, Change]]:
        """Of each output that takes the place of others: those, its audio, and what that makes of a project."""
        changes = []
        for number, (target, audio) in enumerate(zip(work.ask.targets, found.audios, strict=True)):
            old = set(work.replaces.get(number, ()))
            if target and audio and old:
                only = target.made.sensitivity if work.refines else None
                take = self._take(target, audio, found, number)
                put = partial(commands.replace_take, target.lane.id, old, sensitivity=only)
                changes.append((old, audio, _followed(found, target, work.ask.span.start, take, put)))
        return changes

    def add(self, work: Work, found: Results, title: str) -> list[tuple[set[Audio], Audio]]:
        """Put finished audio on its lanes: what is new as one step, further takes of one wish without one.

        What was asked for anew from a part, or made from a song, that is not there any more is dropped. Returns
        (old, new) of parts of older stems that came to be others.
        """
        project, group, span = self.session.project, work.group, work.ask.span
        if project.song is None and work.song is None:
            self._open(work, found.audios)
        if project.song is None or not work.is_of(project):
            return []
        self.settle(work)
        steps, holes = dict[int, commands.Command](), self._holes(work, found.audios)
        for number, (target, audio) in enumerate(zip(work.ask.targets, found.audios, strict=True)):
            if target is None or audio is None or _gone_already(project, target, span.start, audio):
                continue
            take, is_stem = self._take(target, audio, found, number), target.lane.kind == "extracted"
            has_part = any(part.span == _span(span.start, audio) for part in _parts(project, target.lane.id))
            if work.gives_way is not None:
                work.gives_way[number] = {audio}
            if has_part and group.landed and not is_stem:
                self.session.amend(commands.add_take(target.lane.id, span.start, take))
            elif has_part and (target.again or not is_stem):
                put = partial(_put_again, target.lane.id, span.start, is_stem)
                steps[number] = commands.Command(title, _followed(found, target, span.start, take, put))
            elif not target.again:
                lane = self.session.coming.pop(target.lane.id, target.lane)
                lane = dataclasses.replace(lane, parts=(), muted=lane.muted or target.muted)
                own = [hole for lane_id, hole in holes if lane_id == lane.id]  # nobody follows what is silent
                put = partial(_put_new, project, lane, span.start, own)
                steps[number] = commands.Command(title, _followed(found, target, span.start, take, put))
        group.landed = True  # its other takes end with what is put there now
        if not steps:
            return []
        less = [each for each in found.less if each.output in steps and _as_it_was(project, each.lane)]
        others = [_put(project, each.lane, each.part) for each in less]
        step = commands.together(title, [*steps.values(), *others, *(hole for _, hole in holes)])
        self.session.do(dataclasses.replace(step, beside=not (found.is_undone or self._is_undone(work, steps))))
        self._tell(work, less, [each for each in found.without if each[0] in steps])
        self._tell_regenerated(project, [work.ask.targets[number] for number in steps])
        lost = [(part, each.part) for each in less for part in each.lane.parts if part.span == each.part.span]
        return [*found.losses.followed, *(({old.take.audio}, new.take.audio) for old, new in lost)]

    def _is_undone(self, work: Work, outputs: Iterable[int]) -> bool:
        """Whether redoing would bring a source once more that comes now: it would be taken from the rest twice."""
        stems, targets = self.undone(work), work.ask.targets
        names = [name_of(t) for t in map(targets.__getitem__, outputs) if t and t.lane.kind == "extracted"]
        return any(stems_called(stems, name, replaced) for name in names for replaced in (False, True))

    def undone(self, work: Work) -> list[Lane]:
        """Stems that redoing would bring back, but for its own."""
        own = {target.lane.id for target in work.ask.targets if target}
        ahead = {id(lane): lane for each in self.session.history.ahead for lane in each.of_kind("extracted")}
        return [lane for lane in ahead.values() if lane.id not in own and not _as_it_was(self.session.project, lane)]

    def _tell(self, work: Work, less: list[Less], without: list[tuple[int, Lane]]) -> None:
        """Say which sounds are in another stem than one might look for them in."""
        names = [target.lane.name if target else "" for target in work.ask.targets]
        for output, old in dict.fromkeys((each.output, each.lane) for each in less):
            sounds = any(each.part.take.made.repeatable for each in less if (each.output, each.lane) == (output, old))
            if sounds or not is_replaced(old):
                self.session.tell(say(_WAS_PART if sounds else _SILENT, new=names[output], old=old.name))
        for output, lane in without:
            self.session.tell(say(_WITHOUT, new=names[output], old=lane.name))

    def _tell_regenerated(self, before: Project, targets: Iterable[Target | None]) -> None:
        """Say where sources are that were extracted where they had been regenerated: on no lane of their own."""
        for target in targets:
            here = target and not (target.again or target.muted) and before.has_lane(target.lane.id)
            if target and here and is_replaced(before.lane(target.lane.id)):
                lane = self.session.project.lane(target.lane.id)
                template = _REGENERATED_MUTED if lane.muted else _REGENERATED
                self.session.tell(say(template, source=called(name_of(target)), lane=lane.name))

    def has_all(self, work: Work, samples: int) -> bool:
        """Whether all lanes of a job have something in its first `samples` already."""
        self.settle(work)
        return _served(work, self.session.project, samples) == work.lanes

    def silent(self, work: Work, samples: int) -> list[tuple[Lane, Span]]:
        """Where stems fall silent so that no source is taken away twice, by its stem and by what it was replaced with.

        That is where the first `samples` of a job land, as things are now. Where a source is regenerated those are the
        stems that hold it already; where it is extracted those that it goes to, since it was regenerated before.
        """
        made, targets = Span(work.ask.span.start, work.ask.span.start + samples), [t for t in work.ask.targets if t]
        stems, new = self.session.project.of_kind("extracted"), targets[0]
        if any(target.muted for target in targets):
            example = "" if new.made.prompt else new.made.like_lane
            named = stems_called(stems, name_of(new))
            hold = [lane for lane in stems if lane in named or lane.id == example]
            return [(lane, made) for lane in hold if any(part.span.meets(made) for part in lane.parts)]
        found = []
        for target in targets if new.made.task == "extract" and not new.again else []:
            replaced = stems_called(stems, name_of(target), replaced=True)
            own = target.lane.id in {lane.id for lane in replaced}
            spans = [part.span for lane in replaced if not own for part in lane.parts]
            found += [(target.lane, span) for span in spans if span.meets(made)]
        return found

    def _holes(self, work: Work, audios: list[Audio | None]) -> list[tuple[str, commands.Command]]:
        """Where stems fall silent, by the ids of their lanes."""
        audio = next((audio for audio in audios if audio), None)
        if audio is None:
            return []
        made = next(target.made for target in work.ask.targets if target)
        return [
            (lane.id, _put(self.session.project, lane, silence(work.store, audio, span, made)))
            for lane, span in self.silent(work, audio.samples)
        ]

    def _open(self, work: Work, audios: list[Audio | None]) -> None:
        """Music from nothing becomes the song of a new project."""
        made = next(target.made for target in work.ask.targets if target)
        for lane_id in work.group.lanes:
            self.session.coming.pop(lane_id, None)
        if audios[0] is not None:
            self.session.do(commands.open_song(SongFile(audios[0], made.prompt or "Generated music")))

    def _take(self, target: Target, audio: Audio, found: Results, number: int) -> Take:
        made = dataclasses.replace(target.made, without=found.left_out(number), lost_to=found.lost_to(number))
        model, sha256 = self.session.engine.model, self.session.engine.model_sha256
        return Take(audio, dataclasses.replace(made, model=model, model_sha256=sha256))


def song_of(project: Project) -> Audio | None:
    """What a job is for as things are, also music from nothing beside a song; None where there is no song."""
    return project.song.audio if project.song else None


def quality_of(work: Work) -> Quality:
    """The quality that a job was asked for."""
    return work.job.request.sampling.quality


def _gone_already(project: Project, target: Target, start: int, audio: Audio) -> bool:
    """Whether an earlier take has taken the replaced source away, all of it: once is enough."""
    parts = _parts(project, target.lane.id)
    return target.muted and any(part.span.covers(_span(start, audio)) for part in parts)


def _served(work: Work, project: Project, samples: int) -> set[str]:
    """Ids of a job's lanes that have something in its first `samples` already: half of another take is of no use."""
    first = Span(work.ask.span.start, work.ask.span.start + samples)
    return {each for each in work.lanes if any(part.span.covers(first) for part in _parts(project, each))}


def _as_it_was(project: Project, lane: Lane) -> bool:
    return project.has_lane(lane.id) and project.lane(lane.id).parts == lane.parts


def _put(project: Project, lane: Lane, part: Part) -> commands.Command:
    """Put a part on a lane. One that there is now is not made anew where redoing would have removed it."""
    put, is_there = commands.add_part(lane, part, ""), project.has_lane(lane.id)
    return dataclasses.replace(put, apply=lambda p: put.apply(p) if p.has_lane(lane.id) or not is_there else p)


def _put_new(project: Project, lane: Lane, start: int, holes: list[commands.Command], take: Take) -> Change:
    return commands.together("", [_put(project, lane, Part(start, (take,))), *holes]).apply


def _put_again(lane_id: str, start: int, instead: bool, take: Take) -> Change:
    return commands.new_take("", lane_id, start, take, instead).apply


def _followed(found: Results, target: Target, start: int, take: Take, put: Callable[[Take], Change]) -> Change:
    """A change that puts a take on its lane, and lets the stems follow that lost sound to the lane.

    In the past, and while it was made, those may be otherwise that the take itself lost sound to.
    """

    def apply(project: Project) -> Project:
        if put(take)(project) is project:  # there is no place for it: nothing need be written
            return project
        fitting = found.losses.fitted(start, take, found.project, project)
        return found.losses.follow(project, put(fitting)(project), target.lane.id)

    return apply


def _span(start: int, audio: Audio) -> Span:
    return Span(start, start + audio.samples)


def _parts(project: Project, lane_id: str) -> tuple[Part, ...]:
    """The parts of a lane; none where there is no such lane."""
    return project.lane(lane_id).parts if project.has_lane(lane_id) else ()
