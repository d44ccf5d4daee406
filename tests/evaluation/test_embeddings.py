import numpy as np
import pytest
import scipy.linalg
import torch
from mgeldm.audio import AudioClip
from mgeldm.errors import CheckpointError
from mgeldm.evaluation.embeddings import Tower, Vggish, VggishNetwork, frechet_distance, points, vggish_input

RNG = np.random.default_rng(0)


def test_the_distance_is_frechets():
    """Against the definition, with a root of a matrix, where there are more points than dimensions."""
    a, b = RNG.normal(0, 1, (80, 6)), RNG.normal(0.3, 2, (60, 6)) @ RNG.normal(0, 1, (6, 6))
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)


def test_the_distance_to_itself_is_zero_even_with_few_points():
    a = RNG.normal(0, 1, (10, 64))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 1) == pytest.approx(64)
    with pytest.raises(ValueError, match="two points"):
        frechet_distance(a[:1], a)


def test_the_tower_places_alike_sounds_together(pipeline, song):
    tower = Tower(pipeline)
    drums = next(stem.audio for stem in song.stems if stem.label == "drums")
    first, again, other = (tower(AudioClip(x, 44100)) for x in (drums, drums * 0.2, song.stems[-1].audio))
    assert first.shape == (5, 512)
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-3)
    assert np.abs(first - again).max() < 1e-3  # the level does not matter
    assert frechet_distance(first, other) > frechet_distance(first, again) + 0.1
    assert points(tower, [AudioClip(drums[:, :100], 44100)] * 2).shape == (2, 512)


def test_vggish_reads_its_tensors_and_says_what_is_wrong(tmp_path):
    with torch.device("meta"):
        network = VggishNetwork()
    state = {name: torch.full((1,), 2e-3).expand(x.shape) for name, x in network.state_dict().items()}
    names = {f"features.{i}.weight" for i in (0, 3, 6, 8, 11, 13)} | {f"embeddings.{i}.bias" for i in (0, 2, 4)}
    assert names <= set(state)  # torchvggish's names
    torch.save(state | {"pproc.pca_means": torch.zeros(128, 1)}, tmp_path / "vggish.pth")
    vggish = Vggish(tmp_path / "vggish.pth")
    clip = AudioClip(RNG.normal(0, 0.1, (2, 44100 * 2)).astype(np.float32), 44100)
    assert vggish(clip).shape == (2, 128)
    assert np.abs(vggish(clip)).min() > 0
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for path in (tmp_path / "other.pth", tmp_path / "nothing.pth"):
        with pytest.raises(CheckpointError, match="VGGish"):
            Vggish(path)


def test_vggishs_input_is_a_log_mel_spectrogram():
    """A sine lies in the band whose centre is nearest, at the logarithm of its magnitude; silence at log 0.01."""
    silent = vggish_input(np.zeros(15360, np.float32))
    assert silent.shape == (1, 96, 64)
    assert np.allclose(silent, np.log(0.01))
    sine = vggish_input(np.sin(2 * np.pi * 1000 * np.arange(15360) / 16000).astype(np.float32))
    edges_mel = np.linspace(1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700), 66)
    nearest = np.abs(edges_mel[1:-1] - 1127 * np.log1p(1000 / 700)).argmin()
    assert sine[0].mean(0).argmax() == nearest


def test_vggishs_frames_reach_into_what_follows():
    """As its authors cut them: from the frames of the whole sound, whose last of each 96 overlap the next ones."""
    noise = RNG.normal(0, 0.1, 2 * 15360 + 240).astype(np.float32)
    found = vggish_input(noise)
    assert found.shape == (2, 96, 64)
    later = vggish_input(noise[94 * 160 :])[0]
    assert np.allclose(later[:2], found[0, 94:], atol=1e-5)
    assert np.allclose(later[2:], found[1, :94], atol=1e-5)
    assert len(vggish_input(noise[:-1])) == 1  # the last frame is not whole
