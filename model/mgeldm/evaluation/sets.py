"""What is scored: excerpts of songs that were never trained on and, to see where the loss lies, of songs that were."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..audio import AudioClip
from ..data import corpus, latents
from ..data.bank import load_bank
from ..data.readers import open_set
from ..data.songs import captions_of
from ..errors import InputError

EXCERPT_S = 12.0
AUDIBLE = 2e-3  # level under which a stem counts as silent in an excerpt
_UNSEEN_SEED = 500_000


@dataclass(frozen=True)
class Excerpt:
    """A few seconds of a song: the song's name, one stem a label, and their sum as a clip."""

    name: str
    stems: list[corpus.Stem]
    mixture: AudioClip

    @classmethod
    def of(cls, name: str, song: corpus.Song) -> Excerpt:
        """An excerpt of the stems that a reader or the renderer gave, whose sum is its mixture.

        Stems of one label are one stem, as in training (`data.triplets`): "guitar" asks for all guitars.
        """
        sums: dict[str, np.ndarray] = {}
        for stem in song.stems:
            sums[stem.label] = sums[stem.label] + stem.audio if stem.label in sums else stem.audio
        captions = captions_of(song.stems)
        stems = [corpus.Stem(label, captions[label], audio) for label, audio in sums.items()]
        return cls(name, stems, AudioClip(song.mixture.astype(np.float32), song.rate_hz))

    @property
    def audible(self) -> list[corpus.Stem]:
        """The stems that are heard."""
        return [stem for stem in self.stems if level(stem.audio) > AUDIBLE]

    @property
    def accompanied(self) -> list[corpus.Stem]:
        """The stems that are heard beside others: what there is to separate."""
        return [stem for stem in self.audible if level(self.mixture.samples - stem.audio) > AUDIBLE]


@dataclass(frozen=True)
class ExcerptSet:
    """Excerpts of one kind of music.

    Attributes:
        name: What tables call it.
        kind: Sets of one kind (say "real") are compared: seen against unseen.
        seen: Whether the model was trained on these songs.
        count: How many excerpts there are.
        excerpts: Reads or renders them anew each time, one by one.
    """

    name: str
    kind: str
    seen: bool
    count: int
    excerpts: Callable[[], Iterator[Excerpt]]


@dataclass(frozen=True)
class Material:
    """Where the music comes from.

    Attributes:
        stems: Folder of real songs, `<song>/<label>.opus` (or flac, wav); its song `corpus.HELD_OUT_SONG` is unseen.
        bank: A note bank that training never saw; None renders with the synthesisers alone.
        songs: Rendered songs, and the most excerpts of real ones, in each set.
        seen: Folder of shards that the model was trained on: score rendered songs of it, the other songs of `stems` and
            training songs of the data sets too.
        seen_banks: Banks that training rendered with.
        data_sets: Names of `data.readers.READERS` with their folders; of those with splits the test songs are unseen.
    """

    stems: Path | None = None
    bank: Path | None = None
    songs: int = 24
    seen: Path | None = None
    seen_banks: tuple[Path, ...] = ()
    data_sets: tuple[tuple[str, Path], ...] = ()

    def sets(self) -> list[ExcerptSet]:
        """The sets to score.

        Raises:
            InputError: A folder or bank is missing, or there is nothing to score.
        """
        if self.songs < 1:
            raise InputError("There is nothing to score; ask for at least one song with --songs.")
        for path in (self.bank, *self.seen_banks):
            if path is not None and not path.is_file():
                raise InputError(f"There is no note bank {path}; make it with `python -m mgeldm.data.bank`.")
        unseen = (self.bank,) if self.bank is not None else ()
        seeds = [_UNSEEN_SEED + number for number in range(self.songs)]
        found = [_rendered_set(unseen, seeds, seen=False)]
        if self.stems is not None:
            found.append(self._real_set("real", False, [_held_out(self.stems)]))
        for name, (reader, folder) in _named(self.data_sets).items():
            found += [self._real_set(name, seen, songs) for seen, songs in self._data_set(reader, folder)]
        if self.seen is not None and (seeds := _seeds(self.seen)[: self.songs]):
            found.append(_rendered_set(self.seen_banks, seeds, seen=True))
        if self.seen is not None:
            found += [others] if (others := self.others()) is not None else []
        return found

    def others(self) -> ExcerptSet | None:
        """The real songs but the held-out one, if there are any."""
        folders = other_songs(self.stems) if self.stems is not None else []
        songs = _long_enough(map(corpus.read_real_song, folders))
        return self._real_set("real", True, songs) if songs else None

    def _data_set(self, reader: str, folder: Path) -> list[tuple[bool, list[corpus.Song]]]:
        """Unseen songs of a data set and, where they are asked for, its training songs."""
        splits: tuple[dict[str, str], ...] = ({},)
        if reader != "stems":  # any folder: it has no splits, and nothing of it was trained on
            splits = ({"split": "test"}, {"split": "train"})[: 2 if self.seen else 1]
        songs = [_long_enough(open_set(reader, folder, **split)) for split in splits]
        if not songs[0]:
            raise InputError(
                "There is no song of {least:g} s or longer to score in {folder}; give another with --set {reader}:DIR.",
                least=EXCERPT_S,
                folder=folder,
                reader=reader,
            )
        return [(i > 0, part) for i, part in enumerate(songs) if part]

    def _real_set(self, kind: str, seen: bool, songs: list[corpus.Song]) -> ExcerptSet:
        places = _spread(songs, self.songs)
        return ExcerptSet(_title(kind, seen), kind, seen, len(places), partial(_cut, places))


def _rendered_set(banks: tuple[Path, ...], seeds: Sequence[int], seen: bool) -> ExcerptSet:
    excerpts = partial(_rendered, banks, seeds, "train" if seen else "test")
    return ExcerptSet(_title("synthetic", seen), "synthetic", seen, len(seeds), excerpts)


def _title(kind: str, seen: bool) -> str:
    return f"{kind}, seen" if seen else kind


def _named(data_sets: Sequence[tuple[str, Path]]) -> dict[str, tuple[str, Path]]:
    """Data sets by names of their own: the reader's, where it has several the folder's too, or even its whole path."""
    data_sets = list(dict.fromkeys(data_sets))
    names = [reader for reader, _ in data_sets]
    for shown in (lambda folder: folder.resolve().name, str):
        names = [
            f"{reader} ({shown(folder)})" if names.count(name) > 1 else name
            for name, (reader, folder) in zip(names, data_sets, strict=True)
        ]
    return dict(zip(names, data_sets, strict=True))


def _held_out(stems: Path) -> corpus.Song:
    name = corpus.HELD_OUT_SONG
    if not (stems / name).is_dir():
        raise InputError(
            "There is no song {name} in {stems}; --stems takes the folder of the songs that the model was trained on, "
            "where that one, which it never heard, lies too. For songs of your own give --set stems:{stems}.",
            name=name,
            stems=stems,
        )
    song = corpus.read_real_song(stems / name)
    if not _places(song):
        raise InputError(
            "The song {name} in {stems} has no stem of {least:g} s or longer, so there is nothing to score; give the "
            "folder of the real stems, or songs of your own with --set stems:DIR.",
            name=name,
            stems=stems,
            least=EXCERPT_S,
        )
    return song


def other_songs(stems: Path) -> list[Path]:
    """Folders of the songs that may be trained on."""
    return [folder for folder in sorted(stems.iterdir()) if folder.is_dir() and folder.name != corpus.HELD_OUT_SONG]


def _seeds(pool: Path) -> list[int]:
    """Seeds of the rendered songs that shards begin with; what a killed encoding left, and other shards, are no such.

    Raises:
        InputError: There is no such folder.
    """
    if not pool.is_dir():
        raise InputError(f"There is no folder {pool}; give the one of the shards that training read.")
    names = (re.fullmatch(r"synthetic-(\d+)", path.stem) for path in latents.shards(pool))
    return [corpus.seed_of(int(name[1]), 0) for name in names if name]


def _rendered(banks: tuple[Path, ...], seeds: Sequence[int], split: str) -> Iterator[Excerpt]:
    """Rendered songs; those of the training split as `mgeldm.training.encode` made them."""
    loaded = [load_bank(bank) for bank in banks]
    for number, seed in enumerate(seeds):
        if split == "test":
            song = corpus.render_song(seed, loaded, EXCERPT_S, split)
        else:
            song = _first_part(corpus.render_song(seed, loaded, 2 * EXCERPT_S, split))
        yield Excerpt.of(f"{split} {number}", song)


def _first_part(song: corpus.Song) -> corpus.Song:
    samples = round(EXCERPT_S * song.rate_hz)
    return corpus.Song([replace(stem, audio=stem.audio[:, :samples]) for stem in song.stems], song.rate_hz)


def _places(song: corpus.Song) -> list[float]:
    """Where the excerpts of a song begin, in seconds."""
    return [number * EXCERPT_S for number in range(int(song.duration_s // EXCERPT_S))]


def _long_enough(songs: Iterable[corpus.Song]) -> list[corpus.Song]:
    return [song for song in songs if _places(song)]


def _spread(songs: list[corpus.Song], most: int) -> list[tuple[corpus.Song, float]]:
    """At most `most` places, as songs and seconds, spread evenly over all songs."""
    places = [(song, start_s) for song in songs for start_s in _places(song)]
    return [places[index] for index in evenly(len(places), most)]


def _cut(places: Sequence[tuple[corpus.Song, float]]) -> Iterator[Excerpt]:
    for song, start_s in places:
        yield Excerpt.of(song.name, song.read(start_s, EXCERPT_S))


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of `count` numbers, the first and the last among them, in order."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)).tolist()


def level(audio: np.ndarray) -> float:
    """Root mean square of audio of any shape."""
    return float(np.sqrt(np.square(audio, dtype=np.float64).mean()))
