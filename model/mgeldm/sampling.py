"""Samplers: plain functions of one signature, from noise and what is known to clean latents (PAPER: diffusion).

Latents are [batch, tracks, channels, frames]. A sampler calls `denoise(z, timesteps) -> velocity`, which `guided` makes
of a network and its conditions. Whole known tracks are clamped clean at timestep 0 (algorithm 2). Known frames of an
unknown track are clamped too where the denoiser takes a timestep per frame; otherwise they are noised anew at each step
with `hops` forward-backward hops (RePaint, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .diffusion import TAU_END, add_noise, alpha_sigma, log_snr, noise_of_velocity, z0_of_velocity
from .tracks import Known

Denoise = Callable[[Tensor, Tensor], Tensor]
OnStep = Callable[[int, int], None]


class Sampler(Protocol):
    """What every sampler looks like."""

    def __call__(
        self,
        denoise: Denoise,
        noise: Tensor,
        known: Known,
        steps: int,
        per_frame: bool = False,
        hops: int = 1,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Clean latents [batch, tracks, channels, frames].

        Args:
            denoise: Velocity of z at timesteps.
            noise: Standard normal, [batch, tracks, channels, frames].
            known: What is given.
            steps: Evaluations of the network.
            per_frame: The denoiser takes a timestep per track and frame.
            hops: RePaint's U, evaluations at each step, where frames are known and `per_frame` is false.
            on_step: Receives done and total after each step; may raise to stop.
        """
        ...


@dataclass(frozen=True)
class Heed:
    """How much wholly known tracks count in guidance.

    Attributes:
        scale: 1 is as much as without.
        known: What is given.
        noise: Standard normal, [batch, tracks, channels, frames]: the sampler's, whose share for known tracks is free.
    """

    scale: float
    known: Known
    noise: Tensor

    def forget(self, z: Tensor, timesteps: Tensor, tau: float) -> tuple[Tensor, Tensor]:
        """z and timesteps as if the known tracks were as uncertain as the others, where others are uncertain.

        Frames in which everything is known stay: what a part goes on from is no context that it could follow less.
        """
        whole = self.known.whole_tracks[:, :, None]  # [batch, tracks, 1]
        if timesteps.ndim == 3:
            whole = whole & ~self.known.mask.all(1, keepdim=True)  # [batch, tracks, frames]
        noised = add_noise(self.known.latents, self.noise, torch.tensor(tau, device=z.device))
        levels = whole[:, :, : timesteps.shape[2]] if timesteps.ndim == 3 else whole[:, :, 0]
        return torch.where(whole[:, :, None], noised, z), torch.where(levels, tau, timesteps)


def guided(
    denoiser: Callable[[Tensor, Tensor, Tensor], Tensor],
    conditions: Tensor,
    scale: float = 1.0,
    negative: Tensor | None = None,
    heed: Heed | None = None,
    silence: Tensor | None = None,
) -> Denoise:
    """Classifier-free guidance: negative + scale (conditional - negative), all evaluations in one forward.

    With `heed`, guidance acts on the known tracks too: a third evaluation hears them under as much noise as the rest
    has, and what they change counts `heed.scale` times, so that a new part follows what it plays with (guidance by
    several sources: StemGen, arXiv 2312.08723).

    Args:
        denoiser: The network, on [batch, tracks * channels, frames].
        conditions: [batch, tracks, dim].
        scale: 1 evaluates the condition alone.
        negative: What to move away from, the same shape; None is the null condition, zeros.
        heed: How much the known tracks count; None is once.
        silence: Latents [channels] in which nothing plays, where distance from them is level. Guidance then says what
            is played and not how loud: else what is softer than the average part is pushed into silence (the parallel
            part of Sadat et al. 2024, arXiv 2410.02416, taken from there on).
    """
    away = torch.zeros_like(conditions) if negative is None else negative

    def denoise(z: Tensor, timesteps: Tensor) -> Tensor:
        flat = z.flatten(1, 2)  # [batch, tracks * channels, frames]
        if scale == 1.0 and negative is None and heed is None:
            return denoiser(flat, timesteps, conditions).unflatten(1, z.shape[1:3])
        tau = float(timesteps.max())
        inputs, levels, wishes = [flat, flat], [timesteps, timesteps], [conditions, away]
        if heed is not None:
            unheard, unsure = heed.forget(z, timesteps, tau)
            inputs, levels, wishes = [*inputs, unheard.flatten(1, 2)], [*levels, unsure], [*wishes, away]
        found = denoiser(torch.cat(inputs), torch.cat(levels), torch.cat(wishes))
        towards, other, *alone = found.unflatten(1, z.shape[1:3]).chunk(len(inputs))  # [batch, tracks, channels, f]
        base = other if heed is None else alone[0] + heed.scale * (other - alone[0])
        push = towards - other
        if silence is not None:
            heard = z0_of_velocity(z, towards, torch.tensor(tau, device=z.device)) - silence[:, None]
            if timesteps.ndim == 3:  # what is known says nothing of what is to come
                heard = heard * (timesteps > 0)[:, :, None]
            level = (push * heard).sum((2, 3), keepdim=True) / heard.square().sum((2, 3), keepdim=True).clamp(min=1e-9)
            return base + scale * push - (scale - 1) * level * heard
        return base + scale * push

    return denoise


def posterior_mean(denoise: Denoise, known: Known, per_frame: bool = False) -> Tensor:
    """The mean of all unknown tracks given what is known: one evaluation at tau = 1, where noise tells nothing.

    For extraction this separates as well as many steps do, whose variance a mask would have to average away.
    """
    z = known.clamp(torch.zeros_like(known.latents), per_frame)
    v = denoise(z, known.timesteps(1.0, per_frame))
    return known.clamp(-v, per_frame)  # z_0 = alpha z - sigma v, with alpha = 0 at tau = 1


def ddim(
    denoise: Denoise,
    noise: Tensor,
    known: Known,
    steps: int,
    per_frame: bool = False,
    hops: int = 1,
    on_step: OnStep | None = None,
) -> Tensor:
    """DDIM with eta 0 (Song et al. 2021, arXiv 2010.02502) at tau = linspace(1, 0.02, steps); see `Sampler`."""
    taus = torch.linspace(1.0, TAU_END, steps, device=noise.device)
    renoise = not per_frame and bool(known.regions.any())
    z, z0 = noise, noise
    for i, tau in enumerate(taus):
        tau_next = taus[min(i + 1, steps - 1)]
        for hop in range(hops if renoise and i + 1 < steps else 1):  # at the last level there is no way down to repeat
            if hop:  # channels trade their noise: as good as fresh, and the same however windows are batched
                z = _forward(z, tau_next, tau, noise.roll(i * hops + hop, 2))
            z = _given(z, known, noise, tau, per_frame, renoise)
            v = denoise(z, known.timesteps(float(tau), per_frame))
            z0 = z0_of_velocity(z, v, tau)
            z = add_noise(z0, noise_of_velocity(z, v, tau), tau_next)
        if on_step is not None:
            on_step(i + 1, steps)
    return torch.where(known.mask[:, :, None], known.latents, z0)


def _given(z: Tensor, known: Known, noise: Tensor, tau: Tensor, per_frame: bool, renoise: bool) -> Tensor:
    """z with what is known put in: clean, or noised to `tau` where the denoiser wants one level a track."""
    z = known.clamp(z, per_frame)
    if renoise:
        z = torch.where(known.regions[:, :, None], add_noise(known.latents, noise, tau), z)
    return z


def _forward(z: Tensor, tau_from: Tensor, tau_to: Tensor, noise: Tensor) -> Tensor:
    """A hop back up: noise added to z from one level to a higher one, keeping the variance of z_tau."""
    (alpha_from, sigma_from), (alpha_to, sigma_to) = alpha_sigma(tau_from), alpha_sigma(tau_to)
    ratio = alpha_to / alpha_from
    return ratio * z + (sigma_to**2 - (ratio * sigma_from) ** 2).clamp(min=0).sqrt() * noise


def dpmpp_2m(
    denoise: Denoise,
    noise: Tensor,
    known: Known,
    steps: int,
    per_frame: bool = False,
    hops: int = 1,
    on_step: OnStep | None = None,
) -> Tensor:
    """DPM-Solver++ 2M (Lu et al. 2022, arXiv 2211.01095) in its data-prediction form; see `Sampler`.

    Second order for few steps. log-SNR is infinite at tau = 1, so the first step is DDIM's, and the last evaluation's
    z_0 is the result. RePaint's hops need DDIM's one-step form: with them this is `ddim`.
    """
    if not per_frame and bool(known.regions.any()):
        return ddim(denoise, noise, known, steps, per_frame, hops, on_step)
    taus = torch.linspace(1.0, TAU_END, steps, device=noise.device)
    z, before, step_before = noise, noise, 0.0
    for i, tau in enumerate(taus):
        z = known.clamp(z, per_frame)
        v = denoise(z, known.timesteps(float(tau), per_frame))
        z0 = z0_of_velocity(z, v, tau)
        if i + 1 < steps:
            tau_next = taus[i + 1]
            if i == 0:
                z = add_noise(z0, noise_of_velocity(z, v, tau), tau_next)
            else:
                step = float(log_snr(tau_next) - log_snr(tau))
                ahead = z0 if i == 1 else z0 + (z0 - before) * (step / (2 * step_before))
                alpha, sigma = alpha_sigma(tau_next)
                z = sigma / alpha_sigma(tau)[1] * z - alpha * float(np.expm1(-step)) * ahead
                step_before = step
            before = z0
        if on_step is not None:
            on_step(i + 1, steps)
    return torch.where(known.mask[:, :, None], known.latents, z0)


def window_noise(seed: int, first_frame: int, frames: int, tracks: int, channels: int) -> Tensor:
    """Standard normal noise [tracks, channels, frames] of a window, drawn from the seed and the absolute frame.

    Windows that overlap share the noise of their common frames, and it does not matter how windows are batched.
    """
    size = tracks * channels
    draws = 4 * -(-size // 4)  # a frame owns a whole number of the generator's 256-bit blocks
    generator = np.random.Philox(key=seed % 2**63, counter=[first_frame * draws // 4 % 2**64, 0, 0, 0])
    words = generator.random_raw(frames * draws).reshape(frames, draws)[:, :size]  # [frames, tracks * channels]
    low, high = (words & 0xFFFFFFFF).astype(np.float64), (words >> np.uint64(32)).astype(np.float64)
    radius = np.sqrt(-2 * np.log((low + 0.5) / 2**32))  # Box-Muller
    normal = (radius * np.cos(2 * np.pi * (high + 0.5) / 2**32)).astype(np.float32)
    return torch.from_numpy(normal).T.unflatten(0, (tracks, channels)).contiguous()  # [tracks, channels, frames]
