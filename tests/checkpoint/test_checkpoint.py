import json
import os
import pickle
import runpy
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mgeldm.checkpoint import load_model, save_model
from mgeldm.config import EMBEDDED, DenoiserConfig, OobleckConfig, SpectralConfig, from_dict, to_dict
from mgeldm.errors import CheckpointError
from mgeldm.nn.dit import Denoiser
from mgeldm.nn.oobleck import OobleckAutoencoder
from safetensors.torch import save_file

from tests.fakes.models import TINY

PUBLISHED = Path(__file__).parents[1] / "vectors" / "unwrapped_DiT.ckpt"
MEASURE = runpy.run_path(str(Path(__file__).parents[2] / "packaging" / "measure_loading.py"))
published_state, write, peaks = MEASURE["published_state"], MEASURE["write"], MEASURE["peaks"]
COMPUTED = ("inv_freq", "_norm.beta")  # stored in the published file, but fixed by its sizes


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


@pytest.mark.skipif(os.name == "nt", reason="who may read is not in a file's mode there")
@pytest.mark.parametrize(("folder", "mode"), [(0o755, 0o644), (0o750, 0o640), (0o700, 0o600), (0o777, 0o644)])
def test_who_may_read_the_folder_may_read_a_checkpoint_in_it(tmp_path, folder, mode):
    tmp_path.chmod(folder)
    save_model(tmp_path / "m.safetensors", TINY, tiny_tensors())
    assert (tmp_path / "m.safetensors").stat().st_mode & 0o777 == mode


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


def test_names_are_those_of_the_published_file(published):
    stored = torch.load(PUBLISHED, weights_only=True)["state_dict"]
    shapes = {name: value.shape for name, value in stored.items() if not name.endswith(COMPUTED)}
    assert shapes == {name: value.shape for name, value in published_state(published.config).items()}


@st.composite
def published_configs(draw):
    """Models of the published form, heads of 32, of any other size."""
    tracks, latent, blocks = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    denoiser = DenoiserConfig(
        latent_channels=latent,
        tracks=tracks,
        width=32 * tracks * draw(st.integers(1, 2)),
        depth=draw(st.integers(1, 3)),
        condition_dim=draw(st.integers(1, 7)),
        timestep_features=2 * draw(st.integers(1, 5)),
        feedforward_multiple=float(draw(st.integers(1, 4))),
    )
    autoencoder = OobleckConfig(
        channels=draw(st.integers(1, 3)),
        multiples=tuple(draw(st.lists(st.integers(1, 3), min_size=blocks, max_size=blocks))),
        strides=tuple(draw(st.lists(st.sampled_from([2, 4, 6]), min_size=blocks, max_size=blocks))),
        latent_channels=latent,
        audio_channels=draw(st.integers(1, 2)),
    )
    denoiser = replace(denoiser, heads=denoiser.width // 32)
    return replace(TINY, name="published", window_frames=100, denoiser=denoiser, autoencoder=autoencoder)


@settings(max_examples=15)
@given(config=published_configs())
def test_any_sizes_are_read_from_the_tensors(tmp_path_factory, config):
    path = tmp_path_factory.mktemp("sizes") / "any.ckpt"
    torch.save({"state_dict": published_state(config)}, path)
    model = load_model(path)
    assert model.config == config
    sizes, frames = config.denoiser, 3
    with torch.no_grad():
        audio = model.autoencoder.decode(torch.randn(1, sizes.latent_channels, frames))
        assert model.autoencoder.encode(audio).shape == (1, sizes.latent_channels, frames)
        z = torch.randn(2, sizes.tracks * sizes.latent_channels, frames)
        v = model.denoiser(z, torch.rand(2, sizes.tracks), torch.randn(2, sizes.tracks, sizes.condition_dim))
    assert v.shape == z.shape
    assert v.isfinite().all()


def test_weight_norm_is_that_of_torch(tmp_path):
    state = published_state(TINY)
    torch.save({"state_dict": state}, tmp_path / "m.ckpt")
    ours = load_model(tmp_path / "m.ckpt").autoencoder.state_dict()
    for theirs, name in (("encoder.layers.1.layers.4", "encoder.1.4"), ("decoder.layers.1.layers.1", "decoder.1.1")):
        gain, value = (state[f"pretransform.model.{theirs}.weight_{part}"] for part in "gv")
        assert torch.allclose(ours[f"{name}.weight"], torch._weight_norm(value, gain, 0), atol=1e-6)


def altered(**changes: object) -> str:
    return json.dumps(to_dict(TINY) | {"denoiser": to_dict(TINY.denoiser) | changes})


BAD_CONFIGS = [
    *("[1]", "null", "3", "{", "[" * 100000, '{"kind": "DenoiserConfig"}', '{"kind": []}'),
    *(altered(heads=0), altered(heads=5), altered(width=-3), altered(width=97), altered(width=3 * 10**9)),
    *(altered(tracks=0), altered(depth=5), altered(latent_channels=9), altered(feedforward_multiple=float("nan"))),
    json.dumps(to_dict(TINY) | {"autoencoder": to_dict(TINY.autoencoder) | {"strides": ["a"] * 5}}),
    json.dumps(to_dict(TINY) | {"autoencoder": to_dict(TINY.autoencoder) | {"strides": [2]}}),
]


@pytest.mark.parametrize("config", BAD_CONFIGS, ids=range(len(BAD_CONFIGS)))
def test_a_made_up_configuration_says_so(tmp_path, config):
    save_file(tiny_tensors(), tmp_path / "m.safetensors", metadata={"config": config})
    with pytest.raises(CheckpointError):
        load_model(tmp_path / "m.safetensors")


def changed(part: str, **changes: object) -> dict:
    """What `to_dict` gives of the tiny model with other numbers in one of its parts, or in the model itself."""
    data = to_dict(TINY)
    return data | (changes if part == "model" else {part: data[part] | changes})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        *((changed("model", window_frames=number), f"window_frames as {number}, which no") for number in (0, -4)),
        *((changed("model", rate_hz=number), f"rate_hz as {number}, which no model") for number in (0, -44100)),
        (changed("denoiser", depth=0), "DenoiserConfig.depth as 0"),
        (changed("denoiser", heads=0), "DenoiserConfig.heads as 0"),
        (changed("denoiser", feedforward_multiple=float("inf")), "feedforward_multiple as inf"),
        (changed("denoiser", width=97), "width of 97 is no even share for each of 3 attention heads"),
        (changed("denoiser", width=64, heads=2), "width of 64 is no whole share for each of 3 tracks"),
        (changed("denoiser", latent_channels=9), "same latent channels"),
        (changed("autoencoder", strides=[2, 0, 4, 8, 8]), r"strides as \(2, 0, 4, 8, 8\), which no model"),
        (changed("autoencoder", strides=[2]), "as many strides as multiples"),
        (changed("autoencoder", strides=["a"] * 5), "strides as .*wrong type"),
        (to_dict(replace(TINY, autoencoder=SpectralConfig(8, hop_samples=0))), "SpectralConfig.hop_samples as 0"),
    ],
)
def test_sizes_that_no_model_has_are_said(tmp_path, config, told):
    """Without a window extraction never ended; other sizes were divisions by zero."""
    save_file(tiny_tensors(), tmp_path / "m.safetensors", metadata={"config": json.dumps(config)})
    with pytest.raises(CheckpointError, match=told):
        load_model(tmp_path / "m.safetensors")


def test_a_decoder_of_no_layers_is_a_size():
    replace(EMBEDDED, autoencoder=SpectralConfig(decoder_depth=0, fmin_hz=0.0)).validate()


def test_files_from_when_there_was_a_refiner_load_if_they_have_none(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file(tiny_tensors(), path, metadata={"config": json.dumps(to_dict(TINY) | {"refiner": None})})
    assert load_model(path).config == TINY
    save_file(tiny_tensors(), path, metadata={"config": json.dumps(to_dict(TINY) | {"refiner": {"kind": "R"}})})
    with pytest.raises(CheckpointError):
        load_model(path)


def test_integers_without_their_scale_say_so(tmp_path):
    tensors = tiny_tensors()
    value = tensors.pop("denoiser.enter.weight")
    tensors["denoiser.enter.weight.int8"] = value.to(torch.int8)
    save_file(tensors, tmp_path / "m.safetensors", metadata={"config": json.dumps(to_dict(TINY))})
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(3),
        torch.tensor(1.0),
        torch.zeros(192, 24).to_sparse(),
        torch.zeros(192, 24, dtype=torch.complex64),
        torch.zeros(192, 24, dtype=torch.int64),
    ],
    ids=["flat", "single", "sparse", "complex", "integer"],
)
def test_a_tensor_of_another_kind_says_so(tmp_path, value):
    state = torch.load(PUBLISHED, weights_only=True)["state_dict"]
    state["model_dit.transformer.project_in.weight"] = value
    torch.save({"state_dict": state}, tmp_path / "m.ckpt")
    with pytest.raises(CheckpointError):
        load_model(tmp_path / "m.ckpt")


def test_a_lost_gain_says_so(tmp_path):
    state = torch.load(PUBLISHED, weights_only=True)["state_dict"]
    del state["pretransform.model.encoder.layers.0.weight_g"]
    torch.save({"state_dict": state}, tmp_path / "m.ckpt")
    with pytest.raises(CheckpointError, match="gain"):
        load_model(tmp_path / "m.ckpt")


@settings(max_examples=25)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20))
@example(changes=[(0.9999999999999998, 114)])  # what should be its end asks for more
def test_changed_bytes_of_the_index_load_or_say_so(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("bytes") / "changed.ckpt"
    with zipfile.ZipFile(PUBLISHED) as whole, zipfile.ZipFile(path, "w") as target:
        for name in whole.namelist():
            content = bytearray(whole.read(name))
            if name.endswith("data.pkl"):
                for where, byte in changes:
                    content[int(where * len(content))] = byte
            target.writestr(name, bytes(content))
    try:
        model = load_model(path)
    except CheckpointError as error:
        assert path.name in str(error) or "tensor" in str(error)
    else:
        assert isinstance(model.denoiser, Denoiser)


@pytest.mark.parametrize(("name", "half"), [("m.ckpt", False), ("m.safetensors", True)])
def test_loading_copies_nothing_large(tmp_path, name, half):
    """A model of 130 MB, every weight read, costs at most 1.3 times that, also where it is stored in half of it."""
    config = replace(TINY, denoiser=replace(TINY.denoiser, width=384, heads=12, depth=12))
    size = write(tmp_path / name, config, half) * (2 if half else 1)
    assert size > 120e6
    assert size / 2 < max(peaks(tmp_path / name)[:2]) < 1.3 * size
