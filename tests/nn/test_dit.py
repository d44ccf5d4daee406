from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.config import EMBEDDED, DenoiserConfig
from mgeldm.nn.dit import Denoiser


@torch.no_grad()
def test_velocity_is_the_published_one(published, vectors, agree):
    agree(published.denoiser(vectors["dit_x"], vectors["dit_t"], vectors["dit_cond"]), vectors["dit_v"])


@torch.no_grad()
def test_one_timestep_an_item_is_the_published_one(published, vectors, agree):
    timesteps = torch.tensor([0.9, 0.2])
    agree(published.denoiser(vectors["dit_x"], timesteps, vectors["dit_cond"]), vectors["dit_v_scalar_t"])


@torch.no_grad()
def test_guidance_is_the_published_one(published, vectors, agree):
    x, t, cond = vectors["dit_x"], vectors["dit_t"], vectors["dit_cond"]
    null = published.denoiser(x, t, torch.zeros_like(cond))
    agree(null + 4 * (published.denoiser(x, t, cond) - null), vectors["dit_v_cfg4"])


@pytest.fixture(scope="module")
def embedded():
    torch.manual_seed(0)
    config = DenoiserConfig(
        latent_channels=4, width=96, depth=2, heads=3, condition_dim=8, timestep_features=8, frame_timesteps=True
    )
    denoiser = Denoiser(config)
    for parameter in denoiser.parameters():  # blocks begin as identities; here they shall do something
        torch.nn.init.normal_(parameter, std=0.2)
    return denoiser.eval()


@torch.no_grad()
def test_a_timestep_per_frame_repeats_one_per_track(embedded):
    z, tau, cond = torch.randn(2, 12, 9), torch.rand(2, 3), torch.randn(2, 3, 8)
    per_frame = embedded(z, tau[:, :, None].expand(-1, -1, 9), cond)
    assert torch.allclose(embedded(z, tau, cond), per_frame, atol=1e-5)


@torch.no_grad()
def test_a_timestep_of_one_frame_changes_the_result(embedded):
    z, tau, cond = torch.randn(1, 12, 9), torch.full((1, 3, 9), 0.5), torch.randn(1, 3, 8)
    other = tau.clone()
    other[0, 2, 4] = 0.0
    assert not torch.allclose(embedded(z, tau, cond), embedded(z, other, cond), atol=1e-4)


@torch.no_grad()
def test_items_of_a_batch_do_not_see_each_other(embedded):
    z, tau, cond = torch.randn(3, 12, 9), torch.rand(3, 3), torch.randn(3, 3, 8)
    alone = torch.cat([embedded(z[i : i + 1], tau[i : i + 1], cond[i : i + 1]) for i in range(3)])
    assert torch.allclose(embedded(z, tau, cond), alone, atol=1e-4)


@torch.no_grad()
def test_a_frame_is_normed_by_itself(embedded):
    """Unlike the published group norm over time, that of the embedded form never sees another frame."""
    x = torch.randn(1, 9, 96)
    norm = embedded.blocks[0].attention_norm
    assert torch.allclose(norm(x)[:, 4:5], norm(x[:, 4:5]), atol=1e-5)


def test_a_new_embedded_block_lets_every_layer_of_it_learn():
    """The modulation starts at zero, so that it cannot upset a block, and yet nothing in a block is stuck."""
    torch.manual_seed(0)
    config = replace(EMBEDDED.denoiser, width=96, depth=2, heads=3)
    denoiser = Denoiser(config)
    z, tau, cond = torch.randn(2, 192, 5), torch.rand(2, 3, 5), torch.randn(2, 3, 512)
    denoiser(z, tau, cond).square().mean().backward()
    for name, parameter in denoiser.blocks.named_parameters():
        assert float(parameter.grad.abs().max()) > 0, name


@settings(max_examples=20)
@given(data=st.data(), form=st.booleans())
@torch.no_grad()
def test_any_sizes_keep_the_shape(data, form):
    batch, tracks, latent, share, frames, dim = (data.draw(st.integers(1, 4)) for _ in range(6))
    head = data.draw(st.sampled_from([32, 64]))
    heads = tracks * share
    config = DenoiserConfig(latent, tracks, heads * head, 1, heads, dim, 2 * data.draw(st.integers(1, 4)), 1.5, form)
    z, cond = torch.randn(batch, tracks * latent, frames), torch.randn(batch, tracks, dim)
    shapes = [(batch,), (batch, tracks)] + [(batch, tracks, frames)] * form
    denoiser = Denoiser(config).eval()
    for shape in shapes:
        v = denoiser(z, torch.rand(shape), cond)
        assert v.shape == z.shape
        assert v.isfinite().all()


def test_the_embedded_sizes_are_what_the_shipped_file_says(pipeline):
    assert pipeline.config == EMBEDDED
