"""Stable Audio's Oobleck autoencoder, at inference: weight norm is folded into plain convolutions (PAPER: networks)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..config import OobleckConfig
from .bottleneck import posterior

_DILATIONS = (1, 3, 9)


class SnakeBeta(nn.Module):
    """x + sin^2(alpha x) / beta, with alpha and beta stored as logarithms [channels]."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        alpha, beta = self.alpha.exp()[:, None], self.beta.exp()[:, None]
        return x + torch.sin(x * alpha).square() / (beta + 1e-9)


class Residual(nn.Module):
    """A dilated convolution and a pointwise one, beside the identity."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            SnakeBeta(channels),
            nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
            SnakeBeta(channels),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _down(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    residuals = [Residual(inputs, dilation) for dilation in _DILATIONS]
    conv = nn.Conv1d(inputs, outputs, 2 * stride, stride, padding=math.ceil(stride / 2))
    return nn.Sequential(*residuals, SnakeBeta(inputs), conv)


def _up(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = nn.ConvTranspose1d(inputs, outputs, 2 * stride, stride, padding=math.ceil(stride / 2))
    return nn.Sequential(SnakeBeta(inputs), conv, *(Residual(outputs, dilation) for dilation in _DILATIONS))


class OobleckAutoencoder(nn.Module):
    """Mono audio to latents and back.

    Args:
        config: Sizes.
    """

    def __init__(self, config: OobleckConfig):
        super().__init__()
        self.config = config
        widths = [config.channels * multiple for multiple in (1, *config.multiples)]
        pairs = [(*pair, stride) for pair, stride in zip(pairwise(widths), config.strides, strict=True)]
        self.encoder = nn.Sequential(
            nn.Conv1d(config.audio_channels, widths[0], 7, padding=3),
            *(_down(narrow, wide, stride) for narrow, wide, stride in pairs),
            SnakeBeta(widths[-1]),
            nn.Conv1d(widths[-1], 2 * config.latent_channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv1d(config.latent_channels, widths[-1], 7, padding=3),
            *(_up(wide, narrow, stride) for narrow, wide, stride in reversed(pairs)),
            SnakeBeta(widths[0]),
            nn.Conv1d(widths[0], config.audio_channels, 7, padding=3, bias=False),
        )

    def encode_posterior(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [batch, c, f] of the latents of audio [batch, 1, samples]."""
        return posterior(self.encoder(audio))

    def encode(self, audio: Tensor) -> Tensor:
        """Latents [batch, c, f], the posterior's mean, of audio [batch, 1, samples], a multiple of the ratio."""
        return self.encode_posterior(audio)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Audio [batch, 1, samples] of latents [batch, c, f]."""
        return self.decoder(latents)
