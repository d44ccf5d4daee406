"""What cannot be used gets one clear sentence; silence and clipping are fine."""

import struct

import numpy as np
import pytest
import soundfile
from mgeldm import audio
from mgeldm.errors import AudioError

RATE_HZ = 44_100


def wav(path, samples, subtype="FLOAT"):
    soundfile.write(path, samples, RATE_HZ, format="WAV", subtype=subtype)
    return path


def refused(path, text):
    """`path` is refused, by its name, with `text`, by both ways in."""
    for opening in (audio.read, audio.probe):
        with pytest.raises(AudioError, match=text) as caught:
            opening(path)
        assert path.name in str(caught.value)


def test_empty(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    refused(path, "empty")


def test_missing_and_folder(tmp_path):
    refused(tmp_path / "missing.wav", "cannot be opened")
    refused(tmp_path, "cannot be opened")


def test_truncated_header(tmp_path):
    whole = wav(tmp_path / "whole.wav", np.zeros((5000, 2))).read_bytes()
    path = tmp_path / "cut.wav"
    for size in (1, 4, 11, 20, 35):
        path.write_bytes(whole[:size])
        refused(path, "not audio, or is damaged")


def test_zero_channels(tmp_path):
    content = bytearray(wav(tmp_path / "whole.wav", np.zeros((5000, 2))).read_bytes())
    place = content.index(b"fmt ") + 10  # after the chunk's name, its size and the format's tag
    assert content[place : place + 2] == b"\x02\x00"
    content[place : place + 2] = b"\x00\x00"
    (tmp_path / "none.wav").write_bytes(content)
    refused(tmp_path / "none.wav", "number of channels")


@pytest.mark.parametrize("format, subtype", [("FLAC", "PCM_24"), ("MP3", None), ("OGG", "VORBIS")])
def test_cut_off_never_gives_made_up_samples(tmp_path, format, subtype):
    path = tmp_path / f"cut.{format.lower()}"
    samples = np.random.default_rng(0).standard_normal((3 * RATE_HZ, 2)) * 0.1
    soundfile.write(path, samples, RATE_HZ, format=format, subtype=subtype)
    whole = audio.read(path).samples
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        part = audio.read(path).samples
    except AudioError as error:
        assert "cut off" in str(error) or "damaged" in str(error)
    else:
        assert 0.3 * whole.shape[1] < part.shape[1] < 0.7 * whole.shape[1]
        np.testing.assert_allclose(part[:, :40_000], whole[:, :40_000], atol=1e-6)


def test_not_audio(tmp_path):
    path = tmp_path / "not.wav"
    for content in (b"hello " * 1000, np.random.default_rng(0).bytes(20_000), b"\x89PNG\r\n\x1a\n" + bytes(100)):
        path.write_bytes(content)
        refused(path, "not audio|no sound")


def test_a_playlist_opens_nothing_else(tmp_path):
    wav(tmp_path / "secret.wav", np.ones((5000, 1)) * 0.5)
    path = tmp_path / "list.mp3"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n")
    refused(path, "not audio|no sound")


def test_values_that_are_not_numbers_are_located(tmp_path):
    samples = np.zeros((2 * RATE_HZ, 2), np.float32)
    samples[RATE_HZ + 441, 1] = np.nan
    path = wav(tmp_path / "nan.wav", samples)
    with pytest.raises(AudioError, match=r"nan\.wav holds values that are not numbers from 1\.010 s"):
        audio.read(path)
    assert audio.read(path, 0, 1).samples.shape == (2, RATE_HZ)
    samples[:] = np.inf
    with pytest.raises(AudioError, match=r"from 0\.000 s"):
        audio.read(wav(path, samples))


def test_no_channels_and_too_many(tmp_path):
    format = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 0, 44100, 0, 0, 16)
    header = struct.pack("<4sI4s", b"RIFF", 1036, b"WAVE") + format + struct.pack("<4sI", b"data", 1000)
    path = tmp_path / "none.wav"
    path.write_bytes(header + bytes(1000))
    refused(path, "channels|damaged")
    refused(wav(tmp_path / "nine.wav", np.zeros((5000, 9))), "9 channels; 1 to 8")


def test_too_short(tmp_path):
    refused(wav(tmp_path / "one.wav", np.zeros((1, 2))), r"at least 50 ms")
    refused(wav(tmp_path / "nothing.wav", np.zeros((0, 2))), r"at least 50 ms|damaged")
    refused(wav(tmp_path / "nearly.wav", np.zeros((RATE_HZ // 20 - 1, 2))), r"49\.9\d* ms|50\.0 ms")
    assert audio.read(wav(tmp_path / "enough.wav", np.zeros((RATE_HZ // 20, 2)))).duration_s == 0.05


def test_an_impossible_rate(tmp_path):
    soundfile.write(tmp_path / "slow.wav", np.zeros((5000, 1)), 10)
    refused(tmp_path / "slow.wav", "10 Hz")


def test_a_part_outside_the_file(tmp_path):
    path = wav(tmp_path / "a.wav", np.zeros((RATE_HZ, 1)))
    for start_s, end_s in ((2.0, 3.0), (0.5, 0.2), (-1.0, 0.5), (0.0, 1.5), (1.0, None)):
        with pytest.raises(AudioError, match=r"it lasts 1\.000 s"):
            audio.read(path, start_s, end_s)


def test_silence_and_clipping_are_fine(tmp_path):
    assert not audio.read(wav(tmp_path / "silent.wav", np.zeros((5000, 2)))).samples.any()
    loud = np.tile([4.0, -4.0], 2500)[:, None]
    assert audio.read(wav(tmp_path / "loud.wav", loud)).samples.max() == 4
    clipped = audio.read(wav(tmp_path / "clipped.wav", loud, "PCM_16")).samples
    assert clipped.min() == -1
    assert clipped.max() == pytest.approx(1, abs=1e-4)
