"""`python -m mgeldm.training.carry`: a note bank as a file of a few MB, and back, for machines without soundfonts.

    python -m mgeldm.training.carry cache/bank/fluidr3.npz cache/carry/fluidr3.npz
    python -m mgeldm.training.carry --unpack cache/carry/fluidr3.npz cache/bank/fluidr3.npz

The samples are stored as one Ogg Vorbis stream (26 dB above what is lost), a fifteenth of their size.
"""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path

import numpy as np
import soundfile

from ..data.bank import RATE_HZ

_SOUNDS = ("notes", "hits")
_COMPRESSION = 0.8  # of libsndfile, 0 (large) to 1 (small)
_BLOCK = 2**18


def pack(bank: Path, out: Path) -> None:
    """Store a bank's samples as a stream, everything else as it is."""
    with np.load(bank) as data:
        arrays = {name: data[name] for name in data.files}
    stream = io.BytesIO()
    with soundfile.SoundFile(
        stream, "w", RATE_HZ, 1, format="OGG", subtype="VORBIS", compression_level=_COMPRESSION
    ) as file:
        for name in _SOUNDS:
            samples = arrays.pop(name)
            arrays[f"{name}_shape"] = np.array(samples.shape)
            for start in range(0, samples.size, _BLOCK):
                file.write(samples.ravel()[start : start + _BLOCK])
    _write(out, stream=np.frombuffer(stream.getvalue(), np.uint8), **arrays)


def unpack(packed: Path, out: Path) -> None:
    """A bank as `mgeldm.data.bank` writes it, from what `pack` stored."""
    with np.load(packed) as data:
        arrays = {name: data[name] for name in data.files}
    samples, _ = soundfile.read(io.BytesIO(arrays.pop("stream").tobytes()), dtype="int16")
    for name in _SOUNDS:
        shape = arrays.pop(f"{name}_shape")
        size = int(np.prod(shape))
        arrays[name], samples = samples[:size].reshape(shape), samples[size:]
    _write(out, **arrays)


def _write(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp.npz")
    np.savez(aside, **arrays)  # type: ignore[arg-type]
    os.replace(aside, path)


def main(arguments: list[str] | None = None) -> None:
    """Pack or unpack one bank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--unpack", action="store_true")
    args = parser.parse_args(arguments)
    (unpack if args.unpack else pack)(args.bank, args.out)


if __name__ == "__main__":
    main()
