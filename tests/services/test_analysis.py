from pathlib import Path

import numpy as np
import pytest
from mgeldm.audio import AudioClip, read, write
from mgeldm.errors import AudioError, Cancelled
from mgeldm.progress import Reporter

from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.project import Tempo
from mgeldm_app.services.analysis import _first_bar_s, _key, analyse, find_tempo

DEMO = Path(__file__).parents[2] / "resources" / "demo" / "demo.flac"


def clicks(bpm, first_s, seconds=24.0, rate_hz=44100):
    """High clicks on every beat, a low one where a bar begins."""
    samples, decay = np.zeros(round(seconds * rate_hz), np.float32), np.arange(2000)
    for number in range(int((seconds - first_s - 0.1) * bpm / 60)):
        start = round((first_s + number * 60 / bpm) * rate_hz)
        pitch_hz = 80 if number % 4 == 0 else 1000
        samples[start : start + 2000] += 0.5 * np.sin(2 * np.pi * pitch_hz * decay / rate_hz) * np.exp(-decay / 400)
    return AudioClip(np.stack([samples, samples]), rate_hz)


def off_s(found, first_s, bpm):
    """How late the beats found are."""
    return (found.downbeat_s - first_s + 30 / bpm) % (60 / bpm) - 30 / bpm


def band(beats_s, rate_hz=44100, jitter_s=0.0, noise=0.05):
    """Kick and snare in turn at the beats, in noise."""
    rng, samples = np.random.default_rng(3), round((beats_s[-1] + 1) * rate_hz)
    song, time_s = noise * rng.standard_normal(samples), np.arange(rate_hz // 4) / rate_hz
    kick = 0.8 * np.sin(2 * np.pi * 60 * time_s) * np.exp(-10 * time_s)
    kick += 0.3 * rng.standard_normal(len(time_s)) * np.exp(-time_s / 0.002)
    snare = 0.3 * rng.standard_normal(len(time_s)) * np.exp(-time_s / 0.08)
    for number, beat_s in enumerate(beats_s):
        start = round((beat_s + rng.normal(0, jitter_s)) * rate_hz)
        song[start : start + len(time_s)] += snare if number % 2 else kick
    return AudioClip(song[None].astype(np.float32), rate_hz)


@pytest.mark.parametrize(("bpm", "first_s"), [(120.0, 0.25), (97.3, 0.4), (140.0, 1.0)])
def test_clicks_give_their_tempo_and_beats(tmp_path, bpm, first_s):
    write(tmp_path / "clicks.wav", clicks(bpm, first_s))
    found = find_tempo(tmp_path / "clicks.wav")
    assert found.source == "found"
    assert found.bpm == pytest.approx(bpm, abs=0.1)
    assert abs(off_s(found, first_s, bpm)) < 0.002


@pytest.mark.parametrize(("bpm", "rate_hz"), [(104.0, 44100), (128.0, 48000), (90.0, 22050)])
def test_beats_lie_where_drums_begin(tmp_path, bpm, rate_hz):
    write(tmp_path / "band.wav", band(0.1 + np.arange(0, 35, 60 / bpm), rate_hz))
    found = find_tempo(tmp_path / "band.wav")
    assert found.bpm == bpm
    assert abs(off_s(found, 0.1, bpm)) < 0.001


STEMS = Path(__file__).parents[3] / "shared" / "stems" / "sodium"


@pytest.mark.skipif(not STEMS.is_dir(), reason="needs the shared stems")
@pytest.mark.parametrize("seconds", [20, 30, 40])
def test_a_bounce_of_half_a_minute_has_its_whole_tempo_and_begins_with_a_bar(tmp_path, seconds):
    """At 60 s of this song, of 140 beats a minute, a bar begins; 139.8 fits the comb of onsets better there."""
    clips = [read(path) for path in sorted(STEMS.glob("*.opus"))]
    rate_hz = clips[0].rate_hz
    song = sum(clip.samples.mean(0)[60 * rate_hz : (60 + seconds) * rate_hz] for clip in clips)
    write(tmp_path / "song.wav", AudioClip(song[None] / np.abs(song).max(), rate_hz))
    found = find_tempo(tmp_path / "song.wav")
    assert found.bpm == 140.0
    if seconds > 20:  # too short to tell the one from the other beats
        assert found.downbeat_s == 0.0


@pytest.mark.parametrize("bpm", [97.3, 97.05, 100.1, 128.04, 133.33])
@pytest.mark.parametrize("seconds", [12, 35])
def test_a_tempo_is_whole_only_where_it_is(tmp_path, bpm, seconds):
    write(tmp_path / "band.wav", band(0.1 + np.arange(0, seconds, 60 / bpm)))
    found = find_tempo(tmp_path / "band.wav")
    assert abs(found.bpm / bpm - 1) * seconds / 2 < 0.005  # how far off both ends are
    assert type(found.bpm) is float


@pytest.mark.parametrize(
    ("downbeat_s", "first_s"), [(0.0, 0.0), (0.012, 0.0), (1.99, 0.0), (2.015, 0.0), (3.0, 1.0), (-0.5, 1.5)]
)
def test_the_first_bar_begins_within_one_of_the_start_or_at_it(downbeat_s, first_s):
    assert _first_bar_s(downbeat_s, 120) == first_s


def test_where_the_tempo_drifts_as_many_beats_are_early_as_late(tmp_path):
    beats_s = 0.1 + np.cumsum(60 / 104 * np.linspace(1, 1.002, 68))  # a player who slows down
    write(tmp_path / "band.wav", band(beats_s))
    found = find_tempo(tmp_path / "band.wav")
    late_s = [off_s(found, beat_s, found.bpm) for beat_s in beats_s]
    assert abs(np.median(late_s)) < 0.003
    assert max(np.abs(late_s)) < 0.012


@pytest.mark.parametrize("attack_s", [0.02, 0.06])
def test_soft_notes_leave_the_grid_where_it_is(tmp_path, attack_s):
    time_s = np.arange(round(0.5 * 44100)) / 44100
    swell = (1 - np.exp(-time_s / attack_s)) * np.minimum(1, (0.5 - time_s) / 0.05)
    notes = [0.2 * swell * np.sin(2 * np.pi * pitch_hz * time_s) for pitch_hz in (220, 277, 330, 440)]
    write(tmp_path / "pad.wav", AudioClip(np.tile(np.concatenate(notes), 15)[None].astype(np.float32), 44100))
    found = find_tempo(tmp_path / "pad.wav")
    assert found.bpm == 120
    assert abs(off_s(found, 0, 120)) < 0.02


def test_hits_that_come_anyhow_do_not_move_it(tmp_path):
    write(tmp_path / "band.wav", band(0.1 + np.arange(0, 35, 60 / 104), jitter_s=0.015))
    assert abs(off_s(find_tempo(tmp_path / "band.wav"), 0.1, 104)) < 0.01


def test_the_demo_song_in_a_process_of_its_own(tmp_path):
    store = ClipStore(tmp_path)
    found = analyse(store.path(store.take_in(DEMO)))
    bar_s = 4 * 60 / 104  # see resources/demo/make_demo.py
    assert (found.bpm, found.key) == (104.0, "A minor")
    assert min(found.downbeat_s % bar_s, bar_s - found.downbeat_s % bar_s) < 0.002


def test_it_can_be_called_off_and_a_bad_file_says_so(tmp_path):
    write(tmp_path / "clicks.wav", clicks(120.0, 0.25))
    with pytest.raises(Cancelled):
        analyse(tmp_path / "clicks.wav", Reporter(cancelled=lambda: True))
    with pytest.raises(AudioError):
        analyse(tmp_path / "gone.wav")


@pytest.mark.parametrize("right", [-1.0, -0.95])
def test_a_song_whose_channels_cancel_each_other_is_heard_in_one(tmp_path, right):
    left = read(DEMO, 0.0, 12.0).samples.mean(0)
    for name, second in (("mono", left), ("apart", right * left)):
        write(tmp_path / f"{name}.wav", AudioClip(np.stack([left, second]), 44100))
    found = find_tempo(tmp_path / "apart.wav")
    assert found == find_tempo(tmp_path / "mono.wav")
    assert found.source == "found" and found.key


def test_all_notes_alike_are_no_key():
    with np.errstate(all="raise"):
        assert (_key(np.ones(12)), _key(np.zeros(12))) == ("", "")


def test_silence_and_a_single_note_have_no_tempo(tmp_path):
    write(tmp_path / "silence.wav", AudioClip(np.zeros((1, 441000), np.float32), 44100))
    assert find_tempo(tmp_path / "silence.wav") == Tempo()
    tone = np.sin(2 * np.pi * 440 * np.arange(441000) / 44100).astype(np.float32)[None] * 0.3
    write(tmp_path / "tone.wav", AudioClip(tone, 44100))
    assert find_tempo(tmp_path / "tone.wav").source == "none"
    write(tmp_path / "short.wav", AudioClip(tone[:, :44100], 44100))
    assert find_tempo(tmp_path / "short.wav") == Tempo()
