"""The learned refiner: the mixture and the denoiser's two estimates in, a mask of the source out.

A small U-Net over mel bands and mel frames. It starts as the ratio mask of the estimates (its last layer is zero) and
learns what convolution sees better than frames of latents do: onsets, harmonics, what belongs to whom locally. A
time-frequency network fits less and transfers better to songs it has not seen.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import RefinerConfig, SpectralConfig
from .spectral import FLOOR


class _Block(nn.Module):
    """Two convolutions with a residual; the condition scales and shifts each channel (FiLM)."""

    def __init__(self, width: int, bands: int, condition_dim: int):
        super().__init__()
        self.norm = nn.GroupNorm(4, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(condition_dim, 2 * width)
        self.band = nn.Parameter(torch.zeros(1, width, bands, 1))  # bands are places, not translations
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.film.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, 1)
        y = self.norm(x + self.band) * (1 + scale) + shift
        return x + self.second(F.silu(self.first(F.silu(y))))


class Refiner(nn.Module):
    """Mask of the source on the mixture's mel magnitudes.

    Args:
        config: Widths from fine to coarse; each level halves bands and frames.
        spectral: The autoencoder's sizes (number of bands).
    """

    def __init__(self, config: RefinerConfig, spectral: SpectralConfig):
        super().__init__()
        widths, bands, dim = config.widths, spectral.mel_bands, config.condition_dim
        self.power = spectral.power
        self.multiple = 2 ** len(widths)  # mel frames must be a multiple of this
        self.condition = nn.Sequential(nn.Linear(dim, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
        self.enter = nn.Conv2d(4, widths[0], 2, stride=2)
        sizes = [bands // 2 ** (i + 1) for i in range(len(widths))]
        self.down = nn.ModuleList(_Block(w, b, 128) for w, b in zip(widths, sizes, strict=True))
        self.coarser = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.middle = _Block(widths[-1], sizes[-1], 128)
        self.finer = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_Block(w, b, 128) for w, b in zip(widths[:-1], sizes[:-1], strict=True))
        self.leave = nn.Conv2d(widths[0], 16, 3, padding=1)
        self.out = nn.Conv2d(16 // 4 + 4, 1, 3, padding=1)
        nn.init.zeros_(self.out.weight)

    def forward(self, mixture: Tensor, source: Tensor, rest: Tensor, condition: Tensor) -> Tensor:
        """Mask [batch, bands, mel frames] in (0, 1).

        Args:
            mixture: Compressed mel magnitudes [batch, bands, mel frames] of the song.
            source: The denoiser's estimate of the source, the same form.
            rest: The denoiser's estimate of the submixture, the same form.
            condition: Source condition [batch, condition_dim], zeros for none.
        """
        floor = FLOOR**self.power
        ratio = (source.clamp(min=floor) / rest.clamp(min=floor)).log() / self.power  # of linear magnitudes
        ratio = ratio.clamp(-6, 6)
        inputs = torch.stack((mixture, source, rest, ratio / 3), 1)  # [batch, 4, bands, mel frames]
        c = self.condition(condition)
        x, skips = self.enter(inputs), []
        for i, block in enumerate(self.down):
            x = block(x, c)
            if i < len(self.coarser):
                skips.append(x)
                x = self.coarser[i](x)
        x = self.middle(x, c)
        for i in reversed(range(len(self.finer))):
            x = self.up[i](self.finer[i](x) + skips[i], c)
        fine = F.pixel_shuffle(self.leave(x), 2)  # [batch, 4, bands, mel frames]
        return torch.sigmoid(ratio + self.out(torch.cat((fine, inputs), 1))[:, 0])
