"""What is to be played: a plan of voices, each a source of samples and its gains; immutable, made on the GUI thread.

Song, rest and stems are one linear combination. The rest is the song minus all stems, so with faders g

    g_rest * (song - sum of stems) + sum of g_i * stem_i  =  g_rest * song + sum of (g_i - g_rest) * stem_i,

in which equal faders cancel exactly: with all at unity, what is heard is the song, bit for bit. The original is the
same combination with the gains of all stems at zero. So faders, mute, solo and A/B are nothing but gains.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from mgeldm.errors import MgeldmError
from mgeldm.language import say

from .clips import Frames, whereabouts
from .ports import Growing
from .project import REST_ID, SONG_ID, Audio, Lane, Project, Span
from .sound import Clip, being_made, fade, lane_clips, part_lanes
from .timeline import Grid

Block = npt.NDArray[np.float64]
"""Samples [2, n] being mixed."""
View = Callable[[Audio], Frames]
Listen = Literal["song", "stems"]

RAMP_S = 0.01  # in which a gain, a change of place and the seam of a loop go from one to the other
BLOCK_FRAMES = 250
"""Longest stretch mixed at once. numpy lets other threads run during work on more than 500 numbers; on fewer it does
not, so the audio callback never waits in its midst for the window's thread to give the interpreter back."""

CLICK_S, CLICK_HZ, ACCENT_HZ, CLICK_LEVEL, ACCENT_LEVEL = 0.05, 1046.5, 1568.0, 0.3, 0.5


class Bench:
    """Buffers that sources may use while they fill a block."""

    def __init__(self) -> None:
        self.heard = np.zeros((2, BLOCK_FRAMES), np.float32)
        self.piece = np.zeros((2, BLOCK_FRAMES), np.float32)
        self.line = np.zeros(BLOCK_FRAMES, np.float32)


class Source(Protocol):
    """Something that sounds, at any place of the song."""

    def fill(self, out: Block, start: int, bench: Bench) -> None:
        """Write the samples from `start` on into `out` [2, n]; silence where there are none."""


class Clips:
    """The clips of a lane, on two channels: mono on both sides, more than two folded down.

    Args:
        clips: As `sound.flatten` gives them, by rising start.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = tuple(clips)
        self._starts = [clip.start for clip in self.clips]
        self._reached = np.maximum.accumulate([clip.span.stop for clip in self.clips]).tolist() if clips else []
        self._folds = {n: fold_down(n) for n in {clip.frames.shape[1] for clip in self.clips} if n > 2}

    def fill(self, out: Block, start: int, bench: Bench) -> None:
        """See `Source`."""
        stop = start + out.shape[1]
        low, high = bisect_right(self._reached, start), bisect_left(self._starts, stop)
        if high - low == 1 and self._is_plain(self.clips[low], start, stop):
            clip = self.clips[low]
            np.copyto(out, clip.frames[start - clip.start : stop - clip.start].T)
            return
        heard = bench.heard[:, : stop - start]
        heard.fill(0)
        for index in range(low, high):
            self._add(self.clips[index], heard, start, bench)
        np.copyto(out, heard)

    @staticmethod
    def _is_plain(clip: Clip, start: int, stop: int) -> bool:
        """Whether the clip covers the stretch, unfaded, in one or two channels."""
        into = clip.start + len(clip.fade_in)
        out_of = clip.start + len(clip.frames) - len(clip.fade_out)
        return into <= start and stop <= out_of and clip.frames.shape[1] <= 2

    def _add(self, clip: Clip, heard: Frames, start: int, bench: Bench) -> None:
        samples = len(clip.frames)
        first, last = max(start - clip.start, 0), min(start + heard.shape[1] - clip.start, samples)
        if last <= first:
            return
        piece = bench.piece[:, : last - first]
        frames = clip.frames[first:last]
        if frames.shape[1] > 2:
            self._fold(frames, piece, bench.line[: last - first])
        else:
            np.copyto(piece, frames.T)
        fade(piece, clip.fade_in, first)
        fade(piece, clip.fade_out, first - (samples - len(clip.fade_out)))
        part = heard[:, first + clip.start - start : last + clip.start - start]
        np.add(part, piece, out=part)

    def _fold(self, frames: Frames, piece: Frames, line: Frames) -> None:
        piece.fill(0)
        for side, weights in enumerate(self._folds[frames.shape[1]]):
            for channel, weight in weights:
                np.multiply(frames[:, channel], weight, out=line)
                np.add(piece[side], line, out=piece[side])


def fold_down(channels: int) -> tuple[tuple[tuple[int, np.float32], ...], ...]:
    """For the left and the right side, (channel, weight) of what goes there; weights of a side sum to one.

    Channels in the order of wav files; centre and surrounds 3 dB lower (ITU-R BS.775), the effects channel left out.
    """
    layouts = {3: "LRC", 4: "LRLR", 5: "LRCLR", 6: "LRC-LR", 7: "LRC-CLR", 8: "LRC-LRLR"}
    layout = layouts.get(channels, "LR" * channels)[:channels]
    sides = []
    for side in "LR":
        weights = [(n, 1.0 if n < 2 else 0.5**0.5) for n, place in enumerate(layout) if place in (side, "C")]
        total = sum(weight for _, weight in weights)
        sides.append(tuple((n, np.float32(weight / total)) for n, weight in weights))
    return tuple(sides)


class Click:
    """A click on every beat of a grid, a higher one on the first of a bar."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._plain = click(CLICK_HZ, CLICK_LEVEL, grid.rate_hz)
        self._accent = click(ACCENT_HZ, ACCENT_LEVEL, grid.rate_hz)

    def fill(self, out: Block, start: int, bench: Bench) -> None:
        """See `Source`."""
        out.fill(0)
        length, stop = len(self._plain), start + out.shape[1]
        for beat_at, _, beat in self.grid.lines(start - length + 1, stop, "beat"):
            sound = self._accent if beat == 1 else self._plain
            first, last = max(start, beat_at), min(stop, beat_at + length)
            part = out[:, first - start : last - start]
            np.add(part, sound[first - beat_at : last - beat_at], out=part)


def click(pitch_hz: float, level: float, rate_hz: int) -> npt.NDArray[np.float64]:
    """A short tone [samples] that begins and ends at zero."""
    time_s = np.arange(round(CLICK_S * rate_hz)) / rate_hz
    shape = np.exp(-time_s / 0.008) * (1 - time_s / CLICK_S) * np.minimum(time_s / 0.0005, 1)
    return level * shape * np.sin(2 * np.pi * pitch_hz * time_s)


@dataclass(frozen=True, eq=False)
class Voice:
    """A source in the mix.

    Attributes:
        key: Says what sounds: of two plans, voices of one key sound the same.
        source: Its samples.
        gains: Left and right.
        part: Of the sum that the null meter takes: the song itself, a stem taken from it, or nothing.
    """

    key: Hashable
    source: Source
    gains: tuple[float, float]
    part: Literal["song", "stem", "none"] = "none"


@dataclass(frozen=True, eq=False)
class Plan:
    """What to play.

    Attributes:
        rate_hz: Of the song, and of all that sounds.
        samples: Where playing ends.
        voices: What sounds together; the song first.
        loop: What is played round and round.
        problems: Why lanes cannot be heard.
    """

    rate_hz: int = 44100
    samples: int = 0
    voices: tuple[Voice, ...] = ()
    loop: Span | None = None
    problems: tuple[str, ...] = ()


def lane_gains(lane: Lane) -> tuple[float, float]:
    """Fader and pan of a lane, left and right; balance law, so that the centre is unity."""
    return lane.gain * min(1.0, 1 - lane.pan), lane.gain * min(1.0, 1 + lane.pan)


def make_plan(
    project: Project,
    view: View,
    growing: Sequence[tuple[Growing, Frames]] = (),
    listen: Listen = "stems",
    click: bool = False,
    old: Plan | None = None,
) -> Plan:
    """The plan of a project.

    Args:
        project: Song, lanes, region.
        view: Samples of a clip (`ClipStore.view`).
        growing: Parts being made, each with the samples of its file.
        listen: The original, or stems and rest; where the song's lane is soloed, always the original.
        click: Whether beats click.
        old: A plan whose sources are used again where they have not changed.
    """
    sources = _Sources(project, view, old)
    lanes = part_lanes(project, [part for part, _ in growing])
    heard = _heard(project, lanes)
    silence = (0.0, 0.0)
    song = sources.of_song()
    if song is not None and project.song_alone:
        listen = "song"
    rest = lane_gains(project.lane(REST_ID)) if song is not None and REST_ID in heard else silence
    voices = [] if song is None else [_song_voice(project, song, rest, listen)]
    for lane in lanes:
        source = sources.of_lane(lane, [(part, frames) for part, frames in growing if part.lane_id == lane.id])
        if source is None:
            continue
        own = lane_gains(lane) if lane.id in heard else silence
        base = rest if lane.kind == "extracted" else silence
        gains = silence if listen == "song" else (own[0] - base[0], own[1] - base[1])
        voices.append(Voice(*source, gains, "stem" if lane.kind == "extracted" else "none"))
    if click:
        voices.append(Voice(*sources.of_click(), (1.0, 1.0)))
    ends = [clip.span.stop for voice in voices if isinstance(voice.source, Clips) for clip in voice.source.clips]
    samples = project.samples or max(ends, default=0)
    return Plan(project.rate_hz, samples, tuple(voices), _loop(project, samples), tuple(sources.problems))


def _heard(project: Project, lanes: Sequence[Lane]) -> set[str]:
    """Ids of the lanes that sound; those still to come do, unless another is soloed."""
    heard = {lane.id for lane in project.heard_lanes()}
    soloed = any(lane.soloed for lane in project.lanes if lane.kind != "song")
    return heard if soloed else heard | {lane.id for lane in lanes if not project.has_lane(lane.id)}


def _song_voice(project: Project, source: tuple[Hashable, Source], rest: tuple[float, float], listen: Listen) -> Voice:
    lane = project.lane(SONG_ID)
    original = (0.0, 0.0) if lane.muted and not lane.soloed else lane_gains(lane)
    return Voice(*source, original if listen == "song" else rest, "song")


def _loop(project: Project, samples: int) -> Span | None:
    """The region if it is looped; one shorter than the two fades of its seam is not."""
    if not project.looping or project.region is None:
        return None
    loop = project.region.within(Span(0, samples))
    return loop if loop.samples >= 2 * round(RAMP_S * project.rate_hz) else None


class _Sources:
    """Makes sources, or takes them from the plan before; notes what cannot be read."""

    def __init__(self, project: Project, view: View, old: Plan | None) -> None:
        self.project, self._view = project, view
        self._old = {voice.key: voice.source for voice in old.voices} if old else {}
        self.problems: list[str] = []

    def of_song(self) -> tuple[Hashable, Source] | None:
        if self.project.song is None:
            return None
        audio = self.project.song.audio
        nothing = np.zeros(0, np.float32)
        key = (SONG_ID, audio.id)
        return self._source(
            key, [audio], say("The song"), lambda: [Clip(0, self._frames(audio), nothing, nothing)]
        )

    def of_lane(self, lane: Lane, growing: Sequence[tuple[Growing, Frames]]) -> tuple[Hashable, Source] | None:
        """None where the lane is empty or cannot be read."""
        parts = tuple((part.start, part.take.audio.id) for part in lane.parts)
        grown = tuple((str(part.path), part.start, part.filled) for part, _ in growing if part.filled)
        if not parts and not grown:
            return None
        grown_frames = being_made(lane, growing)
        rate_hz, samples = self.project.rate_hz, self.project.samples or None
        key = (lane.id, lane.kind, rate_hz, samples, parts, grown)
        name = say("“{lane}”", lane=lane.name) if lane.name else say("A new part")
        audios = [part.take.audio for part in lane.parts]
        return self._source(
            key, audios, name, lambda: lane_clips(lane, self._frames, rate_hz, samples, grown_frames)
        )

    def of_click(self) -> tuple[Hashable, Source]:
        grid = Grid.of(self.project)
        key = ("click", grid)
        return key, self._old.get(key) or Click(grid)

    def _frames(self, audio: Audio) -> Frames:
        return np.asarray(self._view(audio))  # memmap's own slicing is slow

    def _source(
        self, content: tuple[Hashable, ...], audios: Sequence[Audio], name: str, clips: Callable[[], Sequence[Clip]]
    ) -> tuple[Hashable, Source] | None:
        try:
            key = (*content, tuple(whereabouts(self._frames(audio)) for audio in audios))
            return key, self._old.get(key) or Clips(clips())
        except (MgeldmError, OSError) as error:
            self.problems.append(say("{name} cannot be heard: {why}", name=name, why=error))
            return None
