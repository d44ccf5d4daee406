"""A GPU machine without network or package index: its Python lacks what the app needs, and training must do without."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ABSENT = [
    "soundfile", "_soundfile", "cffi", "_cffi_backend", "soxr", "av", "pyloudnorm", "python_stretch", "sounddevice",
    "msgspec", "platformdirs", "PySide6", "lightning_fabric",
]  # fmt: skip
"""Of what the project and its tests may import, what such a machine has not."""

TRAINED = """
from pathlib import Path
from mgeldm import cli
from mgeldm.training import encode

encode.main(["--out", "pool", "--shards", "1", "--songs", "1"])
for recipe in ("text-audio", "denoiser", "assemble"):
    assert cli.main(["train", recipe, "--config", "small.toml", "--minutes", "5", "--parts", "parts"]) == 0
assert Path("model.safetensors").exists() and list(Path("parts").glob("denoiser-*.safetensors"))
"""

SMALL = f"""
run = "run"
pool = "pool"
held = "pool"
words = "{ROOT / "resources/embedded/words.safetensors"}"
out = "model.safetensors"

[text-audio]
minutes = 9
steps = 1
batch = 4

[denoiser]
minutes = 9
steps = 1
batch = 4

[model]
name = "small"
autoencoder = {{kind = "SpectralConfig"}}
denoiser = {{kind = "DenoiserConfig", width = 96, depth = 1, heads = 3}}
"""


def run_there(code, folder):
    """Run code in a Python of its own that lacks those packages, as do the processes that it starts."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules |= dict.fromkeys({ABSENT!r})\n")
    path = os.pathsep.join([str(folder), str(ROOT / "model")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_songs_are_rendered_and_models_trained_without_what_reads_sound(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    done = run_there(TRAINED, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_is_tested_there_is_found(tmp_path):
    tests = str(Path(__file__).with_name("test_cuda.py"))
    done = run_there(f"import pytest\nraise SystemExit(pytest.main([{tests!r}]))", tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
