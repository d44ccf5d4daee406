from dataclasses import replace

import pytest
import torch
from mgeldm.config import EMBEDDED, RefinerConfig, SpectralConfig
from mgeldm.nn.refiner import Refiner
from mgeldm.training.calibrate import fit, fold

CONFIG = replace(EMBEDDED, refiner=RefinerConfig(widths=(8, 8)))


def test_folding_scales_and_shifts_the_logits_exactly():
    torch.manual_seed(0)
    refiner = Refiner(CONFIG.refiner, SpectralConfig())
    with torch.no_grad():
        refiner.out.weight += 0.1 * torch.randn_like(refiner.out.weight)
    mixture, source, rest = torch.rand(3, 2, 128, 16) + 0.05
    inputs = (mixture, source, rest, torch.randn(2, 512))
    with torch.no_grad():
        before = torch.logit(refiner(*inputs).double())
        fold(refiner, 0.7, -0.5)
        after = torch.logit(refiner(*inputs).double())
    inside = before.abs() < 8  # beyond, single precision says little of a logit
    assert torch.allclose(after[inside], (0.7 * before - 0.5)[inside], atol=2e-3)


class Overconfident:
    """Stands for a recipe: its masks are what they should be, then moved by a wrong scale and bias."""

    def __init__(self, scale, bias):
        self.held, self.pool, self.moved = self, range(96), (scale, bias)

    def separated(self, rows):
        torch.manual_seed(int(rows[0]))
        mixture = torch.rand(len(rows), 4, 32) + 0.1
        logits = 2 * torch.randn(len(rows), 4, 32)
        scale, bias = self.moved
        return mixture * torch.sigmoid((logits - bias) / scale), mixture * torch.sigmoid(logits), mixture

    def energy_of(self, magnitudes):
        return magnitudes.square().mean((1, 2))


@pytest.mark.parametrize(("scale", "bias"), [(0.7, -0.5), (1.0, 0.0), (0.5, 0.25)])
def test_what_moved_the_masks_is_found(scale, bias):
    assert fit(Overconfident(scale, bias)) == (scale, bias)


def test_silent_sources_alone_change_nothing():
    recipe = Overconfident(0.7, -0.5)
    loud = torch.ones(24, 4, 8)
    recipe.separated = lambda rows: (loud[: len(rows)], 0 * loud[: len(rows)], loud[: len(rows)])
    assert fit(recipe) == (1.0, 0.0)
