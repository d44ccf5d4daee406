"""Files appear whole or not at all, hold exactly what was written, and failures say what to do."""

import errno
import os
import struct
import subprocess
import sys
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm import audio
from mgeldm.errors import AudioError, OutputError

NOISE = np.random.default_rng(0).uniform(-1, 1, (2, 5000)).astype(np.float32)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


SUBTYPES = {"wav32": "FLOAT", "wav24": "PCM_24", "wav16": "PCM_16", "flac": "PCM_24"}


@pytest.mark.parametrize("format, subtype", SUBTYPES.items())
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_each_format_reads_back(tmp_path, format, subtype, channels):
    samples = np.resize(NOISE, (channels, 3331))
    path = tmp_path / f"a{audio.FORMATS[format]}"
    with audio.Writer(path, 44_100, channels, format) as writer:
        for start in range(0, 3331, 1000):
            writer.write(samples[:, start : start + 1000])
    info = soundfile.info(path)
    assert (info.subtype, info.channels, info.samplerate, info.frames) == (subtype, channels, 44_100, 3331)
    back = audio.read(path).samples
    step = 2.0 ** (1 - audio.BITS[format]) if format in audio.BITS else 0
    np.testing.assert_allclose(back, samples, rtol=0, atol=step)
    assert listing(tmp_path) == [path.name]


@settings(max_examples=25)
@given(format=st.sampled_from(sorted(audio.BITS)), seed=st.integers(0, 99), samples=st.integers(2205, 4000))
def test_integers_read_back_exactly(tmp_path_factory, format, seed, samples):
    path = tmp_path_factory.mktemp("integers") / "a.wav"
    top = 2 ** (audio.BITS[format] - 1)
    steps = np.random.default_rng(seed).integers(-top, top, (2, samples))
    with audio.Writer(path, 44_100, 2, format) as writer:
        writer.write(steps)
    np.testing.assert_array_equal(audio.read(path).samples.astype(np.float64) * top, steps)


def test_floats_beyond_an_integer_format_are_limited_and_wav32_keeps_them(tmp_path):
    loud = audio.AudioClip(NOISE * 3, 44_100)
    audio.write(tmp_path / "a.wav", loud, "wav16")
    assert np.abs(audio.read(tmp_path / "a.wav").samples).max() <= 1
    audio.write(tmp_path / "a.wav", loud)
    np.testing.assert_array_equal(audio.read(tmp_path / "a.wav").samples, loud.samples)


@pytest.mark.parametrize("format", audio.FORMATS)
def test_nothing_is_left_behind_by_an_exception(tmp_path, format):
    (tmp_path / "a.wav").write_bytes(b"precious")
    with pytest.raises(KeyboardInterrupt), audio.Writer(tmp_path / "a.wav", 44_100, 2, format) as writer:
        writer.write(NOISE)
        assert len(listing(tmp_path)) == 2  # aside, in the same folder
        raise KeyboardInterrupt
    assert listing(tmp_path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == b"precious"


@pytest.mark.parametrize("format, channels", [("wav32", 2), ("wav24", 1), ("wav16", 2), ("wav16", 3)])
def test_beyond_4_gb_the_header_becomes_rf64(tmp_path, monkeypatch, format, channels):
    monkeypatch.setattr(audio, "RIFF_LIMIT_BYTES", 10_000)
    path, samples = tmp_path / "large.wav", np.resize(NOISE, (channels, 5000))
    audio.write(path, audio.AudioClip(samples, 44_100), format)
    data = path.read_bytes()
    assert (data[:4], data[8:16], data[48:52]) == (b"RF64", b"WAVEds64", b"fmt ")
    assert int.from_bytes(data[20:28], "little") == len(data) - 8
    assert soundfile.info(path).format == "RF64"
    step = 2.0 ** (1 - audio.BITS[format]) if format in audio.BITS else 0
    np.testing.assert_allclose(audio.read(path).samples, samples, rtol=0, atol=step)


@pytest.mark.parametrize("format", ["wav16", "wav24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_samplers_and_older_programs_read_integers_of_one_or_two_channels(tmp_path, format, channels):
    """They know a plain format chunk alone, ahead of all others; `wave` of Python 3.11 is one of them."""
    path, bits = tmp_path / "a.wav", audio.BITS[format]
    steps = np.random.default_rng(1).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (channels, 4999))
    with audio.Writer(path, 44_100, channels, format, b"note" + (6).to_bytes(4, "little") + b"hello!") as writer:
        writer.write(steps)
    data, frame = path.read_bytes(), channels * bits // 8
    assert data[12:20] == b"fmt " + (16).to_bytes(4, "little")
    assert struct.unpack("<HHIIHH", data[20:36]) == (1, channels, 44_100, 44_100 * frame, frame, bits)
    with wave.open(str(path)) as old:
        assert (old.getnchannels(), old.getsampwidth(), old.getframerate()) == (channels, bits // 8, 44_100)
        raw = np.frombuffer(old.readframes(old.getnframes()), np.uint8).reshape(-1, channels, bits // 8)
    padded = np.concatenate([np.zeros((*raw.shape[:2], 4 - bits // 8), np.uint8), raw], axis=2)
    np.testing.assert_array_equal(padded.view("<i4")[..., 0].T >> (32 - bits), steps)
    info = soundfile.info(path)
    assert (info.format, info.subtype) == ("WAV", SUBTYPES[format])
    read = soundfile.read(path, dtype="int32", always_2d=True)[0].T >> (32 - bits)
    np.testing.assert_array_equal(read, steps)


@pytest.mark.parametrize("format, channels", [("wav32", 1), ("wav32", 2), ("wav16", 3), ("wav24", 8)])
def test_other_files_say_all_of_their_format(tmp_path, format, channels):
    path = tmp_path / "a.wav"
    audio.write(path, audio.AudioClip(np.resize(NOISE, (channels, 3000)), 44_100), format)
    assert soundfile.info(path).format == "WAVEX"


@pytest.mark.parametrize("format", audio.FORMATS)
def test_a_missing_folder_a_folder_in_place_and_a_long_name(tmp_path, format):
    clip = audio.AudioClip(NOISE, 44_100)
    with pytest.raises(OutputError, match="is not a folder"):
        audio.write(tmp_path / "missing" / "a.wav", clip, format)
    (tmp_path / "b.wav").mkdir()
    with pytest.raises(OutputError, match=r"b\.wav is a folder"):
        audio.write(tmp_path / "b.wav", clip, format)
    with pytest.raises(OutputError, match="too long"):
        audio.write(tmp_path / ("é" * 130 + ".wav"), clip, format)
    with pytest.raises(OutputError, match="too long"):
        audio.write(tmp_path / "/".join(["x" * 200] * 30) / "a.wav", clip, format)
    assert listing(tmp_path) == ["b.wav"]


@pytest.mark.parametrize("letters, says", [(10, "is not a folder"), (55, "too long"), (90, "too long")])
def test_a_path_that_windows_does_not_take_is_not_taken_for_a_missing_folder(tmp_path, monkeypatch, letters, says):
    """Where long paths are off it denies that there is such a file: in time, by the name aside alone, by its own."""
    monkeypatch.setattr(audio, "_LONGEST_PATH", len(str(tmp_path)) + 75)

    def denied(*_, **__):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(OutputError, match=says):
        audio.write(tmp_path / ("x" * letters) / "a.wav", audio.AudioClip(NOISE, 44_100))


@pytest.mark.parametrize("format", audio.FORMATS)
def test_a_folder_without_the_right_to_write(tmp_path, monkeypatch, format):
    real_open, real_touch = open, os.open

    def denied(path, *rest, **more):
        if str(path).endswith(".part"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return (real_open if more.pop("builtin", False) else real_touch)(path, *rest, **more)

    # Rights do not bind an administrator, who may run this test, so the system's refusal is imitated.
    monkeypatch.setattr("builtins.open", lambda path, *rest, **more: denied(path, *rest, builtin=True, **more))
    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(OutputError, match="cannot be written to; choose another folder"):
        audio.write(tmp_path / "a.wav", audio.AudioClip(NOISE, 44_100), format)
    assert listing(tmp_path) == []


FULL_DISK = """
import resource, sys
import numpy as np
from mgeldm import audio
from mgeldm.errors import AudioError, OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))  # beyond it every write fails, as on a full disk
noise = np.random.default_rng(0).uniform(-1, 1, (2, 50_000)).astype(np.float32)
try:
    with audio.Writer(sys.argv[1], 44_100, 2, sys.argv[2]) as writer:
        for _ in range(20):
            writer.write(noise)
except OutputError as error:
    print(error)
"""


if sys.platform != "win32":  # Windows has no limit on a file's size to stand in for the full disk

    @pytest.mark.parametrize("format", audio.FORMATS)
    def test_a_full_disk(tmp_path, format):
        command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.wav"), format]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "No room for a.wav" in done.stdout
        assert listing(tmp_path) == []


def test_an_unknown_format(tmp_path):
    with pytest.raises(OutputError, match="wav32, wav24, wav16, flac, mp3, ogg"):
        audio.write(tmp_path / "a.wma", audio.AudioClip(NOISE, 44_100), "wma")


@pytest.mark.parametrize("format", audio.LOSSY)
def test_lossy_formats_keep_length_place_and_most_of_the_sound(tmp_path, format):
    place = np.arange(60_000) / 44_100
    tone = np.where(place > 0.5, np.sin(2 * np.pi * 440 * place) / 2, 0).astype(np.float32)
    clip = audio.AudioClip(np.stack([tone, -tone]), 44_100)
    audio.write(tmp_path / f"a{audio.LOSSY[format]}", clip, format)
    back = audio.read(tmp_path / f"a{audio.LOSSY[format]}")
    assert (back.rate_hz, back.samples.shape) == (44_100, clip.samples.shape)
    error = np.square(back.samples - clip.samples).mean() / np.square(clip.samples).mean()
    assert 10 * np.log10(error) < -30
    assert listing(tmp_path) == [f"a{audio.LOSSY[format]}"]


def test_mp3_says_what_it_cannot_hold(tmp_path):
    for clip in (audio.AudioClip(NOISE, 96_000), audio.AudioClip(np.resize(NOISE, (6, 5000)), 44_100)):
        with pytest.raises(OutputError, match=r"mp3 cannot hold .* choose flac or wav"):
            audio.write(tmp_path / "a.mp3", clip, "mp3")
    assert listing(tmp_path) == []


def test_ogg_says_what_it_cannot_hold(tmp_path):
    """libsndfile begins such a file, fails at the first write and then ends the whole process."""
    for rate_hz in (200_001, 384_000):
        with pytest.raises(OutputError, match=rf"ogg cannot hold 2 channels at {rate_hz} Hz; choose flac or wav"):
            audio.write(tmp_path / "a.ogg", audio.AudioClip(NOISE, rate_hz), "ogg")
    assert listing(tmp_path) == []
    audio.write(tmp_path / "a.ogg", audio.AudioClip(np.tile(NOISE, 3), 200_000), "ogg")
    assert audio.read(tmp_path / "a.ogg").rate_hz == 200_000


@pytest.mark.parametrize("format", ["wav16", "wav24", "wav32"])
@pytest.mark.parametrize("limit", [audio.RIFF_LIMIT_BYTES, 10_000])
def test_a_chunk_of_ones_own_stands_before_the_samples(tmp_path, monkeypatch, format, limit):
    monkeypatch.setattr(audio, "RIFF_LIMIT_BYTES", limit)
    path = tmp_path / "a.wav"
    with audio.Writer(path, 44_100, 2, format, b"note" + (6).to_bytes(4, "little") + b"hello!") as writer:
        writer.write(NOISE)
    data = path.read_bytes()
    at = 108 if format == "wav32" else 72
    assert data.index(b"note\x06\0\0\0hello!") == at and data[at + 14 : at + 18] == b"data"
    if data[:4] == b"RIFF":
        assert int.from_bytes(data[4:8], "little") == len(data) - 8
    np.testing.assert_allclose(audio.read(path).samples, NOISE, rtol=0, atol=2**-15)
    with pytest.raises(AudioError, match="not a 32-bit float wav file of this program"):
        audio.map_wav(path)  # which maps only what `create_wav` and a plain `Writer` wrote


def test_names_with_emoji_and_250_characters(tmp_path):
    clip = audio.AudioClip(NOISE, 44_100)
    for name in ("🎸 雨 – é.wav", "n" * 250 + ".wav"):
        audio.write(tmp_path / name, clip)
        np.testing.assert_array_equal(audio.read(tmp_path / name).samples, NOISE)


def test_ogg_is_written_from_a_thread_with_a_small_stack(tmp_path):
    """libvorbis lays what it is given on the stack; half a megabyte is what macOS gives a thread."""
    script = f"""
import threading
import numpy as np
from mgeldm.audio import AudioClip, write
threading.stack_size(2**19)
clip = AudioClip(np.zeros((2, 2**18), np.float32), 44100)
thread = threading.Thread(target=write, args=({str(tmp_path / "long.ogg")!r}, clip, "ogg"))
thread.start()
thread.join()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert audio.read(tmp_path / "long.ogg").duration_s == pytest.approx(2**18 / 44100, abs=0.01)


@pytest.mark.skipif(os.name == "nt", reason="Windows renames no file that is open")
def test_a_file_that_gets_its_name_while_it_is_mapped(tmp_path, monkeypatch):
    path, fstat = tmp_path / "a.part.wav", os.fstat
    audio.write(path, audio.AudioClip(np.full((2, 1000), 0.5, np.float32), 44_100))

    def renamed(file):
        if path.exists():
            path.rename(tmp_path / "named.wav")
        return fstat(file)

    monkeypatch.setattr("mgeldm.audio.os.fstat", renamed)
    frames, rate_hz = audio.map_wav(path)
    assert (frames.shape, rate_hz, float(frames.min())) == ((1000, 2), 44_100, 0.5)


def test_where_flac_cannot_hold_the_rate_it_is_not_advised(tmp_path):
    for format in ("flac", "mp3"):
        with pytest.raises(OutputError, match=rf"{format} cannot hold 2 channels at 700000 Hz; choose wav instead\."):
            audio.write(tmp_path / "a", audio.AudioClip(NOISE, 700_000), format)
    audio.write(tmp_path / "a.wav", audio.AudioClip(NOISE, 700_000))
    assert listing(tmp_path) == ["a.wav"]
