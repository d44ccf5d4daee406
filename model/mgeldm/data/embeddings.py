"""Text and audio embeddings of a folder's shards on disk, as the paper pre-computes them.

`embeddings/NAME/` holds one `.npz` a shard with `audio` [items, tracks, dimensions] in half precision (the tracks as in
`tracks.Track`: mixture, submixture, source) and the shard's hash, and `texts.npz` with every phrase and its vector.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..conditioning import Conditioner
from ..errors import InputError
from .files import make_folder, whole
from .latents import Triplets, read_shard, shards
from .manifest import FAULTS, sha256, update

_BATCH = 32


def embed(folder: Path, conditioner: Conditioner, name: str) -> None:
    """Embed what is not embedded yet, or was of a shard with another content; a stopped run goes on where it was.

    The folder's manifest is brought up to date with it.

    Args:
        folder: Of shards of compressed mels.
        conditioner: One that embeds mels. Shards of the published form bring their audio embeddings along
            (`latents.WaveformEncoder`); of theirs only texts are embedded here.
        name: Of the conditioner, say the first digits of its file's hash.

    Raises:
        InputError: The folder has no shards.
        OutputError: The disk is full, or the folder cannot be written to.
    """
    if not shards(folder):
        raise InputError(f"There are no shards in {folder} to embed; look above for why none was made.")
    place = folder / "embeddings" / name
    make_folder(place)
    phrases: set[str] = set()
    for path in shards(folder):
        triplets = read_shard(path)
        phrases.update(phrase for row in triplets.captions for phrase in str(row).split("|"))
        if conditioner.audio_input == "mel" and not has_audio(place, path):
            write_audio(place / path.name, _audio(triplets, conditioner), sha256(path))
    known = sorted(phrases)
    parts = [known[i : i + _BATCH] for i in range(0, len(known), _BATCH)]
    vectors = np.concatenate([conditioner.embed_text(part).half().cpu().numpy() for part in parts])
    _write(place / "texts.npz", phrases=np.array(known), vectors=vectors)
    update(folder, shards(folder))


def has_audio(place: Path, shard: Path) -> bool:
    """Whether a folder of embeddings holds those of a shard as it is now."""
    return _are_of(_arrays(place / shard.name), shard)


def write_audio(path: Path, audio: np.ndarray, shard_sha256: str) -> None:
    """One shard's audio embeddings [items, tracks, dimensions]."""
    _write(path, audio=audio.astype(np.float16), shard_sha256=np.array(shard_sha256))


def read_embeddings(folder: Path, name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Audio embeddings [items, tracks, dimensions] in the order of `latents.load`, and phrase to vector.

    Raises:
        InputError: A shard is not embedded, or changed since, or its embeddings are damaged.
    """
    place, paths = folder / "embeddings" / name, shards(folder)
    found = [_arrays(place / path.name) for path in paths]
    stale = [path.name for path, arrays in zip(paths, found, strict=True) if not _are_of(arrays, path)]
    texts = _arrays(place / "texts.npz")
    if stale or not texts:
        which = ", ".join(stale[:3]) or "The texts"
        raise InputError(
            f"{which} of {folder} have no embeddings {name}; run the command that encoded them again, with --embed."
        )
    vectors = dict(zip(texts["phrases"].tolist(), texts["vectors"], strict=True))
    return np.concatenate([arrays["audio"] for arrays in found]), vectors


def _audio(triplets: Triplets, conditioner: Conditioner) -> np.ndarray:
    tracks = (triplets.mixtures, triplets.rests, triplets.sources)
    found = []
    for mels in tracks:
        parts = [torch.from_numpy(mels[i : i + _BATCH]).float() for i in range(0, len(mels), _BATCH)]
        found.append(np.concatenate([conditioner.embed_audio(part).cpu().numpy() for part in parts]))
    return np.stack(found, 1)  # [items, tracks, dimensions]


def _are_of(arrays: dict[str, np.ndarray], shard: Path) -> bool:
    """Whether what a file of embeddings holds is of a shard as it is now."""
    return str(arrays.get("shard_sha256", "")) == sha256(shard)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file, by name; none of one that is missing or damaged."""
    try:
        with np.load(path) as content:
            return dict(content)
    except FAULTS:
        return {}


def _write(path: Path, **arrays: np.ndarray) -> None:
    with whole(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
