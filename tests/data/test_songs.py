import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.data.songs import FileStem, Recording, Song, Stem
from mgeldm.errors import AudioError

RATE_HZ = 44100


def tone(hz, samples, rate_hz=RATE_HZ):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz)).astype(np.float32)


@settings(max_examples=20)
@given(st.integers(-50, 200), st.integers(0, 200))
def test_a_stem_in_memory_is_silent_outside(start, length):
    audio = np.arange(200, dtype=np.float32).reshape(2, 100) + 1
    padded = np.pad(audio, ((0, 0), (50, 400)))
    read = Stem("bass", ["bass"], audio).read(start, start + length)
    assert np.array_equal(read, padded[:, start + 50 : start + 50 + length])


def test_files_are_summed_and_brought_to_one_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(500, 48000, 48000), 48000)
    soundfile.write(tmp_path / "b.flac", np.stack([tone(300, 22050), tone(700, 22050)], 1), RATE_HZ, "PCM_24")
    stem = FileStem("guitar", ["guitar"], (Recording(tmp_path / "a.wav"), Recording(tmp_path / "b.flac")))
    assert stem.samples == 44100
    wanted = np.repeat(tone(500, 44100)[None], 2, 0)
    wanted[:, :22050] += np.stack([tone(300, 22050), tone(700, 22050)])
    assert np.abs(stem.audio - wanted)[:, 100:-100].max() < 2e-3


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_stems_of_any_count_of_channels_sum_to_their_mixture(tmp_path, channels):
    rng = np.random.default_rng(0)
    parts = rng.normal(0, 0.1, (2, 4000, channels)).astype(np.float32)
    for name, audio in zip(("a", "b", "mixture"), (*parts, parts.sum(0)), strict=True):
        soundfile.write(tmp_path / f"{name}.wav", audio, RATE_HZ, "FLOAT")
    one, other, mixture = (Recording(tmp_path / f"{name}.wav").read(0, 4000) for name in ("a", "b", "mixture"))
    assert mixture.shape == (2, 4000)
    assert np.allclose(one + other, mixture, atol=1e-6)
    assert np.allclose(mixture.mean(0), parts.sum(0).mean(1), atol=1e-6)  # no channel is lost


@settings(max_examples=12)
@given(start=st.integers(0, 90_000), length=st.integers(1, 30_000))
def test_pieces_of_a_resampled_file_are_the_whole(tmp_path_factory, start, length):
    path = tmp_path_factory.mktemp("resampled") / "a.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (48000 * 2, 2)).astype(np.float32)
    soundfile.write(path, noise, 48000, "FLOAT")
    stem = FileStem("noise", ["noise"], (Recording(path),))
    whole = stem.read(0, 44100 * 3)
    assert np.abs(stem.read(start, start + length) - whole[:, start : start + length]).max() < 1e-4


def test_streams_of_a_container_are_entered_at_any_sample(tmp_path, write_streams):
    path = tmp_path / "song.stem.mp4"
    first, second = (np.repeat(tone(hz, RATE_HZ * 3)[None], 2, 0) for hz in (440, 1000))
    second[:, RATE_HZ:] *= 0.1
    write_streams(path, [first, second])
    for number, wanted in enumerate((first, second)):
        stem = FileStem("x", ["x"], (Recording(path, number),))
        assert abs(stem.samples - RATE_HZ * 3) < 1100
        for start in (0, 1, 40_000, 44_100, 77_777):
            piece = stem.read(start, start + 20_000)
            error = np.sqrt(np.square(piece - wanted[:, start : start + 20_000])[:, 1500:].mean())
            assert error < 0.02, (number, start)
    assert not FileStem("x", ["x"], (Recording(path, 0),)).read(200_000, 200_100).any()


def test_a_stream_is_right_from_its_first_sample_and_the_same_in_pieces(tmp_path, write_streams):
    """A seek to the beginning passed over what primes the decoder, and the first 23 ms were another sound."""
    time = np.arange(RATE_HZ * 3) / RATE_HZ
    sweep = np.repeat(0.3 * np.sin(2 * np.pi * (200 + 50 * time) * time)[None], 2, 0).astype(np.float32)
    write_streams(tmp_path / "a.m4a", [tone(1000, RATE_HZ * 3)[None].repeat(2, 0), sweep])
    recording = Recording(tmp_path / "a.m4a", 1)
    whole = recording.read(0, RATE_HZ * 3)
    error = np.square(whole - sweep)[:, : 44 * 2900].reshape(2, -1, 44).mean((0, 2))  # of each millisecond
    assert np.sqrt(error.max()) < 0.02
    for start in (-500, 0, 1, 1023, 1024, 8819, 8820, 8821, 9000, 40_000, 77_777):
        piece = recording.read(start, start + 5000)
        assert np.abs(piece[:, max(0, -start) :] - whole[:, max(0, start) : start + 5000]).max() < 1e-6, start


def test_a_stream_that_is_not_there_is_said(tmp_path, write_streams):
    write_streams(tmp_path / "a.stem.mp4", [np.zeros((2, 9000), np.float32)])
    with pytest.raises(AudioError, match="1 sound streams where number 3"):
        Recording(tmp_path / "a.stem.mp4", 3).probe()
    (tmp_path / "b.stem.mp4").write_bytes(b"no film")
    with pytest.raises(AudioError, match=r"b\.stem\.mp4 cannot be read"):
        Recording(tmp_path / "b.stem.mp4", 0).probe()


def test_a_song_sums_measures_and_cuts_its_stems():
    stems = [Stem("a", ["a"], np.full((2, 1000), 0.25, np.float32)), Stem("b", ["b"], np.ones((2, 500), np.float32))]
    song = Song(stems, name="two")
    assert song.samples == 1000
    assert song.level == pytest.approx(np.sqrt((1.25**2 + 0.25**2) / 2), rel=1e-6)
    assert np.array_equal(song.mixture[:, :500], np.full((2, 500), 1.25, np.float32))
    piece = song.piece(400, 600)
    assert piece.name == "two"
    assert np.array_equal(piece.mixture[0], np.array([1.25] * 100 + [0.25] * 100, np.float32))
