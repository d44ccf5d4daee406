import numpy as np
import pytest
import soundfile
from mgeldm.data import speech
from mgeldm.data.bank import load_bank, save_bank, speeches, spoken_bank
from mgeldm.data.speech import BANDS_HZ, FLOOR_DB, FRAME_S, STEP_DB, Speaker, Speech, cut_syllables, envelopes, record


def vowels(starts_s, seconds, rate_hz=16000, hz=120.0):
    """A buzz through one bump, loud for 0.2 s at each start, with a hiss before it."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    harmonics = [k for k in range(1, 60) if k * hz < rate_hz / 2]
    gains = [0.2 / k + np.exp(-2 * np.log2(k * hz / 700) ** 2) for k in harmonics]
    buzz = sum(gain * np.sin(2 * np.pi * k * hz * time_s) for k, gain in zip(harmonics, gains, strict=True))
    hiss = np.diff(np.random.default_rng(0).standard_normal(len(time_s) + 1))
    sound = 1e-4 * hiss
    for start_s in starts_s:
        first, last, before = (round(x * rate_hz) for x in (start_s, start_s + 0.2, start_s - 0.06))
        sound[first:last] += buzz[first:last] * np.hanning(last - first) ** 0.5
        sound[before:first] += 0.3 * hiss[before:first]
    return 0.2 * sound


def levels_of(loudness_db):
    """Levels [frames, bands] that are `loudness_db` [frames] in the bands of vowels."""
    return np.where((BANDS_HZ > 300) & (BANDS_HZ < 3000), np.asarray(loudness_db, float)[:, None], -90.0)


def test_a_phrase_is_cut_between_its_vowels():
    frames = np.arange(120)
    loudness = -40 + 40 * np.exp(-(((frames[:, None] - [30, 55, 90]) / 8) ** 2)).sum(1)
    cut = cut_syllables(levels_of(loudness), np.ones(120, bool))
    assert np.abs(cut[:, 1] - [30, 55, 90]).max() <= 1
    assert (cut[:, 0] < cut[:, 1]).all() and (cut[:, 1] < cut[:, 2]).all()
    assert cut[0, 2] == cut[1, 0] and 38 <= cut[0, 2] <= 48  # they meet where it is softest
    assert cut[0, 0] == 5 and cut[2, 2] == 115  # and reach a quarter of a second where nothing else sounds


def test_what_has_no_pitch_has_no_syllables():
    assert cut_syllables(levels_of(np.zeros(50)), np.zeros(50, bool)).shape == (0, 3)


def test_words_are_the_same_whenever_they_are_drawn():
    words = ["one", "two", "three"]
    said = [speech._text(words, np.random.default_rng(1), kana) for kana in (False, True) for _ in range(2)]
    assert said[0] == said[1] and said[2] == said[3]
    assert {*said[0].rstrip(".").split()} <= {*words} and len(said[0].split()) == speech.WORDS_A_PHRASE
    assert all(char in speech._KANA or char in "、。" for char in said[2])


def test_speakers_that_are_not_installed_are_named():
    def missing(text, path):
        raise FileNotFoundError("flite")

    assert record({"nobody": Speaker(missing, True, "MIT")}, 1) == (None, ["nobody"])


@pytest.fixture
def spoken():
    """Two speakers with two and three syllables, of vowels at half and full power."""
    frames = np.arange(100)
    loudness = -60 + 60 * np.exp(-(((frames[:, None] - [20, 40, 60, 80]) / 5) ** 2)).sum(1)
    levels = np.clip((levels_of(loudness) - FLOOR_DB) / STEP_DB, 0, 255).astype(np.uint8)
    cut = np.array([[10, 20, 30], [30, 40, 50], [50, 60, 70], [70, 80, 90], [70, 80, 90]], np.int32)
    speakers, bands = np.array([0, 0, 1, 1, 1], np.int16), np.array([37, 48], np.int16)
    return Speech(levels, loudness > -50, cut, speakers, np.array([False, True]), bands)


@pytest.mark.parametrize("packed", [False, True])
def test_a_bank_keeps_what_was_said(tmp_path, spoken, packed):
    save_bank(spoken_bank("voices", spoken, "MIT"), tmp_path / "voices.npz", packed)
    bank = load_bank(tmp_path / "voices.npz")
    assert bank.licence == "MIT" and not len(bank.notes) and not len(bank.drum_kits)
    (kept,) = speeches([bank])
    for name, values in spoken.arrays().items():
        assert np.array_equal(kept.arrays()[name], values)
        assert kept.arrays()[name].dtype == values.dtype
    assert kept.levels_db(np.array([20])).max() == pytest.approx(0, abs=STEP_DB)


def test_the_spectrum_of_a_vowel_is_known_whatever_its_pitch():
    pytest.importorskip("pyworld")
    found = []
    for hz in (100.0, 170.0):
        levels_db, voiced = envelopes(vowels([0.2], 0.6, hz=hz), 16000)
        middle = round(0.3 / FRAME_S)
        assert voiced[middle - 5 : middle + 5].all() and not voiced[round(0.5 / FRAME_S) :].any()
        assert BANDS_HZ[levels_db[middle].argmax()] == pytest.approx(700, rel=0.15)
        found.append(levels_db[middle])
    known = (BANDS_HZ > 200) & (BANDS_HZ < 4000)
    assert np.abs((found[0] - found[1])[known] - (found[0] - found[1])[known].mean()).mean() < 3


def test_what_a_speaker_says_becomes_syllables():
    pytest.importorskip("pyworld")
    starts_s = [0.3, 0.7, 1.1]

    def says(text, path):
        soundfile.write(path, vowels(starts_s, 1.6), 16000)

    speaker = Speaker(says, True, "MIT")
    recorded, silent = record({"a": speaker, "b": speaker}, 2)
    assert not silent
    assert recorded.speakers.tolist() == [0] * 6 + [1] * 6 and recorded.female.tolist() == [True, True]
    at_s = recorded.syllables[:3, 1] * FRAME_S
    assert np.abs(at_s - (np.array(starts_s) + 0.1)).max() < 0.06
    assert len(recorded.levels) == len(recorded.voiced) == 4 * (len(recorded.levels) // 4)
    assert recorded.syllables[:, 2].max() <= len(recorded.levels)
    assert BANDS_HZ[recorded.bands[0] - 1] < 7500 < BANDS_HZ[recorded.bands[0] + 1]
