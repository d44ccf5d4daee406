"""What a lane sounds like: one description that drawing, playing and exporting share, so that all three agree.

A lane is flattened to `Clip`s that do not overlap except in short fades. Parts come faded at their edges
(`mgeldm.refine.edge_gains`: 4 ms, sine squared; stems not at the song's own ends); where a later part lies over an
earlier one, the earlier is faded out by the complement, so that both add up to what a single extraction would have
given. The inner edges of parts still growing are faded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mgeldm.audio import FADE_S

from .clips import Frames, rising
from .ports import Growing
from .project import Audio, Lane, Project, Span


@dataclass(frozen=True)
class Clip:
    """Samples [samples, channels] that begin at sample `start` of the song.

    Attributes:
        start: Place in the song.
        frames: What sounds, mapped from a file.
        fade_in: Gains [n] of the first n samples; empty for none.
        fade_out: Gains [n] of the last n samples.
    """

    start: int
    frames: Frames
    fade_in: Frames
    fade_out: Frames

    @property
    def span(self) -> Span:
        """Where it sounds."""
        return Span(self.start, self.start + len(self.frames))

    def add_to(self, out: Frames, start: int, gain: float = 1.0) -> None:
        """Add what sounds from sample `start` of the song on to `out` [samples, channels]."""
        first, last = max(start, self.start), min(start + len(out), self.span.stop)
        if last <= first:
            return
        heard = self.frames[first - self.start : last - self.start] * np.float32(gain)
        fade(heard.T, self.fade_in, first - self.start)
        fade(heard.T, self.fade_out, first - self.start - (len(self.frames) - len(self.fade_out)))
        out[first - start : last - start] += heard


def fade(piece: Frames, gains: Frames, offset: int) -> None:
    """Multiply `piece` [channels, n], whose first sample is `offset` of the fade's, where both meet; in place."""
    first, last = max(offset, 0), min(offset + piece.shape[1], len(gains))
    if last > first:
        part = piece[:, first - offset : last - offset]
        np.multiply(part, gains[first:last], out=part)


_NO_FADE = np.zeros(0, np.float32)

GrowingFrames = tuple[int, Frames, tuple[Span, ...]]
"""A part being made: sample of the song at which it begins, its samples, and which stretches of them are final."""


@dataclass(frozen=True)
class _Sheet:
    """A clip to be laid over others; its sound comes over its first `rising` samples, goes over its last `falling`."""

    clip: Clip
    rising: int
    falling: int


def flatten(parts: Sequence[tuple[int, Frames]], rate_hz: int, song_samples: int | None = None) -> tuple[Clip, ...]:
    """Clips of parts (start, samples [samples, channels]), of which later ones hide earlier ones.

    Args:
        parts: The earliest first, each faded at its edges.
        rate_hz: Of the song.
        song_samples: The song's length, at whose ends nothing is faded; None where no part reaches its end.
    """
    return _laid([_sheet(start, frames, rate_hz, song_samples) for start, frames in parts])


def faded(spans: Iterable[Span], rate_hz: int, song_samples: int) -> tuple[Clip, ...]:
    """Ones [samples, 1] with the fades that parts have there, of which later ones hide earlier ones."""
    ones = [(span.start, np.broadcast_to(np.float32(1), (span.samples, 1))) for span in spans]
    return _laid([_sheet(start, each, rate_hz, song_samples, faded_in=False, faded_out=False) for start, each in ones])


def _sheet(
    start: int,
    frames: Frames,
    rate_hz: int,
    song_samples: int | None,
    faded_in: bool = True,
    faded_out: bool = True,
) -> _Sheet:
    """Samples to be laid from `start` on, with fades of the clip's own where theirs are wanting."""
    fade = min(round(FADE_S * rate_hz), len(frames) // 2)
    into = fade if start > 0 else 0
    out_of = 0 if song_samples is not None and start + len(frames) >= song_samples else fade
    fade_in = _NO_FADE if faded_in else rising(into)
    fade_out = _NO_FADE if faded_out else rising(out_of)[::-1]
    return _Sheet(Clip(start, frames, fade_in, fade_out), into, out_of)


def _laid(sheets: Sequence[_Sheet]) -> tuple[Clip, ...]:
    """Sheets laid one over the other; what lies wholly under a later one is gone."""
    clips: list[Clip] = []
    for number, sheet in enumerate(sheets):
        span = sheet.clip.span
        later = (other.clip.span for other in sheets[number + 1 :])
        if span.samples and not any(o.start <= span.start and span.stop <= o.stop for o in later):
            clips = [piece for clip in clips for piece in _under(clip, sheet)]
            clips.append(sheet.clip)
    return tuple(sorted(clips, key=lambda clip: clip.start))


def _under(clip: Clip, over: _Sheet) -> list[Clip]:
    """What stays of a clip under a later one: before it and after it, faded where the later one comes and goes."""
    span, pieces = over.clip.span, []
    if not clip.span.meets(span):
        return [clip]
    rises, falls = span.start + over.rising, span.stop - over.falling
    if clip.start < rises:
        last = min(rises, clip.span.stop)
        gains = 1 - rising(over.rising)
        piece = _cut(clip, 0, last - clip.start)
        gains = gains[max(clip.start - span.start, 0) : last - span.start]
        pieces.append(replace(piece, fade_out=_both(piece.fade_out[::-1], gains[::-1])[::-1]))
    if clip.span.stop > falls:
        first = max(falls, clip.start)
        gains = 1 - rising(over.falling)[::-1]
        piece = _cut(clip, first - clip.start, len(clip.frames))
        pieces.append(replace(piece, fade_in=_both(piece.fade_in, gains[first - falls : clip.span.stop - falls])))
    return pieces


def _cut(clip: Clip, first: int, last: int) -> Clip:
    """Samples `first` to `last` of a clip, with what its fades say there."""
    falling = len(clip.frames) - len(clip.fade_out)  # sample at which the fade out begins
    fade_out = clip.fade_out[max(first - falling, 0) : max(last - falling, 0)]
    return Clip(clip.start + first, clip.frames[first:last], clip.fade_in[first:last], fade_out)


def _both(one: Frames, other: Frames) -> Frames:
    """Two gains [n] and [m] that begin together, as one."""
    short, long = sorted((one, other), key=len)
    gains = long.copy()
    gains[: len(short)] *= short
    return gains


def lane_clips(
    lane: Lane,
    view: Callable[[Audio], Frames],
    rate_hz: int,
    song_samples: int | None = None,
    growing: Sequence[GrowingFrames] = (),
) -> tuple[Clip, ...]:
    """Clips of an extracted or added lane; `view` gives a clip's samples (`ClipStore.view`).

    Parts still being made lie over those that the lane has, as far as they are final.
    """
    sheets = [_sheet(part.start, view(part.take.audio), rate_hz, song_samples) for part in lane.parts]
    for start, frames, filled in growing:
        for span in filled:
            sheets += _grown(start, frames, span, rate_hz, song_samples)
    return _laid(sheets)


def heard_span(samples: int, final: Span, rate_hz: int) -> Span | None:
    """What of a final stretch of a file being filled is heard: all but the fades of the file's own edges.

    Args:
        samples: Length of the file.
        final: The stretch, in samples of the file.
        rate_hz: Of the song.
    """
    fade = round(FADE_S * rate_hz)
    first = final.start if final.start <= 0 else max(final.start, fade)
    last = final.stop if final.stop >= samples else min(final.stop, samples - fade)
    whole = first <= 0 and last >= samples
    return Span(first, last) if whole or last - first >= 2 * fade else None


def _grown(start: int, frames: Frames, final: Span, rate_hz: int, song_samples: int | None) -> list[_Sheet]:
    """What is heard of a final stretch: with fades of ours inside the file, a fade away from the file's own."""
    span = heard_span(len(frames), final, rate_hz)
    if span is None:
        return []
    whole = span.start <= 0, span.stop >= len(frames)
    return [_sheet(start + span.start, frames[span.start : span.stop], rate_hz, song_samples, *whole)]


def read_clips(clips: Sequence[Clip], start: int, stop: int, channels: int) -> Frames:
    """Samples [stop - start, channels] of a lane; silence where no clip lies."""
    out = np.zeros((max(0, stop - start), channels), np.float32)
    for clip in clips:
        clip.add_to(out, start)
    return out


def part_lanes(project: Project, growing: Sequence[Growing] = ()) -> list[Lane]:
    """Extracted and added lanes, and behind them those that so far only grow."""
    lanes = [lane for lane in project.lanes if lane.kind in ("extracted", "added")]
    fresh = {part.lane_id: part.kind for part in growing if not project.has_lane(part.lane_id)}
    return lanes + [Lane(lane_id, kind, "") for lane_id, kind in fresh.items()]


def being_made(lane: Lane, growing: Sequence[tuple[Growing, Frames]]) -> list[GrowingFrames]:
    """Of the parts that grow, those of a lane, as `lane_clips` takes them."""
    return [(part.start, np.asarray(frames), part.filled) for part, frames in growing if part.lane_id == lane.id]


def read_lane(
    project: Project,
    lane: Lane,
    view: Callable[[Audio], Frames],
    start: int,
    stop: int,
    growing: Sequence[tuple[Growing, Frames]] = (),
) -> Frames:
    """Samples [stop - start, channels] of any lane before its fader; the rest is the song minus extracted stems.

    Args:
        project: The project.
        lane: One of its lanes, or one that so far only grows.
        view: Samples of a clip (`ClipStore.view`).
        start: First sample of the song.
        stop: The one behind the last.
        growing: Parts being made, each with the samples of its file.
    """
    song_samples, rate_hz = project.samples or None, project.rate_hz
    channels = project.song.audio.channels if project.song is not None else 2
    if lane.kind in ("extracted", "added"):
        clips = lane_clips(lane, view, rate_hz, song_samples, being_made(lane, growing))
        return read_clips(clips, start, stop, channels)
    if project.song is None:
        return np.zeros((max(0, stop - start), channels), np.float32)
    song = read_clips([Clip(0, view(project.song.audio), _NO_FADE, _NO_FADE)], start, stop, channels)
    if lane.kind == "song":
        return song
    taken = np.zeros(song.shape, np.float64)
    for stem in part_lanes(project, [part for part, _ in growing]):
        if stem.kind == "extracted":
            clips = lane_clips(stem, view, rate_hz, song_samples, being_made(stem, growing))
            taken += read_clips(clips, start, stop, channels)
    return (song - taken).astype(np.float32)
