"""`python -m mgeldm.training.encode`: fill a folder with shards of triplets: rendered, of real stems, or of a data set.

Each shard is made from its own seed and appears only when it is whole, so a run that was stopped goes on where it was,
and workers never collide. Before any is made those that are there are checked: a folder holds no shards of one command
that were made otherwise. `manifest.json` says what the folder holds; a shard that cannot be read whole is made anew.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..data import corpus, latents, manifest
from ..data.bank import bank_licence
from ..data.captions import CAPTIONS, alike, kinds
from ..data.embeddings import embed, has_audio, write_audio
from ..data.files import make_folder, run
from ..data.latents import Encoder, Triplets, WaveformEncoder, identity
from ..data.manifest import Facts
from ..data.matching import matched
from ..data.midi import read_scores, score_licence
from ..data.production import Space, recolour
from ..data.readers import READERS, files_of, open_set, song_licence
from ..data.songs import Song, Stem
from ..data.triplets import Shares
from ..data.wide import render_wide_song
from ..errors import InputError, MgeldmError, OutputError
from ..pipeline import Pipeline
from ..pipeline.compute import choose_device
from .sounds import loaded
from .workers import processes

MAX_SHIFT_SEMITONES = 3.0  # random speed of real stems, up and down
SONG_S = 27.0  # four windows, and half of one for them to begin anywhere in
REMIXES = 24  # mixtures drawn from one set of pieces
TOLD = 10  # songs that cannot be used, by name; of more their number is said
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
        """Seed to a rendered song of `SONG_S`."""
        banks = loaded(tuple(self.banks))
        if self.scores is None:
            return lambda seed: corpus.render_song(seed, banks, SONG_S, self.split)
        scores = [score for path in self.scores for score in read_scores(path)]
        return lambda seed: render_wide_song(seed, banks, SONG_S, self.split, scores)

    def facts(self, count: str, folders: Sequence[Path] = (), rendered: bool = True) -> Facts:
        """Facts of a shard of real songs, of rendered ones, or of both; `count` says how much is drawn of them."""
        scores, sources, licences = self.scores or (), [], []
        if folders:
            sources.append("real stems")
            licences += [song_licence(folder) for folder in folders]
        if rendered:
            sources.append(manifest.rendered(path.stem for path in (*self.banks, *scores)))
            licences += [OURS, *map(bank_licence, self.banks), *map(score_licence, scores)]
            count += f" of rendering {corpus.RENDERING}"
        apart = dict.fromkeys(part for licence in licences for part in licence.split("; "))
        contents = "; ".join(_contents(_real_song(folder)) for folder in folders)
        names = tuple(folder.name for folder in folders)
        return Facts("; ".join(sources), "; ".join(apart), self.split, names, self.options(count), contents)

    def options(self, count: str) -> str:
        """What else decides what a shard holds."""
        recoloured = f", {self.recoloured:g} recoloured" if self.recoloured else ""
        return f"{count}, {self.shares.absent:g} absent, {self.shares.unions:g} unions{recoloured}"


def _contents(song: Song) -> str:
    """What tells a song from another of the same name."""
    return f"{', '.join(sorted(stem.label for stem in song.stems))} of {song.samples} samples"


def _real_song(folder: Path) -> Song:
    """A song of real stems, read again and again; what is left out of it was said once, by `_material`."""
    return corpus.read_real_song(folder, on_skip=lambda text: None)


@dataclass(frozen=True)
class Shard:
    """A shard that is asked for.

    Attributes:
        path: Where it goes.
        facts: What it will say of itself.
        make: Gives its triplets, for the published form with their embeddings.
        embeddings: Folder that these go to, if any.
    """

    path: Path
    facts: Facts
    make: Callable[[], Iterable[Any]]
    embeddings: Path | None = None

    def differences(self) -> list[str]:
        """What the shard of this name that is there, if any, has otherwise."""
        return Facts.read(self.path).differences(self.facts) if self.path.exists() else []

    def write(self) -> None:
        """Make it, unless it is there already.

        Raises:
            InputError: Nothing sounds in it.
            OutputError: The disk is full, or the folder cannot be written to.
        """
        torch.set_num_threads(1)
        place = self.embeddings
        if place is None and not self.path.exists():
            latents.save(self.path, list(self.make()), self.facts)
        elif place is not None and not (self.path.exists() and has_audio(place, self.path)):  # stopped between the two
            ((found, audio),) = self.make()
            latents.save(self.path, [found], self.facts)
            make_folder(place)
            write_audio(place / self.path.name, audio, manifest.sha256(self.path))


class Job(NamedTuple):
    """What is to be made, as a call that travels to workers.

    Attributes:
        name: What the user knows it by: a song, or the number of a shard.
        shard: Gives the shard.
    """

    name: str
    shard: Callable[[], Shard]


def synthetic_shard(material: Material, number: int, songs: int) -> Shard:
    """A shard of rendered songs."""

    def make() -> Iterator[Triplets]:
        encoder, render = material.encoder(), material.renderer()
        rng = np.random.default_rng((number, material.split == "train"))
        for i in range(songs):
            yield encoder.encode(render(corpus.seed_of(number, i)), CAPTIONS, rng)

    name = "synthetic" if material.scores is None else "wide"
    return Shard(material.out / f"{name}-{number:05d}.npz", material.facts(f"{songs} songs"), make)


def real_shard(material: Material, number: int, passes: int, folder: Path) -> Shard:
    """A shard of one real song, drawn at random places, at a few speeds (pitch and tempo together)."""

    def make() -> Iterator[Triplets]:
        song, rng, encoder = _real_song(folder), np.random.default_rng(number), material.encoder()
        for _ in range(passes):
            piece = _recoloured(_piece(song, 60.0, rng), material.recoloured, rng)
            yield encoder.encode(piece, CAPTIONS, rng, windows=9)

    facts = material.facts(f"{passes} passes", [folder], rendered=False)
    return Shard(material.out / f"real-{folder.name}-{number:03d}.npz", facts, make)


def remixed_shard(material: Material, number: int, passes: int) -> Shard:
    """A shard of mixtures across songs: real stems of several songs and rendered ones, each at its own place."""

    def make() -> Iterator[Triplets]:
        render, rng = material.renderer(), np.random.default_rng((number, 77))
        songs, encoder = [_real_song(folder) for folder in material.folders], material.encoder()
        for i in range(passes):
            pieces = [_recoloured(_piece(song, 30.0, rng), material.recoloured, rng) for song in songs]
            parts = [stem for piece in pieces for stem in piece.stems]
            for j in range(2):
                seed = 2**32 - 1 - (number * 100 + 2 * i + j)  # from the far end: no song of `synthetic_shard`
                parts += render(seed).stems
            for _ in range(REMIXES):
                chosen = _unlike(parts, int(rng.integers(3, 6)), rng)
                cut = [_crop(stem, encoder.config.window_samples, rng) for stem in chosen]
                found = encoder.encode(cut, CAPTIONS, rng, windows=1)
                yield replace(found, strange=np.ones(len(found), bool))

    name = "remixed" if material.scores is None else "remixed-wide"
    facts = material.facts(f"{passes} passes", material.folders)
    return Shard(material.out / f"{name}-{number:04d}.npz", facts, make)


def matched_shard(material: Material, number: int, passes: int) -> Shard:
    """A shard of mixtures that could be one song: two real ones and a rendered one at one tempo, in one key."""

    def make() -> Iterator[Triplets]:
        render, rng, encoder = material.renderer(), np.random.default_rng((number, 78)), material.encoder()
        for i in range(passes):
            seed = 2**31 - 1 - (number * 100 + i)  # neither a song of `synthetic_shard` nor of `remixed_shard`
            chosen = [material.folders[k] for k in rng.permutation(len(material.folders))[:2]]
            song = matched([*map(_real_song, chosen), render(seed)], SONG_S, rng)
            yield encoder.encode(_recoloured(song, material.recoloured, rng), CAPTIONS, rng)

    facts = material.facts(f"{passes} passes", material.folders)
    return Shard(material.out / f"matched-{number:04d}.npz", facts, make)


def song_shard(
    material: Material, song: Song, name: str, windows: int, published: Path | None = None, clap: Path | None = None
) -> Shard:
    """A shard of one song of a data set, as the paper draws its segments; latents and embeddings if `published`."""
    path = material.out / f"{name}.npz"
    options = material.options(f"{windows} windows")
    facts = Facts(song.source, song.licence, song.split, (song.name,), options, _contents(song))
    rng = np.random.default_rng(list(name.encode()))
    if published is None:
        return Shard(path, facts, lambda: [material.encoder().encode(song, CAPTIONS, rng, windows)])
    encoder = _published_encoder(published, clap, material.shares)
    facts = replace(facts, autoencoder=identity(encoder.autoencoder.state_dict()))
    make = partial(encoder.encode, song, CAPTIONS, rng, windows)
    return Shard(path, facts, lambda: [make()], material.out / "embeddings" / "published")


def named(songs: Iterable[Song], out: Path) -> Iterator[tuple[str, Song]]:
    """The name of each song's shard, and the song.

    Of songs whose names differ by case alone, or by a space for a dash, the first has the plain name, the others have
    a few digits more; so has one whose plain name a shard of another song has.
    """
    taken = set()
    for song in songs:
        name = f"{song.source}-{song.name}".lower().replace(" ", "-").replace("/", "-")
        path = out / f"{name}.npz"
        heard = Facts.read(path).songs if path.exists() else ()  # none in shards from before facts
        if name in taken or heard not in ((), (song.name,)):
            name += "-" + hashlib.sha256(song.name.encode()).hexdigest()[:8]
        taken.add(name)
        yield name, song


@lru_cache(1)
def _published_encoder(model: Path, clap: Path | None, shares: Shares) -> WaveformEncoder:
    pipeline = Pipeline.load(model, "cpu", clap)
    autoencoder = pipeline.model.autoencoder.to(choose_device())  # alone: a denoiser a worker would fill the GPU
    return WaveformEncoder(pipeline.config, autoencoder, pipeline.conditioner, shares)


def _piece(song: Song, duration_s: float, rng: np.random.Generator) -> Song:
    """A random piece of a real song at a random speed."""
    import soxr  # not wanted where songs are rendered only

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
            replace(stem, audio=recolour(stem.audio, stem.label, space, rng)) if change else stem
            for stem, change in zip(song.stems, changed, strict=True)
        ]
    return song


def _unlike(stems: Sequence[Stem], count: int, rng: np.random.Generator) -> list[Stem]:
    """Up to `count` random stems, none of which may contain another: "drums" would be taught to leave out a kick."""
    chosen: list[Stem] = []
    known = [stem for stem in stems if kinds(stem.label)]  # what may be anything may contain all others
    for i in rng.permutation(len(known)):
        if len(chosen) < count and not any(alike(known[i].label, stem.label) for stem in chosen):
            chosen.append(known[i])
    return chosen


def _crop(stem: Stem, samples: int, rng: np.random.Generator) -> Stem:
    """A random window of a stem, the loudest of three, at a common level."""
    starts = rng.integers(0, stem.audio.shape[1] - samples + 1, 3)
    crop = max((stem.audio[:, s : s + samples] for s in starts), key=lambda x: float(np.square(x).sum()))
    level = float(np.sqrt(np.square(crop).mean()))
    return replace(stem, audio=crop * (0.05 / level) if level > 1e-3 else crop)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and fill the folder."""
    args = _parser().parse_args(arguments)
    _check(args)
    make_folder(args.out)
    _mend(args.out)
    jobs = list(_jobs(args))
    if not jobs:
        why = "--shards is 0" if args.data is None else "no song could be used or is of that split"
        raise InputError(f"There is nothing to encode: {why}; ask for others.")
    try:
        failed = _run(jobs, args.workers)
    finally:  # a run that ends early has made some, too
        if made := latents.shards(args.out):
            manifest.update(args.out, made)
    entries = manifest.read(args.out)
    if failed == len(jobs):
        raise InputError(f"None of the {failed} shards asked for could be made; look above for why.")
    if args.embed is not None:
        pipeline = Pipeline.load(args.embed, clap=args.clap)
        name = pipeline.model.sha256[:12] if pipeline.config.is_embedded else "published"
        embed(args.out, pipeline.conditioner, name)
    items = sum(entry["items"] for entry in entries.values())
    missing = f", {failed} of those asked for could not be made" if failed else ""
    unfit = len(manifest.unfit_to_ship(args.out))
    print(f"{args.out}: {len(entries)} shards, {items} triplets, {unfit} unfit to ship{missing}")


def _mend(out: Path) -> None:
    """Delete what cannot be read whole, so that it is made anew.

    Raises:
        InputError: There is a file among the shards that is none; it stays.
        OutputError: A file cannot be read or deleted.
    """
    try:
        for path in manifest.damaged(out):
            path.unlink()
            name = path.relative_to(out)
            print(f"{name} cannot be read whole and is deleted; its command makes it anew.", file=sys.stderr)
    except OSError as error:
        raise OutputError(
            f"{error.filename} cannot be read or deleted ({error.strerror}); change its rights, or delete it yourself."
        ) from error
    for path in latents.shards(out):
        manifest.items_of(path)


def _run(jobs: Sequence[Job], workers: int) -> int:
    """Make the shards that are not there yet; returns how many could not be made, which ends no other.

    Raises:
        InputError: There is one that was made otherwise; none is made.
        OutputError: The disk is full, or the folder cannot be written to; what is made stays.
        MgeldmError: A process was ended from outside; what is made stays.
    """
    skipped: Counter[str] = Counter()
    with processes(workers) as pool:
        checked = list(_each(pool, _differences, jobs, skipped))
        if others := [found for _, found in checked if found]:
            raise InputError(
                f"{len(others)} of the {len(jobs)} shards asked for are there and were made otherwise "
                f"({'; '.join(others[0])}), so none is made; fill another folder, or delete them to have them anew."
            )
        for _ in _each(pool, _write, [job for job, _ in checked], skipped):
            pass
    if more := sum(list(skipped.values())[TOLD:]):
        print(f"{more} more are skipped.", file=sys.stderr)
    return skipped.total()


def _each(
    pool: Executor, call: Callable[[Job], Any], jobs: Sequence[Job], skipped: Counter[str]
) -> Iterator[tuple[Job, Any]]:
    """Jobs and what the call returns of each; those that fail are counted, and what fails is said once of each song."""
    for job, result in [(job, pool.submit(call, job)) for job in jobs]:
        try:
            found = result.result()
        except OutputError:
            raise  # no other could be written either
        except (MgeldmError, OSError) as error:
            text = f"{job.name} is skipped: {error}"
            skipped[text] += 1
            if skipped[text] == 1 and len(skipped) <= TOLD:
                print(text, file=sys.stderr)
        else:
            yield job, found


def _differences(job: Job) -> list[str]:
    return job.shard().differences()


def _write(job: Job) -> None:
    job.shard().write()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    bank_help = "notes, drums or words to render with; may be repeated"
    parser.add_argument("--bank", type=Path, action="append", default=[], help=bank_help)
    parser.add_argument("--real", type=Path, help="folder of song folders of stems, remixed with --bank")
    parser.add_argument("--matched", action="store_true", help="mix --real across songs of one tempo and key")
    parser.add_argument("--recolour", type=_share, default=0.0, help="share of --real stems produced anew")
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
    parser.add_argument("--shards", type=_from(0), help="default: 10")
    parser.add_argument("--first", type=_from(0), help="number of the first shard; default: 0")
    parser.add_argument("--songs", type=_from(1), help="songs, or passes over real ones, a shard; default: 10")
    parser.add_argument("--windows", type=_from(1), help="segments drawn from each song of a data set; default: 40")
    parser.add_argument("--absent", type=_share, default=0.06, help="share of silent sources")
    parser.add_argument("--unions", type=_share, default=0.0, help="share of sources that sum stems")
    parser.add_argument("--published", type=Path, help="checkpoint of the published form: store its latents (--data)")
    parser.add_argument("--clap", type=Path, help="CLAP weights, for --published and --embed")
    parser.add_argument("--embed", help="then store embeddings of texts and sounds by this model")
    parser.add_argument("--workers", type=_from(1), default=1)
    return parser


def _from(least: int) -> Callable[[str], int]:
    """Reads a whole number that is not less."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} does not do; give a whole number from {least} on")
        return int(text)

    return number


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; give a number from 0 to 1")
    return share


def _check(args: argparse.Namespace) -> None:
    """Refuse options that would be passed over in silence.

    Raises:
        InputError: There is one.
    """
    for name in ("bank", "real", "matched", "recolour", "wide", "scores", "shards", "first", "songs"):
        if args.data is not None and getattr(args, name) not in (None, False, 0.0, []):
            raise InputError(f"--data takes songs as they are, without --{name}; make its shards by another command.")
    renders = args.real is None or bool(args.bank) or args.matched
    needs = {
        "from": (args.folder, args.data, "the data set's name, --data"),
        "subset": (args.subset, args.data == "slakh", "--data slakh"),
        "published": (args.published, args.data, "songs of a data set, --data and --from"),
        "windows": (args.windows, args.data, "songs of a data set, --data and --from"),
        "clap": (args.clap, args.published or args.embed, "--published or --embed"),
        "matched": (args.matched, args.real, "--real"),
        "recolour": (args.recolour, args.real, "--real"),
        "wide": (args.wide, renders, "--bank or --matched (--real alone renders nothing)"),
        "scores": (args.scores, args.wide, "--wide"),
    }
    for name, (is_given, has, what) in needs.items():
        if is_given and not has:
            raise InputError(f"--{name} does nothing without {what}; add that, or leave it out.")


def _jobs(args: argparse.Namespace) -> Iterator[Job]:
    """What is to be made."""
    material = _material(args)
    first, songs, windows = args.first or 0, args.songs or 10, args.windows or 40
    numbers = range(first, first + (10 if args.shards is None else args.shards))
    if args.data is not None:
        if args.folder is None:
            raise InputError("--data says what the data set is; say where with --from.")
        options = {} if args.split is None else {"split": args.split}
        options |= {"subset": args.subset} if args.data == "slakh" else {}
        for name, song in named(open_set(args.data, args.folder, **options), args.out):
            yield Job(song.name, partial(song_shard, material, song, name, windows, args.published, args.clap))
    elif args.real is not None and not args.bank and not args.matched:
        for n in numbers:
            for folder in material.folders:
                yield Job(folder.name, partial(real_shard, material, n, songs, folder))
    else:
        make = synthetic_shard if args.real is None else matched_shard if args.matched else remixed_shard
        for n in numbers:
            yield Job(f"Shard {n}", partial(make, material, n, songs))


def _material(args: argparse.Namespace) -> Material:
    """What the command line says that shards are made of; of real songs one is for tests, the others for training.

    Raises:
        InputError: Files or songs are missing, a bank is none, or there is no such split.
    """
    split, folders = args.split or "train", []
    for path in (*args.bank, *args.scores):
        if not path.exists():
            raise InputError(f"There is no {path}; `python -m mgeldm.data.bank` makes note banks.")
    for bank in args.bank:
        bank_licence(bank)  # fails of what is no bank
    if args.data is None and split not in ("train", "test"):
        raise InputError(f"Of rendered and --real songs there is no split {split!r}; choose train or test.")
    if args.real is not None:
        folders = sorted(folder for folder in args.real.glob("[!.]*") if folder.is_dir())
        folders = [folder for folder in folders if (folder.name == corpus.HELD_OUT_SONG) == (split == "test")]
        if not folders:
            wanted = f"song {corpus.HELD_OUT_SONG}, which is for tests" if split == "test" else "folder of stems"
            raise InputError(f"There is no {wanted}, in {args.real}; give a folder of folders of stems with --real.")
        for folder in folders:
            files_of(folder)  # says what is left out
    scores = args.scores if args.wide else None
    return Material(args.out, Shares(args.absent, args.unions), split, args.bank, scores, folders, args.recolour)


if __name__ == "__main__":
    run(main)
