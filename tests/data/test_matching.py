import builtins

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgeldm.data import matching
from mgeldm.data.matching import SPEEDS, listen, matched, speed_to, stretch
from mgeldm.data.songs import Song, Stem
from mgeldm.errors import InputError
from mgeldm.words import KIT

RATE_HZ = 44100
SCALE = (0, 2, 4, 5, 7, 9, 11)


def song_of(tempo_bpm, tonic, seconds=20.0, first_s=0.1, seed=0, label="piano"):
    """Clicks on the beats and the tones of a major scale."""
    rng, samples = np.random.default_rng(seed), int(seconds * RATE_HZ)
    drums, tones = np.zeros(samples, np.float32), np.zeros(samples, np.float32)
    step = 60 / tempo_bpm
    for beat, start_s in enumerate(np.arange(first_s, seconds - 0.5, step)):
        at, length = int(start_s * RATE_HZ), int(0.4 * RATE_HZ)
        click = rng.normal(0, 1.0 if beat % 2 else 0.6, 800) * np.exp(-np.arange(800) / 150)
        drums[at : at + 800] += click.astype(np.float32)
        hz = 261.63 * 2 ** ((tonic + SCALE[3 * beat % 7]) / 12)
        time = np.arange(length) / RATE_HZ
        tones[at : at + length] += (0.3 * np.sin(2 * np.pi * hz * time) * np.exp(-time / 0.15)).astype(np.float32)
    stems = [Stem("drums", ["drums"], np.stack([drums] * 2)), Stem(label, [label], np.stack([tones] * 2))]
    return Song(stems, name=f"{tempo_bpm} in {tonic}")


@pytest.mark.parametrize(("tempo_bpm", "tonic"), [(90.0, 0), (123.4, 7), (140.0, 3)])
def test_tempo_beat_and_scale_are_heard(tempo_bpm, tonic):
    pulse = listen(song_of(tempo_bpm, tonic))
    assert min(abs(pulse.tempo_bpm / tempo_bpm - ratio) for ratio in (0.5, 1.0, 2.0)) < 1e-3
    period_s = 60 / pulse.tempo_bpm
    off_s = abs((pulse.beat_s - 0.1 + period_s / 2) % period_s - period_s / 2)
    assert off_s < 0.02
    assert pulse.scale == tonic


def test_a_song_of_noise_alone_has_a_pulse_too():
    noise = np.random.default_rng(0).normal(0, 0.1, (2, RATE_HZ * 8)).astype(np.float32)
    pulse = listen(Song([Stem("drums", ["drums"], noise)]))
    assert 60 <= pulse.tempo_bpm <= 180
    silent = listen(Song([Stem("piano", ["piano"], np.zeros((2, RATE_HZ * 8), np.float32))]))
    assert 60 <= silent.tempo_bpm <= 180


@given(st.floats(60, 180), st.floats(60, 180))
def test_a_speed_brings_a_tempo_to_another_or_nearly(from_bpm, to_bpm):
    speed = speed_to(from_bpm, to_bpm)
    assert SPEEDS[0] - 1e-9 <= speed <= SPEEDS[1]
    reached = from_bpm * speed / to_bpm
    assert min(abs(reached / ratio - 1) for ratio in (0.25, 0.5, 1, 2, 4)) < 0.03


def test_stretching_keeps_pitch_and_moving_keeps_time():
    pytest.importorskip("python_stretch")
    song = song_of(120.0, 0, 6.0)
    slower = stretch(song.mixture, 0.8, 0)
    assert abs(slower.shape[1] - 6.0 * RATE_HZ / 0.8) < 2
    tone = np.stack([np.sin(2 * np.pi * 440 * np.arange(RATE_HZ * 3) / RATE_HZ)] * 2).astype(np.float32)
    moved = stretch(tone, 1.0, 3)
    assert moved.shape == tone.shape
    peak_hz = np.abs(np.fft.rfft(moved[0, RATE_HZ : 2 * RATE_HZ])).argmax()
    assert peak_hz == pytest.approx(440 * 2 ** (3 / 12), abs=3)


def test_songs_come_to_one_tempo_and_scale_with_their_beats_together():
    pytest.importorskip("python_stretch")
    songs = [song_of(100.0, 0, 12.0), song_of(112.0, 2, 12.0, 0.3, 1, "lead synth")]
    song = matched(songs, 7.0, np.random.default_rng(0))
    again = matched(songs, 7.0, np.random.default_rng(0))
    assert np.array_equal(song.mixture, again.mixture)
    assert {stem.label for stem in song.stems} == {"drums", "piano", "lead synth"}
    assert all(stem.audio.shape == (2, RATE_HZ * 7) for stem in song.stems)
    scales = []
    for stem in song.stems:
        pulse = listen(Song([stem]))
        assert min(abs(pulse.tempo_bpm / song.tempo_bpm - r) for r in (0.5, 1, 2)) < 0.01, stem.label
        if stem.label != "drums":
            scales.append(pulse.scale)
            period_s = 60 / song.tempo_bpm
            assert min(pulse.beat_s % period_s, period_s - pulse.beat_s % period_s) < 0.04
    assert scales[0] == scales[1]


def test_no_stem_joins_another_song_that_may_contain_it(monkeypatch):
    """Else "drums" would be taught to leave out the other song's kick."""
    monkeypatch.setattr(matching, "listen", lambda piece: matching.Pulse(120.0, 0.0, 0))
    monkeypatch.setattr(matching, "stretch", lambda audio, speed, semitones: audio)

    def song(*labels):
        return Song([Stem(label, [label], np.ones((2, RATE_HZ * 4), np.float32)) for label in labels])

    songs = [song("drums", "percussion", "bass"), song("kick drum", "snare drum", "bass", "piano", "gitarre")]
    found = [{s.label for s in matched(songs, 1.0, np.random.default_rng(seed)).stems} for seed in range(12)]
    drums, pieces = {"drums", "percussion"}, {"kick drum", "snare drum", "percussion"}  # its own song's is welcome
    assert {frozenset(labels) for labels in found} == {frozenset(kit | {"bass", "piano"}) for kit in (drums, pieces)}


def test_pieces_of_a_kit_stay_as_high_as_they_are(monkeypatch):
    moved = {}
    pulses = iter([matching.Pulse(120.0, 0.0, 0), matching.Pulse(120.0, 0.0, 4)])
    monkeypatch.setattr(matching, "listen", lambda piece: next(pulses))
    monkeypatch.setattr(
        matching, "stretch", lambda audio, speed, semitones: moved.update({audio[0, 0]: semitones}) or audio
    )
    sounds = {label: np.full((2, RATE_HZ * 4), i, np.float32) for i, label in enumerate((*KIT, "bass"), 1)}
    others = Song([Stem("vocals", ["vocals"], np.full((2, RATE_HZ * 4), 9, np.float32))])
    matched([Song([Stem(x, [x], audio) for x, audio in sounds.items()]), others], 1.0, np.random.default_rng(3))
    assert all(moved[i] == 0 for i in range(1, 7))
    assert moved[7] != moved[9]


def test_a_kit_piece_by_piece_has_no_say_in_the_scale(monkeypatch):
    heard = []
    monkeypatch.setattr(matching, "_scale", lambda mono: heard.append(mono[0]) or 0)
    stems = [Stem(x, [x], np.full((2, RATE_HZ * 4), level, np.float32)) for x, level in (("kick drum", 1), ("bass", 2))]
    listen(Song(stems))
    assert heard == [2]


def test_without_the_library_it_is_said_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "python_stretch":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="pip install python-stretch"):
        matching.stretch(np.zeros((2, 1000), np.float32), 1.1, 0)
