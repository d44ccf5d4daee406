from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import soundfile
import torch
from mgeldm.audio import AudioClip
from mgeldm.conditioning import clap
from mgeldm.conditioning.clap import read_network
from mgeldm.errors import CheckpointError
from mgeldm.evaluation.embeddings import Tower, Vggish, VggishNetwork, frechet_distance, points, vggish_input
from mgeldm.evaluation.evaluate import Plan, evaluate
from mgeldm.evaluation.open_unmix import Separator
from mgeldm.evaluation.sets import Material

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


def test_vggish_reads_its_tensors(tmp_path):
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


def foreign(folder):
    """Files that hold no weights that anything here takes."""
    torch.save({"features.0.weight": torch.zeros(1)}, folder / "other.pth")
    torch.save(torch.zeros(3), folder / "tensor.pth")
    torch.save([1, 2], folder / "list.pth")
    torch.save({1: 2}, folder / "numbers.pth")
    soundfile.write(folder / "sound.wav", np.zeros(999), 8000)
    (folder / "empty.pth").write_bytes(b"")
    return [*folder.iterdir(), folder / "nothing.pth", folder]


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # torch's own, of a tensor where names are wanted
@pytest.mark.parametrize(
    ("opened", "told"), [(Vggish, "VGGish"), (Separator.load, "is no peer"), (read_network, "is no CLAP")]
)
def test_foreign_files_say_so(tmp_path, monkeypatch, opened, told):
    """A sound was an "IndexError: pop from empty list"."""
    monkeypatch.setattr(clap, "build_network", lambda: torch.nn.Linear(1, 1))  # for CLAP's own takes seconds
    for path in foreign(tmp_path):
        with pytest.raises(CheckpointError, match=rf"{told}|damaged|more than tensors"):
            opened(path)


@pytest.mark.parametrize(
    ("parts", "weights"), [(("extraction",), "peer"), (("imputation",), "vggish"), (("generation",), "clap")]
)
def test_weights_are_opened_before_anything_is_measured(pipeline, tmp_path, monkeypatch, parts, weights):
    """A mistyped path cost all tables that were there by then."""
    plan = Plan(parts=("text", *parts), **{weights: tmp_path / "nothing"})
    monkeypatch.setattr(Material, "sets", lambda _: pytest.fail("it had begun"))
    with pytest.raises(CheckpointError, match="nothing"):
        evaluate(pipeline, plan)
    monkeypatch.setattr(Material, "sets", lambda _: [])
    monkeypatch.setattr("mgeldm.evaluation.evaluate._text", lambda *_: ({}, ["table"]))
    assert evaluate(pipeline, replace(plan, parts=("text",)))["text"] == "table"  # which needs none of them


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
