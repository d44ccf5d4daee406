"""What is scored: excerpts of songs that were never trained on and, to see where the loss lies, of songs that were."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ..audio import AudioClip
from ..data import corpus, latents, manifest, mma
from ..data.bank import SOUNDFONTS, bank_licence, load_bank, render_midi
from ..data.kits import PIECES
from ..data.midi import Score, read_scores
from ..data.readers import UNSPLIT, open_set, stem_folders, tell
from ..data.songs import Song, Stem, captions_of
from ..data.wide import render_wide_song
from ..errors import InputError
from ..requests import check_prompt

EXCERPT_S = 12.0
AUDIBLE = 2e-3  # level under which a stem counts as silent in an excerpt
_UNSEEN_SEED = 500_000
HELD_OUT_FONT = Path("/usr/share/sounds", SOUNDFONTS["timgm"].file)
_TRIES = 4  # grooves to try for each that is wanted, as MMA cannot play every one
DATA_SETS: dict[str, tuple[str, dict[str, str]]] = {
    "musdb": ("musdb", {}),
    "slakh": ("slakh", {}),
    "slakh-a": ("slakh", {"subset": "A"}),
    "slakh-b": ("slakh", {"subset": "B"}),
    "moises": ("moises", {}),
    "stems": ("stems", {"split": "all"}),
    "stems-test": ("stems", {}),
}
"""What `--set` takes: a name, its reader of `data.readers` and that one's options. Where these name no split, the test
songs are unseen and the training songs seen."""


@dataclass(frozen=True)
class Excerpt:
    """A few seconds of a song: the song's name, one stem a label, and their sum as a clip."""

    name: str
    stems: list[Stem]
    mixture: AudioClip

    @classmethod
    def of(cls, name: str, song: Song) -> Excerpt:
        """An excerpt of the stems that a reader or the renderer gave, whose sum is its mixture.

        Stems of one label are one stem, as in training (`data.triplets`): "guitar" asks for all guitars. Those whose
        label is no prompt are heard in the mixture alone.
        """
        sums: dict[str, np.ndarray] = {}
        for stem in song.stems:
            if _refusal(stem.label):
                continue
            sums[stem.label] = sums[stem.label] + stem.audio if stem.label in sums else stem.audio
        captions = captions_of(song.stems)
        stems = [Stem(label, captions[label], audio) for label, audio in sums.items()]
        return cls(name, stems, AudioClip(song.mixture.astype(np.float32), song.rate_hz))

    @property
    def audible(self) -> list[Stem]:
        """The stems that are heard."""
        return [stem for stem in self.stems if level(stem.audio) > AUDIBLE]

    @property
    def accompanied(self) -> list[Stem]:
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
        banks: Note banks that training never saw; none renders with the synthesisers alone. Plain rendered songs play
            the first alone, so that they stay comparable, and sing words if any has them, so that they do not.
        songs: Rendered songs, or the most excerpts of real ones, in each set.
        seen: Folder of shards that the model was trained on: score rendered songs of it, the other songs of `stems` and
            training songs of the data sets too.
        seen_banks: Banks that training rendered with.
        data_sets: Names of `DATA_SETS` with their folders. Without `stems`, `banks` and `scores` they alone are scored.
        scores: MIDI songs, as `midi.read_scores` takes them; the set of drum kits plays those that are held out.
        first: Number of the first rendered song, so that there are songs by which nobody has chosen anything.
    """

    stems: Path | None = None
    banks: tuple[Path, ...] = ()
    songs: int = 24
    seen: Path | None = None
    seen_banks: tuple[Path, ...] = ()
    data_sets: tuple[tuple[str, Path], ...] = ()
    scores: tuple[Path, ...] = ()
    first: int = 0

    def sets(self) -> list[ExcerptSet]:
        """The sets to score.

        Raises:
            InputError: A folder or bank is missing, a file is no bank, shards were rendered with other banks, no score
                is held out, or there is nothing to score.
        """
        if self.songs < 1:
            raise InputError("There is nothing to score; ask for at least one song with --songs.")
        if self.first < 0:
            raise InputError(f"There is no song {self.first}; give the number of the first with --first, from 0 on.")
        if self.seen is not None and not self.seen.is_dir():
            raise InputError(f"There is no folder {self.seen}; give the one of the shards that training read.")
        for path in (*self.banks, *self.seen_banks):
            if not path.is_file():
                raise InputError(f"There is no note bank {path}; make it with `python -m mgeldm.data.bank`.")
            bank_licence(path)  # says now, and not after an hour, what is no bank
        _ = self.held_out_scores  # and what is no score
        found = [_rendered_set(self.banks, self._seeds, seen=False)] if self._is_rendered else []
        if self.stems is not None:
            found.append(self._real_set("real", False, [_held_out(self.stems)]))
        for name, (kind, folder) in _named(self.data_sets).items():
            found += [self._real_set(name, seen, songs) for seen, songs in self._data_set(kind, folder)]
        if self.seen is not None and self._is_rendered and (shards := _rendered_shards(self.seen)[: self.songs]):
            _check_banks([path for path, _ in shards], self.seen_banks)
            found.append(_rendered_set(self.seen_banks, [seed for _, seed in shards], seen=True))
        if self.seen is not None:
            found += [self.others] if self.others is not None else []
        return found

    @property
    def _is_rendered(self) -> bool:
        """Whether rendered songs are scored; who gives nothing but data sets wants these."""
        return not self.data_sets or self.stems is not None or bool(self.banks or self.scores)

    @cached_property
    def held_out_scores(self) -> tuple[Score, ...]:
        """The MIDI songs that training leaves out."""
        found = tuple(score for path in self.scores for score in read_scores(path) if score.held_out)
        if self.scores and not found:
            given = ", ".join(map(str, self.scores))
            raise InputError(
                f"No song of {given} is held out (one in eight is, by its name), so training may have heard them all; "
                "give more songs with --scores."
            )
        return found

    @property
    def kits(self) -> ExcerptSet | None:
        """Songs as training renders them whose drums are known piece by piece; nothing else in them is asked for."""
        if not self._is_rendered:
            return None
        excerpts = partial(_kits, self.banks, self.held_out_scores, self._seeds)
        return ExcerptSet("drum kits", "drum kits", False, self.songs, excerpts)

    @property
    def pairs(self) -> ExcerptSet | None:
        """The rendered songs whose two loudest instruments are asked for by one prompt."""
        if not self._is_rendered:
            return None
        songs = _rendered_set(self.banks, self._seeds, seen=False)
        return replace(songs, name="pairs", kind="pairs", excerpts=partial(_paired, songs))

    @property
    def _seeds(self) -> list[int]:
        """Of the rendered songs."""
        return [_UNSEEN_SEED + self.first + number for number in range(self.songs)]

    @cached_property
    def others(self) -> ExcerptSet | None:
        """The real songs but the held-out one, if there are any."""
        found = stem_folders(self.stems) if self.stems is not None else ()
        songs = _long_enough(song for song in found if song.name != corpus.HELD_OUT_SONG)
        return self._real_set("real", True, songs) if songs else None

    def _data_set(self, name: str, folder: Path) -> list[tuple[bool, list[Song]]]:
        """Unseen songs of a data set and, where they are asked for, its training songs."""
        if name not in DATA_SETS:
            raise InputError(f"There is no data set {name!r}; choose one of {', '.join(DATA_SETS)}.")
        reader, options = DATA_SETS[name]
        splits = [options]
        if "split" not in options:
            splits = [options | {"split": split} for split in ("test", "train")[: 2 if self.seen else 1]]
        songs = [_long_enough(open_set(reader, folder, **split)) for split in splits]
        if not songs[0]:
            raise InputError(_no_songs(name, folder))
        return [(i > 0, part) for i, part in enumerate(songs) if part]

    def _real_set(self, kind: str, seen: bool, songs: list[Song]) -> ExcerptSet:
        _tell_refusals(songs)
        places = _spread(songs, self.songs)
        return ExcerptSet(_title(kind, seen), kind, seen, len(places), partial(_cut, places, set()))


def _rendered_set(banks: tuple[Path, ...], seeds: Sequence[int], seen: bool) -> ExcerptSet:
    excerpts = partial(_rendered, banks, seeds, "train" if seen else "test")
    return ExcerptSet(_title("synthetic", seen), "synthetic", seen, len(seeds), excerpts)


def mma_songs(count: int) -> ExcerptSet | None:
    """So many arrangements by MMA, played by the held-out soundfont.

    Their level is what the soundfont makes it, as all embeddings bring it to their own.

    Returns:
        None where what it takes is not installed, which is told.
    """
    missing = [name for name in ("mma", "fluidsynth") if shutil.which(name) is None]
    missing += [str(path) for path in (mma.LIBRARY, HELD_OUT_FONT) if not path.exists()]
    if missing:
        advice = "install them (Debian: apt install mma fluidsynth timgm6mb-soundfont)"
        tell(f"MMA's arrangements are left out of FAD, for {', '.join(missing)} cannot be found; {advice}.")
        return None
    return ExcerptSet("MMA", "MMA", False, count, partial(_arranged, count))


def _arranged(count: int) -> Iterator[Excerpt]:
    names, samples, made, reason = mma.grooves(), round(EXCERPT_S * corpus.RATE_HZ), 0, ""
    for seed in range(_UNSEEN_SEED, _UNSEEN_SEED + _TRIES * count):
        if made == count:
            return
        try:  # twice the length, for a bar may have two beats
            groove, content = mma.arrange(np.random.default_rng(seed), names, 2 * EXCERPT_S)
            audio = render_midi(HELD_OUT_FONT, content)[:, :samples]
        except InputError as error:
            reason = str(error)
            continue
        made += 1
        yield Excerpt(f"{groove} {seed}", [], AudioClip(audio, corpus.RATE_HZ))
    if made < count:
        tell(f"There are {made} arrangements by MMA where {count} were asked for: {reason}")


def _title(kind: str, seen: bool) -> str:
    return f"{kind}, seen" if seen else kind


def _no_songs(name: str, folder: Path) -> str:
    """What to say of a data set of which no song can be scored: long ones may be there, but of another split."""
    reader, options = DATA_SETS[name]
    what, why, other = "for tests", "", f"give another with --set {name}:DIR"
    if "split" in options:
        what = "to score"
    elif reader in UNSPLIT:
        why = ", where a tenth of the songs is kept for them, by the songs' names"
        other = f"give a folder of more songs with --set {name}:DIR"
    if name == "stems-test":
        other = f"score all songs with --set stems:{folder}"
    return f"There is no song of {EXCERPT_S:g} s or longer {what} in {folder}{why}; {other}."


def _named(data_sets: Sequence[tuple[str, Path]]) -> dict[str, tuple[str, Path]]:
    """Data sets by titles of their own: their name, where it has several the folder's too, or even its whole path."""
    data_sets = list(dict.fromkeys(data_sets))
    titles = [name for name, _ in data_sets]
    for shown in (lambda folder: folder.resolve().name, str):
        titles = [
            f"{name} ({shown(folder)})" if titles.count(title) > 1 else title
            for title, (name, folder) in zip(titles, data_sets, strict=True)
        ]
    return dict(zip(titles, data_sets, strict=True))


def _held_out(stems: Path) -> Song:
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


def _rendered_shards(pool: Path) -> list[tuple[Path, int]]:
    """Shards of rendered songs and the seed of the first of each; what a killed encoding left, and others, are none."""
    names = ((path, re.fullmatch(r"synthetic-(\d+)", path.stem)) for path in latents.shards(pool))
    return [(path, corpus.seed_of(int(name[1]), 0)) for path, name in names if name]


def _check_banks(shards: Sequence[Path], banks: Sequence[Path]) -> None:
    """Refuse banks that shards were not rendered with: by others the same seeds give songs that nobody trained on.

    Raises:
        InputError: These are other banks, or in another order; or a shard is damaged.
    """
    given = manifest.rendered(bank.stem for bank in banks)
    for path in shards:
        source = manifest.Facts.read(path).source  # empty in shards from before facts
        if source not in ("", given):
            names = source.removeprefix(manifest.rendered([])).lstrip(", ")
            advice = f"give these with --seen-bank, in this order: {names}" if names else "leave --seen-bank out"
            raise InputError(f"The songs of {path} were rendered with other note banks than are given; {advice}.")


def _rendered(banks: tuple[Path, ...], seeds: Sequence[int], split: str) -> Iterator[Excerpt]:
    """Rendered songs; those of the training split as `mgeldm.training.encode` made them."""
    loaded = [load_bank(bank) for bank in banks]
    comparable = [bank for bank in loaded if bank.plays][:1] + [bank for bank in loaded if bank.speech is not None]
    for number, seed in enumerate(seeds):
        if split == "test":
            song = corpus.render_song(seed, comparable, EXCERPT_S, split)
        else:
            song = _first_part(corpus.render_song(seed, loaded, 2 * EXCERPT_S, split))
        yield Excerpt.of(f"{split} {number}", song)


def _kits(banks: tuple[Path, ...], scores: Sequence[Score], seeds: Sequence[int]) -> Iterator[Excerpt]:
    loaded = [load_bank(bank) for bank in banks]
    for number, seed in enumerate(seeds):
        song = render_wide_song(seed, loaded, EXCERPT_S, "test", scores, by_piece=1.0)
        stems = [stem if stem.label in PIECES else replace(stem, label="") for stem in song.stems]
        yield Excerpt.of(f"kit {number}", Song(stems, song.rate_hz))


def _paired(songs: ExcerptSet) -> Iterator[Excerpt]:
    for excerpt in songs.excerpts():
        loudest = sorted(excerpt.accompanied, key=lambda stem: -level(stem.audio))[:2]
        names = " and ".join(sorted(stem.label for stem in loudest))
        both = [Stem(names, [names], loudest[0].audio + loudest[1].audio)] if len(loudest) == 2 else []
        yield Excerpt(excerpt.name, both, excerpt.mixture)


def _first_part(song: Song) -> Song:
    samples = round(EXCERPT_S * song.rate_hz)
    return Song([replace(stem, audio=stem.audio[:, :samples]) for stem in song.stems], song.rate_hz)


def _places(song: Song) -> list[float]:
    """Where the excerpts of a song begin, in seconds."""
    return [number * EXCERPT_S for number in range(int(song.duration_s // EXCERPT_S))]


def _long_enough(songs: Iterable[Song]) -> list[Song]:
    return [song for song in songs if _places(song)]


def _spread(songs: list[Song], most: int) -> list[tuple[Song, float]]:
    """At most `most` places, as songs and seconds, spread evenly over all songs."""
    places = [(song, start_s) for song in songs for start_s in _places(song)]
    return [places[index] for index in evenly(len(places), most)]


def _cut(places: Sequence[tuple[Song, float]], damaged: set[int]) -> Iterator[Excerpt]:
    """Excerpts of what can be read. Places found `damaged` are told of once and left out ever after.

    So each pass over a set gives the same excerpts.
    """
    for number, (song, start_s) in enumerate(places):
        if number in damaged:
            continue
        try:
            excerpt = Excerpt.of(song.name, song.read(start_s, EXCERPT_S))
        except (InputError, OSError) as error:
            damaged.add(number)
            tell(f"{song.name} is left out from {start_s:g} to {start_s + EXCERPT_S:g} s: {error}")
            continue
        yield excerpt


def _refusal(label: str) -> str:
    """Why a label is no prompt; empty if it is one."""
    try:
        check_prompt(label)
    except InputError as error:
        return str(error)
    return ""


def _tell_refusals(songs: Sequence[Song]) -> None:
    for song in songs:
        for label in dict.fromkeys(stem.label for stem in song.stems):
            if _refusal(label):
                tell(f"The stem {label!r} of {song.name} is not asked for: its name is no prompt; rename the file.")


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of `count` numbers, the first and the last among them, in order."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)).tolist()


def level(audio: np.ndarray) -> float:
    """Root mean square of audio of any shape."""
    return float(np.sqrt(np.square(audio, dtype=np.float64).mean()))
