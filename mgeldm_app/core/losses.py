"""Stems that go without what another plays follow it: where that changes, they change by the difference.

Else what it plays by now would be in two stems, and the rest would play it upside down.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mgeldm.errors import AudioError

from .clips import ClipStore, Frames
from .project import Audio, Part, Project, Span, Take
from .sound import Clip, faded, flatten, read_clips

_BLOCK_SAMPLES = 1 << 15
_LEAST_GAIN = 1e-9  # far below the first of any fade

Placed = tuple[tuple[int, Audio], ...]
"""Audio of a stem with the sample of the song at which each begins; later ones hide earlier ones."""


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


def placed(project: Project, lane_id: str, span: Span) -> Placed:
    """What a stem plays in a span; nothing where there is no such stem."""
    parts = project.lane(lane_id).parts if project.has_lane(lane_id) else ()
    return tuple((part.start, part.take.audio) for part in parts if part.span.meets(span))


def heard(project: Project, view: Callable[[Audio], Frames], sounds: Placed) -> Heard:
    """What that sounds like; `view` gives a clip's samples, and the errors of that are raised."""
    rate_hz, samples = project.rate_hz, project.samples
    spans = [Span(start, start + audio.samples) for start, audio in sounds]
    clips = flatten([(start, view(audio)) for start, audio in sounds], rate_hz, samples)
    return Heard(clips, faded(spans, rate_hz, samples))


def blocks(span: Span) -> Iterator[tuple[int, int]]:
    """First sample, and the one behind the last, of pieces that are worked on one by one."""
    for first in range(span.start, span.stop, _BLOCK_SAMPLES):
        yield first, min(first + _BLOCK_SAMPLES, span.stop)


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

        What goes without one of those as well stays: they change by as much the other way.

        Raises:
            OutputError: The store cannot be written.
        """
        stems = [lane for lane in after.of_kind("extracted") if any(lane_id in _lost_to(part) for part in lane.parts)]
        follow = {lane.id for lane in stems}

        def part_of(part: Part) -> Part:
            if lane_id not in _lost_to(part) or follow & {*_lost_to(part)}:
                return part
            takes = (self._without(part.start, take, lane_id, before, after) for take in part.takes)
            return replace(part, takes=tuple(takes))

        for lane in stems:
            parts = tuple(map(part_of, lane.parts))
            after = after if parts == lane.parts else after.with_lane(replace(lane, parts=parts))
        return after

    def fitted(self, start: int, take: Take, before: Project, after: Project) -> Take:
        """A take that was made for one project, without what the stems that it lost sound to play in another.

        Raises:
            OutputError: The store cannot be written.
        """
        for lane_id in take.made.lost_to:
            take = self._without(start, take, lane_id, before, after)
        return take

    def _without(self, start: int, take: Take, lane_id: str, before: Project, after: Project) -> Take:
        """A take without what a stem plays after a change, where it was without what it played before."""
        span = Span(start, start + take.audio.samples)
        old, new = (placed(project, lane_id, span) for project in (before, after))
        key = (start, take.audio, old, new)
        if old != new and key not in self._written:
            with contextlib.suppress(AudioError):  # a file is gone: nobody knows the difference
                self._written[key] = self._write(after, span, take.audio, old, new)
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


def _lost_to(part: Part) -> tuple[str, ...]:
    return part.take.made.lost_to
