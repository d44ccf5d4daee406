"""Weights that travel: averaged weights as a few small half-precision files, and back.

From a GPU machine without network only small files may come back; the optimiser's state stays behind, and the next run
starts from the averaged weights. A denoiser takes its towers along, and the typical sounds that these know. All files
say what theirs were trained with, without which they are worth nothing, and which others they belong to: a kill may
leave parts of two saves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as packed
from torch import Tensor

from ..checkpoint import save_tensors
from ..data.files import RUN_OPTION, make_folder, whole
from ..errors import InputError

PART_BYTES = 15 * 2**20
SENT = ("autoencoder", "text-audio", "sounds", "denoiser")
"""What there may be parts of: recipes, and the typical sounds that towers know."""
_RESTS_ON = {
    "autoencoder": ("projection",),
    "sounds": ("text-audio",),
    "denoiser": ("projection", "text-audio", "sounds"),
}
_SAID = {"text-audio": "towers", "sounds": "typical sounds"}
_SAVE = "save"  # in each part: which save it is of, as the hash of all parts' tensors


def send(weights: dict[str, Tensor], folder: Path, run: Path, name: str) -> None:
    """Write the averaged weights of a recipe in a folder of runs as parts; with a denoiser's, its towers and sounds.

    Raises:
        OutputError: The disk is full, or the folder cannot be written to.
    """
    write_parts(weights, folder, name, foundations(run, name))
    for other in ("text-audio", "sounds") if name == "denoiser" else ():
        if (held := _held(run, other)) is not None:
            write_parts(held, folder, other, foundations(run, other))


def write_parts(
    weights: Mapping[str, Tensor],
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
    make_folder(folder, "--parts")
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
    held = {key: _held(run, key) for key in _RESTS_ON.get(name, ())}
    return {key: _hash(tensors) for key, tensors in held.items() if tensors is not None}


def _held(run: Path, name: str) -> Mapping[str, Tensor] | None:
    """What a folder of runs holds under that name, if anything."""
    if name in ("projection", "sounds"):
        path = run / f"{name}.safetensors"
        return load_file(path) if path.exists() else None
    path = run / name / "ema.pt"
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        stored = value.half() if value.is_floating_point() else value
        digest.update(name.encode() + stored.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def receive(folder: Path, run: Path, names: Sequence[str]) -> None:
    """Put parts into a folder of runs as averaged weights: all that are named, or none where one would be of no use.

    What is there already stays; of what is not, an older state and log are moved aside. Sounds that towers before knew
    are forgotten with them.

    Raises:
        InputError: A part is missing or damaged, they are of different saves, or they were trained with what is neither
            among them nor there: another projection, say.
    """
    found = {name: _read(folder, name) for name in names}
    hashes = {name: _hash(weights) for name, (weights, _) in found.items()}
    for name, (_, trained_with) in found.items():
        here = foundations(run, name) | hashes
        if others := sorted(_SAID.get(key, key) for key, value in trained_with.items() if here.get(key) != value):
            raise InputError(
                f"The {name} in {folder} would be worth nothing without the {' and '.join(others)} that it was trained "
                f"with, which neither lie there nor in {run}; fetch all files that were written with it, or name an "
                "empty folder as `run` and, as `start`, the checkpoint that training there began with (or bring "
                "projection.safetensors of its folder of runs along)."
            )
    for name, (weights, _) in found.items():
        held = _held(run, name)
        if held is None or _hash(held) != hashes[name]:
            _put(weights, run, name)


def _put(weights: dict[str, Tensor], run: Path, name: str) -> None:
    if name == "sounds":
        save_tensors(run / "sounds.safetensors", weights)
        return
    if name == "text-audio":
        (run / "sounds.safetensors").unlink(missing_ok=True)
    target = run / name
    make_folder(target, RUN_OPTION)
    for old in (target / "state.pt", target / "log.jsonl"):
        if old.exists():
            old.replace(old.with_stem(f"{old.stem}.before"))
    with whole(target / "ema.pt") as file:
        torch.save(weights, file)
