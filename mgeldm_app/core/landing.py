"""Where finished audio goes: onto lanes, into the takes of a part, or in the place of a draft."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field

from mgeldm.language import later, say
from mgeldm.requests import Quality

from . import commands, placing
from .apart import Less, Results
from .asks import Ask, Target, is_replaced, name_of, stem_called, stems_called
from .clips import ClipStore
from .history import Command
from .jobs import Job
from .placing import Plan
from .project import Audio, Lane, Project, SongFile, Span
from .session import Session
from .text import called

_WAS_PART = later("{new} was part of {old}, which goes on without it.")
_SILENT = later("{old} is part of what was regenerated, and silent there.")
_REGENERATED = later("{source} was regenerated here; its original is in {lane}.")
_REGENERATED_MUTED = later("{source} was regenerated here; its original is in {lane}, which is muted.")
_WITHOUT = later("{new} comes without {old}, which is a stem of its own.")


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
        undoable: Somebody asked for just this, so its result is a step; what comes by itself is put into the past too.
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
    undoable: bool = False
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
        return placing.wanted(self.ask)

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

    def plan(self, work: Work, samples: int) -> Plan:
        """Where the first `samples` of a job go, as things are now."""
        session, better = self.session, bool(work.replaces)
        into_past = better and not work.undoable
        return Plan(
            work.ask,
            work.store,
            session.project,
            session.history.projects if into_past else [session.project, *session.history.ahead],
            dict(session.coming),
            {number: frozenset(audios) for number, audios in work.replaces.items()},
            work.refines,
            [] if better else self._silent(work, samples),
            [] if better else self._undone(work),
            self._removed(),
            session.engine.model,
            session.engine.model_sha256,
        )

    def replace(self, work: Work, found: Results) -> list[tuple[set[Audio], Audio]]:
        """Let finished audio take the place of what it is better than, in the past too unless it is a step of its own.

        Stems that were asked for together and come one after the other are one step. Returns (old, new) of what was
        replaced, and of what follows it.
        """
        self.settle(work)
        plan, replaced = self.plan(work, work.ask.span.samples), list[tuple[set[Audio], Audio]]()
        for number in placing.better(plan, found):
            audio = found.audios[number]
            assert audio is not None
            change = placing.put(plan, found, number)
            now = self.session.project
            if work.undoable and change(now) != now:  # of what only redoing brings back it is no step now
                self.session.do(Command(say("best quality"), change, "best", beside=True))
            else:
                self.session.amend(change)
            replaced.append((set(plan.replaces[number]), audio))
        return [*replaced, *found.losses.followed]

    def add(self, work: Work, found: Results, title: str) -> list[tuple[set[Audio], Audio]]:
        """Put finished audio on its lanes: what is new as one step, further takes of one wish without one.

        What was asked for anew from a part, or made from a song, that is not there any more is dropped. Returns
        (old, new) of parts of older stems that came to be others.
        """
        project, group, session = self.session.project, work.group, self.session
        if project.song is None and work.song is None:
            self._open(work, found.audios)
        if project.song is None or not work.is_of(project):
            return []
        self.settle(work)
        samples = next((audio.samples for audio in found.audios if audio), 0)
        plan, numbers = self.plan(work, samples), list[int]()
        for number in placing.places(plan, found):
            target, audio = work.ask.targets[number], found.audios[number]
            assert target is not None and audio is not None
            if work.gives_way is not None:
                work.gives_way[number] = {audio}
            if group.landed and target.lane.kind != "extracted" and placing.has_part(plan, target, audio):
                take = placing.take(plan, found, number)
                session.amend(commands.add_take(target.lane.id, work.ask.span.start, take))
            else:
                session.coming.pop(target.lane.id, None)
                numbers.append(number)
        group.landed = True  # its other takes end with what is put there now
        if not numbers:
            return []
        session.do(placing.put_together(plan, found, numbers, title))
        less = placing.lost(plan, found, numbers)
        self._tell(work, less, [each for each in found.without if each[0] in numbers])
        self._tell_regenerated(project, [work.ask.targets[number] for number in numbers])
        sounding = [each for each in less if each.part.take.made.repeatable]  # what is better must not end a silence
        parts = [(part, each.part) for each in sounding for part in each.lane.parts if part.span == each.part.span]
        return [*(({old.take.audio}, new.take.audio) for old, new in parts), *found.losses.followed]

    def _undone(self, work: Work) -> list[Lane]:
        """Stems that redoing would bring back, but for its own."""
        own = {target.lane.id for target in work.ask.targets if target}
        ahead = {id(lane): lane for each in self.session.history.ahead for lane in each.of_kind("extracted")}
        stems = [lane for lane in ahead.values() if lane.id not in own]
        return [lane for lane in stems if not placing.as_it_was(self.session.project, lane)]

    def _removed(self) -> list[Lane]:
        """Stems that undoing would bring back, as they were last."""
        stems = {lane.id: lane for each in self.session.history.projects for lane in each.of_kind("extracted")}
        return [lane for lane in stems.values() if not self.session.project.has_lane(lane.id)]

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
        return placing.served(work.ask, self.session.project, samples) == work.lanes

    def _silent(self, work: Work, samples: int) -> list[tuple[Lane, Span]]:
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

    def _open(self, work: Work, audios: list[Audio | None]) -> None:
        """Music from nothing becomes the song of a new project."""
        made = next(target.made for target in work.ask.targets if target)
        for lane_id in work.group.lanes:
            self.session.coming.pop(lane_id, None)
        if audios[0] is not None:
            self.session.do(commands.open_song(SongFile(audios[0], made.prompt or "Generated music")))


def song_of(project: Project) -> Audio | None:
    """What a job is for as things are, also music from nothing beside a song; None where there is no song."""
    return project.song.audio if project.song else None


def quality_of(work: Work) -> Quality:
    """The quality that a job was asked for."""
    return work.job.request.sampling.quality
