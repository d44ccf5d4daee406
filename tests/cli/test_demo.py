import numpy as np
from mgeldm.audio import read
from mgeldm.evaluation.demo import DEMO_SONG, PROMPTS, demo
from mgeldm.progress import Reporter


def test_the_demo_song_is_what_it_should_be():
    song = read(DEMO_SONG)
    assert 30 <= song.duration_s <= 60
    assert (song.channels, song.rate_hz) == (2, 44100)
    assert 0.3 < float(np.abs(song.samples).max()) < 1


def test_the_demo_writes_stems_a_table_and_a_picture(pipeline, tmp_path):
    result = demo(pipeline, tmp_path, Reporter())
    stems = [read(tmp_path / f"demo - {name}.wav").samples.astype(np.float64) for name in (*PROMPTS, "rest")]
    assert np.abs(sum(stems) - read(DEMO_SONG).samples).max() < 1e-6
    assert (tmp_path / "demo.png").stat().st_size > 50_000
    assert "demo - the drums.wav" in result["text"]
