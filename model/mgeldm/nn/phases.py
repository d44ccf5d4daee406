"""Sound from magnitudes alone: phases that agree with each other (Griffin and Lim 1984).

What a mel or a latent keeps is magnitudes. A small network that learned in minutes to guess phases from them hit the
shape of the spectrum but not the pitch. Overlapping frames say themselves which phases fit, and no training is needed
(model/README has the figures).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROUNDS = 16
_NOTHING = 1e-12  # a magnitude without a phase
_MOMENTUM = 0.99  # the accelerated form (Perraudin, Balazs and Sondergaard 2013)


class Phases(nn.Module):
    """STFT and overlap-add of one frame grid, frame j centred on (j + 1/2) hops, and the search for phases.

    Args:
        size: Samples of a frame.
        hop: Samples from frame to frame; divides `size`.
    """

    window: Tensor

    def __init__(self, size: int, hop: int):
        super().__init__()
        self.size, self.hop, self.pad = size, hop, (size - hop) // 2
        self.register_buffer("window", torch.hann_window(size), persistent=False)

    def stft(self, audio: Tensor) -> Tensor:
        """Spectra [batch, bins, samples / hop] of audio [batch, samples]; a full-scale sine reads about 1."""
        padded, window = F.pad(audio, (self.pad, self.pad)), self.window * (2 / self.size)
        return torch.stft(padded, self.size, self.hop, window=window, center=False, return_complex=True)

    def overlap_add(self, spectrum: Tensor) -> Tensor:
        """Audio [batch, frames * hop] whose frames are closest to a spectrum [batch, bins, frames]."""
        frames = torch.fft.irfft(spectrum * (self.size / 2), self.size, dim=1) * self.window[:, None]
        weights = self.window.square()[None, :, None].expand(1, -1, spectrum.shape[2])
        audio = self._overlapped(frames) / self._overlapped(weights).clamp(min=0.1)
        return audio[:, self.pad : audio.shape[1] - self.pad]

    def _overlapped(self, frames: Tensor) -> Tensor:
        """Sum [batch, samples] of frames [batch, size, frames] a hop apart; `F.fold` takes twenty times as long."""
        hops, count = self.size // self.hop, frames.shape[2]
        total = frames.new_zeros(len(frames), count + hops - 1, self.hop)
        for number, part in enumerate(frames.unflatten(1, (hops, self.hop)).unbind(1)):  # [batch, hop, frames]
            total[:, number : number + count] += part.transpose(1, 2)
        return total.flatten(1)

    def forward(self, spectrum: Tensor) -> Tensor:
        """The spectrum that the overlapped frames of a spectrum have: one round of the search."""
        return self.stft(self.overlap_add(spectrum))

    def sound(self, magnitudes: Tensor, rounds: int = ROUNDS) -> Tensor:
        """Audio [batch, frames * hop] of magnitudes [batch, bins, frames]; the same for the same magnitudes."""
        generator = torch.Generator().manual_seed(0)
        angles = 2 * torch.pi * torch.rand(magnitudes.shape[1:], generator=generator)
        spectrum = torch.polar(magnitudes, angles.to(magnitudes).expand_as(magnitudes).contiguous())
        before = torch.zeros_like(spectrum)
        for _ in range(rounds):
            found = self(spectrum)
            ahead = found + _MOMENTUM * (found - before)
            spectrum, before = ahead * (magnitudes / ahead.abs().clamp(min=_NOTHING)), found
        return self.overlap_add(spectrum)
