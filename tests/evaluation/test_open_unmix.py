from dataclasses import replace

import numpy as np
import pytest
import torch
from mgeldm.audio import AudioClip
from mgeldm.errors import CheckpointError
from mgeldm.evaluation.metrics import sdr_db
from mgeldm.evaluation.open_unmix import (
    TARGETS,
    OpenUnmix,
    Pool,
    Separator,
    Training,
    build,
    magnitudes,
    magnitudes_of_parts,
    train,
)

TINY = Training(5.0, hidden=16, batch=3, crop_s=0.6, pool=2, song_s=3.0, renew_every=100, learning_rate=1e-2, steps=30)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool([], [], TINY)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("peer") / "peer.safetensors"
    return path, train(path, [], [], TINY)


def test_the_network_gives_factors_of_the_mixture():
    torch.manual_seed(0)
    network = OpenUnmix(16).eval()
    mixture = magnitudes(torch.randn(2, 2, 30000))
    found = network(mixture)
    assert found.shape == mixture.shape == (2, 2, 2049, 30)
    assert not (found < 0).any()
    assert torch.equal(network(mixture * 0), mixture * 0)


def test_the_papers_size_is_the_default():
    """8.9 million parameters, as its authors state."""
    assert sum(p.numel() for p in OpenUnmix().parameters()) == pytest.approx(8.9e6, rel=0.01)


def test_training_goes_on_and_the_loss_falls(trained):
    path, losses = trained
    assert np.median(losses[-10:]) < 0.7 * np.median(losses[:10])
    about = Separator.load(path).about
    assert float(about["steps"]) == 30
    more = train(path, [], [], replace(TINY, hidden=512, learning_rate=1e-3, steps=5))
    assert np.median(more) < np.median(losses[:10])
    again = Separator.load(path).about
    assert float(again["steps"]) == 35
    assert again["hidden"] == "16"
    assert not path.with_name(path.name + ".tmp").exists()


def test_a_second_run_goes_on_with_songs_and_draws_that_come_next(tmp_path, monkeypatch):
    """Not with those that the first began with, which it would learn by heart."""
    how, seen = replace(TINY, pool=2, song_s=0.7, renew_every=2, batch=1, steps=4), []

    def batch(pool, items, crop_s, draw=Pool.batch):
        seen.append((pool.next, draw(pool, items, crop_s)))
        return seen[-1][1]

    monkeypatch.setattr(Pool, "batch", batch)
    for _ in range(2):
        train(tmp_path / "peer", [], [], how)
    assert [last for last, _ in seen[-8:]] == [2, 2, 3, 3, 4, 4, 5, 5]
    drawn = torch.stack([sounds.flatten() for _, sounds in seen[-8:]])
    assert len(torch.unique(drawn, dim=0)) == 8
    straight = Pool([], [], how)
    for _ in range(2):
        straight.renew()
    assert all(np.array_equal(a, b) for a, b in zip(straight.songs, Pool([], [], how, 4).songs, strict=True))


def test_items_are_mixed_across_songs_and_add_up(pool):
    batch = pool.batch(2, 0.5)
    assert batch.shape == (2, len(TARGETS) + 1, 2, 22050)
    mixture, targets = magnitudes_of_parts(batch)
    assert torch.allclose(mixture, magnitudes(batch.sum(1)))
    assert targets.shape[1] == len(TARGETS)


def test_the_pool_takes_new_songs():
    pool = Pool([], [], replace(TINY, song_s=1.0))
    before = list(pool.songs)
    pool.renew()
    assert pool.songs[0] is before[1]
    assert not np.array_equal(pool.songs[1], before[1])


@pytest.mark.parametrize(("channels", "rate_hz"), [(2, 44100), (1, 22050)])
def test_stems_have_the_clips_shape(trained, channels, rate_hz):
    clip = AudioClip(np.random.default_rng(0).normal(0, 0.1, (channels, rate_hz)).astype(np.float32), rate_hz)
    stems = Separator.load(trained[0])(clip)
    assert set(stems) == set(TARGETS)
    assert all(stem.shape == clip.samples.shape for stem in stems.values())
    assert np.abs(sum(stems.values())).max() < 3 * np.abs(clip.samples).max()


class Between(torch.nn.Module):
    """A network that knows the answer: these bins, on these sides."""

    def __init__(self, low: int, high: int, sides: tuple[float, float] = (1, 1)):
        super().__init__()
        self.low, self.high, self.sides = low, high, torch.tensor(sides)

    def forward(self, mixture):
        mask = torch.zeros(mixture.shape[2])
        mask[self.low : self.high] = 1
        return mixture * mask[:, None] * self.sides[:, None, None]


def test_each_side_is_told_apart():
    """The same tone, a voice on the left and a bass on the right."""
    networks = build(16)
    networks["vocals"], networks["bass"] = Between(0, 94, (1, 0)), Between(0, 94, (0, 1))
    networks["drums"] = Between(0, 0)
    tone = 0.1 * np.sin(2 * np.pi * 100 * np.arange(44100) / 44100).astype(np.float32)
    stems = Separator(networks, {})(AudioClip(np.stack((tone, tone)), 44100))
    assert sdr_db(np.stack((tone, 0 * tone)), stems["vocals"]) > 20
    assert sdr_db(np.stack((0 * tone, tone)), stems["bass"]) > 20


def test_estimates_become_stems():
    """Below 1 kHz is bass, above are drums."""
    networks = build(16)
    for target, (low, high) in {"vocals": (0, 0), "drums": (94, 2049), "bass": (0, 94)}.items():
        networks[target] = Between(low, high)
    time = np.arange(44100) / 44100
    bass, drums = (np.repeat(np.sin(2 * np.pi * hz * time)[None], 2, 0).astype(np.float32) for hz in (100, 5000))
    stems = Separator(networks, {})(AudioClip(bass + drums, 44100))
    assert sdr_db(bass, stems["bass"]) > 20
    assert sdr_db(drums, stems["drums"]) > 20


def test_a_foreign_file_is_said(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"not a peer")
    for name in ("x.safetensors", "nothing"):
        with pytest.raises(CheckpointError, match="no peer"):
            Separator.load(tmp_path / name)
