"""The v-objective on the cosine schedule, as pure functions (PAPER: diffusion; Salimans and Ho 2022, arXiv 2202.00512).

`tau` in [0, 1] is a tensor that broadcasts against the latents: 0 is clean, 1 is pure noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TAU_END = 0.02  # the lowest timestep that is trained, and the last one that is sampled


def alpha_sigma(tau: Tensor) -> tuple[Tensor, Tensor]:
    """Scale of signal and of noise at `tau`: cos and sin of pi/2 tau."""
    return torch.cos(tau * (math.pi / 2)), torch.sin(tau * (math.pi / 2))


def log_snr(tau: Tensor) -> Tensor:
    """Half the logarithm of the signal-to-noise ratio, log(alpha / sigma); infinite at 0 and 1."""
    alpha, sigma = alpha_sigma(tau)
    return alpha.log() - sigma.log()


def add_noise(z0: Tensor, noise: Tensor, tau: Tensor) -> Tensor:
    """z_tau = alpha z_0 + sigma eps."""
    alpha, sigma = alpha_sigma(tau)
    return alpha * z0 + sigma * noise


def velocity(z0: Tensor, noise: Tensor, tau: Tensor) -> Tensor:
    """v = alpha eps - sigma z_0, what the network predicts."""
    alpha, sigma = alpha_sigma(tau)
    return alpha * noise - sigma * z0


def z0_of_velocity(z: Tensor, v: Tensor, tau: Tensor) -> Tensor:
    """z_0 = alpha z_tau - sigma v."""
    alpha, sigma = alpha_sigma(tau)
    return alpha * z - sigma * v


def noise_of_velocity(z: Tensor, v: Tensor, tau: Tensor) -> Tensor:
    """eps = sigma z_tau + alpha v."""
    alpha, sigma = alpha_sigma(tau)
    return sigma * z + alpha * v
