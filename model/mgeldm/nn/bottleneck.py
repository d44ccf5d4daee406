"""The variational bottleneck of the Oobleck autoencoder (PAPER: networks)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def posterior(encoded: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, each [batch, c, f], of an encoder's output [batch, 2 c, f]."""
    mean, scale = encoded.chunk(2, 1)
    return mean, F.softplus(scale) + 1e-4


def kl(mean: Tensor, stdev: Tensor) -> Tensor:
    """KL divergence to a standard normal, summed over channels, averaged over the rest."""
    variance = stdev.square()
    return (mean.square() + variance - variance.log() - 1).sum(1).mean()
