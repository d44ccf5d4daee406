"""Imputation, accompaniment, generation and inpainting: windows in order, each taking what is finished as known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..audio import Samples
from ..checkpoint import Model
from ..progress import Reporter
from ..sampling import Heed, dpmpp_2m, guided, window_noise
from ..tracks import Known, Task, Track
from .compute import Compute
from .extraction import How
from .windows import Joiner, plan

REPAINT_HOPS = 4
_OVERLAP = 0.25  # of a window, known from the one before
_DECODED_WINDOWS = 4  # of the embedded model, decoded at once
_MARGIN = 8  # latent frames decoded beyond a stretch, where a decoder hears nothing beside it

LatentsAt = Callable[[int, int], Tensor]
"""Latents [channels, frames] of a track from a frame on."""


@dataclass(frozen=True)
class Wish:
    """What to make.

    Attributes:
        task: Which track is known, prompted, and wanted.
        condition: Of the prompted track [dim].
        negative: What to move away from [dim], if anything.
        start: First latent frame wanted.
        stop: Frame after the last one wanted.
        total: Frames there are: a song's length, or the part's own.
        given: The known track, if the task has one.
        around: Tracks that are known outside the frames wanted, where they stay as they are (inpainting).
    """

    task: Task
    condition: Tensor
    negative: Tensor | None
    start: int
    stop: int
    total: int
    given: LatentsAt | None = None
    around: Mapping[Track, LatentsAt] = field(default_factory=dict)


class Maker:
    """Makes a part of any length.

    Args:
        model: The model.
        compute: Where it runs.
        how: Steps, guidance, seed.
        reporter: Hears of every step, and may stop the work.
    """

    def __init__(self, model: Model, compute: Compute, how: How, reporter: Reporter):
        self.model, self.compute, self.how, self.reporter = model, compute, how, reporter
        self.window = model.config.window_frames
        self.channels = model.config.denoiser.latent_channels

    def make(self, wish: Wish) -> Samples:
        """Mono audio [samples] at the model's rate of the wished track, from `wish.start` to `wish.stop`."""
        hop = self.window - max(1, round(self.window * _OVERLAP))
        firsts = plan(wish.start, wish.stop, max(wish.total, self.window), self.window, hop)
        pieces: list[Tensor] = []  # [channels, frames]; where windows overlap, the later one was given the earlier one
        latents: Tensor | None = None  # [tracks, channels, frames] of the window before
        for i, first in enumerate(firsts):
            known = self._known(wish, first, latents, firsts[i - 1])
            latents = self._sample(wish, first, known, (i, len(firsts)))
            frames = firsts[i + 1] - first if i + 1 < len(firsts) else self.window
            pieces.append(latents[wish.task.result, :, :frames])
        return self._decode(torch.cat(pieces, 1), firsts[0], wish)

    def _decode(self, latents: Tensor, first: int, wish: Wish) -> Samples:
        """Mono audio [samples] of the frames wished, of latents [channels, frames] from frame `first` on.

        In stretches that hear a little of their neighbours. Each of the embedded model's has phases of its own, so two
        of them sound together in a cross-fade of one frame and no longer.
        """
        per, last = self.model.config.samples_per_frame, first + latents.shape[1]
        stretch = self.window * (_DECODED_WINDOWS if self.model.config.is_embedded else 1)
        begins = range(first, max(last - 1, first + 1), stretch - 1)
        joiner = Joiner(wish.start * per, wish.stop * per, per, 2 if self.model.config.is_embedded else 1)
        sounds: list[Samples] = []
        for begin in begins:
            heard, end = max(begin - _MARGIN, first), min(begin + stretch, last)
            part = latents[None, :, heard - first : end + _MARGIN - first]
            audio = self.compute.map(self.model.autoencoder.decode, part)[0]  # [1, samples]
            own = audio[:, (begin - heard) * per : (end - heard) * per].numpy()
            following = None if begin == begins[-1] else (begin + stretch - 1) * per
            sounds += [piece.values[0] for piece in joiner.add(begin * per, own, following)]
        return np.concatenate(sounds)

    def _known(self, wish: Wish, first: int, before: Tensor | None, first_before: int) -> Known:
        """What the window that begins at frame `first` is given: a track, the overlap, and what lies around."""
        known = Known.nothing(1, self.channels, self.window)
        if before is not None:
            overlap = self.window - (first - first_before)
            shifted = torch.nn.functional.pad(before[:, :, -overlap:], (0, self.window - overlap))
            for track in Track:
                known = known.with_region(track, shifted[track][None], slice(0, overlap))
        begin, end = max(wish.start - first, 0), max(wish.stop - first, 0)
        for track, latents_at in wish.around.items():
            latents = latents_at(first, self.window)[None]
            for outside in (slice(0, begin), slice(end, None)):
                known = known.with_region(track, latents, outside)
        if wish.given is not None and wish.task.known is not None:
            known = known.with_track(wish.task.known, wish.given(first, self.window)[None])
        return known

    def _sample(self, wish: Wish, first: int, known: Known, place: tuple[int, int]) -> Tensor:
        """Latents [tracks, channels, frames] of one window."""
        noise = window_noise(self.how.seed, first, self.window, len(Track), self.channels)[None]
        conditions = torch.zeros(1, len(Track), len(wish.condition))
        conditions[:, wish.task.prompted] = wish.condition
        return self._run(known, noise, conditions, wish, place)

    def _run(self, known: Known, noise: Tensor, conditions: Tensor, wish: Wish, place: tuple[int, int]) -> Tensor:
        negative = None
        if wish.negative is not None:
            negative = torch.zeros_like(conditions)
            negative[:, wish.task.prompted] = wish.negative
        done, windows = place

        def on_step(step: int, steps: int) -> None:
            self.reporter.report("steps", done * steps + step, windows * steps)

        def run(noise: Tensor, latents: Tensor, mask: Tensor, conditions: Tensor) -> Tensor:
            away, known = None if negative is None else negative.to(noise), Known(latents, mask)
            heed = None if self.how.heed == 1.0 else Heed(self.how.heed, known, noise)
            denoiser = self.compute.spread(self.model.denoiser)
            silence = self.model.autoencoder.silence if self.model.config.is_embedded else None
            denoise = guided(denoiser, conditions, self.how.guidance, away, heed=heed, silence=silence)
            per_frame = self.model.config.denoiser.frame_timesteps
            return dpmpp_2m(denoise, noise, known, self.how.steps, per_frame, REPAINT_HOPS, on_step)

        return self.compute.map(run, noise, known.latents, known.mask, conditions)[0]
