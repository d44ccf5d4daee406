"""`python -m mgeldm.training.encode`: fill a folder with shards of triplets, from the renderer or from real stems.

Each shard is made from its own seed, so a run that was stopped goes on where it was, and workers never collide.
"""

from __future__ import annotations

import argparse
import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np
import soxr
import torch

from ..data import corpus, latents
from ..data.bank import load_bank

HELD_OUT_SONG = "sodium"  # of the real stems; never trained on


def encode_synthetic(number: int, out: Path, banks: list[Path], split: str, songs: int) -> None:
    """One shard of rendered songs."""
    path = out / f"synthetic-{number:05d}.npz"
    if path.exists():
        return
    torch.set_num_threads(1)
    encoder, loaded = latents.Encoder(), [load_bank(bank) for bank in banks]
    rng = np.random.default_rng((number, split == "train"))
    items = []
    for i in range(songs):
        song = corpus.render_song(number * 1000 + i, loaded, duration_s=24.0, split=split)
        stems: dict[str, np.ndarray] = {}
        for stem in song.stems:
            mono = stem.audio.mean(0)
            stems[stem.label] = stems[stem.label] + mono if stem.label in stems else mono
        items.append(encoder.encode(stems, sorted(corpus.CAPTIONS), rng))
    latents.save(path, items)


def encode_real(number: int, out: Path, folder: Path, passes: int) -> None:
    """One shard of one real song, drawn at random places, at a few speeds (pitch and tempo together)."""
    path = out / f"real-{folder.name}-{number:03d}.npz"
    if path.exists():
        return
    torch.set_num_threads(1)
    song, rng = corpus.read_real_song(folder), np.random.default_rng(number)
    encoder, items = latents.Encoder(), []
    for _ in range(passes):
        speed = float(2 ** rng.uniform(-3 / 12, 3 / 12))
        stems = {s.label: soxr.resample(s.audio.mean(0), 44100, 44100 / speed, quality="QQ") for s in song.stems}
        items.append(encoder.encode(stems, sorted(corpus.CAPTIONS), rng, windows=40))
    latents.save(path, items)


def main() -> None:
    """Parse the command line and fill the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bank", type=Path, action="append", default=[])
    parser.add_argument("--real", type=Path, help="folder of song folders of stems")
    parser.add_argument("--split", default="train", choices=("train", "test"))
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--songs", type=int, default=10, help="rendered songs a shard")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.real is not None:
        folders = [f for f in sorted(args.real.iterdir()) if f.is_dir() and (f.name == HELD_OUT_SONG) == (args.split == "test")]
        jobs = [partial(encode_real, n, args.out, f, 3) for n in range(args.shards) for f in folders]
    else:
        jobs = [partial(encode_synthetic, n, args.out, args.bank, args.split, args.songs) for n in range(args.shards)]
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        for result in [pool.apply_async(job) for job in jobs]:
            result.get()


if __name__ == "__main__":
    main()
