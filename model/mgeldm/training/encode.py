"""`python -m mgeldm.training.encode`: fill a folder with shards of triplets, from the renderer or from real stems.

Each shard is made from its own seed, so a run that was stopped goes on where it was, and workers never collide.
"""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import soxr
import torch

from ..data import corpus, latents
from ..data.bank import load_bank

MAX_SHIFT_SEMITONES = 3.0  # random speed of real stems, up and down


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
        items.append(encoder.encode(song.stems, corpus.CAPTIONS, rng))
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
        stems = _piece(song, 60.0, rng, MAX_SHIFT_SEMITONES)
        items.append(encoder.encode(stems, corpus.CAPTIONS, rng, windows=9))
    latents.save(path, items)


def encode_remixed(number: int, out: Path, folders: list[Path], banks: list[Path], passes: int) -> None:
    """One shard of mixtures across songs: real stems of several songs and rendered ones, each at its own place."""
    path = out / f"remixed-{number:04d}.npz"
    if path.exists():
        return
    torch.set_num_threads(1)
    loaded, rng = [load_bank(bank) for bank in banks], np.random.default_rng((number, 77))
    songs = [corpus.read_real_song(folder) for folder in folders]
    encoder, items = latents.Encoder(), []
    for i in range(passes):
        parts = [stem for song in songs for stem in _piece(song, 30.0, rng, MAX_SHIFT_SEMITONES)]
        for j in range(2):
            seed = 2**32 - 1 - (number * 100 + 2 * i + j)  # from the far end: no song of `encode_synthetic`
            parts += corpus.render_song(seed, loaded, duration_s=24.0).stems
        for _ in range(24):
            chosen = {parts[k].label: parts[k] for k in rng.permutation(len(parts))[: rng.integers(3, 6)]}
            cut = [_crop(stem, encoder.config.window_samples, rng) for stem in chosen.values()]
            items.append(encoder.encode(cut, corpus.CAPTIONS, rng, windows=1))
    latents.save(path, items)


def _piece(song: corpus.RealSong, duration_s: float, rng: np.random.Generator, semitones: float) -> list[corpus.Stem]:
    """A random piece of a real song at a random speed."""
    start_s = rng.uniform(0, max(song.duration_s - duration_s, 0))
    rate_hz = 44100 / float(2 ** (rng.uniform(-semitones, semitones) / 12))
    stems = song.read(start_s, duration_s).stems
    return [replace(s, audio=soxr.resample(s.audio.T, 44100, rate_hz, quality="MQ").T) for s in stems]


def _crop(stem: corpus.Stem, samples: int, rng: np.random.Generator) -> corpus.Stem:
    """A random window of a stem, the loudest of three, at a common level."""
    starts = rng.integers(0, stem.audio.shape[1] - samples + 1, 3)
    crop = max((stem.audio[:, s : s + samples] for s in starts), key=lambda x: float(np.square(x).sum()))
    level = float(np.sqrt(np.square(crop).mean()))
    return replace(stem, audio=crop * (0.05 / level) if level > 1e-3 else crop)


def main() -> None:
    """Parse the command line and fill the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bank", type=Path, action="append", default=[])
    parser.add_argument("--real", type=Path, help="folder of song folders of stems")
    parser.add_argument("--split", default="train", choices=("train", "test"))
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--songs", type=int, default=10, help="songs, or passes over real ones, a shard")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    numbers = range(args.shards)
    if args.real is None:
        jobs = [partial(encode_synthetic, n, args.out, args.bank, args.split, args.songs) for n in numbers]
    else:
        test = args.split == "test"
        folders = [f for f in sorted(args.real.iterdir()) if f.is_dir() and (f.name == corpus.HELD_OUT_SONG) == test]
        jobs = [partial(encode_real, n, args.out, f, args.songs) for n in numbers for f in folders]
        if args.bank:
            jobs = [partial(encode_remixed, n, args.out, folders, args.bank, args.songs) for n in numbers]
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        for result in [pool.apply_async(job) for job in jobs]:
            result.get()


if __name__ == "__main__":
    main()
