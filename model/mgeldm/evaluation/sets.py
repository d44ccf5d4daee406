"""What is scored: excerpts of songs that were never trained on and, to see where the loss lies, of songs that were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio import AudioClip
from ..data import corpus
from ..data.bank import load_bank
from ..errors import InputError

EXCERPT_S = 12.0
AUDIBLE = 2e-3  # level under which a stem counts as silent in an excerpt
_UNSEEN_SEED = 500_000


@dataclass(frozen=True)
class ExcerptSet:
    """Excerpts of one kind of music.

    Attributes:
        name: What tables call it.
        kind: Sets of one kind (say "real") are compared: seen against unseen.
        seen: Whether the model was trained on these songs.
        excerpts: Reads or renders them anew each time.
    """

    name: str
    kind: str
    seen: bool
    excerpts: Callable[[], Iterator[corpus.Song]]


@dataclass(frozen=True)
class Material:
    """Where the music comes from.

    Attributes:
        stems: Folder of real songs, `<song>/<label>.opus` (or flac, wav); its song `corpus.HELD_OUT_SONG` is unseen.
        bank: A note bank that training never saw; None renders with the synthesisers alone.
        songs: Rendered songs, and the most excerpts of real ones, in each set.
        seen: Score songs of the training split too: the other songs of `stems`, and rendered ones.
        seen_banks: Banks that training rendered with.
    """

    stems: Path | None = None
    bank: Path | None = None
    songs: int = 24
    seen: bool = False
    seen_banks: tuple[Path, ...] = ()

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
        found = [ExcerptSet("synthetic", "synthetic", False, lambda: _rendered(unseen, self.songs, "test"))]
        if self.stems is not None:
            held_out = [_held_out(self.stems)]
            found.append(ExcerptSet("real", "real", False, lambda: _real(held_out, self.songs)))
        if self.seen:
            banks = self.seen_banks
            found.append(ExcerptSet("synthetic, seen", "synthetic", True, lambda: _rendered(banks, self.songs, "train")))
        if self.seen and self.stems is not None and (others := _others(self.stems)):
            found.append(ExcerptSet("real, seen", "real", True, lambda: _real(others, self.songs)))
        return found


def _held_out(stems: Path) -> Path:
    folder = stems / corpus.HELD_OUT_SONG
    if not folder.is_dir():
        raise InputError(f"There is no song {corpus.HELD_OUT_SONG} in {stems}; give the folder of the real stems.")
    return folder


def _others(stems: Path) -> list[Path]:
    return [folder for folder in sorted(stems.iterdir()) if folder.is_dir() and folder.name != corpus.HELD_OUT_SONG]


def _rendered(banks: tuple[Path, ...], songs: int, split: str) -> Iterator[corpus.Song]:
    """Rendered songs; those of the training split are the ones that `mgeldm.training.encode` makes first."""
    loaded = [load_bank(bank) for bank in banks]
    for number in range(songs):
        if split == "test":
            yield corpus.render_song(_UNSEEN_SEED + number, loaded, EXCERPT_S, split)
        else:
            yield first_part(corpus.render_song(number, loaded, 2 * EXCERPT_S, split))


def first_part(song: corpus.Song, duration_s: float = EXCERPT_S) -> corpus.Song:
    """The song's first seconds."""
    samples = round(duration_s * song.rate_hz)
    stems = [corpus.Stem(stem.label, stem.captions, stem.audio[:, :samples]) for stem in song.stems]
    return corpus.Song(stems, song.rate_hz, song.tempo_bpm)


def _real(folders: list[Path], most: int) -> Iterator[corpus.Song]:
    """At most `most` excerpts, spread evenly over all songs."""
    songs = [corpus.read_real_song(folder) for folder in folders]
    places = [(song, float(at)) for song in songs for at in np.arange(0, song.duration_s - EXCERPT_S, EXCERPT_S)]
    for index in np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int)):
        song, start_s = places[index]
        yield song.read(start_s, EXCERPT_S)


def audible(stem: corpus.Stem) -> bool:
    """Whether a stem is heard in its excerpt."""
    return float(np.square(stem.audio, dtype=np.float64).mean()) ** 0.5 > AUDIBLE


def mixture_of(song: corpus.Song) -> AudioClip:
    """The mixture of an excerpt as a clip."""
    return AudioClip(song.mixture.astype(np.float32), song.rate_hz)
