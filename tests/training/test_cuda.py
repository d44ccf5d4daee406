"""What only a GPU shows: every recipe runs there in mixed precision, and finds what the CPU finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mgeldm.bundled import WORD_TABLE
from mgeldm.conditioning.embedded import EmbeddedConditioner, WordTable
from mgeldm.config import EMBEDDED, OobleckConfig, SpectralConfig
from mgeldm.data import corpus, latents
from mgeldm.data.captions import CAPTIONS
from mgeldm.data.latents import Encoder
from mgeldm.nn.dit import Denoiser
from mgeldm.nn.oobleck import OobleckAutoencoder
from mgeldm.nn.spectral import SpectralAutoencoder
from mgeldm.training.autoencoder import DecoderRecipe, OobleckRecipe, Weights, weight_normed
from mgeldm.training.denoiser import DenoiserRecipe
from mgeldm.training.discriminators import Discriminators
from mgeldm.training.embedded import learn_sounds
from mgeldm.training.loop import LoopConfig, Run
from mgeldm.training.machine import Machine
from mgeldm.training.sounds import Rendered
from mgeldm.training.text_audio import TextAudioRecipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
SMALL = replace(EMBEDDED.denoiser, width=96, depth=2, heads=3)


@pytest.fixture(scope="module")
def pool():
    stems = corpus.render_song(3, [], 13.0).stems
    return Encoder(absent=0.5).encode(stems, CAPTIONS, np.random.default_rng(0))


def conditioner(device):
    torch.manual_seed(0)
    return EmbeddedConditioner(WordTable.load(WORD_TABLE)).to(device)


def denoiser_recipe(pool, device, **options):
    torch.manual_seed(0)
    spectral = SpectralAutoencoder(EMBEDDED.autoencoder)
    spectral.fit(torch.from_numpy(pool.mixtures).float())
    return DenoiserRecipe(Denoiser(SMALL).to(device), spectral, conditioner(device), pool, batch=8, **options)


def test_extraction_losses_are_those_of_the_cpu(pool):
    """Without noise, the losses are the same but for rounding and the chance of phases, a thousandth."""
    losses = {}
    for device in ("cpu", "cuda"):
        recipe = denoiser_recipe(pool, device, extraction=1.0)
        with Machine(device, "bf16" if device == "cuda" else "32").autocast():
            _, found = recipe.loss(np.random.default_rng(0))
        losses[device] = {name: float(value) for name, value in found.items()}
    for name, value in losses["cpu"].items():
        assert losses["cuda"][name] == pytest.approx(value, rel=0.03, abs=0.01)


def test_typical_sounds_are_those_of_the_cpu(pool, tmp_path):
    latents.save(tmp_path / "a-0.npz", [pool])
    sounds = {}
    for device in ("cpu", "cuda"):
        towers = conditioner(device).eval()
        learn_sounds(towers, tmp_path)
        sounds[device] = towers.sounds.cpu()
    assert len(sounds["cpu"]) and torch.allclose(sounds["cpu"], sounds["cuda"], atol=5e-3)


def recipes(pool, device):
    oobleck = weight_normed(OobleckAutoencoder(OobleckConfig(4, (1, 2), (2, 4), 4))).to(device)
    spectral = SpectralAutoencoder(SpectralConfig(decoder_width=16, decoder_depth=1))
    spectral.fit(torch.from_numpy(pool.mixtures).float())
    sounds = Rendered(songs=1)
    critics = [Discriminators((256,), width=4).to(device) for _ in range(2)]
    weights = Weights(mel=1.0, adversarial=0.1, features=1.0)
    yield "denoiser", denoiser_recipe(pool, device, held=pool)
    yield "text-audio", TextAudioRecipe(conditioner(device), pool, batch=6)
    yield "decoder", DecoderRecipe(spectral.to(device), sounds, 2, 4, weights, critics[0])
    yield "oobleck", OobleckRecipe(oobleck, sounds, 2, 4096, critic=critics[1])


def test_every_recipe_trains_and_goes_on_exactly(pool, tmp_path):
    place = Machine("cuda", "bf16")
    config = LoopConfig(minutes=1e9, precision="bf16", score_every_s=0.0)
    for name, recipe in recipes(pool, place.device):
        run = Run(recipe, config, tmp_path / name, place)
        figures = [run._update() for _ in range(3)]
        assert all(np.isfinite(float(value)) for figure in figures for value in figure.values())
        run.save()
        run._show()
        following = float(run._update()["loss"])
        again = Run(recipe, config, tmp_path / name, place)
        assert again.step == 3
        assert float(again._update()["loss"]) == pytest.approx(following, rel=1e-3)
