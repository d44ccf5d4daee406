"""How sure masks may be: a scale and a bias of their logits, fitted on songs that training has not heard.

A network is surer of itself than it should be on songs it was not trained on (Guo et al. 2017, arXiv 1706.04599), and
a mask that takes too much is worse than silence. Two numbers mend that, and both fold into the refiner's last layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from ..nn.refiner import Refiner
from .denoiser import DenoiserRecipe

SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
_RATIO_SCALE = 3.0  # the refiner's last layer sees the log ratio divided by this
BIASES = (-1.5, -1.25, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5)


@torch.no_grad()
def fit(recipe: DenoiserRecipe, most: int = 400, batch: int = 24) -> tuple[float, float]:
    """The scale and bias with the least mean loss on the recipe's held-out triplets.

    The loss of an item is log10(e / s) + log10(1 + e / s), where e is the energy of the error and s that of the source:
    half of it is the SDR, the other half counts what is worse than silence.

    Args:
        recipe: With a held-out pool; its model as it is to be used.
        most: Items to look at.
        batch: Items at once.
    """
    assert recipe.held is not None
    rows = np.linspace(0, len(recipe.held.pool) - 1, min(most, len(recipe.held.pool))).astype(int)
    chosen = list(product(SCALES, BIASES))
    sums, count = torch.zeros(len(chosen)), 0
    for chunk in np.array_split(rows, max(1, len(rows) // batch)):
        losses = torch.stack(list(_losses(recipe.held, chunk, chosen)), 1)  # [heard items, choices]
        sums, count = sums + losses.sum(0), count + len(losses)
    return chosen[int(sums.argmin())] if count else (1.0, 0.0)


def _losses(recipe: DenoiserRecipe, rows: np.ndarray, chosen: list[tuple[float, float]]) -> Iterator[Tensor]:
    """Losses [heard items] of each choice."""
    taken, target, mixture = recipe.separated(rows)
    mask = (taken / mixture.clamp(min=1e-9)).clamp(1e-6, 1 - 1e-6)
    logits = torch.logit(mask)
    source = recipe.energy_of(target)
    heard = source > 1e-7
    for scale, bias in chosen:
        error = recipe.energy_of(mixture * torch.sigmoid(scale * logits + bias) - target)
        ratio = (error / source)[heard].clamp(min=1e-6)
        yield (torch.log10(ratio) + torch.log10(1 + ratio)).cpu()


@torch.no_grad()
def fold(refiner: Refiner, scale: float, bias: float) -> None:
    """Make the refiner's masks sigmoid(scale * logit + bias) of what they were, in place.

    Its logits are the estimates' log ratio plus its last convolution, one of whose inputs is that ratio.
    """
    last = refiner.out
    assert last.bias is not None
    last.weight.mul_(scale)
    last.bias.mul_(scale).add_(bias)
    _ratio_weight(last.weight).add_((scale - 1) * _RATIO_SCALE)


def _ratio_weight(weight: Tensor) -> Tensor:
    """The weight by which the ratio at a place enters the logit at that place."""
    return weight[0, -1, weight.shape[2] // 2, weight.shape[3] // 2]
