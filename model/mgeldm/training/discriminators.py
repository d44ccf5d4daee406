"""Multi-scale STFT discriminators (Défossez et al. 2022, arXiv 2210.13438): convolutions over complex spectrograms."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

_SLOPE = 0.2
_DILATIONS = (1, 2, 4)  # of time, in the strided layers


def _conv(inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, dilation: int = 1) -> nn.Module:
    """Over frames and bins; `stride` is of bins, `dilation` of frames; the frames stay as many."""
    padding = (dilation * (kernel[0] - 1) // 2, kernel[1] // 2)
    return weight_norm(nn.Conv2d(inputs, outputs, kernel, (1, stride), padding, (dilation, 1)))


class StftDiscriminator(nn.Module):
    """Marks for places of one STFT.

    Args:
        size: Samples of the STFT, four windows overlapping.
        width: Channels of its layers.
        channels: Of the audio.
    """

    window: Tensor

    def __init__(self, size: int, width: int = 32, channels: int = 1):
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        self.layers = nn.ModuleList(
            [
                _conv(2 * channels, width, (3, 9)),
                *(_conv(width, width, (3, 9), 2, dilation) for dilation in _DILATIONS),
                _conv(width, width, (3, 3)),
            ]
        )
        self.last = _conv(width, 1, (3, 3))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Marks [batch, 1, frames, bins / 8] and the layers' outputs, of audio [batch, channels, samples]."""
        with torch.autocast(audio.device.type, enabled=False):
            flat = audio.float().flatten(0, 1)  # [batch * channels, samples]
            stft = torch.stft(
                flat, self.size, self.size // 4, window=self.window, normalized=True, return_complex=True
            )
            parts = torch.view_as_real(stft).unflatten(0, audio.shape[:2])  # [batch, channels, bins, frames, 2]
            x = parts.permute(0, 4, 1, 3, 2).flatten(1, 2)  # [batch, 2 * channels, frames, bins]
        layers = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
            layers.append(x)
        return self.last(x), layers


class Discriminators(nn.Module):
    """One for each STFT size.

    Args:
        sizes: Samples of the STFTs.
        width: Channels of their layers.
        channels: Of the audio.
    """

    def __init__(self, sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128), width: int = 32, channels: int = 1):
        super().__init__()
        self.scales = nn.ModuleList(StftDiscriminator(size, width, channels) for size in sizes)

    def forward(self, audio: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Marks and layers of each scale, of audio [batch, channels, samples]."""
        judged = [scale(audio) for scale in self.scales]
        return [marks for marks, _ in judged], [layers for _, layers in judged]
