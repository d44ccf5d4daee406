from pathlib import Path

import numpy as np
import pytest
from mgeldm.audio import AudioClip, write
from mgeldm.errors import AudioError, Cancelled
from mgeldm.progress import Reporter

from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.project import Tempo
from mgeldm_app.services.analysis import analyse, find_tempo

DEMO = Path(__file__).parents[2] / "resources" / "demo" / "demo.flac"


def clicks(bpm, first_s, seconds=24.0, rate_hz=44100):
    """High clicks on every beat, a low one where a bar begins."""
    samples, decay = np.zeros(round(seconds * rate_hz), np.float32), np.arange(2000)
    for number in range(int((seconds - first_s - 0.1) * bpm / 60)):
        start = round((first_s + number * 60 / bpm) * rate_hz)
        pitch_hz = 80 if number % 4 == 0 else 1000
        samples[start : start + 2000] += 0.5 * np.sin(2 * np.pi * pitch_hz * decay / rate_hz) * np.exp(-decay / 400)
    return AudioClip(np.stack([samples, samples]), rate_hz)


@pytest.mark.parametrize(("bpm", "first_s"), [(120.0, 0.25), (97.3, 0.4), (140.0, 1.0)])
def test_clicks_give_their_tempo_and_beats(tmp_path, bpm, first_s):
    write(tmp_path / "clicks.wav", clicks(bpm, first_s))
    found = find_tempo(tmp_path / "clicks.wav")
    assert found.source == "found"
    assert found.bpm == pytest.approx(bpm, abs=0.1)
    beat_s = 60 / bpm
    off_s = (found.downbeat_s - first_s + beat_s / 2) % beat_s - beat_s / 2
    assert abs(off_s) < 0.01


def test_the_demo_song_in_a_process_of_its_own(tmp_path):
    store = ClipStore(tmp_path)
    found = analyse(store.path(store.take_in(DEMO)))
    bar_s = 4 * 60 / 104  # see resources/demo/make_demo.py
    assert (found.bpm, found.key) == (104.0, "A minor")
    assert min(found.downbeat_s % bar_s, bar_s - found.downbeat_s % bar_s) < 0.03


def test_it_can_be_called_off_and_a_bad_file_says_so(tmp_path):
    write(tmp_path / "clicks.wav", clicks(120.0, 0.25))
    with pytest.raises(Cancelled):
        analyse(tmp_path / "clicks.wav", Reporter(cancelled=lambda: True))
    with pytest.raises(AudioError):
        analyse(tmp_path / "gone.wav")


def test_silence_and_a_single_note_have_no_tempo(tmp_path):
    write(tmp_path / "silence.wav", AudioClip(np.zeros((1, 441000), np.float32), 44100))
    assert find_tempo(tmp_path / "silence.wav") == Tempo()
    tone = np.sin(2 * np.pi * 440 * np.arange(441000) / 44100).astype(np.float32)[None] * 0.3
    write(tmp_path / "tone.wav", AudioClip(tone, 44100))
    assert find_tempo(tmp_path / "tone.wav").source == "none"
    write(tmp_path / "short.wav", AudioClip(tone[:, :44100], 44100))
    assert find_tempo(tmp_path / "short.wav") == Tempo()
