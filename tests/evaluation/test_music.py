import numpy as np
import pytest
from mgeldm.evaluation.music import (
    RATE_HZ,
    UNPITCHED,
    chroma,
    key_agreement,
    key_strengths,
    onset_agreement,
    onset_strength,
)
from mgeldm.words import KIT

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def clicks(times_s: list[float], duration_s: float = 4.0) -> np.ndarray:
    audio = np.random.default_rng(0).normal(0, 1e-4, round(duration_s * RATE_HZ))
    for at in times_s:
        start = round(at * RATE_HZ)
        audio[start : start + 2000] += np.hanning(4000)[2000:] * np.sin(np.arange(2000) * 0.3)
    return audio


def chord(*midi: int, duration_s: float = 1.0) -> np.ndarray:
    time = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time) for note in midi)


def scale(tonic: int) -> np.ndarray:
    """A cadence I IV V I in a major key."""
    return np.concatenate([chord(*(tonic + root + x for x in (0, 4, 7))) for root in (0, 5, 7, 0)])


def test_onsets_are_found_where_they_are():
    strength = onset_strength(clicks([1.0, 2.5]))
    assert sorted(np.argsort(strength)[-2:] / 100) == pytest.approx([1.0, 2.5], abs=0.05)


def test_onsets_that_fall_together_agree():
    beat = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert onset_agreement(clicks(beat), clicks(beat[::2])) > 0.5
    assert onset_agreement(clicks(beat), clicks([x + 0.02 for x in beat])) > 0.7
    assert onset_agreement(clicks(beat), clicks([x + 0.23 for x in beat])) < 0.1
    assert onset_agreement(np.zeros(RATE_HZ), clicks(beat)) == 0


@pytest.mark.parametrize("tonic", [60, 62, 67])
def test_a_cadence_tells_its_key(tonic):
    assert NAMES[int(key_strengths(scale(tonic)).argmax())] == NAMES[tonic % 12]


def test_chroma_holds_the_notes_of_a_chord():
    assert set(np.argsort(chroma(chord(60, 64, 67)))[-3:]) == {0, 4, 7}


def test_pieces_of_a_kit_are_in_no_key():
    assert {"drums", *KIT} <= UNPITCHED


def test_near_keys_agree_more_than_far_ones():
    same, fifth, tritone = (key_agreement(scale(60), scale(60 + step)) for step in (0, 7, 6))
    assert same == pytest.approx(1)
    assert same > fifth > 0 > tritone
