"""What a lane shows: the clips that it consists of, and how its samples are read."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from mgeldm.audio import map_wav
from mgeldm.errors import AudioError, MgeldmError

from ...core.clips import Frames, whereabouts
from ...core.peaks import Peaks, Read
from ...core.ports import Growing
from ...core.project import Audio, Lane, Project, Span
from ...core.sound import read_lane

View = Callable[[Audio], Frames]
EDGE_SAMPLES = 4096  # more than the fade at the end of what grows, at any rate


@dataclass(frozen=True)
class Segment:
    """A clip in a lane.

    Attributes:
        name: Of its pyramid.
        start: Its place in the song.
        peaks: Its pyramid.
        shown: The stretches of it that may be shown, in its own samples; None for all.
    """

    name: Hashable
    start: int
    peaks: Peaks
    shown: tuple[Span, ...] | None = None

    @property
    def spans(self) -> tuple[Span, ...]:
        """The stretches, in samples of the song."""
        shown = (Span(0, self.peaks.samples),) if self.shown is None else self.shown
        return tuple(Span(span.start + self.start, span.stop + self.start) for span in shown)


@dataclass(frozen=True)
class Sound:
    """A lane as it is drawn. Where segments overlap, the later one is seen.

    Attributes:
        made_of: Place, content and length of each piece: two lanes with the same look the same.
        segments: Their pyramids.
        read: Its samples, for close views and spectra; for workers.
    """

    made_of: frozenset[tuple[int, Hashable, int]]
    segments: tuple[Segment, ...]
    read: Read

    def changed_from(self, old: Sound | None) -> list[Span]:
        """Where it differs from another; of a piece that grew, where it did."""
        changed = self.made_of ^ old.made_of if old else self.made_of
        lengths: dict[tuple[int, Hashable], list[int]] = {}
        for start, content, samples in changed:
            lengths.setdefault((start, content), []).append(samples)
        return [
            Span(start + (max(0, min(found) - EDGE_SAMPLES) if len(found) > 1 else 0), start + max(found))
            for (start, _), found in lengths.items()
        ]


def clip_reader(audio: Audio, view: View) -> Read:
    """Samples of a clip of the store."""
    return lambda start, stop: view(audio)[start:stop]


def file_reader(path: Path) -> Read:
    """Samples of a file of the store that is still being filled."""
    return lambda start, stop: map_wav(path)[0][start:stop]


def file_samples(file: Growing) -> int:
    """Length of a file that is being filled; of what is filled, once it has gone to its place."""
    try:
        return len(map_wav(file.path)[0])
    except AudioError:
        return max((span.stop for span in file.filled), default=0)


def lane_reader(project: Project, lane: Lane, growing: tuple[Growing, ...], view: View) -> Read:
    """Samples [samples, channels] of a lane, just as they are heard; silence outside.

    Args:
        project: The project.
        lane: One of its lanes, or one that so far only grows.
        growing: All parts being made, since the rest lacks them too.
        view: Samples of clips.
    """

    def read(start: int, stop: int) -> Frames:
        found = [(file, frames) for file in growing if (frames := _filled_frames(file)) is not None]
        return read_lane(project, lane, view, start, stop, found)

    return read


def _filled_frames(file: Growing) -> Frames | None:
    """Samples of a file being filled; None once it has gone to its place, and the project is about to have it."""
    try:
        return map_wav(file.path)[0]
    except AudioError:
        return None


def clip_name(audio: Audio, view: View) -> Hashable:
    """What a clip's pyramid is called: another name where its samples come from elsewhere than they did."""
    try:
        return audio.id, whereabouts(view(audio))
    except (MgeldmError, OSError):  # why it cannot be shown, whoever measures it finds out
        return audio.id, None


def made_of(
    parts: tuple[tuple[int, Hashable, int], ...], growing: tuple[Growing, ...]
) -> frozenset[tuple[int, Hashable, int]]:
    """What parts (place, name, length) and files being filled consist of, as `Sound.made_of`."""
    filled = [(file, span) for file in growing for span in file.filled]
    files = {(file.start + span.start, (str(file.path), span.start), span.samples) for file, span in filled}
    return frozenset(parts) | files
