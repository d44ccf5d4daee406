"""Fourier features of a timestep, rotary positions of frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """Cosines and sines of random frequencies: timesteps [...] to features [..., features]."""

    def __init__(self, features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features // 2, 1))

    def forward(self, timesteps: Tensor) -> Tensor:
        phases = 2 * math.pi * timesteps[..., None] * self.weight[:, 0]  # [..., features / 2]
        return torch.cat((phases.cos(), phases.sin()), -1)


def rotary_angles(frames: int, dims: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Cosine and sine [frames, dims] of rotary positions (Su et al. 2021, arXiv 2104.09864)."""
    frequencies = 10000.0 ** (-torch.arange(0, dims, 2, device=device).float() / dims)
    angles = torch.arange(frames, device=device).float()[:, None] * frequencies  # [frames, dims / 2]
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the first dims of each head of x [batch, heads, frames, head] by its frame's angles."""
    cosine, sine = angles
    dims = cosine.shape[-1]
    turned, rest = x[..., :dims], x[..., dims:]
    low, high = turned.chunk(2, -1)
    return torch.cat((turned * cosine + torch.cat((-high, low), -1) * sine, rest), -1)
