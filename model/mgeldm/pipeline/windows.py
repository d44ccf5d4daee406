"""Cutting long audio into windows, and joining what comes back so that no seam is heard. Frames are latent frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def plan(start: int, stop: int, total: int, window: int, hop: int) -> list[int]:
    """First frames of the windows that cover [start, stop) of a song of `total` frames.

    Windows never leave the song while it is long enough: the last one ends with it, and a short region borrows
    context from both sides.
    """
    last = max(0, total - window)
    first = min(max(0, min(start, (start + stop - window) // 2)), last)
    starts = [first]
    while starts[-1] + window < stop:
        starts.append(min(starts[-1] + hop, last))
    return starts


def fade(frames: int, overlap: int) -> Array:
    """Weights [frames] that rise and fall linearly over `overlap`; never zero, so a lone window stays whole."""
    place = np.arange(frames, dtype=np.float32) + 0.5
    edge = np.minimum(place, frames - place)
    return np.minimum(edge / max(overlap, 1), 1.0).astype(np.float32)


@dataclass
class Piece:
    """A finished stretch: `values` [..., steps] from step `first` on."""

    first: int
    values: Array


class Joiner:
    """Cross-fades overlapping windows that arrive in order, and gives out what no later window can change.

    Args:
        start: First step wanted.
        stop: Step after the last one wanted.
        overlap: Steps over which a window fades in and out.
        power: What the weights of overlapping windows add up to: 1 for values that tell of the same, 2 (their squares)
            for sounds whose phases have nothing in common, which would be too quiet in between.
    """

    def __init__(self, start: int, stop: int, overlap: int, power: int = 1):
        self.start, self.stop, self.overlap, self.power = start, stop, overlap, power
        self.first = -1  # step of the buffers' beginning
        self.values = np.zeros(0, np.float32)
        self.weights = np.zeros(0, np.float32)

    def add(self, first: int, values: Array, next_first: int | None) -> Iterator[Piece]:
        """Add a window [..., steps] from step `first` on; the next begins at `next_first` (None: it is the last)."""
        steps = values.shape[-1]
        if self.first < 0:
            self.first, self.values = first, np.zeros((*values.shape[:-1], 0), np.float32)
        grow = first + steps - (self.first + self.values.shape[-1])
        self.values = np.concatenate((self.values, np.zeros((*values.shape[:-1], max(grow, 0)), np.float32)), -1)
        self.weights = np.concatenate((self.weights, np.zeros(max(grow, 0), np.float32)))
        weights, here = fade(steps, self.overlap), slice(first - self.first, first - self.first + steps)
        self.values[..., here] += values * weights
        self.weights[here] += weights**self.power
        done = (self.first + self.values.shape[-1] if next_first is None else next_first) - self.first
        if done <= 0:
            return
        finished = self.values[..., :done] / self.weights[:done] ** (1 / self.power)
        begin, end = max(self.start - self.first, 0), min(self.stop - self.first, done)
        if end > begin:
            yield Piece(self.first + begin, finished[..., begin:end])
        self.first += done
        self.values, self.weights = self.values[..., done:], self.weights[done:]
