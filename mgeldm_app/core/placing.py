"""How finished audio is put on lanes. Nothing here sees the session: a worker tries what the GUI thread then does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mgeldm.audio import map_wav

from . import commands
from .apart import Change, Less, Results, silence, taken_apart
from .asks import Ask, Target, name_of, stems_called
from .clips import ClipStore
from .history import Command
from .losses import parts_of
from .project import Audio, Lane, Part, Project, Span, Take


@dataclass(frozen=True)
class Plan:
    """Where what a job makes goes, as things are.

    Attributes:
        ask: What it was asked for by.
        store: Holds all clips.
        project: Where it lands.
        projects: All that it comes about in: the past too if it is put there as well, else what was undone.
        lanes: Those that the project does not have yet, as they are set by now, by id.
        replaces: By output, the audio whose place it takes.
        refines: It only changes the sensitivity.
        silent: Where stems fall silent since a source is regenerated there, or was before.
        undone: Stems that redoing would bring back.
        removed: Stems that undoing would bring back, as they were last.
        model: Name of the model.
        model_sha256: Its weights.
    """

    ask: Ask
    store: ClipStore
    project: Project
    projects: Sequence[Project]
    lanes: Mapping[str, Lane]
    replaces: Mapping[int, frozenset[Audio]]
    refines: bool
    silent: Sequence[tuple[Lane, Span]]
    undone: Sequence[Lane]
    removed: Sequence[Lane]
    model: str
    model_sha256: str


def results(plan: Plan, paths: Sequence[Path], samples: int | None = None) -> Results:
    """What a job has made, as clips; of one that is not finished, its first samples.

    All is written that is needed to put it on its lanes, so that this takes no time. Slow, so it is run on a worker.

    Args:
        plan: Where it goes.
        paths: The files of its outputs.
        samples: How many; None for all.

    Raises:
        AudioError: A file is missing or damaged.
        OutputError: The store cannot be written.
    """
    store, ask = plan.store, plan.ask
    there = set() if samples is None else served(ask, plan.project, samples)
    frames, rate_hz = map_wav(paths[0])
    channels = frames.shape[1]
    del frames  # a mapped file cannot be renamed on Windows
    for _, span in plan.silent:
        store.silence(rate_hz, channels, span.samples)

    def clip(path: Path) -> Audio:
        return store.adopt(path) if samples is None else store.cut(path, samples)

    pairs = zip(ask.targets, paths, strict=True)
    audios = [clip(path) if target and target.lane.id not in there else None for target, path in pairs]
    others, is_better = (plan.undone, plan.removed), bool(plan.replaces)
    found = taken_apart(plan.project, ask, store, audios, partial(_put, plan), *others, is_better)
    _rehearse(plan, found)
    return found


def _rehearse(plan: Plan, found: Results) -> None:
    """Write what stems need that follow what is put on lanes, wherever that comes about."""
    if plan.replaces:
        changes, projects = [put(plan, found, number) for number in better(plan, found)], plan.projects
    else:
        step = put_together(plan, found, places(plan, found), "")
        changes, projects = [step.apply], plan.projects if step.beside else [plan.project]
    for project in projects:
        for change in changes:
            project = change(project)


def better(plan: Plan, found: Results) -> list[int]:
    """Numbers of the outputs that take the place of others."""
    outputs = enumerate(zip(plan.ask.targets, found.audios, strict=True))
    return [number for number, (target, audio) in outputs if target and audio and plan.replaces.get(number)]


def places(plan: Plan, found: Results) -> list[int]:
    """Numbers of the outputs that there is a place for on their lanes.

    There is none for what was asked for anew from a part that is gone, nor for a source that is regenerated where an
    earlier take has taken it away, all of it: once is enough.
    """
    numbers = []
    for number, (target, audio) in enumerate(zip(plan.ask.targets, found.audios, strict=True)):
        if target and audio:
            parts, span = parts_of(plan.project, target.lane.id), _span(plan, audio)
            is_gone = target.muted and any(part.span.covers(span) for part in parts)
            if not is_gone and (not target.again or has_part(plan, target, audio)):
                numbers.append(number)
    return numbers


def has_part(plan: Plan, target: Target, audio: Audio) -> bool:
    """Whether an output's lane has a part just where it goes."""
    return any(part.span == _span(plan, audio) for part in parts_of(plan.project, target.lane.id))


def put(plan: Plan, found: Results, number: int) -> Change:
    """What puts an output on its lane, and lets the stems follow that lost sound to the lane.

    In the past, and while it was made, those may be otherwise that it lost sound to itself.
    """
    target, made = plan.ask.targets[number], take(plan, found, number)
    assert target is not None
    lane_id = target.lane.id

    def apply(project: Project) -> Project:
        if _put(plan, number, made)(project) is project:  # there is no place for it: nothing need be written
            return project
        old = plan.replaces.get(number, frozenset())
        takes = [take for part in parts_of(project, lane_id) for take in part.takes if take.audio in old]
        lost_to = [each for take in takes for each in take.made.lost_to]
        fitting = found.losses.fitted(plan.ask.span.start, made, found.made_for[number], project, lost_to)
        return found.losses.follow(project, _put(plan, number, fitting)(project), lane_id)

    return apply


def take(plan: Plan, found: Results, number: int) -> Take:
    """An output as it is put on its lane."""
    target, audio = plan.ask.targets[number], found.audios[number]
    assert target is not None and audio is not None
    made = dataclasses.replace(target.made, without=found.left_out(number), lost_to=found.lost_to(number))
    return Take(audio, dataclasses.replace(made, model=plan.model, model_sha256=plan.model_sha256))


def lost(plan: Plan, found: Results, numbers: Sequence[int]) -> list[Less]:
    """What older stems lose to some outputs; one that has changed since then stays as it is."""
    return [each for each in found.less if each.output in numbers and as_it_was(plan.project, each.lane)]


def put_together(plan: Plan, found: Results, numbers: Sequence[int], title: str) -> Command:
    """What puts new outputs on their lanes as one step.

    What older stems lose to one comes right behind it, as it was taken out: the next may change them once more.
    """
    less, changes = lost(plan, found, numbers), list[Change]()
    for number in numbers:
        changes.append(put(plan, found, number))
        changes += [_add(plan, each.lane, each.part) for each in less if each.output == number]
    changes += _silences(plan, found)
    beside = not (found.is_undone or _is_undone(plan, numbers))
    return Command(title, commands.together("", [Command("", change) for change in changes]).apply, beside=beside)


def as_it_was(project: Project, lane: Lane) -> bool:
    """Whether a lane has the parts that it had."""
    return project.has_lane(lane.id) and project.lane(lane.id).parts == lane.parts


def wanted(ask: Ask) -> set[str]:
    """Ids of the lanes that it is for; where it puts what it takes away does not count."""
    return {target.lane.id for target in ask.targets if target and not target.muted}


def served(ask: Ask, project: Project, samples: int) -> set[str]:
    """Ids of its lanes that have something in its first `samples` already: half of another take is of no use."""
    first = Span(ask.span.start, ask.span.start + samples)
    return {each for each in wanted(ask) if any(part.span.covers(first) for part in parts_of(project, each))}


# -------------------------------------------------------------------------------------------------------------- pieces


def _put(plan: Plan, number: int, take: Take) -> Change:
    """What puts an output on its lane: in the place of others, as another take, or over all that is there.

    With it come the stretches where the lane is silent since its source was regenerated.
    """
    target, start = plan.ask.targets[number], plan.ask.span.start
    assert target is not None
    if plan.replaces.get(number):
        only = target.made.sensitivity if plan.refines else None
        return commands.replace_take(target.lane.id, plan.replaces[number], take, sensitivity=only)
    part, is_stem = Part(start, (take,)), target.lane.kind == "extracted"
    if target.again or (not is_stem and has_part(plan, target, take.audio)):
        return commands.new_take("", target.lane.id, start, take, instead=is_stem).apply
    holes = [silence(plan.store, take.audio, span, target.made) for lane, span in plan.silent if _is_of(target, lane)]
    lane = plan.lanes.get(target.lane.id, target.lane)
    lane = dataclasses.replace(lane, parts=(), muted=lane.muted or target.muted)
    return commands.together("", [Command("", _add(plan, lane, each)) for each in (part, *holes)]).apply


def _silences(plan: Plan, found: Results) -> list[Change]:
    """Where stems fall silent that no output goes to."""
    targets = [target for target in plan.ask.targets if target]
    audio = next((audio for audio in found.audios if audio), None)
    others = [(lane, span) for lane, span in plan.silent if not any(_is_of(target, lane) for target in targets)]
    if audio is None:
        return []
    return [_add(plan, lane, silence(plan.store, audio, span, targets[0].made)) for lane, span in others]


def _add(plan: Plan, lane: Lane, part: Part) -> Change:
    """Put a part on a lane. One that there is now is not made anew where redoing would have removed it."""
    put, is_there = commands.add_part(lane, part, "").apply, plan.project.has_lane(lane.id)
    return lambda project: put(project) if project.has_lane(lane.id) or not is_there else project


def _is_undone(plan: Plan, numbers: Iterable[int]) -> bool:
    """Whether redoing would bring a source once more that comes now: it would be taken from the rest twice."""
    targets = [target for target in map(plan.ask.targets.__getitem__, numbers) if target]
    names = [name_of(target) for target in targets if target.lane.kind == "extracted"]
    return any(stems_called(plan.undone, name, replaced) for name in names for replaced in (False, True))


def _span(plan: Plan, audio: Audio) -> Span:
    return Span(plan.ask.span.start, plan.ask.span.start + audio.samples)


def _is_of(target: Target, lane: Lane) -> bool:
    return target.lane.id == lane.id
