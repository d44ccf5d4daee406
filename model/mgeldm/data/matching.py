"""Mixtures across songs that could be one song: pieces brought to one tempo and key, their beats together.

Tempo and key are heard from the sound itself, so recorded and rendered songs mix alike. Stretching and moving in pitch
is Signalsmith Stretch (python-stretch), which keeps the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.signal

from ..audio import Samples
from ..errors import InputError
from .captions import alike, is_pitched, kinds
from .songs import RATE_HZ, Song, Stem

_HOP = 441  # samples between onset strengths
_TEMPI_BPM = (60.0, 180.0)
_PADDED = 2**19  # onset strengths, for a spectrum fine enough to tell tempi apart by 0.01 BPM
_MULTIPLES = ((1, 1.0), (2, 0.7), (4, 0.4))  # of the beat's frequency, at which onsets come too, and their weight
MOST_SEMITONES = 5
SPEEDS = (0.72, 1.4)

_MAJOR = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1])  # the pitch classes of a major scale


@dataclass(frozen=True)
class Pulse:
    """What a piece of music agrees on.

    Attributes:
        tempo_bpm: Beats a minute, from 60 to 180.
        beat_s: When the first beat falls.
        scale: Pitch class of the major scale that its notes are of (a minor key counts as its relative major).
    """

    tempo_bpm: float
    beat_s: float
    scale: int


def listen(song: Song) -> Pulse:
    """Tempo, beat and scale of a song in memory; a piece of twenty seconds or more is enough."""
    onsets = _onsets(song.mixture.mean(0))
    tempo_bpm, beat_s = _beat(onsets)
    pitched = [stem.audio.mean(0) for stem in song.stems if is_pitched(stem.label)]
    return Pulse(tempo_bpm, beat_s, _scale(np.sum(pitched, axis=0)) if pitched else 0)


def _onsets(mono: Samples) -> np.ndarray:
    """How much louder bands become, [samples / _HOP]."""
    _, _, spectrum = scipy.signal.stft(mono, RATE_HZ, nperseg=2048, noverlap=2048 - _HOP)
    bands = np.add.reduceat(np.abs(spectrum), np.unique(np.geomspace(1, 1000, 40).astype(int)), axis=0)
    loud = np.log(bands + 1e-3 * float(bands.max() + 1e-9))
    return np.maximum(np.diff(loud, axis=1), 0).sum(0)


def _beat(onsets: np.ndarray) -> tuple[float, float]:
    """The tempo whose beats, halves and quarters of beats the onsets follow best, and when its first beat falls."""
    rate_hz = RATE_HZ / _HOP
    spectrum = np.fft.rfft((onsets - onsets.mean()) * np.hanning(len(onsets)), _PADDED)
    hz = np.fft.rfftfreq(_PADDED, 1 / rate_hz)
    beats = np.flatnonzero((hz >= _TEMPI_BPM[0] / 60) & (hz < _TEMPI_BPM[1] / 60))
    strength = sum(weight * np.abs(spectrum[beats * multiple]) for multiple, weight in _MULTIPLES)
    prior = np.exp(-0.5 * (np.log2(60 * hz[beats] / 115) / 0.6) ** 2)  # few songs are very slow or very fast
    best = beats[int(np.argmax(strength * prior))]
    period_s = 1 / hz[best]
    phases = np.arange(0, 1, 1 / 128)  # where the first beat may fall, as parts of the period
    turns = (w * spectrum[best * m] * np.exp(2j * np.pi * m * phases) for m, w in _MULTIPLES)
    phase = phases[int(np.argmax(np.sum(list(turns), axis=0).real))]
    return float(60 * hz[best]), float((phase * period_s + _HOP / RATE_HZ) % period_s)


def _scale(mono: Samples) -> int:
    """The major scale that holds most of the spectrum's peaks."""
    hz, _, spectrum = scipy.signal.stft(mono, RATE_HZ, nperseg=8192, noverlap=4096)
    low, high = np.searchsorted(hz, (100, 1000))
    levels = np.abs(spectrum[low - 1 : high + 1])
    peaks = levels[1:-1] * ((levels[1:-1] > levels[:-2]) & (levels[1:-1] > levels[2:]))
    pitch_class = np.round(12 * np.log2(hz[low:high] / 440) + 9).astype(int) % 12
    chroma = np.bincount(pitch_class, peaks.sum(1), minlength=12)
    return int(np.argmax([np.roll(_MAJOR, tonic) @ chroma for tonic in range(12)]))


def stretch(audio: Samples, speed: float, semitones: float) -> Samples:
    """Audio [2, samples] at another speed, [2, samples / speed], and moved in pitch; beats stay where they belong.

    Raises:
        InputError: python-stretch is not installed.
    """
    try:
        from python_stretch import Signalsmith
    except ImportError as error:
        raise InputError("Matching songs needs python-stretch; install it: pip install python-stretch") from error
    machine = Signalsmith.Stretch()
    machine.preset(2, RATE_HZ)
    machine.setTimeFactor(speed)
    machine.setTransposeSemitones(semitones)
    return np.asarray(machine.process(np.ascontiguousarray(audio, np.float32)), np.float32)


def matched(songs: Sequence[Song], duration_s: float, rng: np.random.Generator) -> Song:
    """A song of stems from several: the first's tempo and scale, a little moved; the others' brought to them.

    Args:
        songs: Songs to mix; a piece is taken from each. One whose scale is too far away to be moved there keeps only
            its unpitched stems, and none keeps a stem that another song's may contain, or that may contain it.
        duration_s: Length in seconds.
        rng: Source of choices.

    Raises:
        InputError: python-stretch is not installed.
    """
    needed_s = duration_s * SPEEDS[1] + 2
    pieces = [song.read(rng.uniform(0, max(song.duration_s - needed_s, 0)), needed_s) for song in songs]
    pulses = [listen(piece) for piece in pieces]
    tempo_bpm, scale = pulses[0].tempo_bpm * rng.uniform(0.94, 1.06), pulses[0].scale + int(rng.integers(-2, 3))
    stems: dict[str, Stem] = {}
    for number in rng.permutation(len(pieces)):
        pulse, piece = pulses[number], pieces[number]
        speed, semitones = speed_to(pulse.tempo_bpm, tempo_bpm), (scale - pulse.scale + 6) % 12 - 6
        strangers = [*stems]
        for stem in piece.stems:
            pitched = is_pitched(stem.label)
            # "drums" would be taught to leave out another song's kick
            if not kinds(stem.label) or any(alike(stem.label, s) for s in strangers if s != stem.label):
                continue
            if (stem.label in stems and rng.random() < 0.5) or (pitched and abs(semitones) > MOST_SEMITONES):
                continue
            if not stem.audio.any():
                continue
            moved = stretch(stem.audio, speed, semitones if pitched else 0)
            moved = moved[:, round(pulse.beat_s / speed * RATE_HZ) :][:, : round(duration_s * RATE_HZ)]
            padded = np.pad(moved, ((0, 0), (0, round(duration_s * RATE_HZ) - moved.shape[1])))
            stems[stem.label] = Stem(stem.label, stem.captions, padded)
    return Song(list(stems.values()), tempo_bpm=float(tempo_bpm), name=" + ".join(song.name for song in songs))


def speed_to(from_bpm: float, to_bpm: float) -> float:
    """The speed within `SPEEDS` that brings one tempo to another, to its half or to its double."""
    speed = to_bpm / from_bpm
    while speed > SPEEDS[1]:
        speed /= 2
    while speed < SPEEDS[0]:
        speed *= 2
    return min(speed, SPEEDS[1])
