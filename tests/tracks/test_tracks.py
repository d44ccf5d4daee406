from dataclasses import replace

import numpy as np
import torch
from mgeldm.config import EMBEDDED
from mgeldm.nn.dit import Denoiser
from mgeldm.tracks import TASKS, Known, Track, training_timesteps


def test_each_task_knows_what_the_paper_says():
    assert {name: task.known for name, task in TASKS.items()} == {
        "extract": Track.MIXTURE,
        "impute": Track.SUBMIXTURE,
        "accompany": Track.SOURCE,
        "generate": None,
    }
    assert all(task.prompted == task.result != task.known for task in TASKS.values())


def test_timesteps_are_zero_where_known():
    known = Known.nothing(1, 2, 4).with_track(Track.MIXTURE, torch.ones(1, 2, 4))
    known = known.with_region(Track.SOURCE, torch.ones(1, 2, 4), slice(1, 3))
    assert torch.allclose(known.timesteps(0.5, per_frame=False), torch.tensor([[0.0, 0.5, 0.5]]))
    per_frame = torch.tensor([[[0.0] * 4, [0.5] * 4, [0.5, 0.0, 0.0, 0.5]]])
    assert torch.allclose(known.timesteps(0.5, per_frame=True), per_frame)
    assert known.regions[0].sum().item() == 2


def test_one_frame_stands_for_all_where_they_are_alike_and_the_network_answers_the_same():
    known = Known.nothing(2, 64, 8).with_track(Track.MIXTURE, torch.ones(2, 64, 8))
    timesteps = known.timesteps(0.5, per_frame=True)
    assert timesteps.shape == (2, 3, 1)
    torch.manual_seed(0)
    network = Denoiser(replace(EMBEDDED.denoiser, width=96, depth=1, heads=3))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    z, conditions = torch.randn(2, 192, 8), torch.randn(2, 3, 512)
    whole = network(z, timesteps.expand(-1, -1, 8), conditions)
    torch.testing.assert_close(network(z, timesteps, conditions), whole)


def test_training_draws_the_four_patterns_and_regions():
    known, tau = training_timesteps(np.random.default_rng(0), 4000, 16)
    whole = known.all(2)
    assert not known.flatten(1).all(1).any()
    counts = torch.stack([(whole.sum(1) == 0), *[(whole[:, t] & (whole.sum(1) == 1)) for t in Track]]).float().mean(1)
    assert bool(((counts > 0.2) & (counts < 0.3)).all())
    partly = (known.any(2) & ~whole).any(1).float().mean()
    assert 0.3 < float(partly) < 0.6
    assert 0.02 <= float(tau.min()) < 0.03 < 0.97 < float(tau.max()) <= 1
