"""Weights that travel: averaged weights as a few small half-precision files, and back.

A machine that is lent for minutes may hand back only small files; the optimiser's state stays behind, and the next run
starts from the averaged weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as packed
from torch import Tensor

from ..data.files import whole
from ..errors import InputError

PART_BYTES = 15 * 2**20


def write_parts(weights: dict[str, Tensor], folder: Path, name: str, part_bytes: int = PART_BYTES) -> list[Path]:
    """Write `weights` as `NAME-I-of-N.safetensors`.

    Args:
        weights: By name; floating-point ones are stored in half precision.
        folder: Made if it is not there.
        name: What the weights are, without a dash at its end.
        part_bytes: A part holds no more, unless one tensor alone does.

    Raises:
        OutputError: The disk is full, or the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lots: list[dict[str, Tensor]] = [{}]
    size = 0
    for key, value in weights.items():
        stored = (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        if size + stored.nbytes > part_bytes and lots[-1]:
            lots.append({})
            size = 0
        lots[-1][key] = stored
        size += stored.nbytes
    paths = [folder / f"{name}-{i + 1}-of-{len(lots)}.safetensors" for i in range(len(lots))]
    for path, lot in zip(paths, lots, strict=True):
        with whole(path) as file:
            file.write(packed(lot))
    return paths


def read_parts(folder: Path, name: str) -> dict[str, Tensor]:
    """The weights that `write_parts` wrote, in single precision.

    Raises:
        InputError: A part is missing or damaged.
    """
    paths = sorted(folder.glob(f"{name}-*-of-*.safetensors"))
    counts = {path.stem.rsplit("-of-", 1)[1] for path in paths}
    if len(counts) != 1 or len(paths) != int(counts.pop()):
        raise InputError(f"The parts of {name} in {folder} are not complete ({len(paths)} found); fetch them again.")
    try:
        tensors = {key: value for path in paths for key, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"A part of {name} in {folder} is damaged ({error}); fetch it again.") from error
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}


def receive(folder: Path, run: Path, name: str) -> None:
    """Put the parts of `name` into a run's folder as averaged weights; an older state beside them is moved aside."""
    weights = read_parts(folder, name)
    target = run / name
    target.mkdir(parents=True, exist_ok=True)
    if (target / "state.pt").exists():
        (target / "state.pt").replace(target / "state.before.pt")
    with whole(target / "ema.pt") as file:
        torch.save(weights, file)
