"""What a lane sounds like: one description that drawing, playing and exporting share, so that all three agree.

A lane is flattened to `Clip`s that do not overlap except in short fades. Extracted parts come faded at their edges by
`mgeldm.refine` (10 ms, sine squared); where a later part lies over an earlier one, the earlier is faded out by the
complement, so that both add up to what a single extraction would have given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .clips import Frames
from .project import Audio, Lane, Project, Span

FADE_S = 0.01


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
        self._fade(heard, self.fade_in, first - self.start)
        self._fade(heard, self.fade_out, first - self.start - (len(self.frames) - len(self.fade_out)))
        out[first - start : last - start] += heard

    @staticmethod
    def _fade(heard: Frames, gains: Frames, offset: int) -> None:
        """Multiply `heard`, whose first sample is `offset` of the fade's, where both meet."""
        first, last = max(offset, 0), min(offset + len(heard), len(gains))
        if last > first:
            heard[first - offset : last - offset] *= gains[first:last, None]


_NO_FADE = np.zeros(0, np.float32)


def flatten(parts: Sequence[tuple[int, Frames]], rate_hz: int) -> tuple[Clip, ...]:
    """Clips of parts (start, samples [samples, channels]), of which later ones hide earlier ones."""
    clips: list[Clip] = []
    for start, frames in parts:
        span = Span(start, start + len(frames))
        fade = min(round(FADE_S * rate_hz), len(frames) // 2)
        clips = [piece for clip in clips for piece in _under(clip, span, fade)]
        clips.append(Clip(start, frames, _NO_FADE, _NO_FADE))
    return tuple(sorted(clips, key=lambda clip: clip.start))


def _under(clip: Clip, over: Span, fade: int) -> list[Clip]:
    """What stays of a clip under a later part: before it and after it, faded where the later one fades in and out."""
    if not clip.span.meets(over) or not over.samples:
        return [clip]
    place = (np.arange(fade) + 0.5) / max(fade, 1)
    rising = np.square(np.sin(np.pi / 2 * place)).astype(np.float32)
    pieces = []
    before, after = over.start + fade - clip.start, over.stop - fade - clip.start
    if over.start > clip.start:
        whole = before <= len(clip.frames)
        fade_out = (1 - rising) if whole else (1 - rising)[: len(clip.frames) - (over.start - clip.start)]
        pieces.append(Clip(clip.start, clip.frames[: min(before, len(clip.frames))], clip.fade_in, fade_out))
    if over.stop < clip.span.stop:
        first = max(after, 0)
        fade_in = (1 - rising[::-1])[first - after :]
        pieces.append(Clip(clip.start + first, clip.frames[first:], fade_in, clip.fade_out))
    return pieces


def lane_clips(lane: Lane, view: Callable[[Audio], Frames], rate_hz: int) -> tuple[Clip, ...]:
    """Clips of an extracted or added lane; `view` gives a clip's samples (`ClipStore.view`)."""
    return flatten([(part.start, view(part.take.audio)) for part in lane.parts], rate_hz)


def read_clips(clips: Sequence[Clip], start: int, stop: int, channels: int) -> Frames:
    """Samples [stop - start, channels] of a lane; silence where no clip lies."""
    out = np.zeros((max(0, stop - start), channels), np.float32)
    for clip in clips:
        clip.add_to(out, start)
    return out


def read_lane(project: Project, lane: Lane, view: Callable[[Audio], Frames], start: int, stop: int) -> Frames:
    """Samples [stop - start, channels] of any lane before its fader; the rest is the song minus extracted stems."""
    if project.song is None:
        return np.zeros((max(0, stop - start), 2), np.float32)
    audio = project.song.audio
    if lane.kind in ("extracted", "added"):
        return read_clips(lane_clips(lane, view, audio.rate_hz), start, stop, audio.channels)
    song = read_clips([Clip(0, view(audio), _NO_FADE, _NO_FADE)], start, stop, audio.channels)
    if lane.kind == "song":
        return song
    taken = np.zeros(song.shape, np.float64)
    for stem in project.of_kind("extracted"):
        taken += read_clips(lane_clips(stem, view, audio.rate_hz), start, stop, audio.channels)
    return (song - taken).astype(np.float32)
