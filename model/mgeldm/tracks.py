"""The paper's idea in one file: three tracks, and every task is which of them is known (PAPER: the idea).

mixture = submixture + source. What is known is clamped clean at timestep 0, the rest is sampled (section 3.4,
algorithm 2). The same holds along time where the denoiser takes a timestep per frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from .diffusion import TAU_END


class Track(IntEnum):
    """Places of the tracks in a joint latent [batch, tracks, channels, frames]."""

    MIXTURE = 0
    SUBMIXTURE = 1
    SOURCE = 2


@dataclass(frozen=True)
class Task:
    """Which track is known, which one the prompt describes, and which one the user wants."""

    known: Track | None
    prompted: Track
    result: Track


TASKS = {
    "extract": Task(Track.MIXTURE, Track.SOURCE, Track.SOURCE),
    "impute": Task(Track.SUBMIXTURE, Track.SOURCE, Track.SOURCE),
    "accompany": Task(Track.SOURCE, Track.SUBMIXTURE, Track.SUBMIXTURE),
    "generate": Task(None, Track.MIXTURE, Track.MIXTURE),
}


@dataclass(frozen=True)
class Known:
    """What is given: `latents` [batch, tracks, channels, frames], where `mask` [batch, tracks, frames] is true."""

    latents: Tensor
    mask: Tensor

    @classmethod
    def nothing(cls, batch: int, channels: int, frames: int) -> Known:
        """Nothing is known."""
        return cls(torch.zeros(batch, len(Track), channels, frames), torch.zeros(batch, len(Track), frames).bool())

    def with_track(self, track: Track, latents: Tensor) -> Known:
        """The same with a whole track [batch, channels, frames] known."""
        return self.with_region(track, latents, slice(None))

    def with_region(self, track: Track, latents: Tensor, frames: slice) -> Known:
        """The same with the given frames of a track known; `latents` [batch, channels, frames] covers the window."""
        values, mask = self.latents.clone(), self.mask.clone()
        values[:, track, :, frames] = latents[:, :, frames]
        mask[:, track, frames] = True
        return Known(values, mask)

    def to(self, device: torch.device | str) -> Known:
        """The same on another device."""
        return Known(self.latents.to(device), self.mask.to(device))

    @property
    def whole_tracks(self) -> Tensor:
        """Tracks known from beginning to end [batch, tracks]."""
        return self.mask.all(2)

    @property
    def regions(self) -> Tensor:
        """Known frames of tracks that are not known entirely [batch, tracks, frames]."""
        return self.mask & ~self.whole_tracks[:, :, None]

    def timesteps(self, tau: float, per_frame: bool) -> Tensor:
        """tau where unknown and 0 where known: [batch, tracks, frames] if `per_frame`, else [batch, tracks].

        Where all frames of each track are alike one stands for them, [batch, tracks, 1]: the network then finds what
        follows from it once.
        """
        unknown = ~self.mask if per_frame else ~self.whole_tracks
        if per_frame and bool((unknown == unknown[:, :, :1]).all()):
            unknown = unknown[:, :, :1]
        return unknown * tau

    def clamp(self, z: Tensor, per_frame: bool) -> Tensor:
        """z [batch, tracks, channels, frames] with everything clean that has timestep 0."""
        mask = self.mask if per_frame else self.whole_tracks[:, :, None]
        return torch.where(mask[:, :, None], self.latents, z)


def training_timesteps(rng: np.random.Generator, batch: int, frames: int) -> tuple[Tensor, Tensor]:
    """What is known in training, and the timestep of the rest (PAPER: diffusion).

    Each item draws one of the four patterns: nothing known, or the mixture, the submixture or the source. In half of
    the items the other tracks are known up to a frame, from a frame, or around a gap, so that continuing and
    inpainting along time are learned.

    Returns:
        Known parts, bool [batch, tracks, frames], and tau [batch], uniform on [TAU_END, 1].
    """
    first, last = np.sort(rng.integers(0, frames + 1, (2, batch, 1)), axis=0)
    kind = rng.integers(3, size=(batch, 1))  # continue, lead into, inpaint
    at = np.arange(frames)
    in_time = ((at < first) & (kind != 1)) | ((at >= last) & (kind != 0))  # [batch, frames]
    in_time &= (rng.random((batch, 1)) < 0.5) & ~in_time.all(1, keepdims=True)
    pattern = rng.integers(-1, len(Track), (batch, 1)) == np.arange(len(Track))  # [batch, tracks]
    known = torch.from_numpy(in_time[:, None] | pattern[:, :, None])
    return known, torch.from_numpy(rng.uniform(TAU_END, 1, batch).astype(np.float32))
