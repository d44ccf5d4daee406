"""Weights that travel: averaged weights as a few small half-precision files, and back.

From a GPU machine without network only small files may come back; the optimiser's state stays behind, and the next run
starts from the averaged weights. The files say with which projection and towers these were trained, without which they
are worth nothing, and which others they belong to: a kill may leave parts of two saves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as packed
from torch import Tensor

from ..data.files import whole
from ..errors import InputError

PART_BYTES = 15 * 2**20
_SAVE = "save"  # in each part: which save it is of, as the hash of all parts' tensors


def write_parts(
    weights: dict[str, Tensor],
    folder: Path,
    name: str,
    trained_with: dict[str, str] | None = None,
    part_bytes: int = PART_BYTES,
) -> list[Path]:
    """Write `weights` as `NAME-I-of-N.safetensors`.

    Args:
        weights: By name; floating-point ones are stored in half precision.
        folder: Made if it is not there.
        name: What the weights are, without a dash at its end.
        trained_with: What `foundations` says of the run.
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
    facts = {**(trained_with or {}), _SAVE: _hash({key: value for lot in lots for key, value in lot.items()})}
    for path, lot in zip(paths, lots, strict=True):
        with whole(path) as file:
            file.write(packed(lot, facts))
    return paths


def _read(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights that `write_parts` wrote, in single precision, and with what they were trained."""
    paths = sorted(folder.glob(f"{name}-*-of-*.safetensors"))
    counts = {path.stem.rsplit("-of-", 1)[1] for path in paths}
    if len(counts) != 1 or len(paths) != int(counts.pop()):
        raise InputError(f"The parts of {name} in {folder} are not complete ({len(paths)} found); fetch them again.")
    tensors: dict[str, Tensor] = {}
    trained_with: dict[str, str] = {}
    saves: set[str] = set()
    try:
        for path in paths:
            tensors |= load_file(path)
            with safe_open(path, "pt") as part:
                trained_with |= part.metadata() or {}
            saves.add(trained_with.pop(_SAVE, ""))
    except (OSError, SafetensorError) as error:
        raise InputError(f"A part of {name} in {folder} is damaged ({error}); fetch it again.") from error
    if saves != {_hash(tensors)}:
        raise InputError(
            f"The parts of {name} in {folder} are not all of one save; run the command that trained it there once "
            "more, which writes all parts anew, and fetch them together."
        )
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}, trained_with


def foundations(run: Path, name: str) -> dict[str, str]:
    """Hashes, by name, of what the weights of a recipe in a folder of runs rest on; of half-precision numbers, as parts
    hold them."""
    found: dict[str, Mapping[str, Tensor]] = {}
    if name != "text-audio" and (path := run / "projection.safetensors").exists():
        found["projection"] = load_file(path)
    if name == "denoiser" and (path := run / "text-audio" / "ema.pt").exists():
        found["towers"] = torch.load(path, weights_only=True, map_location="cpu")
    return {key: _hash(tensors) for key, tensors in found.items()}


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        stored = value.half() if value.is_floating_point() else value
        digest.update(name.encode() + stored.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def receive(folder: Path, run: Path, name: str) -> None:
    """Put the parts of `name` into a run's folder as averaged weights; an older state and log are moved aside.

    Raises:
        InputError: A part is missing or damaged, they are of different saves, or they were trained with another
            projection or other towers.
    """
    weights, trained_with = _read(folder, name)
    here = foundations(run, name)
    if others := sorted(key for key, value in trained_with.items() if here.get(key) != value):
        raise InputError(
            f"The {name} in {folder} was trained with another {' and other '.join(others)} than {run} holds, and would "
            "be worth nothing with it; name an empty folder as `run` and, as `start`, the checkpoint that training "
            "there began with (or bring projection.safetensors and text-audio/ema.pt of its folder of runs along)."
        )
    target = run / name
    target.mkdir(parents=True, exist_ok=True)
    for old in (target / "state.pt", target / "log.jsonl"):
        if old.exists():
            old.replace(old.with_stem(f"{old.stem}.before"))
    with whole(target / "ema.pt") as file:
        torch.save(weights, file)
