import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from mgeldm.conditioning.embedded import EmbeddedConditioner, WordTable
from mgeldm.config import EMBEDDED, RefinerConfig, SpectralConfig
from mgeldm.data import corpus
from mgeldm.data.latents import Encoder
from mgeldm.errors import InputError
from mgeldm.nn.spectral import SpectralAutoencoder
from mgeldm.pipeline import EMBEDDED_PATH
from mgeldm.training.autoencoder import DecoderRecipe, stft_loss
from mgeldm.training.denoiser import DenoiserRecipe, ExtractionModel
from mgeldm.training.embedded import train_from
from mgeldm.training.loop import LoopConfig, Run
from mgeldm.training.text_audio import TextAudioRecipe, equalise

SMALL = replace(
    EMBEDDED,
    denoiser=replace(EMBEDDED.denoiser, width=96, depth=1, heads=3),
    refiner=RefinerConfig(widths=(8, 8)),
)


@pytest.fixture(scope="module")
def pool():
    stems = corpus.render_song(3, [], 13.0).stems
    return Encoder(absent=0.5).encode(stems, corpus.CAPTIONS, np.random.default_rng(0))


def conditioner():
    torch.manual_seed(0)
    return EmbeddedConditioner(WordTable.load(EMBEDDED_PATH.with_name("words.safetensors")))


def denoiser_recipe(pool):
    spectral = SpectralAutoencoder(EMBEDDED.autoencoder)
    spectral.fit(torch.from_numpy(pool.mixtures).float())
    return DenoiserRecipe(ExtractionModel(SMALL), spectral, conditioner(), pool, batch=4)


class Line:
    """Fits a line: a recipe without music, for the loop itself."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = torch.nn.Linear(2, 1)

    def loss(self, rng):
        x = torch.from_numpy(rng.normal(size=(8, 2)).astype(np.float32))
        x = x + 0.01 * torch.randn_like(x)
        return (self.model(x) - x[:, :1] * 2).square().mean(), {"seen": 1.0}


def steps(run, count):
    for _ in range(count):
        run._update()


def test_a_killed_run_goes_on_exactly(tmp_path):
    config = LoopConfig(minutes=1e9)
    whole = Run(Line(), config, tmp_path / "whole")
    steps(whole, 20)
    first = Run(Line(), config, tmp_path / "cut")
    steps(first, 8)
    first.save()
    steps(first, 3)  # lost with the kill
    second = Run(Line(), config, tmp_path / "cut")
    steps(second, 12)
    assert second.step == 20
    for name, value in whole.recipe.model.state_dict().items():
        assert torch.equal(value, second.recipe.model.state_dict()[name])
        assert torch.equal(whole.ema[name], second.ema[name])


def test_a_run_starts_again_from_averaged_weights_alone(tmp_path):
    run = Run(Line(), LoopConfig(minutes=1e9), tmp_path)
    steps(run, 5)
    run.save()
    (tmp_path / "state.pt").unlink()
    again = Run(Line(), LoopConfig(minutes=1e9), tmp_path)
    assert again.step == 0
    assert torch.equal(again.recipe.model.weight, run.ema["weight"])


def test_a_budget_ends_with_a_saved_state_and_a_log(tmp_path):
    run = Run(Line(), LoopConfig(minutes=0.005, log_every_steps=5), tmp_path)
    run.train()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert Run(Line(), LoopConfig(minutes=0.005), tmp_path).step == run.step > 0


def test_the_denoiser_recipe_learns(pool):
    recipe, rng = denoiser_recipe(pool), np.random.default_rng(0)
    optimiser = torch.optim.AdamW(recipe.model.parameters(), 2e-3)
    losses = []
    for _ in range(14):
        loss, scalars = recipe.loss(rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert set(scalars) == {"diffusion", "regression", "log_ratio", "compressed"}
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    for parameter in recipe.model.denoiser.blocks.parameters():
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())


def test_scores_are_by_class(pool):
    scores = denoiser_recipe(pool).score(np.arange(len(pool)))
    assert set(scores) <= set(pool.labels.tolist())
    assert all(0 <= share <= 1 for _, share in scores.values())


def test_the_text_audio_recipe_runs(pool):
    recipe = TextAudioRecipe(conditioner(), pool, batch=6)
    loss, _ = recipe.loss(np.random.default_rng(0))
    loss.backward()
    assert float(loss.detach()) > 0


def test_an_equaliser_is_the_same_in_every_frame():
    mel = torch.rand(2, 128, 6) + 0.1
    ratio = equalise(mel, np.random.default_rng(0)) / mel
    assert torch.allclose(ratio, ratio[:, :, :1].expand_as(ratio), atol=1e-5)


def test_the_decoder_recipe_learns(pool):
    torch.manual_seed(0)
    recipe = DecoderRecipe(SpectralAutoencoder(SpectralConfig(decoder_width=32, decoder_depth=1)), [], batch=2)
    recipe.spectral.fit(torch.from_numpy(pool.mixtures).float())
    recipe.loss(np.random.default_rng(0))
    crops, losses = list(recipe._crops), []
    optimiser = torch.optim.Adam(recipe.model.parameters(), 3e-3)
    for _ in range(40):
        recipe._crops = list(crops)  # the same two crops again and again
        loss, _ = recipe.loss(np.random.default_rng(1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_equal_sounds_have_no_stft_loss():
    audio = torch.randn(2, 4000)
    assert float(stft_loss(audio, audio, 256)) == 0
    assert float(stft_loss(audio * 0.5, audio, 256)) > 0.5


@pytest.mark.parametrize("content", ["", "run = 3", "run = [", '[denoiser]\nminutes = 1\nspeed = "high"\n'])
def test_a_configuration_not_understood_is_said(tmp_path, content):
    (tmp_path / "c.toml").write_text(content)
    with pytest.raises(InputError, match="not understood"):
        train_from("denoiser", tmp_path / "c.toml")
    with pytest.raises(InputError, match="missing"):
        train_from("denoiser", tmp_path / "nothing.toml")
