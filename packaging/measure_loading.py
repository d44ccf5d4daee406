"""Peak memory while a file of the published form and size loads: `python packaging/measure_loading.py`.

Writes random weights under the published names (4.7 GB; removed afterwards), loads them in a process of its own,
reads every weight once, and prints the peak against the size of the file.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from mgeldm.checkpoint import save_model
from mgeldm.config import PUBLISHED, ModelConfig
from mgeldm.nn.dit import Denoiser
from mgeldm.nn.oobleck import OobleckAutoencoder

# The peak is the process's own: Linux's ru_maxrss would carry over that of the process which started it.
_LOAD = """
import re, sys, time
import psutil, torch
from mgeldm.checkpoint import load_model
from mgeldm.nn import dit, oobleck

def peak():
    if sys.platform == "linux":
        with open("/proc/self/status") as status:
            return int(re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

load_model(sys.argv[1])  # what torch imports on its first load is not the model's
before, began_s = peak(), time.perf_counter()
model = load_model(sys.argv[2])
seconds, loaded = time.perf_counter() - began_s, peak()
total = sum(float(p.sum()) for m in (model.denoiser, model.autoencoder) for p in m.parameters())
print(loaded - before, peak() - before, seconds)
"""

# Our name of each of the denoiser's tensors (a pattern) and the published one.
_NAMES = (
    (r"^features\.", "timestep_features."),
    (r"^timestep\.0\.", "to_timestep_embed.1."),
    (r"^timestep\.2\.", "to_timestep_embed.3."),
    (r"^condition\.0\.", "to_global_embed.1."),
    (r"^condition\.2\.", "to_global_embed.3."),
    (r"^before\.", "preprocess_conv."),
    (r"^after\.", "postprocess_conv."),
    (r"^enter\.", "transformer.project_in."),
    (r"^leave\.", "transformer.project_out."),
    (r"^blocks\.", "transformer.layers."),
    (r"\.attention_norm\.", ".pre_norm."),
    (r"\.attention\.", ".self_attn.to_"),
    (r"\.feedforward_norm\.", ".ff_norm."),
    (r"\.feedforward\.wide\.", ".ff.ff.0.proj."),
    (r"\.feedforward\.narrow\.", ".ff.ff.2."),
    (r"\.modulation\.", ".to_scale_shift_gate.2."),
)


def published_state(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Random weights of a model's sizes under the published names, convolutions with weight norm."""
    with torch.device("meta"):
        denoiser, autoencoder = Denoiser(config.denoiser), OobleckAutoencoder(config.autoencoder)
    state = {}
    for name, value in denoiser.state_dict().items():
        for ours, theirs in _NAMES:
            name = re.sub(ours, theirs, name)
        state["model_dit." + name] = torch.randn(value.shape) * 0.02
    for name, value in autoencoder.state_dict().items():
        name = re.sub(r"^(\w+)\.(\d+)(?=\.\d+\.)", r"\1.layers.\2", name)
        name = "pretransform.model." + re.sub(r"^(\w+(?:\.layers\.\d+)?)\.(?=\d)", r"\1.layers.", name)
        if value.ndim == 3:
            state[name + "_g"], state[name + "_v"] = torch.rand(value.shape[0], 1, 1) + 0.5, torch.randn(value.shape)
        else:
            state[name] = torch.randn(value.shape) * 0.02
    return state


def write(path: Path, config: ModelConfig, half: bool = False) -> int:
    """Write random weights, as a torch file or as our safetensors by the name; the size in bytes."""
    if path.suffix == ".ckpt":
        torch.save({"state_dict": published_state(config)}, path)
    else:
        modules = {"denoiser.": Denoiser(config.denoiser), "autoencoder.": OobleckAutoencoder(config.autoencoder)}
        tensors = {prefix + name: v for prefix, module in modules.items() for name, v in module.state_dict().items()}
        save_model(path, config, tensors, half=half)
    return path.stat().st_size


def peaks(path: Path) -> tuple[int, int, float]:
    """Bytes at most resident after loading, and after reading every weight; seconds to load.

    Counted above a process that has loaded a small model.
    """
    small = Path(__file__).parents[1] / "tests" / "vectors" / "unwrapped_DiT.ckpt"
    done = subprocess.run([sys.executable, "-c", _LOAD, small, path], capture_output=True, text=True, check=True)
    loaded, read, seconds = done.stdout.split()
    return int(loaded), int(read), float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory while a published-size model loads.")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="10 GB free")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        for name, half in (("float32.ckpt", False), ("float32.safetensors", False), ("float16.safetensors", True)):
            path = Path(inside) / name
            size = write(path, PUBLISHED, half)
            model = size * (2 if half else 1)  # in memory, in single precision
            loaded, read, seconds = peaks(path)
            ratios = f"{loaded / model:.2f} x the model, {read / model:.2f} x with every weight read"
            print(f"{name}: {size / 1e9:.2f} GB, loaded in {seconds:.1f} s, peak {ratios}", flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
