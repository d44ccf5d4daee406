"""What cannot be used gets one clear sentence; silence and clipping are fine."""

import errno
import io

import numpy as np
import pytest
import soundfile
from mgeldm import audio
from mgeldm.errors import AudioError

from tests.fakes.bad_files import BAD, BAD_INSIDE, RATE_HZ, wav


def refused(path, text):
    """`path` is refused, by its name, with `text`, by both ways in."""
    for opening in (audio.read, audio.probe):
        with pytest.raises(AudioError, match=text) as caught:
            opening(path)
        assert path.name in str(caught.value)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_what_is_no_song_is_refused_by_both_ways_in(bad, tmp_path):
    refused(bad.make(tmp_path), bad.says)


@pytest.mark.parametrize("bad", BAD_INSIDE, ids=lambda bad: bad.name)
def test_values_that_are_not_numbers_are_located(bad, tmp_path):
    with pytest.raises(AudioError, match=rf"{bad.name} {bad.says}"):
        audio.read(bad.make(tmp_path))


def test_what_comes_before_such_values_is_read(tmp_path):
    nan = next(bad for bad in BAD_INSIDE if bad.name == "nan.wav").make(tmp_path)
    assert audio.read(nan, 0, 1).samples.shape == (2, RATE_HZ)


def test_missing_and_folder(tmp_path):
    refused(tmp_path / "missing.wav", "cannot be opened")
    refused(tmp_path, "cannot be opened")


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


def damaged_ogg(path):
    """Ten seconds of Vorbis, a third of them lost in the middle, and how many are left."""
    samples = np.random.default_rng(0).standard_normal((10 * RATE_HZ, 2)) * 0.1
    soundfile.write(path, samples, RATE_HZ, format="OGG", subtype="VORBIS")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + data[2 * len(data) // 3 :])
    with soundfile.SoundFile(path) as file:
        return len(file.read(file.frames))


def test_a_vorbis_file_with_a_hole_is_told_wherever_it_is_entered(tmp_path):
    left = damaged_ogg(path := tmp_path / "hole.ogg")
    assert left < 9 * RATE_HZ
    for start, stop in ((0, 10 * RATE_HZ), (left - 1000, left + 1000), (9 * RATE_HZ, 10 * RATE_HZ)):
        with audio.open_audio(path) as reader:
            assert reader.read(100, 2100).any()
            with pytest.raises(AudioError, match=r"hole\.ogg is cut off or damaged at"):
                reader.read(start, stop)


def test_no_room_for_what_is_decoded_is_told(tmp_path, monkeypatch):
    """And what is read in a row afterwards, or once there is room again, is right."""
    samples = np.random.default_rng(0).standard_normal((3 * RATE_HZ, 2)) * 0.1
    soundfile.write(path := tmp_path / "song.ogg", samples, RATE_HZ, format="OGG", subtype="VORBIS")
    whole = audio.read(path).samples

    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    with audio.open_audio(path) as reader:
        with monkeypatch.context() as patch:
            patch.setattr(audio.tempfile, "TemporaryFile", lambda **_: Full())
            with pytest.raises(AudioError, match=r"No room to decode song\.ogg in .*; free some disk"):
                reader.read(RATE_HZ, RATE_HZ + 100)
        for start in (RATE_HZ, 10, 2 * RATE_HZ):
            np.testing.assert_array_equal(reader.read(start, start + 100), whole[:, start : start + 100])


def test_fifty_milliseconds_are_enough(tmp_path):
    assert audio.read(wav(tmp_path / "enough.wav", np.zeros((RATE_HZ // 20, 2)))).duration_s == 0.05


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


def test_a_name_that_is_no_text_is_to_be_changed(tmp_path):
    """Python hands on names that are bytes of another system's letters in a form that nothing can show."""
    with pytest.raises(AudioError, match=r"The name .*Caf\?\.wav or its folder's has letters .*; rename it"):
        audio.open_audio(tmp_path / "Caf\udce9.wav")
