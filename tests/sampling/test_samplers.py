import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.diffusion import add_noise, alpha_sigma, z0_of_velocity
from mgeldm.errors import Cancelled
from mgeldm.sampling import Heed, ddim, dpmpp_2m, guided, posterior_mean, window_noise
from mgeldm.tracks import Known, Track

MEAN, DEVIATION = 1.5, 0.5


def gaussian(z, timesteps):
    """The exact velocity where clean latents are normal with `MEAN` and `DEVIATION`."""
    tau = timesteps[:, :, None, None] if timesteps.ndim == 2 else timesteps[:, :, None]
    alpha, sigma = alpha_sigma(tau)
    variance = (DEVIATION * alpha) ** 2 + sigma**2
    z0 = MEAN + DEVIATION**2 * alpha / variance * (z - alpha * MEAN)
    noise = torch.where(sigma > 0, (z - alpha * z0) / sigma.clamp(min=1e-6), torch.zeros_like(z))
    return alpha * noise - sigma * z0


@pytest.mark.parametrize(
    ("name", "track"),
    [("total", None), ("extract", Track.MIXTURE), ("impute", Track.SUBMIXTURE), ("accompany", Track.SOURCE)],
)
@torch.no_grad()
def test_ddim_is_the_published_one(published, vectors, agree, name, track):
    known = Known.nothing(2, 8, 12)
    if track is not None:
        known = known.with_track(track, vectors["given_z"])
    denoise = guided(published.denoiser, vectors["dit_cond"], 2.0)
    sampled = ddim(denoise, vectors["noise"].unflatten(1, (3, 8)), known, 12)
    agree(sampled.flatten(1, 2), vectors[f"sample_{name}"])


def test_dpmpp_converges_in_second_order():
    torch.manual_seed(0)
    noise, known = torch.randn(2, 3, 4, 5), Known.nothing(2, 4, 5)
    exact = ddim(gaussian, noise, known, 3000)
    errors = [float((dpmpp_2m(gaussian, noise, known, steps) - exact).abs().max()) for steps in (16, 32, 64)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < float((ddim(gaussian, noise, known, 64) - exact).abs().max()) / 3


@pytest.mark.parametrize("sampler", [ddim, dpmpp_2m])
@pytest.mark.parametrize("per_frame", [False, True])
def test_what_is_known_comes_back_untouched(sampler, per_frame):
    torch.manual_seed(0)
    given_track, region = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    known = Known.nothing(2, 4, 8).with_track(Track.MIXTURE, given_track)
    known = known.with_region(Track.SOURCE, region, slice(0, 3))
    result = sampler(gaussian, torch.randn(2, 3, 4, 8), known, 6, per_frame, hops=2)
    assert torch.equal(result[:, Track.MIXTURE], given_track)
    assert torch.equal(result[:, Track.SOURCE, :, :3], region[:, :, :3])
    assert bool(torch.isfinite(result).all())


def test_known_frames_are_at_timestep_zero_where_the_denoiser_takes_frames():
    seen = []

    def denoise(z, timesteps):
        seen.append(timesteps)
        return torch.zeros_like(z)

    known = Known.nothing(1, 4, 8).with_region(Track.SOURCE, torch.ones(1, 4, 8), slice(2, 5))
    ddim(denoise, torch.randn(1, 3, 4, 8), known, 3, per_frame=True)
    assert all(bool((t[0, Track.SOURCE, 2:5] == 0).all()) and bool((t[0, Track.MIXTURE] > 0).all()) for t in seen)


def test_repaint_evaluates_hops_at_each_step_but_the_last():
    calls = []

    def denoise(z, timesteps):
        calls.append(float(timesteps.max()))
        return torch.zeros_like(z)

    known = Known.nothing(1, 4, 8).with_region(Track.SOURCE, torch.ones(1, 4, 8), slice(0, 2))
    ddim(denoise, torch.randn(1, 3, 4, 8), known, 5, hops=3)
    assert len(calls) == 4 * 3 + 1


def levels_seen(clean, steps, hops):
    """Timestep and noise [tracks, channels, frames] of each z that a denoiser is given which knows what is clean."""
    seen = []

    def denoise(z, timesteps):
        tau = timesteps.max()
        alpha, sigma = alpha_sigma(tau)
        seen.append((float(tau), ((z - alpha * clean) / sigma)[0, :2]))
        return (alpha * z - clean) / sigma

    known = Known.nothing(1, 32, 2000).with_region(Track.SOURCE, clean[:, Track.SOURCE], slice(0, 1))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    ddim(denoise, noise, known, steps, hops=hops)
    return seen


def test_a_hop_back_up_leaves_as_much_noise_as_its_level_has():
    clean = torch.randn(1, 3, 32, 2000, generator=torch.Generator().manual_seed(0))
    seen = levels_seen(clean, 4, 3)
    assert len(seen) == 3 * 3 + 1
    assert [float(noise.std()) for _, noise in seen] == pytest.approx([1.0] * len(seen), rel=0.02)


def test_each_hop_has_noise_of_its_own():
    clean = torch.zeros(1, 3, 32, 2000)
    first = [noise.flatten() for tau, noise in levels_seen(clean, 4, 3) if tau == 1.0]
    assert len(first) == 3
    assert torch.corrcoef(torch.stack(first)).numpy() == pytest.approx(np.eye(3), abs=0.02)


def test_the_posterior_mean_of_a_gaussian_is_its_mean():
    known = Known.nothing(1, 4, 5).with_track(Track.MIXTURE, torch.randn(1, 4, 5))
    result = posterior_mean(gaussian, known)
    assert torch.allclose(result[:, Track.SOURCE], torch.full((1, 4, 5), MEAN), atol=1e-4)
    assert torch.equal(result[:, Track.MIXTURE], known.latents[:, Track.MIXTURE])


def test_guidance_goes_from_the_negative_through_the_condition():
    def network(z, timesteps, conditions):
        return conditions[:, :, :1].expand(-1, -1, z.shape[2]).repeat_interleave(4, 1)

    z, conditions = torch.zeros(2, 3, 4, 5), torch.full((2, 3, 6), 1.0)
    timesteps = torch.full((2, 3), 0.5)
    assert float(guided(network, conditions, 3.0)(z, timesteps).max()) == 3.0
    negative = torch.full((2, 3, 6), -1.0)
    assert float(guided(network, conditions, 3.0, negative)(z, timesteps).max()) == 5.0


def test_guidance_from_silence_changes_what_is_played_and_not_how_loud():
    """At any scale what it adds to the condition's own estimate is at right angles to that one's way from silence."""

    def network(z, timesteps, conditions):
        return torch.randn(1, 12, 5, generator=torch.Generator().manual_seed(0)) + conditions[:, :1, :1] * z.cos()

    z, silence, tau = torch.randn(2, 3, 4, 5), torch.randn(4), torch.tensor(0.7)
    conditions, timesteps = torch.full((2, 3, 6), 1.0), torch.full((2, 3), float(tau))
    plain, steered, free = (
        guided(network, conditions, scale, silence=origin)(z, timesteps)
        for scale, origin in ((1.0, silence), (5.0, silence), (5.0, None))
    )
    heard = z0_of_velocity(z, plain, tau) - silence[:, None]
    added = z0_of_velocity(z, steered, tau) - z0_of_velocity(z, plain, tau)
    assert torch.allclose((added * heard).sum((2, 3)), torch.zeros(2, 3), atol=1e-3)
    assert float(added.abs().max()) > 0.1
    assert not torch.allclose(steered, free, atol=1e-2)
    none = guided(network, conditions, 0.0, silence=silence)(z, timesteps)
    added = z0_of_velocity(z, none, tau) - z0_of_velocity(z, plain, tau)
    assert torch.allclose((added * heard).sum((2, 3)), torch.zeros(2, 3), atol=1e-3)


def test_what_is_known_does_not_say_how_loud_the_unknown_is():
    timesteps = torch.full((2, 3, 5), 0.7)
    timesteps[:, 2, :2] = 0.0

    def unknown(known):
        """What guidance gives for the unknown frames where the network says `known` of the others."""
        torch.manual_seed(0)
        outputs = torch.randn(2, 2, 3, 4, 5)
        outputs[:, :, 2, :, :2] = known
        z, conditions = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 6)

        def network(z, levels, wishes):
            return outputs.flatten(0, 1).flatten(1, 2)

        return guided(network, conditions, 5.0, silence=torch.zeros(4))(z, timesteps)[:, 2, :, 2:]

    assert torch.equal(unknown(0.0), unknown(100.0))


def test_a_gain_moves_latents_from_silence_in_a_line(pipeline):
    autoencoder, mel = pipeline.model.autoencoder, torch.rand(1, 128, 8)
    quiet, loud = (autoencoder.encode_mel(mel * gain) - autoencoder.silence[:, None] for gain in (0.5, 1.0))
    assert torch.allclose(2 * quiet, loud, atol=1e-4)


def test_a_callback_counts_steps_and_can_stop():
    steps = []
    ddim(gaussian, torch.randn(1, 3, 4, 5), Known.nothing(1, 4, 5), 4, on_step=lambda i, n: steps.append((i, n)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def stop(step, total):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        dpmpp_2m(gaussian, torch.randn(1, 3, 4, 5), Known.nothing(1, 4, 5), 4, on_step=stop)


@given(seed=st.integers(0, 2**40), first=st.integers(0, 10**6), frames=st.integers(1, 40), skip=st.integers(0, 39))
@settings(max_examples=30)
def test_noise_belongs_to_the_absolute_frame(seed, first, frames, skip):
    whole = window_noise(seed, first, frames + skip, 3, 5)
    assert torch.equal(whole[:, :, skip:], window_noise(seed, first + skip, frames, 3, 5))


def test_noise_is_standard_normal_and_differs_by_seed():
    noise = window_noise(7, 0, 4000, 3, 16).numpy()
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert abs(np.mean(noise**4) - 3) < 0.1
    assert not np.allclose(noise, window_noise(8, 0, 4000, 3, 16).numpy())


def test_heed_counts_what_a_known_track_changes():
    """A network whose answer is how certain the submixture is: what hearing it clean adds counts `scale` times."""
    given = torch.randn(1, 4, 8)
    known = Known.nothing(1, 4, 8).with_track(Track.SUBMIXTURE, given)
    noise, seen = torch.randn(1, 3, 4, 8), []

    def network(flat, timesteps, conditions):
        seen.append((flat.unflatten(1, (3, 4)), timesteps))
        certain = 1 - timesteps[:, Track.SUBMIXTURE].mean(-1) + conditions.sum((1, 2))
        return certain[:, None, None].expand_as(flat)

    z, timesteps = known.clamp(noise, True), known.timesteps(0.6, True)
    found = guided(network, torch.ones(1, 3, 1), 2.0, heed=Heed(3.0, known, noise))(z, timesteps)
    alone, heard, asked = 0.4, 1.0, 4.0
    assert float(found.mean()) == pytest.approx(alone + 3 * (heard - alone) + 2 * (asked - heard))
    (tracks, levels) = seen[0]
    assert torch.equal(tracks[0, Track.SUBMIXTURE], given[0])  # clean where it is heard
    noised = add_noise(given, noise[:, Track.SUBMIXTURE], torch.tensor(0.6))
    assert torch.allclose(tracks[2, Track.SUBMIXTURE], noised[0])
    assert bool((levels[2] == 0.6).all())


def test_what_a_part_goes_on_from_is_not_forgotten():
    """Where a window before has given all tracks, all stay clean: nothing else was trained there."""
    known = Known.nothing(1, 4, 8).with_track(Track.SUBMIXTURE, torch.randn(1, 4, 8))
    for track in Track:
        known = known.with_region(track, known.latents[:, track] + 1, slice(0, 3))
    noise = torch.randn(1, 3, 4, 8)
    z, timesteps = known.clamp(noise, True), known.timesteps(0.6, True)
    unheard, levels = Heed(2.0, known, noise).forget(z, timesteps, 0.6)
    assert torch.equal(unheard[..., :3], z[..., :3])
    assert not levels[..., :3].any()
    assert bool((levels[..., 3:] == 0.6).all())
    assert not torch.equal(unheard[:, Track.SUBMIXTURE, :, 3:], z[:, Track.SUBMIXTURE, :, 3:])


@pytest.mark.parametrize("per_frame", [False, True])
@torch.no_grad()
def test_heeding_once_changes_nothing(published, vectors, per_frame):
    if per_frame:
        denoiser = lambda flat, timesteps, conditions: published.denoiser(flat, timesteps.mean(-1), conditions)  # noqa: E731
    else:
        denoiser = published.denoiser
    known = Known.nothing(2, 8, 12).with_track(Track.SUBMIXTURE, vectors["given_z"])
    noise = vectors["noise"].unflatten(1, (3, 8))
    z, timesteps = known.clamp(noise, per_frame), known.timesteps(0.5, per_frame)
    plain = guided(denoiser, vectors["dit_cond"], 2.0)(z, timesteps)
    heeding = guided(denoiser, vectors["dit_cond"], 2.0, heed=Heed(1.0, known, noise))(z, timesteps)
    assert torch.allclose(plain, heeding, atol=1e-5)
