"""`python -m mgeldm.training.encode`: fill a folder with shards of triplets: rendered, of real stems, or of a data set.

Each shard is made from its own seed and appears only when it is whole, so a run that was stopped goes on where it was,
and workers never collide. `manifest.json` says what the folder holds; a shard that does not fit its hash is made anew.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import soxr
import torch

from ..data import corpus, latents, manifest
from ..data.bank import bank_licence, load_bank
from ..data.embeddings import embed, has_audio, write_audio
from ..data.latents import Encoder, Triplets, WaveformEncoder, identity
from ..data.manifest import Facts
from ..data.matching import matched
from ..data.midi import read_scores, score_licence
from ..data.production import Space, recolour
from ..data.readers import READERS, open_set, song_licence
from ..data.songs import Song, Stem
from ..data.triplets import Shares
from ..data.wide import render_wide_song
from ..errors import InputError, MgeldmError
from ..pipeline import Pipeline
from ..pipeline.compute import choose_device

MAX_SHIFT_SEMITONES = 3.0  # random speed of real stems, up and down
SONG_S = 24.0
REMIXES = 24  # mixtures drawn from one set of pieces
OURS = "MIT"  # licence of what this project's own synthesisers render


@dataclass(frozen=True)
class Material:
    """What the shards of a run are made of; it travels to the workers with each job.

    Attributes:
        out: Folder of the shards.
        shares: How often a window gives a silent source or a union.
        split: What the shards are for: "train", "validation" or "test".
        banks: Notes to render with.
        scores: MIDI songs that wide songs may play; None renders songs that are not wide.
        folders: Songs of real stems.
        recoloured: Share of their stems that another production is laid over.
    """

    out: Path
    shares: Shares = field(default_factory=Shares)
    split: str = "train"
    banks: Sequence[Path] = ()
    scores: Sequence[Path] | None = None
    folders: Sequence[Path] = ()
    recoloured: float = 0.0

    def encoder(self) -> Encoder:
        """What cuts songs into triplets."""
        return Encoder(absent=self.shares.absent, unions=self.shares.unions)

    def renderer(self) -> Callable[[int], Song]:
        """Seed to a rendered song of 24 s."""
        loaded = [load_bank(bank) for bank in self.banks]
        if self.scores is None:
            return lambda seed: corpus.render_song(seed, loaded, SONG_S, self.split)
        scores = [score for path in self.scores for score in read_scores(path)]
        return lambda seed: render_wide_song(seed, loaded, SONG_S, self.split, scores)

    def facts(self, count: str, folders: Sequence[Path] = (), rendered: bool = True) -> Facts:
        """Facts of a shard of real songs, of rendered ones, or of both; `count` says how much is drawn of them."""
        scores, sources, licences = self.scores or (), [], []
        if folders:
            sources.append("real stems")
            licences += [song_licence(folder) for folder in folders]
        if rendered:
            sources.append("rendered: " + ", ".join(["synthesisers", *(path.stem for path in (*self.banks, *scores))]))
            licences += [OURS, *map(bank_licence, self.banks), *map(score_licence, scores)]
        apart = dict.fromkeys(part for licence in licences for part in licence.split("; "))
        contents = "; ".join(_contents(corpus.read_real_song(folder)) for folder in folders)
        names = tuple(folder.name for folder in folders)
        return Facts("; ".join(sources), "; ".join(apart), self.split, names, self.options(count), contents)

    def options(self, count: str) -> str:
        """What else decides what a shard holds."""
        recoloured = f", {self.recoloured:g} recoloured" if self.recoloured else ""
        return f"{count}, {self.shares.absent:g} absent, {self.shares.unions:g} unions{recoloured}"


def _contents(song: Song) -> str:
    """What tells a song from another of the same name."""
    return f"{', '.join(sorted(stem.label for stem in song.stems))} of {song.samples} samples"


def is_wanted(shard: Path, facts: Facts) -> bool:
    """Whether a shard is still to be made.

    Raises:
        InputError: There is one of that name with other facts.
    """
    if shard.exists() and (differences := Facts.read(shard).differences(facts)):
        raise InputError(
            f"{shard.parent} holds shards of the same names that were made otherwise ({'; '.join(differences)}); fill "
            "another folder, or delete them to have them made anew."
        )
    return not shard.exists()


def write_shard(out: Path, name: str, facts: Facts, make: Callable[[], Iterable[Triplets]]) -> None:
    """One shard, unless it is there already.

    Raises:
        InputError: It is there and was made otherwise, or nothing sounds in it.
    """
    path = out / f"{name}.npz"
    if is_wanted(path, facts):
        torch.set_num_threads(1)
        latents.save(path, list(make()), facts)


def encode_synthetic(material: Material, number: int, songs: int) -> None:
    """One shard of rendered songs."""

    def make() -> Iterator[Triplets]:
        encoder, render = material.encoder(), material.renderer()
        rng = np.random.default_rng((number, material.split == "train"))
        for i in range(songs):
            yield encoder.encode(render(corpus.seed_of(number, i)), corpus.CAPTIONS, rng)

    name = "synthetic" if material.scores is None else "wide"
    write_shard(material.out, f"{name}-{number:05d}", material.facts(f"{songs} songs"), make)


def encode_real(material: Material, number: int, passes: int, folder: Path) -> None:
    """One shard of one real song, drawn at random places, at a few speeds (pitch and tempo together)."""

    def make() -> Iterator[Triplets]:
        song, rng, encoder = corpus.read_real_song(folder), np.random.default_rng(number), material.encoder()
        for _ in range(passes):
            piece = _recoloured(_piece(song, 60.0, rng), material.recoloured, rng)
            yield encoder.encode(piece, corpus.CAPTIONS, rng, windows=9)

    facts = material.facts(f"{passes} passes", [folder], rendered=False)
    write_shard(material.out, f"real-{folder.name}-{number:03d}", facts, make)


def encode_remixed(material: Material, number: int, passes: int) -> None:
    """One shard of mixtures across songs: real stems of several songs and rendered ones, each at its own place."""

    def make() -> Iterator[Triplets]:
        render, rng = material.renderer(), np.random.default_rng((number, 77))
        songs, encoder = [corpus.read_real_song(folder) for folder in material.folders], material.encoder()
        for i in range(passes):
            pieces = [_recoloured(_piece(song, 30.0, rng), material.recoloured, rng) for song in songs]
            parts = [stem for piece in pieces for stem in piece.stems]
            for j in range(2):
                seed = 2**32 - 1 - (number * 100 + 2 * i + j)  # from the far end: no song of `encode_synthetic`
                parts += render(seed).stems
            for _ in range(REMIXES):
                chosen = {parts[k].label: parts[k] for k in rng.permutation(len(parts))[: rng.integers(3, 6)]}
                cut = [_crop(stem, encoder.config.window_samples, rng) for stem in chosen.values()]
                found = encoder.encode(cut, corpus.CAPTIONS, rng, windows=1)
                yield replace(found, strange=np.ones(len(found), bool))

    name = "remixed" if material.scores is None else "remixed-wide"
    write_shard(material.out, f"{name}-{number:04d}", material.facts(f"{passes} passes", material.folders), make)


def encode_matched(material: Material, number: int, passes: int) -> None:
    """One shard of mixtures that could be one song: two real ones and a rendered one at one tempo, in one key."""

    def make() -> Iterator[Triplets]:
        render, rng, encoder = material.renderer(), np.random.default_rng((number, 78)), material.encoder()
        for i in range(passes):
            seed = 2**31 - 1 - (number * 100 + i)  # neither a song of `encode_synthetic` nor of `encode_remixed`
            chosen = [material.folders[k] for k in rng.permutation(len(material.folders))[:2]]
            song = matched([*map(corpus.read_real_song, chosen), render(seed)], SONG_S, rng)
            yield encoder.encode(_recoloured(song, material.recoloured, rng), corpus.CAPTIONS, rng)

    write_shard(material.out, f"matched-{number:04d}", material.facts(f"{passes} passes", material.folders), make)


def encode_song(
    material: Material, song: Song, windows: int, published: Path | None = None, clap: Path | None = None
) -> None:
    """One shard of one song of a data set, as the paper draws its segments; latents and embeddings if `published`."""
    out, name = material.out, f"{song.source}-{song.name}".lower().replace(" ", "-").replace("/", "-")
    options = material.options(f"{windows} windows")
    facts = Facts(song.source, song.licence, song.split, (song.name,), options, _contents(song))
    rng = np.random.default_rng(list(name.encode()))
    if published is None:
        write_shard(out, name, facts, lambda: [material.encoder().encode(song, corpus.CAPTIONS, rng, windows)])
        return
    path, place = out / f"{name}.npz", out / "embeddings" / "published"
    encoder = _published_encoder(published, clap, material.shares)
    facts = replace(facts, autoencoder=identity(encoder.autoencoder.state_dict()))
    if is_wanted(path, facts) or not has_audio(place, path):  # a run may have been stopped between the two
        torch.set_num_threads(1)
        found, audio = encoder.encode(song, corpus.CAPTIONS, rng, windows)
        latents.save(path, [found], facts)
        place.mkdir(parents=True, exist_ok=True)
        write_audio(place / path.name, audio, manifest.sha256(path))


@lru_cache(1)
def _published_encoder(model: Path, clap: Path | None, shares: Shares) -> WaveformEncoder:
    pipeline = Pipeline.load(model, "cpu", clap)
    autoencoder = pipeline.model.autoencoder.to(choose_device())  # alone: a denoiser a worker would fill the GPU
    return WaveformEncoder(pipeline.config, autoencoder, pipeline.conditioner, shares)


def _piece(song: Song, duration_s: float, rng: np.random.Generator) -> Song:
    """A random piece of a real song at a random speed."""
    start_s = rng.uniform(0, max(song.duration_s - duration_s, 0))
    rate_hz = 44100 / float(2 ** (rng.uniform(-MAX_SHIFT_SEMITONES, MAX_SHIFT_SEMITONES) / 12))
    piece = song.read(start_s, duration_s)
    piece.stems = [replace(s, audio=soxr.resample(s.audio.T, 44100, rate_hz, quality="MQ").T) for s in piece.stems]
    return piece


def _recoloured(song: Song, share: float, rng: np.random.Generator) -> Song:
    """A song in memory, some of whose stems another production is laid over, in one room."""
    if share:
        space = Space.draw(rng, song.tempo_bpm or 120.0)
        changed = [rng.random() < share for _ in song.stems]
        song.stems = [
            replace(stem, audio=recolour(stem.audio, space, rng)) if change else stem
            for stem, change in zip(song.stems, changed, strict=True)
        ]
    return song


def _crop(stem: Stem, samples: int, rng: np.random.Generator) -> Stem:
    """A random window of a stem, the loudest of three, at a common level."""
    starts = rng.integers(0, stem.audio.shape[1] - samples + 1, 3)
    crop = max((stem.audio[:, s : s + samples] for s in starts), key=lambda x: float(np.square(x).sum()))
    level = float(np.sqrt(np.square(crop).mean()))
    return replace(stem, audio=crop * (0.05 / level) if level > 1e-3 else crop)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and fill the folder."""
    args = _parser().parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    for path in manifest.damaged(args.out):
        print(f"{path.name} is not what the manifest says; it is made anew.", file=sys.stderr)
        path.unlink()
    asked, failed = _run(_jobs(args), args.workers)
    entries = manifest.update(args.out, latents.shards(args.out))
    if failed == asked:
        raise InputError(f"None of the {asked} shards asked for could be made; look above for why.")
    if args.embed is not None:
        pipeline = Pipeline.load(args.embed, clap=args.clap)
        name = pipeline.model.sha256[:12] if pipeline.config.is_embedded else "published"
        embed(args.out, pipeline.conditioner, name)
    items = sum(entry["items"] for entry in entries.values())
    missing = f", {failed} of those asked for could not be made" if failed else ""
    unfit = len(manifest.unfit_to_ship(args.out))
    print(f"{args.out}: {len(entries)} shards, {items} triplets, {unfit} unfit to ship{missing}")


def _run(jobs: Iterable[Callable[[], None]], workers: int) -> tuple[int, int]:
    """How many jobs there were and how many failed; each cause is said once, however many it befell.

    Raises:
        InputError: There were none.
    """
    causes: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        results = [pool.apply_async(job) for job in jobs]
        for result in results:
            try:
                result.get()
            except (MgeldmError, OSError) as error:
                causes[str(error)] += 1
                if causes[str(error)] == 1:
                    print(error, file=sys.stderr)
    if not results:
        raise InputError("There is nothing to encode: no song could be used or is of that split, or --shards is 0.")
    return len(results), causes.total()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bank", type=Path, action="append", default=[], help="notes to render with; may be repeated")
    parser.add_argument("--real", type=Path, help="folder of song folders of stems, remixed with --bank")
    parser.add_argument("--matched", action="store_true", help="mix --real across songs of one tempo and key")
    parser.add_argument("--recolour", type=float, default=0.0, help="share of --real stems produced anew")
    parser.add_argument("--data", choices=READERS, help="encode a data set, a shard a song")
    parser.add_argument("--from", type=Path, dest="folder", help="folder of that data set")
    parser.add_argument("--subset", choices=("A", "B"), help="of Slakh2100, as in the paper")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        help="default: train, of --data stems all; moises and stems keep a tenth for tests, by the songs' names",
    )
    parser.add_argument("--wide", action="store_true", help="render wide songs: more sounds, mixed kits, production")
    parser.add_argument("--scores", type=Path, action="append", default=[], help="MIDI songs for --wide, or a Doom WAD")
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first shard")
    parser.add_argument("--songs", type=int, default=10, help="songs, or passes over real ones, a shard")
    parser.add_argument("--windows", type=int, default=40, help="segments drawn from each song of a data set")
    parser.add_argument("--absent", type=float, default=0.06, help="share of silent sources")
    parser.add_argument("--unions", type=float, default=0.0, help="share of sources that sum stems")
    parser.add_argument("--published", type=Path, help="checkpoint of the published form: store its latents (--data)")
    parser.add_argument("--clap", type=Path, help="CLAP weights, for --published and --embed")
    parser.add_argument("--embed", help="then store embeddings of texts and sounds by this model")
    parser.add_argument("--workers", type=int, default=1)
    return parser


def _jobs(args: argparse.Namespace) -> Iterator[Callable[[], None]]:
    """What is to be made, as calls that travel to workers."""
    material = _material(args)
    numbers = range(args.first, args.first + args.shards)
    if args.data is not None:
        if args.folder is None:
            raise InputError("--data says what the data set is; say where with --from.")
        options = {} if args.split is None else {"split": args.split}
        options |= {"subset": args.subset} if args.data == "slakh" else {}
        for song in open_set(args.data, args.folder, **options):
            yield partial(encode_song, material, song, args.windows, args.published, args.clap)
    elif args.real is not None and not args.bank and not args.matched:
        for n in numbers:
            for folder in material.folders:
                yield partial(encode_real, material, n, args.songs, folder)
    else:
        make = encode_synthetic if args.real is None else encode_matched if args.matched else encode_remixed
        for n in numbers:
            yield partial(make, material, n, args.songs)


def _material(args: argparse.Namespace) -> Material:
    """What the command line says that shards are made of; of real songs one is for tests, the others for training.

    Raises:
        InputError: Files or songs are missing, or there is no such split.
    """
    split, folders = args.split or "train", []
    for path in (*args.bank, *args.scores):
        if not path.exists():
            raise InputError(f"There is no {path}; `python -m mgeldm.data.bank` makes note banks.")
    if args.data is None and split not in ("train", "test"):
        raise InputError(f"Of rendered and --real songs there is no split {split!r}; choose train or test.")
    if args.data is None and args.published is not None:
        raise InputError("--published stores latents of the songs of a data set; say which with --data and --from.")
    if args.real is not None:
        folders = sorted(folder for folder in args.real.glob("[!.]*") if folder.is_dir())
        folders = [folder for folder in folders if (folder.name == corpus.HELD_OUT_SONG) == (split == "test")]
        if not folders:
            wanted = f"song {corpus.HELD_OUT_SONG}, which is for tests" if split == "test" else "folder of stems"
            raise InputError(f"There is no {wanted}, in {args.real}; give a folder of folders of stems with --real.")
    scores = args.scores if args.wide else None
    return Material(args.out, Shares(args.absent, args.unions), split, args.bank, scores, folders, args.recolour)


if __name__ == "__main__":
    try:
        main()
    except MgeldmError as error:
        sys.exit(str(error))
