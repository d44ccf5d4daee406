"""Where autoencoders hear their sounds: songs rendered as they are needed, or recorded ones; mixtures and stems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np

from ..audio import Samples, resample
from ..data import corpus
from ..data.bank import Bank, load_bank
from ..data.readers import tell
from ..data.songs import RATE_HZ, Song
from ..errors import InputError
from ..nn.spectral import MIXTURE_RMS
from .workers import processes

_SONG_S = 12.0
_AUDIBLE = 3e-3  # level under which a crop is drawn again
_TRIES = 10
_READERS = 8  # files read at once
_MISSES = 100  # pieces in a row that cannot be read, after which a data set is given up


class Sounds(Protocol):
    """Crops of music."""

    rate_hz: int

    def draw(self, rng: np.random.Generator, count: int, samples: int, channels: int = 1) -> Samples:
        """Crops float32 [count, channels, samples], none of them silent if that can be helped; `rng` decides all."""
        ...


class Rendered:
    """Rendered songs by number. Each is made when it is first drawn and kept, so that a crop costs next to nothing.

    Args:
        banks: Files of notes to render with; none leaves the synthesisers.
        songs: How many there are; about 6 MB each.
        rate_hz: The rate that crops have.
    """

    def __init__(self, banks: Sequence[Path] = (), songs: int = 64, rate_hz: int = RATE_HZ):
        self.banks, self.songs, self.rate_hz = tuple(banks), songs, rate_hz
        self._made: dict[int, Samples] = {}

    def prepare(self, workers: int) -> None:
        """Make all songs at once, in several processes.

        Raises:
            MgeldmError: One of them was ended from outside.
        """
        missing = [number for number in range(self.songs) if number not in self._made]
        render = partial(_render, banks=self.banks, rate_hz=self.rate_hz)
        with processes(workers) as pool:
            self._made |= dict(zip(missing, pool.map(render, missing), strict=True))

    def song(self, number: int) -> Samples:
        """Mixture and stems of a song, int16 [tracks, samples]."""
        if number not in self._made:
            self._made[number] = _render(number, self.banks, self.rate_hz)
        return self._made[number]

    def draw(self, rng: np.random.Generator, count: int, samples: int, channels: int = 1) -> Samples:
        """Crops of random tracks of random songs; see `Sounds`.

        Raises:
            InputError: The songs are shorter than that.
        """

        def crop() -> Samples:
            tracks = self.song(int(rng.integers(self.songs)))
            if samples > tracks.shape[1]:
                raise InputError(
                    f"Crops of {samples} samples are longer than the songs, of {_SONG_S:g} s; shorten the crops."
                )
            track, start = rng.integers(len(tracks)), rng.integers(tracks.shape[1] - samples + 1)
            return (tracks[track, None, start : start + samples] / 32768).astype(np.float32).repeat(channels, 0)

        return np.stack([_audible(crop) for _ in range(count)])


def _render(number: int, banks: tuple[Path, ...], rate_hz: int) -> Samples:
    """Mixture and stems of a song, int16 [tracks, samples], the mixture at the level that songs are brought to."""
    song = corpus.render_song(number, loaded(banks), _SONG_S)
    tracks = np.stack([stem.audio.mean(0) for stem in song.stems])
    mixture = tracks.sum(0)
    gain = MIXTURE_RMS / (float(np.sqrt(np.square(mixture).mean())) + 1e-9)
    tracks = resample(np.concatenate([mixture[None], tracks]) * np.float32(gain), RATE_HZ, rate_hz)
    return np.round(np.clip(tracks, -1, 1) * 32767).astype(np.int16)


@lru_cache(1)
def loaded(banks: tuple[Path, ...]) -> list[Bank]:
    """Note banks, read (and those that are packed, decoded) once in each process."""
    return [load_bank(bank) for bank in banks]


class Recorded:
    """Songs of a data set, read in pieces. Where one cannot be read another piece is drawn, and it is said once of each
    song; as chance alone decides which, a run that goes on draws the same.

    Args:
        songs: The songs.
        rate_hz: The rate that crops have.

    Raises:
        InputError: There are no songs.
    """

    def __init__(self, songs: Sequence[Song], rate_hz: int = RATE_HZ):
        if not songs:
            raise InputError("There are no songs to train on; check the folder and its split.")
        self.songs, self.rate_hz = songs, rate_hz
        self._told: set[int] = set()  # numbers of the songs that could not be read somewhere
        self._telling = Lock()

    def draw(self, rng: np.random.Generator, count: int, samples: int, channels: int = 1) -> Samples:
        """Crops of random stems, or in a third of the cases mixtures, of random songs; see `Sounds`.

        Raises:
            InputError: Nothing can be read, wherever it is tried.
        """
        length = -(-samples * RATE_HZ // self.rate_hz) + 64

        def crop(rng: np.random.Generator) -> Samples:
            audio = self._piece(rng, length)
            audio = audio if channels == 2 else audio.mean(0, keepdims=True)
            return resample(audio, RATE_HZ, self.rate_hz)[:, :samples]

        own = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=count)]  # a crop's, whoever reads first
        with ThreadPoolExecutor(_READERS) as pool:
            return np.stack(list(pool.map(lambda rng: _audible(partial(crop, rng)), own)))

    def _piece(self, rng: np.random.Generator, length: int) -> Samples:
        """A piece [2, length] of what can be read."""
        for _ in range(_MISSES):
            number = int(rng.integers(len(self.songs)))
            song = self.songs[number]
            try:
                start = int(rng.integers(max(song.samples - length, 0) + 1))
                if rng.random() < 1 / 3:
                    return song.piece(start, start + length).mixture
                return song.stems[int(rng.integers(len(song.stems)))].read(start, start + length)
            except (InputError, OSError) as error:
                self._tell(number, error)
                why = error
        raise InputError(
            f"{_MISSES} pieces in a row could not be read ({why}); see that the folders of `sets` are there and whole, "
            "then run the same command again."
        ) from why

    def _tell(self, number: int, error: Exception) -> None:
        with self._telling:
            if number not in self._told:
                self._told.add(number)
                tell(f"{self.songs[number].name} is left out where it cannot be read: {error}")


def _audible(crop: Callable[[], Samples]) -> Samples:
    """The first of ten crops that is not silent, else the last (PAPER: up to ten tries)."""
    for _ in range(_TRIES):
        audio = crop()
        if float(np.square(audio).mean()) ** 0.5 > _AUDIBLE:
            break
    return audio
