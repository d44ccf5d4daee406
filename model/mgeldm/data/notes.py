"""Recorded notes of single instruments: folders of files that are named by their pitch, as "As2.mp3" or "F#3.wav"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..audio import read, resample
from ..errors import AudioError, InputError
from .bank import NOTE_S, RATE_HZ, Bank

_SUFFIXES = (".wav", ".flac", ".aiff", ".ogg", ".mp3")
_NAME = re.compile(r"([A-G])(s|#|b)?(-?\d)$")  # "F2 v2", a second recording, is none
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_STEP = 3  # semitones that lie at least between two notes that are kept
_FADE = 2205  # a sound that is cut off is faded out over so many samples
_BEFORE = 20  # samples kept before a sound is heard


def pitch_of(name: str) -> int | None:
    """MIDI pitch of a name like "As2", in which C4 is middle C (60); None of any other name."""
    match = _NAME.match(name)
    if match is None:
        return None
    return _SEMITONES[match[1]] + {"s": 1, "#": 1, "b": -1, None: 0}[match[2]] + 12 * (int(match[3]) + 1)


def cut(path: Path, length_s: float) -> np.ndarray | None:
    """The beginning of a sound from where it is heard, float32 [samples] of that length; None of silence.

    Raises:
        AudioError: The file cannot be read.
    """
    clip, samples = read(path), round(length_s * RATE_HZ)
    mono = resample(clip.samples.mean(0, keepdims=True), clip.rate_hz, RATE_HZ)[0]
    loud = np.flatnonzero(np.abs(mono) > 0.02 * np.abs(mono).max())
    if not len(loud):
        return None
    mono = mono[max(0, loud[0] - _BEFORE) :][:samples]
    fade = min(_FADE, len(mono))
    mono[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.pad(mono, (0, samples - len(mono)))


def build_notes(folders: Mapping[Path, int], licence: str = "") -> Bank:
    """A bank without drums: General MIDI programs, each played by the notes of a folder.

    Raises:
        InputError: A folder holds no notes.
    """
    notes: list[np.ndarray] = []
    programs: list[int] = []
    pitches: list[int] = []
    for folder, program in folders.items():
        found = _notes(Path(folder))
        if not found:
            raise InputError(f"There are no notes in {folder}; give a folder of files like As2.wav.")
        loudest = max(float(np.abs(sound).max()) for sound in found.values())
        notes += [np.round(sound * (0.9 / loudest * 32767)).astype(np.int16) for sound in found.values()]
        programs += [program] * len(found)
        pitches += found
    hits, none = np.zeros((0, 1), np.int16), np.zeros(0, np.int16)
    played = np.array(programs, "i2"), np.array(pitches, "i2")
    return Bank("recorded", np.stack(notes), *played, hits, none, none, licence=licence)


def _notes(folder: Path) -> dict[int, np.ndarray]:
    """Sounds by pitch, those that cannot be read left out."""
    found: dict[int, np.ndarray] = {}
    named = {pitch_of(path.stem): path for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES}
    for pitch in sorted(pitch for pitch in named if pitch is not None):
        if found and pitch - max(found) < _STEP:
            continue
        try:
            sound = cut(named[pitch], NOTE_S)
        except AudioError:
            continue
        if sound is not None:
            found[pitch] = sound
    return found
