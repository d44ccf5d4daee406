"""What a folder of shards holds and where it comes from: `manifest.json`, one entry a shard, with hashes.

One entry more, "embeddings", holds the hash of each file of embeddings, where there are such.

Each shard carries its own facts, so workers never share a file and the manifest can always be made anew from them.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .files import whole

NAME = "manifest.json"
_EMBEDDINGS = "embeddings"
_ENTRY = {"source": str, "licence": str, "split": str, "sha256": str, "bytes": int, "mtime_ns": int, "items": int}
"""What every entry of a shard has. Facts that came later than it may be missing."""
_COLUMNS = ("mixtures", "rests", "sources", "labels", "captions", "others")
"""What tells a shard from other files of arrays."""
FAULTS = (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a file that is broken off, or altered, can raise."""
FREE_LICENCES = ("CC0", "public domain", "MIT", "BSD", "Apache", "CC-BY-1", "CC-BY-2", "CC-BY-3", "CC-BY-4", "ISC")
"""How licences begin under which material may go into weights that ship; several are joined by "; "."""


@dataclass(frozen=True)
class Facts:
    """Where a shard's sounds come from.

    Attributes:
        source: Data set, or what rendered them, with the names of its note banks.
        licence: SPDX-like names, joined by "; ".
        split: "train", "validation" or "test".
        songs: Names of the songs, where they have any.
        options: What they were encoded with; empty in shards from before it.
        contents: What there was of real songs: labels of the stems, and samples.
        autoencoder: Whose latents they are (`latents.identity`), where they are those of a trained autoencoder.
    """

    source: str = ""
    licence: str = ""
    split: str = ""
    songs: tuple[str, ...] = ()
    options: str = ""
    contents: str = ""
    autoencoder: str = ""

    def differences(self, other: Facts) -> list[str]:
        """What another shard of the same name has otherwise; nothing where this one is from before `options`."""
        if not self.options:
            return []
        return [
            f"{field.name}: {mine or 'none'} there, {theirs or 'none'} asked for"
            for field in fields(self)
            if (mine := getattr(self, field.name)) != (theirs := getattr(other, field.name))
        ]

    @classmethod
    def read(cls, shard: Path) -> Facts:
        """A shard's own facts; empty ones of a shard from before facts.

        Raises:
            InputError: It cannot be read, or is no shard.
        """
        with _opened(shard) as content:
            if "facts" not in content:
                return cls()
            return cls(**{key: _plain(value) for key, value in json.loads(str(content["facts"])).items()})

    def __str__(self) -> str:
        return json.dumps(asdict(self))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def rendered(names: Iterable[str]) -> str:
    """The source of rendered songs: the synthesisers, which always play, and the names of note banks and scores."""
    return ", ".join(["rendered: synthesisers", *names])


def shards(folder: Path) -> list[Path]:
    """A folder's shards, in the order of their names, without the parts that killed runs once left."""
    return [path for path in sorted(folder.glob("*.npz")) if path.is_file() and not path.name.endswith(".tmp.npz")]


def update(folder: Path, shards: list[Path]) -> dict[str, dict[str, Any]]:
    """Bring a folder's manifest up to date: hash shards that are new or were written again, drop those that are gone.

    Embeddings, which are a tenth of the shards' size at most, are all hashed.

    Returns:
        File name of each shard to its entry: facts, sha256, bytes, when it was written (mtime_ns), the count of items.

    Raises:
        InputError: One of them cannot be read, or is no shard.
        OutputError: The disk is full, or the folder cannot be written to.
    """
    known = read(folder)
    entries = {}
    for shard in shards:
        entry = known.get(shard.name)
        now = {"bytes": shard.stat().st_size, "mtime_ns": shard.stat().st_mtime_ns}
        if entry is None or any(entry.get(key) != value for key, value in now.items()):
            entry = {**asdict(Facts.read(shard)), "sha256": sha256(shard), **now, "items": items_of(shard)}
        entries[shard.name] = entry
    embedded = {path.relative_to(folder).as_posix(): sha256(path) for path in _embedded(folder)}
    with whole(folder / NAME) as file:
        content = {**entries, **({_EMBEDDINGS: embedded} if embedded else {})}
        file.write(json.dumps(content, indent=1).encode())
    return read(folder)


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """A manifest's entries of shards; empty where there is none or it cannot be read (it can be made anew)."""
    return {name: entry for name, entry in _content(folder).items() if name != _EMBEDDINGS and _is_complete(entry)}


def embeddings(folder: Path) -> dict[str, str]:
    """A manifest's hashes of embeddings, by path below the folder."""
    found = _content(folder).get(_EMBEDDINGS)
    return found if isinstance(found, dict) else {}


def _content(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_complete(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in _ENTRY.items())


def _embedded(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("embeddings/*/*.npz")) if path.is_file()]


def items_of(shard: Path) -> int:
    """How many triplets a shard holds.

    Raises:
        InputError: It cannot be read, or is no shard.
    """
    with _opened(shard) as content:
        return len(content["labels"])


@contextmanager
def _opened(shard: Path) -> Iterator[Mapping[str, Any]]:
    """The columns of a shard, read as they are asked for."""
    try:
        with np.load(shard) as content:
            if not all(column in content for column in _COLUMNS):
                raise InputError(
                    f"{shard} is no shard of `python -m mgeldm.training.encode`; keep it in another folder."
                )
            yield content
    except FAULTS as error:
        raise InputError(f"{shard} is missing or damaged; run the command that made it again.") from error


def damaged(folder: Path) -> list[Path]:
    """Shards and embeddings that cannot be read whole, whether the manifest knows them or not.

    Those that are as it says need no other proof; those written since agree with their own checksums.

    Raises:
        OSError: One may not be read, which does not mean that it is damaged.
    """
    stated = {name: entry["sha256"] for name, entry in read(folder).items()} | embeddings(folder)
    names = {path: path.relative_to(folder).as_posix() for path in (*shards(folder), *_embedded(folder))}
    return [path for path, name in names.items() if sha256(path) != stated.get(name) and not _is_whole(path)]


def _is_whole(shard: Path) -> bool:
    """Whether every part of a shard agrees with the checksum that it was written with."""
    try:
        with zipfile.ZipFile(shard) as content:
            return content.testzip() is None
    except FAULTS:
        return False


def unfit_to_ship(folder: Path) -> dict[str, str]:
    """Shards that weights which ship must not see, and their licence: not free, or not known."""
    found = {}
    for name, entry in read(folder).items():
        licences = [part.strip() for part in entry["licence"].split(";")]
        if not all(part.startswith(FREE_LICENCES) for part in licences):
            found[name] = entry["licence"]
    return found


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
