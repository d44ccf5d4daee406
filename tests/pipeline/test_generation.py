"""Windows of a new part without a model: what each is given, and that they join to one."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from mgeldm.pipeline.compute import Compute
from mgeldm.pipeline.extraction import How
from mgeldm.pipeline.generation import Maker, Wish
from mgeldm.progress import Reporter
from mgeldm.tracks import TASKS

WINDOW, PER_FRAME, HOP = 8, 32, 6


class Model:
    """Its sound [batch, 1, samples] is the latents, each the mean of itself and its neighbours."""

    def __init__(self):
        denoiser = SimpleNamespace(latent_channels=1, frame_timesteps=True)
        self.config = SimpleNamespace(
            window_frames=WINDOW, samples_per_frame=PER_FRAME, is_embedded=False, denoiser=denoiser
        )
        self.autoencoder = self

    def decode(self, latents):
        around = torch.nn.functional.pad(latents, (1, 1), "replicate").unfold(2, 3, 1).mean(3)
        return around[:, :1].repeat_interleave(PER_FRAME, 2)


class Counter(Maker):
    """In place of what a network finds, its latents are the numbers of their frames."""

    def __init__(self):
        super().__init__(Model(), Compute(torch.nn.Module(), torch.device("cpu")), How(2, 1.0, 0), Reporter())
        self.firsts, self.known, self.noise = [], [], []

    def _sample(self, wish, first, known, place):
        self.firsts.append(first)
        return super()._sample(wish, first, known, place)

    def _run(self, known, noise, conditions, wish, place):
        self.known.append(known)
        self.noise.append(noise[0])
        numbers = torch.arange(self.firsts[-1], self.firsts[-1] + WINDOW).float()
        return torch.where(known.mask[0][:, None], known.latents[0], numbers)


def wish(start, stop, total):
    """A part from one frame to another of a song of so many."""
    return Wish(TASKS["impute"], torch.zeros(1), None, start, stop, total, lambda _, frames: torch.zeros(1, frames))


@given(start=st.integers(0, 60), frames=st.integers(1, 60), after=st.integers(0, 20))
def test_a_part_of_any_length_is_one_whole(start, frames, after):
    sound = Counter().make(wish(start, start + frames, start + frames + after))
    wanted, inside = np.repeat(np.arange(start, start + frames), PER_FRAME), slice(PER_FRAME, -PER_FRAME)
    np.testing.assert_allclose(sound, wanted, atol=0.4)
    np.testing.assert_allclose(sound[inside], wanted[inside], atol=1e-3)


def test_the_last_window_is_given_all_of_the_one_before_that_it_shares():
    """It ends with the song, and so begins sooner after the one before than others do."""
    counter = Counter()
    counter.make(wish(0, 16, 16))
    assert counter.firsts == [0, HOP, 8]
    result = TASKS["impute"].result
    for known, shared in zip(counter.known, (0, WINDOW - HOP, WINDOW - 2), strict=True):
        assert known.mask[0, result].tolist() == [True] * shared + [False] * (WINDOW - shared)
    assert counter.known[2].latents[0, result, 0, :6].tolist() == [8, 9, 10, 11, 12, 13]


def test_each_window_has_the_noise_of_its_own_frames():
    """What they share is found again where they meet; the same noise in all would make all of them alike."""
    counter = Counter()
    counter.make(wish(0, 2 * HOP + WINDOW, 2 * HOP + WINDOW))
    for before, after in pairwise(counter.noise):
        assert torch.equal(after[..., : WINDOW - HOP], before[..., HOP:])
        assert not torch.isclose(after, before).any()
