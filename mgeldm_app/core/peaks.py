"""Waveforms for drawing: the lowest, highest and RMS value of blocks of samples, at every scale.

A pyramid is filled in pieces, in any order: a worker measures a piece (`measure`), the owner puts it in (`Peaks.put`).
Until then it shows a rough survey, so that ten minutes are on the screen at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .clips import Frames
from .project import Span, without

Read = Callable[[int, int], Frames]
"""Samples [stop - start, channels] from start to stop."""
Columns = npt.NDArray[np.float32]
"""Lowest, highest and RMS value [3, columns]."""

BLOCK_SAMPLES = 256  # the finest blocks; closer views read the samples themselves
STEP = 4  # blocks of one level that make one of the next
PIECE_SAMPLES = 1 << 21
SURVEY_COLUMNS, SURVEY_SAMPLES = 2048, 512
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Piece:
    """What was measured: block `first` and those behind it, values [3, blocks]."""

    first: int
    values: npt.NDArray[np.float16]


def joined(values: npt.NDArray[np.floating], starts: npt.NDArray[np.intp]) -> Columns:
    """Values [3, blocks] joined into groups [3, groups] that begin at the blocks `starts`."""
    wide = values.astype(np.float32)
    sizes = np.maximum(np.diff(np.append(starts, wide.shape[1])), 1)
    square = np.add.reduceat(np.square(wide[2]), starts) / sizes
    return np.stack([np.minimum.reduceat(wide[0], starts), np.maximum.reduceat(wide[1], starts), np.sqrt(square)])


def _packed(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
    """For keeping; what is not a number becomes silence."""
    return np.clip(np.nan_to_num(values, posinf=_LARGEST, neginf=-_LARGEST), -_LARGEST, _LARGEST).astype(np.float16)


def blocks_of(frames: Frames, block_samples: int) -> Columns:
    """Lowest, highest and RMS value [3, blocks] over all channels of `frames` [samples, channels]."""
    channels = frames.shape[1]
    whole = len(frames) // block_samples
    rows = np.ascontiguousarray(frames[: whole * block_samples]).reshape(whole, block_samples * channels)
    rest = np.ascontiguousarray(frames[whole * block_samples :]).reshape(1, -1)  # [1, what is left]
    parts = [part for part in (rows, rest) if part.size]
    if not parts:
        return np.zeros((3, 0), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold anything; `_packed` sets it right
        square = [np.einsum("ij,ij->i", part, part) / part.shape[1] for part in parts]
    low, high = [part.min(axis=1) for part in parts], [part.max(axis=1) for part in parts]
    return np.stack([np.concatenate(low), np.concatenate(high), np.sqrt(np.concatenate(square))])


def measure(read: Read, span: Span) -> Piece:
    """Measure a span that begins at a block; slow, for a worker.

    Raises:
        AudioError: The samples cannot be read.
    """
    return Piece(span.start // BLOCK_SAMPLES, _packed(blocks_of(read(span.start, span.stop), BLOCK_SAMPLES)))


def survey(read: Read, samples: int) -> npt.NDArray[np.float16]:
    """A rough look at a whole clip, values [3, columns]: a few samples in each of many places.

    Raises:
        AudioError: The samples cannot be read.
    """
    length = min(SURVEY_SAMPLES, samples)
    places = np.minimum(np.arange(SURVEY_COLUMNS) * samples // SURVEY_COLUMNS, samples - length)
    looks = np.concatenate([read(int(place), int(place) + length) for place in places])
    return _packed(blocks_of(looks, length))


class Peaks:
    """The pyramid of one clip: levels of blocks of 256, 1024, 4096 ... samples; 0.9 MB for 10 minutes.

    Args:
        samples: Length of the clip.
        like: Shown until its own are there: the pyramid of a clip as long.
        empty: Whether nothing is to be measured before `want` says so.
    """

    def __init__(self, samples: int, like: Peaks | None = None, empty: bool = False) -> None:
        self.samples = samples
        blocks = max(1, -(-samples // BLOCK_SAMPLES))
        self._levels = [np.zeros((3, blocks), np.float16)]
        while self._levels[-1].shape[1] > 1:
            self._levels.append(np.zeros((3, -(-self._levels[-1].shape[1] // STEP)), np.float16))
        if like is not None and like.samples == samples:
            self._levels = [level.copy() for level in like._levels]
        self._wanted = [] if empty or not samples else [Span(0, samples)]
        self._taken: list[Span] = []  # pieces being measured
        self._reached: tuple[int, int, float] | None = None  # what was asked of `reached` last, and its answer
        self.surveyed = like is not None or empty or samples <= PIECE_SAMPLES

    @property
    def wanted(self) -> tuple[Span, ...]:
        """What is still to be measured."""
        return tuple(self._wanted)

    @property
    def complete(self) -> bool:
        """Whether everything that was wanted is measured."""
        return not self._wanted and not self._taken

    def want(self, span: Span) -> None:
        """Measure a span (again), since its samples changed."""
        start = max(span.start, 0) // BLOCK_SAMPLES * BLOCK_SAMPLES
        stop = min(-(-span.stop // BLOCK_SAMPLES) * BLOCK_SAMPLES, self.samples)
        if start < stop:
            self._wanted = [*without(self._wanted, Span(start, stop)), Span(start, stop)]

    def take(self, near: Span | None = None) -> Span | None:
        """What to measure next, no longer wanted then: first what meets `near`. None if nothing is left."""
        free = self._wanted
        for span in self._taken:  # of two measurements of one stretch, the older might come in last, and stay
            free = without(free, span)
        if not free:
            return None
        span = next((span for span in free if near and span.meets(near)), free[0])
        start = span.start
        if near and span.meets(near):
            start = max(span.start, near.start // BLOCK_SAMPLES * BLOCK_SAMPLES)
        piece = Span(start, min(start + PIECE_SAMPLES, span.stop))
        self._wanted = without(self._wanted, piece)
        self._taken.append(piece)
        return piece

    def give_up(self) -> None:
        """Measure nothing more: its samples cannot be read."""
        self._wanted, self._taken = [], []

    def put(self, piece: Piece) -> Span:
        """Take in what was measured; returns the samples that it covers."""
        first, stop = piece.first, min(piece.first + piece.values.shape[1], self._levels[0].shape[1])
        span = Span(first * BLOCK_SAMPLES, min(stop * BLOCK_SAMPLES, self.samples))
        self._taken = [taken for taken in self._taken if taken.start != span.start]
        self._levels[0][:, first:stop] = piece.values[:, : stop - first]
        self._join(first, stop)
        return span

    def put_survey(self, values: npt.NDArray[np.float16]) -> None:
        """Show a survey where nothing was measured yet."""
        self.surveyed = True
        blocks = self._levels[0].shape[1]
        for span in self._wanted:
            first, stop = span.start // BLOCK_SAMPLES, -(-span.stop // BLOCK_SAMPLES)
            self._levels[0][:, first:stop] = values[:, np.arange(first, stop) * values.shape[1] // blocks]
            self._join(first, stop)

    def _join(self, first: int, stop: int) -> None:
        """Bring the upper levels up to date above blocks first to stop."""
        self._reached = None
        for below, level in zip(self._levels, self._levels[1:], strict=False):
            first, stop = first // STEP, -(-stop // STEP)
            values = below[:, first * STEP : stop * STEP]
            level[:, first:stop] = joined(values, np.arange(0, values.shape[1], STEP))

    def columns(self, start: float, stop: float, pixels: int) -> Columns:
        """Values [3, pixels] of equal stretches from sample `start` to `stop`; silence outside of the clip."""
        out = np.zeros((3, pixels), np.float32)
        if pixels <= 0 or stop <= start or not self.samples:
            return out
        edges = start + (stop - start) / pixels * np.arange(pixels + 1)
        inside = np.flatnonzero((edges[1:] > 0) & (edges[:-1] < self.samples))
        if not inside.size:
            return out
        level = self._level((stop - start) / pixels)
        block = BLOCK_SAMPLES * STEP**level
        values = self._levels[level]
        first, last = inside[0], inside[-1] + 1
        places = np.clip(edges[first : last + 1] // block, 0, values.shape[1]).astype(np.intp)
        end = min(max(places[-1], places[-2] + 1), values.shape[1])
        starts = np.minimum(places[:-1], end - 1)
        out[:, first:last] = joined(values[:, starts[0] : end], starts - starts[0])
        return out

    def _level(self, samples_per_pixel: float) -> int:
        """The coarsest level whose blocks are no longer than a pixel."""
        level = int(np.log2(max(samples_per_pixel / BLOCK_SAMPLES, 1.0)) / np.log2(STEP))
        return min(level, len(self._levels) - 1)

    @property
    def loudest(self) -> float:
        """The largest magnitude there is, as far as is known."""
        low, high, _ = self._levels[-1]
        return float(max(-low.min(), high.max()))

    def reached(self, samples: int, edge: int) -> float:
        """The RMS level that so many of its samples reach, in all; `edge` samples at both ends are left out."""
        if self._reached is None or self._reached[:2] != (samples, edge):
            first, stop = -(-edge // BLOCK_SAMPLES), (self.samples - edge) // BLOCK_SAMPLES
            blocks = self._levels[0][2][first:stop] if first < stop else self._levels[0][2]
            most = min(max(1, round(samples / BLOCK_SAMPLES)), len(blocks))
            self._reached = samples, edge, float(np.partition(blocks, -most)[-most])
        return self._reached[2]
