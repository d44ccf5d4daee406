import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from mgeldm.checkpoint import load_model, save_model
from mgeldm.config import TINY, DenoiserConfig, OobleckConfig, from_dict, to_dict
from mgeldm.errors import CheckpointError
from mgeldm.nn.dit import Denoiser
from mgeldm.nn.oobleck import OobleckAutoencoder

PUBLISHED = Path(__file__).parents[1] / "vectors" / "unwrapped_DiT.ckpt"


def tiny_tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    autoencoder, denoiser = OobleckAutoencoder(TINY.autoencoder), Denoiser(TINY.denoiser)
    tensors = {f"autoencoder.{name}": value for name, value in autoencoder.state_dict().items()}
    return tensors | {f"denoiser.{name}": value for name, value in denoiser.state_dict().items()}


def test_sizes_come_from_the_tensors_alone(published):
    assert published.config.autoencoder == OobleckConfig(channels=4, latent_channels=8)
    assert published.config.denoiser == DenoiserConfig(
        latent_channels=8, width=192, depth=2, heads=6, condition_dim=48, timestep_features=32
    )
    assert (published.config.rate_hz, published.config.window_frames) == (16000, 100)


def test_a_given_configuration_is_taken(published):
    assert load_model(PUBLISHED, published.config).config == published.config
    with pytest.raises(CheckpointError, match="does not fit"):
        load_model(PUBLISHED, TINY)


def test_ours_round_trips(tmp_path):
    tensors = tiny_tensors()
    save_model(tmp_path / "m.safetensors", TINY, tensors, half=False)
    model = load_model(tmp_path / "m.safetensors")
    assert model.config == TINY
    for name, value in model.denoiser.state_dict().items():
        assert torch.equal(value, tensors[f"denoiser.{name}"])
    assert not list(tmp_path.glob("*.part"))


def test_half_precision_and_integers_stay_close(tmp_path):
    tensors = tiny_tensors()
    save_model(tmp_path / "m.safetensors", TINY, tensors, int8="denoiser.blocks.")
    model = load_model(tmp_path / "m.safetensors")
    for name, value in model.denoiser.state_dict().items():
        wanted = tensors[f"denoiser.{name}"]
        assert float((value - wanted).abs().max()) <= float(wanted.abs().max()) / 200 + 1e-6
    assert (tmp_path / "m.safetensors").stat().st_size < sum(v.numel() for v in tensors.values()) * 1.9


def test_sha256_is_that_of_the_file(published):
    import hashlib

    assert published.sha256 == hashlib.sha256(PUBLISHED.read_bytes()).hexdigest()


def cut(path: Path, target: Path, share: float) -> Path:
    content = path.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.3, 0.999])
def test_a_truncated_file_says_so(tmp_path, share):
    with pytest.raises(CheckpointError, match=r"truncated|empty|damaged"):
        load_model(cut(PUBLISHED, tmp_path / "cut.ckpt", share))
    save_model(tmp_path / "ours.safetensors", TINY, tiny_tensors())
    with pytest.raises(CheckpointError, match=r"truncated|empty|damaged"):
        load_model(cut(tmp_path / "ours.safetensors", tmp_path / "cut.safetensors", share))


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(CheckpointError, match="no model file"):
        load_model(tmp_path / "nothing.ckpt")
    with pytest.raises(CheckpointError, match="no model file"):
        load_model(tmp_path)


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harm-done"),))


def test_code_in_a_file_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"model_dit.x": torch.zeros(1)}, "more": Harmful()}, "bad.ckpt")
    with pytest.raises(CheckpointError, match="code"):
        load_model("bad.ckpt")
    Path("bare.ckpt").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(CheckpointError):
        load_model("bare.ckpt")
    assert not Path("harm-done").exists()


@pytest.mark.parametrize("content", [{"weights": torch.zeros(2)}, {"state_dict": {"x": torch.zeros(2)}}, [1, 2]])
def test_a_foreign_torch_file_says_so(tmp_path, content):
    torch.save(content, tmp_path / "foreign.ckpt")
    with pytest.raises(CheckpointError, match="another program"):
        load_model(tmp_path / "foreign.ckpt")


def test_foreign_safetensors_and_archives_say_so(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="another program"):
        load_model(tmp_path / "foreign.safetensors")
    with zipfile.ZipFile(tmp_path / "photos.ckpt", "w") as archive:
        archive.writestr("photo.jpg", b"not a tensor")
    with pytest.raises(CheckpointError):
        load_model(tmp_path / "photos.ckpt")


def test_a_misspelt_configuration_says_so():
    with pytest.raises(CheckpointError, match="unknown keys"):
        from_dict(to_dict(TINY) | {"widht": 3})
    with pytest.raises(CheckpointError, match="wrong type"):
        from_dict(to_dict(TINY) | {"rate_hz": "fast"})


LOAD = """
import resource, sys
from mgeldm.checkpoint import load_model
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
load_model(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_loading_copies_nothing_large(tmp_path, published):
    """A file of 200 MB costs at most 1.3 times that while it loads."""
    state = torch.load(PUBLISHED, weights_only=True)["state_dict"]
    template = "model_dit.transformer.layers.0."
    layer = {k: v for k, v in state.items() if k.startswith(template)}
    for i in range(2, 100):
        state |= {k.replace(template, f"model_dit.transformer.layers.{i}."): v.clone() for k, v in layer.items()}
    path = tmp_path / "big.ckpt"
    torch.save({"state_dict": state}, path)
    size = path.stat().st_size
    assert size > 150e6
    output = subprocess.run([sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=True).stdout
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(output) * unit < 1.3 * size
