import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.data import singer
from mgeldm.data.production import amplify
from mgeldm.data.singer import _SILENT_DB, _consonants, _said, _stretched, _syllables, sing, sing_words, sung
from mgeldm.data.speech import BANDS_HZ, FLOOR_DB, STEP_DB, Speech

RATE_HZ = 44100
LINE = np.array([[0.2, 0.9, 57.0, 0.9], [1.2, 0.7, 60.0, 0.8], [2.0, 0.9, 64.0, 0.9]])


def pitch_hz(sound, low=80, high=900):
    """The fundamental by autocorrelation."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 2 * len(sound))) ** 2
    lags = np.fft.irfft(spectrum)[: RATE_HZ // low]
    first = RATE_HZ // high
    return RATE_HZ / (first + int(lags[first:].argmax()))


@pytest.mark.parametrize("seed", range(5))
def test_a_line_is_sung_at_its_pitches(seed):
    sung = sing(LINE, 3 * RATE_HZ, np.random.default_rng(seed), female=seed % 2 == 0)
    assert np.array_equal(sung, sing(LINE, 3 * RATE_HZ, np.random.default_rng(seed), female=seed % 2 == 0))
    assert sung.dtype == np.float32
    assert np.isfinite(sung).all()
    for start_s, length_s, pitch, _ in LINE:
        middle = int((start_s + length_s * 0.35) * RATE_HZ)
        heard = pitch_hz(sung[middle : middle + 8000])
        off = 12 * np.log2(heard / (440 * 2 ** ((pitch - 69) / 12)))
        assert min(abs(off - octave) for octave in (-12, 0, 12)) < 1.0


def test_men_and_women_sing_where_their_voices_lie(monkeypatch):
    lines = {"male": [], "female": [], "choral": []}
    heard = []
    monkeypatch.setattr(singer, "sing", lambda notes, samples, *_: heard.append(notes) or np.zeros(samples, np.float32))
    for seed in range(60):
        heard.clear()
        line = LINE + np.array([0, 0, seed % 3 * 9 - 9, 0])
        _, (tag,) = singer.sung(line, 100, np.random.default_rng(seed))
        assert set((heard[0][:, 2] - line[:, 2]) % 12) == {0}
        lines[tag].append(np.median(heard[0][:, 2]))
    assert all(49 <= pitch <= 61 for pitch in lines["male"]) and all(59 <= pitch <= 71 for pitch in lines["female"])
    assert lines["choral"]
    assert singer.sung(LINE[:0], 100, np.random.default_rng(0))[0].shape == (100,)


def test_nothing_is_sung_where_there_is_no_note():
    sung = sing(LINE[1:2], 3 * RATE_HZ, np.random.default_rng(0), True)
    assert np.abs(sung[: int(0.9 * RATE_HZ)]).max() < 0.02 * np.abs(sung).max()
    assert not sing(np.zeros((0, 4)), 1000, np.random.default_rng(0), True).any()
    assert not sing(LINE + 5, 1000, np.random.default_rng(0), True).any()


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0, 1.2), st.floats(0.02, 2), st.integers(36, 90), st.floats(0.05, 1)), max_size=6),
    st.integers(0, 100),
)
def test_chords_and_overlaps_are_sung_too(notes, seed):
    notes = np.array([list(map(float, note)) for note in notes]).reshape(-1, 4)
    sung = sing(notes, RATE_HZ, np.random.default_rng(seed), True)
    assert sung.shape == (RATE_HZ,)
    assert np.isfinite(sung).all()


def test_women_have_higher_formants():
    def centre(female):
        sung = [sing(LINE, 3 * RATE_HZ, np.random.default_rng(seed), female) for seed in range(6)]
        power = np.mean([np.abs(np.fft.rfft(s)) ** 2 for s in sung], axis=0)
        hz = np.fft.rfftfreq(3 * RATE_HZ, 1 / RATE_HZ)
        band = (hz > 1800) & (hz < 4500)  # the third formant and the fourth
        return (power * hz)[band].sum() / power[band].sum()

    assert centre(True) > centre(False) + 50


def test_long_notes_become_syllables_within_them():
    for seed in range(20):
        syllables = _syllables(LINE, np.random.default_rng(seed))
        assert len(LINE) <= len(syllables) <= 4 * len(LINE)
        ends = syllables[:, 0] + syllables[:, 1]
        assert (ends[:-1] <= syllables[1:, 0] + 1e-9).all()
        assert ends[-1] <= 2.9 + 1e-9
        assert set(syllables[:, 2]) == {57.0, 60.0, 64.0}


def test_consonants_are_high_and_come_before_the_notes():
    noise = np.random.default_rng(1).standard_normal(3 * RATE_HZ).astype(np.float32)
    said = [_consonants(LINE, 3 * RATE_HZ, noise, np.random.default_rng(seed)) for seed in range(20)]
    whole = np.sum(np.abs(said), axis=0)
    before, within = (whole[int(at * RATE_HZ) : int((at + 0.15) * RATE_HZ)].sum() for at in (1.05, 0.5))
    assert before > 5 * within
    power = np.mean([np.abs(np.fft.rfft(s)) ** 2 for s in said], axis=0)
    hz = np.fft.rfftfreq(3 * RATE_HZ, 1 / RATE_HZ)
    assert power[hz > 1000].sum() > 5 * power[hz < 1000].sum()


def test_an_amplifier_drives_chords_as_one():
    """Two tones together make a difference tone that neither makes alone."""
    time = np.arange(RATE_HZ) / RATE_HZ
    tones = [np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (700, 1100)]
    made = []
    for seed in range(8):
        both, *alone = (amplify(x, np.random.default_rng(seed)) for x in (tones[0] + tones[1], *tones))
        difference = [np.abs(np.fft.rfft(x))[300] for x in (both, *alone)]  # 2 x 700 - 1100 Hz
        made.append(difference[0] / (sum(difference[1:]) + 1e-6))
        assert np.isfinite(both).all()
        spectrum = np.abs(np.fft.rfft(both))
        assert spectrum[12000:].sum() < 0.05 * spectrum.sum()
    assert np.median(made) > 10
    assert not amplify(np.zeros(1000, np.float32), np.random.default_rng(0)).any()


@pytest.fixture(scope="module")
def speech():
    """A man and a woman who say "sa sa sa": 0.1 s of hiss, 0.2 s of a vowel, the woman's formant higher."""
    levels, voiced, cut, speakers = [], [], [], []
    for speaker, formant_hz in enumerate((600, 1200)):
        for _ in range(3):
            at = 30 * len(cut)
            hiss = np.where(BANDS_HZ > 4000, -20.0, -90.0)
            vowel = -6 * np.abs(np.log2(BANDS_HZ / formant_hz)) ** 1.5
            levels += [hiss] * 10 + [vowel] * 20
            voiced += [False] * 10 + [True] * 20
            cut.append((at, at + 18, at + 30))
            speakers.append(speaker)
    steps = np.clip((np.array(levels) - FLOOR_DB) / STEP_DB, 0, 255).astype(np.uint8)
    arrays = (np.array(voiced), np.array(cut, np.int32), np.array(speakers, np.int16))
    return Speech(steps, *arrays, np.array([False, True]), np.array([37, 48], np.int16))


@pytest.mark.parametrize("seed", range(4))
def test_words_are_sung_at_the_pitches_of_the_notes(speech, seed):
    line = LINE + np.array([0, 0, 12 * (seed % 2), 0])
    words = sing_words(line, 3 * RATE_HZ, np.random.default_rng(seed), speech, seed % 2)
    assert np.array_equal(words, sing_words(line, 3 * RATE_HZ, np.random.default_rng(seed), speech, seed % 2))
    assert words.dtype == np.float32 and np.isfinite(words).all()
    for start_s, length_s, pitch, _ in line:
        middle = int((start_s + length_s * 0.35) * RATE_HZ)
        off = 12 * np.log2(pitch_hz(words[middle : middle + 8000]) / (440 * 2 ** ((pitch - 69) / 12)))
        assert min(abs(off - octave) for octave in (-12, 0, 12)) < 1.0


def test_consonants_of_words_come_before_the_beat_and_have_no_pitch(speech):
    line = LINE[1:2]
    said = [sing_words(line, 3 * RATE_HZ, np.random.default_rng(seed), speech, 1) for seed in range(6)]
    power = np.mean([np.abs(np.fft.rfft(_cut(words, 1.12, 1.18))) ** 2 for words in said], axis=0)
    hz = np.fft.rfftfreq(round(0.06 * RATE_HZ), 1 / RATE_HZ)
    assert power[hz > 3500].sum() > 20 * power[hz < 2000].sum()
    words = said[0]
    assert np.abs(_cut(words, 0.0, 1.0)).max() < 0.02 * np.abs(words).max()
    assert np.abs(_cut(words, 2.2, 3.0)).max() < 0.02 * np.abs(words).max()


def _cut(sound, start_s, end_s):
    return sound[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]


def test_of_two_notes_at_once_the_later_one_is_sung(speech):
    held = np.array([[0.2, 2.5, 57.0, 0.9], [1.0, 0.3, 64.0, 0.9]])
    levels_db, voiced = _said(held, 300, np.random.default_rng(0), speech, 0)
    assert voiced[20:85].all() and voiced[100:130].all() and not voiced[130:].any()
    assert (levels_db[130:] == _SILENT_DB).all() and (levels_db[20:130].max(1) > _SILENT_DB).all()


def test_a_long_note_stays_on_the_vowel():
    frames = _stretched(10, 18, 30, 100, np.random.default_rng(0))
    assert len(frames) == 100 and frames[0] == 10 and frames[-1] == 29
    assert (np.abs(frames[8:-12] - 18) <= 2).all()
    assert _stretched(10, 18, 30, 7, np.random.default_rng(0)).tolist() == [10, 13, 16, 20, 23, 26, 29]


def test_speakers_keep_their_throats(speech):
    """Of those who sing with words a man's formants are lower; so are his lines."""
    found = {"male": [], "female": []}
    for seed in range(40):
        sound, (tag,) = sung(LINE, 3 * RATE_HZ, np.random.default_rng(seed), [speech])
        if tag in found:
            power = np.abs(np.fft.rfft(sound)) ** 2
            hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
            found[tag].append((power * hz)[hz < 3000].sum() / power[hz < 3000].sum())
    assert np.median(found["female"]) > 1.2 * np.median(found["male"])


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.floats(0, 1.2), st.floats(0.02, 2), st.integers(36, 90), st.floats(0.05, 1)), max_size=6),
    st.integers(0, 100),
)
def test_any_line_can_have_words(speech, notes, seed):
    notes = np.array([list(map(float, note)) for note in notes]).reshape(-1, 4)
    words = sing_words(notes, RATE_HZ, np.random.default_rng(seed), speech, seed % 2)
    assert words.shape == (RATE_HZ,) and np.isfinite(words).all()
    assert words.any() == (len(notes) > 0 and notes[:, 0].min() < 1)
