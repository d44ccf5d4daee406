"""Stems that go without what another plays follow it: where that changes, they change by the difference.

Else what it plays by now would be in two stems, and the rest would play it upside down. Where that falls silent they
stay as they are: what they lost there is in the stem that it fell silent for, or in the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from mgeldm.errors import AudioError

from .clips import ClipStore, Frames
from .project import Audio, Part, Project, Span, Take, without
from .sound import Clip, faded, flatten, read_clips

BLOCK_SAMPLES = 1 << 15
_LEAST_GAIN = 1e-9  # far below the first of any fade

Placed = tuple[tuple[Span, Audio | None], ...]
"""Audio of a stem where it lies in the song, None for silence; later ones hide earlier ones."""


@dataclass(frozen=True)
class Heard:
    """What a stem plays, as others go without it.

    Attributes:
        clips: Its sound.
        gains: The fades of its parts.
    """

    clips: Sequence[Clip]
    gains: Sequence[Clip]

    def inside(self, edges: Sequence[Clip], first: int, last: int, channels: int) -> Frames:
        """Samples [last - first, channels] of it in a part with those edges; where both fade it is faded already."""
        edge, own = (read_clips(gains, first, last, 1) for gains in (edges, self.gains))
        return np.minimum(edge / np.maximum(own, _LEAST_GAIN), 1) * read_clips(self.clips, first, last, channels)


def parts_of(project: Project, lane_id: str) -> tuple[Part, ...]:
    """The parts of a lane; none where there is no such lane."""
    return project.lane(lane_id).parts if project.has_lane(lane_id) else ()


def placed(project: Project, lane_id: str, span: Span) -> Placed:
    """What a stem plays in a span; nothing where there is no such stem."""
    parts = [part for part in parts_of(project, lane_id) if part.span.meets(span)]
    return tuple((part.span, part.take.audio if part.take.made.repeatable else None) for part in parts)


def heard(project: Project, view: Callable[[Audio], Frames], sounds: Placed) -> Heard:
    """What that sounds like; `view` gives a clip's samples, and the errors of that are raised."""
    rate_hz, samples = project.rate_hz, project.samples

    def frames(span: Span, audio: Audio | None) -> Frames:
        return view(audio) if audio else np.broadcast_to(np.float32(0), (span.samples, 1))

    clips = flatten([(span.start, frames(span, audio)) for span, audio in sounds], rate_hz, samples)
    return Heard(clips, faded([span for span, _ in sounds], rate_hz, samples))


def blocks(span: Span) -> Iterator[tuple[int, int]]:
    """First sample, and the one behind the last, of pieces that are worked on one by one."""
    for first in range(span.start, span.stop, BLOCK_SAMPLES):
        yield first, min(first + BLOCK_SAMPLES, span.stop)


class Losses:
    """Lets stems follow those that they lost sound to.

    What it wrote once is at hand from then on: a change that a worker has gone through takes no time where it is made.

    Args:
        store: Holds all clips.
    """

    def __init__(self, store: ClipStore) -> None:
        self._store = store
        self._written: dict[tuple[int, Audio, Placed, Placed], Audio] = {}

    @property
    def followed(self) -> list[tuple[set[Audio], Audio]]:
        """(old, new) of all that followed, in that order."""
        return [({old}, new) for (_, old, _, _), new in self._written.items()]

    def follow(self, before: Project, after: Project, lane_id: str) -> Project:
        """A project after a stem changed, in which all that lost sound to it goes without what it plays now.

        What goes without one of those as well stays: they change by as much the other way. So does what lost to a stem
        that had been removed and comes back: it has nothing of that, whatever comes, and follows it no more.

        Raises:
            OutputError: The store cannot be written.
        """
        changed, is_back = _changed(before, after, lane_id), not before.has_lane(lane_id)
        stems = [lane for lane in after.of_kind("extracted") if any(lane_id in _lost_to(part) for part in lane.parts)]
        follow = {lane.id for lane in stems}

        def part_of(part: Part) -> Part:
            if lane_id not in _lost_to(part):
                return part
            if is_back:
                return replace(part, takes=tuple(_released(take, lane_id) for take in part.takes))
            if follow & {*_lost_to(part)} or not any(part.span.meets(span) for span in changed):
                return part
            takes = (self._following(part.start, take, lane_id, before, after) for take in part.takes)
            return replace(part, takes=tuple(takes))

        for lane in stems:
            parts = tuple(map(part_of, lane.parts))
            after = after if parts == lane.parts else after.with_lane(replace(lane, parts=parts))
        return after

    def fitted(self, start: int, take: Take, before: Project, after: Project, lost_to: Iterable[str] = ()) -> Take:
        """A take that was made for one project, without what the stems that it lost sound to play in another.

        Of those that are not there it has the sound, and does not say that it comes without. What was silent where it
        was made, since its source was regenerated there, it has the sound of, too.

        Args:
            start: Sample of the song at which it begins.
            take: The take.
            before: What it was made for.
            after: Where it comes.
            lost_to: Ids of the stems that what it takes the place of goes without: it does not know those that were
                removed, or silent, when it was made.

        Raises:
            OutputError: The store cannot be written.
        """
        span = Span(start, start + take.audio.samples)
        unknown = (each for each in lost_to if not before.has_lane(each) or _silence(placed(before, each, span)))
        lost = tuple(dict.fromkeys((*take.made.lost_to, *unknown)))
        for lane_id in lost:
            old, new = (placed(project, lane_id, span) for project in (before, after))
            take = self._without(span, take, _silent(_silence(new), old, new), after)
        there = tuple(filter(after.has_lane, lost))
        if there == take.made.lost_to:
            return take
        names = tuple(dict.fromkeys(after.lane(lane_id).name for lane_id in there))
        return replace(take, made=replace(take.made, lost_to=there, without=names))

    def _following(self, start: int, take: Take, lane_id: str, before: Project, after: Project) -> Take:
        """A take without what a stem plays after a change, where it was without what it played before."""
        span = Span(start, start + take.audio.samples)
        old, new = (placed(project, lane_id, span) for project in (before, after))
        return self._without(span, take, _silent((*_silence(old), *_silence(new)), old, new), after)

    def _without(self, span: Span, take: Take, change: tuple[Placed, Placed], project: Project) -> Take:
        """A take that lies in a span without what a stem plays after a change, where it was without what it played."""
        old, new = change
        key = (span.start, take.audio, old, new)
        if old != new and key not in self._written:
            with contextlib.suppress(AudioError):  # a file is gone: nobody knows the difference
                self._written[key] = self._write(project, span, take.audio, old, new)
        return replace(take, audio=self._written.get(key, take.audio))

    def _write(self, project: Project, span: Span, audio: Audio, old: Placed, new: Placed) -> Audio:
        sound, channels = self._store.real(audio), audio.channels
        edges = faded([span], project.rate_hz, project.samples)
        comes, goes = (heard(project, self._store.real, sounds) for sounds in (old, new))

        def changed() -> Iterator[Frames]:
            for first, last in blocks(span):
                back, away = (each.inside(edges, first, last, channels) for each in (comes, goes))
                yield sound[first - span.start : last - span.start] + back - away

        return self._store.write(audio.rate_hz, channels, changed())


def _changed(before: Project, after: Project, lane_id: str) -> list[Span]:
    """Where a stem may play something else: in what takes the place of something else among its parts."""
    pairs = zip_longest(parts_of(before, lane_id), parts_of(after, lane_id))
    return [part.span for pair in pairs if pair[0] != pair[1] for part in pair if part]


def _silent(silence: Placed, old: Placed, new: Placed) -> tuple[Placed, Placed]:
    """What a stem plays before and after a change, silent where no difference is to come of it."""
    return _seen((*old, *silence)), _seen((*new, *silence))


def _silence(sounds: Placed) -> Placed:
    """Where silence is not hidden."""
    silent = [(number, span) for number, (span, audio) in enumerate(sounds) if audio is None]
    pieces = (without([span], *(later for later, _ in sounds[number + 1 :])) for number, span in silent)
    return tuple((piece, None) for each in pieces for piece in each)


def _seen(sounds: Placed) -> Placed:
    """What is not hidden whole."""
    return tuple(
        each for number, each in enumerate(sounds) if not any(over.covers(each[0]) for over, _ in sounds[number + 1 :])
    )


def _released(take: Take, lane_id: str) -> Take:
    """A take that follows a stem no more."""
    lost_to = tuple(each for each in take.made.lost_to if each != lane_id)
    return replace(take, made=replace(take.made, lost_to=lost_to))


def _lost_to(part: Part) -> tuple[str, ...]:
    return part.take.made.lost_to
