import torch
from mgeldm.config import RefinerConfig, SpectralConfig
from mgeldm.nn.refiner import Refiner


@torch.no_grad()
def test_it_begins_as_the_ratio_mask():
    refiner = Refiner(RefinerConfig(widths=(8, 8)), SpectralConfig(mel_bands=16))
    source, rest = torch.rand(2, 16, 8) + 0.1, torch.rand(2, 16, 8) + 0.1
    linear_source, linear_rest = source ** (1 / 0.3), rest ** (1 / 0.3)
    mask = refiner(source + rest, source, rest, torch.zeros(2, 512))
    ratio = (linear_source / linear_rest).log().clamp(-6, 6)
    bias = refiner.out.bias.item()
    assert torch.allclose(mask, torch.sigmoid(ratio + bias), atol=1e-4)
