"""A GPU machine without network or package index: its Python lacks what the app needs, and training must do without.

What model/README.md plans for such a machine, at toy size.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from mgeldm import cli
from mgeldm.checkpoint import load_model, save_model
from mgeldm.config import EMBEDDED, DenoiserConfig
from mgeldm.data.bank import save_bank, spoken_bank
from mgeldm.data.manifest import read
from mgeldm.data.speech import Speech
from mgeldm.nn.dit import Denoiser
from mgeldm.pipeline import EMBEDDED_PATH
from mgeldm.training import recipes
from mgeldm.training.parts import foundations
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
ABSENT = [
    "soundfile", "_soundfile", "cffi", "_cffi_backend", "soxr", "av", "pyloudnorm", "python_stretch", "sounddevice",
    "msgspec", "platformdirs", "PySide6", "lightning_fabric",
]  # fmt: skip
"""Of what the project and its tests may import, what such a machine has not."""

CALLS = """
import shutil

from mgeldm import cli
from mgeldm.training import encode


def bring(*names):
    for name in names:
        shutil.copy("cache/gpu/pool/wide-00000.npz", f"cache/gpu/pool/{name}.npz")


def train(recipe, config, parts):
    assert cli.main(["train", recipe, "--config", config, "--minutes", "5", "--parts", parts]) == 0


encode.main("--out cache/gpu/pool --bank voices.npz --shards 1 --songs 1".split())
encode.main("--out cache/gpu/pool --bank voices.npz --wide --unions 0.1 --shards 1 --songs 1".split())
encode.main("--out cache/gpu/held --split test --shards 1 --songs 1".split())
bring("real-song-000-1", "real-song-000-2")
train("text-audio", "one.toml", "third")
train("denoiser", "one.toml", "third")
bring("real-song-001-1")
train("denoiser", "two.toml", "fourth")
"""
TABLE = """
[model]
name = "small"
autoencoder = {kind = "SpectralConfig"}
denoiser = {kind = "DenoiserConfig", width = 96, depth = 1, heads = 3}
"""


def run_there(code, folder, library=ROOT / "model"):
    """Run code in a Python of its own that lacks those packages, as do the processes that it starts."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules |= dict.fromkeys({ABSENT!r})\n")
    path = os.pathsep.join([str(folder), str(library)])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def small_start(path):
    """A checkpoint as the one that ships, but for a small denoiser that knows nothing."""
    ships, denoiser = load_model(EMBEDDED_PATH), DenoiserConfig(width=96, depth=1, heads=3)
    parts = {"conditioner": ships.conditioner_state, "autoencoder": ships.autoencoder.state_dict()}
    parts["denoiser"] = Denoiser(denoiser).state_dict()
    tensors = {f"{part}.{name}": value for part, state in parts.items() for name, value in state.items()}
    save_model(path, replace(EMBEDDED, denoiser=denoiser), tensors)


def gpu_config(steps, start):
    """`gpu.toml` for so many steps of a small model."""
    text = Path(recipes.__file__).with_name("gpu.toml").read_text()
    text = re.sub(r"minutes = .*", f"minutes = 9\nsteps = {steps}", re.sub(r"batch = .*", "batch = 4", text))
    text = text.replace("resources/embedded/words", str(EMBEDDED_PATH.with_name("words")))
    return text.replace("resources/embedded/model.safetensors", str(start)) + TABLE


def test_the_plan_for_one_gpu_brings_home_what_was_trained_there(tmp_path, monkeypatch):
    """Songs plain, wide and brought, towers, and a denoiser in two calls; home gets the parts of the last alone."""
    there, home, start = tmp_path / "there", tmp_path / "home", tmp_path / "start.safetensors"
    small_start(start)
    for folder in (there, home):
        folder.mkdir()
        for name, steps in (("one", 1), ("two", 2)):
            (folder / f"{name}.toml").write_text(gpu_config(steps, start))
    cut = np.array([[0, 2, 9]], np.int32)
    said = Speech(np.full((9, 48), 200, np.uint8), np.ones(9, bool), cut, np.zeros(1, np.int16), np.ones(1), cut[0, 2:])
    save_bank(spoken_bank("voices", said, "MIT"), there / "voices.npz", packed=True)
    done = run_there(CALLS, there)
    assert done.returncode == 0, done.stderr[-2000:]
    shards = read(there / "cache/gpu/pool")
    assert set(shards) == {"synthetic-00000.npz", "wide-00000.npz"}
    assert all("voices" in shard["source"] for shard in shards.values())

    monkeypatch.chdir(home)
    receiving = ["train", "receive", "--config", "two.toml", "--parts", str(there / "fourth")]
    assert cli.main(receiving) == 0
    assert cli.main(["train", "assemble", "--config", "two.toml"]) == 0
    runs, model = there / "cache/gpu/run", load_model(home / "cache/gpu/candidate.safetensors")
    assert foundations(home / "cache/gpu/run", "denoiser") == foundations(runs, "denoiser")
    trained, known = torch.load(runs / "text-audio" / "ema.pt"), load_file(runs / "sounds.safetensors")
    before = load_model(start).conditioner_state
    name = "text.out.weight"
    assert not torch.equal(trained[name], before[name])
    assert torch.allclose(model.conditioner_state[name], trained[name], atol=1e-3)
    assert torch.allclose(model.conditioner_state["sounds"], known["sounds"], atol=1e-3)
    assert torch.load(home / "cache/gpu/run/denoiser/ema.pt").keys() == model.denoiser.state_dict().keys()


def test_what_is_tested_there_is_found_among_what_goes_along(tmp_path):
    for name in ("model", "tests", "resources/embedded"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    code = "import pytest\nraise SystemExit(pytest.main(['tests/training/test_cuda.py']))"
    done = run_there(code, tmp_path, tmp_path / "model")
    assert done.returncode == 0, done.stdout[-2000:]
