"""Every format comes back at its own rate, with its own length, and with an impulse exactly where it was."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from mgeldm import audio
from mgeldm.errors import Cancelled

RATE_HZ, SAMPLES, PLACE = 48_000, 48_000 * 2 + 137, 30_011

SOUNDFILE = {  # suffix -> what libsndfile is told to write
    ".wav": ("WAV", "FLOAT"),
    ".aiff": ("AIFF", "PCM_16"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".w64": ("W64", "PCM_24"),
    ".caf": ("CAF", "ALAC_16"),
}
PYAV = {  # suffix -> container and codec
    ".m4a": ("ipod", "aac"),
    ".mp4": ("mp4", "aac"),
    ".mov": ("mov", "alac"),
    ".mkv": ("matroska", "aac"),
    ".webm": ("webm", "libopus"),
    ".aac": ("adts", "aac"),
    ".lame.mp3": ("mp3", "libmp3lame"),
}
KNOWN_LENGTH = {".mkv", ".aac"}  # these cannot state where the last frame's filling begins


def impulse(samples: int = SAMPLES, place: int = PLACE) -> np.ndarray:
    """Stereo [2, samples]: a short click at `place`, the same at half the level on the right, over faint noise."""
    x = np.random.default_rng(0).standard_normal((2, samples)).astype(np.float32) * 1e-4
    click = np.array([0.3, 0.9, 0.3], np.float32)
    x[0, place - 1 : place + 2] += click
    x[1, place - 1 : place + 2] += click / 2
    return x


def encode(path: Path, samples: np.ndarray, container: str, codec: str, rate_hz: int = RATE_HZ) -> None:
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate_hz, layout="stereo")
        if codec != "alac":
            stream.bit_rate = 256_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate_hz, 0
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="stereo", rate=rate_hz)
        for part in resampler.resample(frame):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))


def make(path: Path, suffix: str, samples: np.ndarray) -> Path:
    path = path / f"song{suffix}"
    if suffix in SOUNDFILE:
        format, subtype = SOUNDFILE[suffix]
        soundfile.write(path, samples.T, RATE_HZ, format=format, subtype=subtype)
    else:
        encode(path, samples, *PYAV[suffix])
    return path


@pytest.mark.parametrize("suffix", [*SOUNDFILE, *PYAV])
def test_an_impulse_stays_where_it_is(tmp_path, suffix):
    path = make(tmp_path, suffix, impulse())
    info = audio.probe(path)
    assert (info.rate_hz, info.channels) == (RATE_HZ, 2)
    if suffix in KNOWN_LENGTH:
        assert SAMPLES <= info.samples < SAMPLES + 2048
    else:
        assert info.samples == SAMPLES
    samples = audio.read(path).samples
    assert samples.shape == (2, info.samples)
    assert np.argmax(np.abs(samples), axis=1).tolist() == [PLACE, PLACE]
    assert samples[0, PLACE] > 1.3 * samples[1, PLACE] > 0


@pytest.mark.parametrize("suffix", [*SOUNDFILE, *PYAV])
def test_any_part_equals_the_same_part_of_the_whole(tmp_path, suffix):
    noise = np.random.default_rng(1).standard_normal((2, 5 * RATE_HZ)).astype(np.float32) * 0.1
    path = make(tmp_path, suffix, noise)
    with audio.open_audio(path) as reader:
        whole = np.concatenate(list(reader.blocks(50_021)), 1)
        assert whole.shape == (2, reader.info.samples)
        for start in np.random.default_rng(2).integers(0, 4 * RATE_HZ, 8).tolist():
            np.testing.assert_allclose(reader.read(start, start + 3000), whole[:, start : start + 3000], atol=1e-6)


ENTERED = {".wav", ".aiff", ".flac", ".w64", ".caf"}


@pytest.mark.parametrize("suffix", [*SOUNDFILE, *PYAV])
def test_where_a_song_can_be_entered_is_known_before_it_is_decoded(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(audio, "_decode", lambda *_: pytest.fail("it is decoded"))
    assert audio.enters_anywhere(make(tmp_path, suffix, impulse())) == (suffix in ENTERED)


@pytest.mark.parametrize("suffix", [".m4a", ".mkv"])
def test_a_song_that_is_decoded_as_it_is_opened_can_be_called_off(tmp_path, suffix):
    asked = []

    def check():
        asked.append(1)
        if len(asked) > 2:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        audio.open_audio(make(tmp_path, suffix, impulse()), check)
    assert len(asked) == 3


JUMPY = {  # name -> what libsndfile or soundfile does not seek exactly, or not at all; channels and seconds
    "vorbis.ogg": ("OGG", "VORBIS", 1, 180),  # shorter ones come to no harm
    "vorbis6.ogg": ("OGG", "VORBIS", 6, 10),
    "vbr.mp3": ("MP3", "MPEG_LAYER_III", 2, 20),
    "opus.ogg": ("OGG", "OPUS", 2, 20),
    "gsm.wav": ("WAV", "GSM610", 1, 20),
}


def beats(channels: int, seconds: int) -> np.ndarray:
    """Bursts of noise over a faint tone [channels, samples]: the rate and the blocks of an encoder follow them."""
    time_s = np.arange(seconds * RATE_HZ) / RATE_HZ
    noise = np.random.default_rng(7).standard_normal((channels, len(time_s)))
    return (0.2 * noise * np.exp(-30 * (time_s % 0.37)) + 0.01 * np.sin(2 * np.pi * 220 * time_s)).astype(np.float32)


def in_one_go(path: Path, samples: int) -> np.ndarray:
    """Samples [channels, samples] as libsndfile decodes them without a single seek, in the order of wav files."""
    with soundfile.SoundFile(path) as file:
        decoded = file.read(samples, dtype="float32", always_2d=True).T
        order = audio._WAV_FROM_VORBIS.get(len(decoded)) if file.format == "OGG" else None
    return decoded if order is None else decoded[list(order)]


@pytest.mark.parametrize("name", JUMPY)
@pytest.mark.parametrize("way", ["in a row", "forward", "back and forth"])
def test_wherever_a_song_is_entered_it_is_the_same(tmp_path, name, way):
    """In a row, as the app takes it in; in 100 jumps ahead, as it is surveyed; and anywhere."""
    format, subtype, channels, seconds = JUMPY[name]
    with soundfile.SoundFile(path := tmp_path / name, "w", RATE_HZ, channels, format=format, subtype=subtype) as out:
        for block in np.array_split(beats(channels, seconds).T, 1500):
            out.write(block)
    with audio.open_audio(path) as reader:
        samples, size = reader.info.samples, 5000
        whole = in_one_go(path, samples)
        starts = {
            "in a row": range(0, samples, size),
            "forward": np.linspace(0, samples - size, 100).astype(int).tolist(),
            "back and forth": np.random.default_rng(5).integers(0, samples - size, 60).tolist(),
        }
        for start in starts[way]:
            np.testing.assert_array_equal(reader.read(start, start + size), whole[:, start : start + size])


def test_a_song_read_in_a_row_takes_no_room(tmp_path, monkeypatch):
    path = make(tmp_path, ".ogg", impulse())
    monkeypatch.setattr(audio.tempfile, "TemporaryFile", None)
    with audio.open_audio(path) as reader:
        assert sum(block.shape[1] for block in reader.blocks(10_000)) == SAMPLES


def test_lossless_formats_return_the_samples_written(tmp_path):
    steps = np.random.default_rng(3).integers(-(2**15), 2**15, (2, 5000))
    samples = (steps / 2**15).astype(np.float32)
    for suffix in (".wav", ".aiff", ".flac", ".w64", ".caf", ".mov"):
        np.testing.assert_array_equal(audio.read(make(tmp_path, suffix, samples)).samples, samples)


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 96_000])
def test_any_rate_and_one_to_eight_channels(tmp_path, channels, rate_hz):
    samples = np.random.default_rng(4).uniform(-1, 1, (channels, rate_hz // 20)).astype(np.float32)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples.T, rate_hz, subtype="FLOAT")
    clip = audio.read(path)
    assert (clip.rate_hz, clip.channels, clip.duration_s) == (rate_hz, channels, 0.05)
    np.testing.assert_array_equal(clip.samples, samples)


def test_the_content_counts_and_not_the_suffix(tmp_path):
    for real, claimed in ((".wav", ".mp3"), (".m4a", ".wav"), (".flac", ".raw"), (".lame.mp3", ".flac")):
        path = make(tmp_path, real, impulse())
        renamed = path.rename(tmp_path / f"renamed{claimed}")
        assert np.argmax(audio.read(renamed).samples[0]) == PLACE


def test_a_part_by_seconds_and_silence_outside(tmp_path):
    path = make(tmp_path, ".wav", impulse())
    clip = audio.read(path, 0.5, 1.0)
    np.testing.assert_array_equal(clip.samples, impulse()[:, 24_000:48_000])
    with audio.open_audio(path) as reader:
        around = reader.read(-10, 20)
        np.testing.assert_array_equal(around, np.pad(impulse()[:, :20], ((0, 0), (10, 0))))
        assert not reader.read(SAMPLES + 5, SAMPLES + 9).any()


def test_sound_of_a_video(tmp_path):
    path, samples = tmp_path / "film.mp4", impulse()
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25, width=32, height=32)
        sound = out.add_stream("aac", rate=RATE_HZ, layout="stereo")
        video.pix_fmt = "yuv420p"
        for _ in range(50):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
        out.mux(video.encode(None))
    clip = audio.read(path)
    assert clip.samples.shape == (2, SAMPLES)
    assert np.argmax(clip.samples[0]) == PLACE


def test_resample_keeps_the_place_and_the_rounded_length():
    x = impulse()
    for rate_hz in (16_000, 44_100, 96_000):
        y = audio.resample(x, RATE_HZ, rate_hz)
        assert y.dtype == np.float32
        assert y.shape == (2, round(SAMPLES * rate_hz / RATE_HZ))
        assert abs(np.argmax(np.abs(y[0])) - PLACE * rate_hz / RATE_HZ) <= 0.6
    assert audio.resample(x, RATE_HZ, RATE_HZ) is x


def noise_mp3(path: Path, parts: tuple[float, ...], stated: bool = True) -> Path:
    """Five seconds of noise a part, at those levels, at a rate that follows them; with or without a Xing header."""
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.standard_normal((2, 5 * 44_100)) * level for level in parts], 1).astype(np.float32)
    with soundfile.SoundFile(
        path, "w", 44_100, 2, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="VARIABLE", compression_level=0.1
    ) as out:
        out.write(samples.T)
    if not stated:
        data = path.read_bytes()
        path.write_bytes(data[data.find(b"\xff\xfb", data.find(b"Xing")) :])
    return path


@pytest.mark.parametrize("parts", [(0.2, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.2), (0.1, 0.1)])
@pytest.mark.parametrize("behind", [b"", bytes(20_000), b"TAG" + bytes(125)])
def test_an_mp3_file_that_does_not_state_its_length_is_read_whole(tmp_path, parts, behind):
    path = noise_mp3(tmp_path / "song.mp3", parts, stated=False)
    path.write_bytes(b"ID3\x04\x00\x00\x00\x06\x1a\x00" + bytes(101_632) + path.read_bytes() + behind)
    samples = audio.read(path).samples
    assert 0 <= samples.shape[1] - 5 * 44_100 * len(parts) < 3 * 1152
    levels = [np.square(part).mean() ** 0.5 for part in np.array_split(samples, len(parts), 1)]
    np.testing.assert_allclose(levels, parts, atol=0.02)


def test_mp3_files_put_behind_each_other_are_read_whole(tmp_path):
    path = noise_mp3(tmp_path / "song.mp3", (0.1, 0.1))
    once = audio.probe(path).samples
    assert once == 2 * 5 * 44_100
    path.write_bytes(2 * path.read_bytes())
    assert 0 <= audio.read(path).samples.shape[1] - 2 * once < 4 * 1152


@pytest.mark.parametrize("stated", [True, False])
def test_mp3_files_with_tags_put_behind_each_other_are_read_whole(tmp_path, stated):
    path = noise_mp3(tmp_path / "song.mp3", (0.1, 0.1), stated)
    once = audio.read(path).samples.shape[1]
    tag = b"ID3\x04\x00\x00\x00\x00\x20\x00" + bytes(4096)
    path.write_bytes(2 * (tag + path.read_bytes()))
    assert abs(audio.read(path).samples.shape[1] - 2 * once) < 5 * 1152


@pytest.mark.parametrize("frames, sound_bytes", [(0, None), (0.5, None), (0, 0), (1, 0), (1, None)])
@pytest.mark.parametrize("seconds", [0.5, 10])
def test_an_mp3_file_that_states_too_few_frames_is_read_whole(tmp_path, seconds, frames, sound_bytes):
    """As one that was written to a pipe; what is not stated is counted."""
    samples = np.random.default_rng(0).standard_normal((round(seconds * 44_100), 2)) * 0.1
    soundfile.write(path := tmp_path / "song.mp3", samples, 44_100, format="MP3")
    data = bytearray(path.read_bytes())
    at = max(data.find(b"Xing"), data.find(b"Info"))
    flags, all_frames, all_bytes = struct.unpack_from(">III", data, at + 4)
    stated = round(frames * all_frames), all_bytes if sound_bytes is None else sound_bytes
    struct.pack_into(">III", data, at + 4, flags, *stated)
    path.write_bytes(data)
    assert 0 <= audio.read(path).samples.shape[1] - len(samples) < 3 * 1152
    with audio.open_audio(path) as reader:  # the slower way is taken where it has to be
        assert isinstance(reader._source, audio._SoundFileSource) == (frames == 1)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_of_an_mp3_file_are_counted(tmp_path, rate_hz, channels):
    samples = np.random.default_rng(0).standard_normal((5 * rate_hz, channels)) * 0.1
    soundfile.write(path := tmp_path / "song.mp3", samples, rate_hz, format="MP3")
    data = path.read_bytes() + b"TAG" + bytes(125)
    path.write_bytes(data)
    at = max(data.find(b"Xing"), data.find(b"Info"))
    with open(path, "rb") as file:
        stated = int.from_bytes(data[at + 8 : at + 12], "big")
        assert audio._mp3_frames(file, 0, len(data)) == (stated + 1, len(data) - 128)  # and the frame that states it


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".flac"])
@pytest.mark.parametrize("same", [True, False])
def test_files_put_behind_each_other_are_read_whole(tmp_path, suffix, same):
    def part(samples, place):
        noise = 0.03 * np.random.default_rng(1).standard_normal((2, samples))  # as music, it does not pack well
        return make(tmp_path, suffix, impulse(samples, place) + noise).read_bytes()

    length = 2 * SAMPLES if same else SAMPLES + RATE_HZ
    parts = part(SAMPLES, PLACE), part(SAMPLES, PLACE) if same else part(RATE_HZ, RATE_HZ // 2)
    path = tmp_path / f"song{suffix}"
    path.write_bytes(b"".join(parts))
    samples = audio.read(path).samples
    assert 0 <= samples.shape[1] - length < 2000
    peaks = np.flatnonzero(np.abs(samples[0]) > 0.5)
    assert (peaks < SAMPLES).any() and (peaks > SAMPLES).any()


def test_a_flac_file_that_does_not_state_its_length_is_read_whole(tmp_path):
    samples = np.random.default_rng(0).integers(-20_000, 20_000, (50_000, 2)).astype(np.int16)
    soundfile.write(path := tmp_path / "pipe.flac", samples, 44_100, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the last 36 bits of STREAMINFO's sizes: how many samples there are, unknown to a pipe
    data[22:26] = bytes(4)
    path.write_bytes(data)
    np.testing.assert_array_equal(audio.read(path).samples.T * 32_768, samples)


CHANNELS = [3, 4, 5, 6, 7, 8]


def chord(channels: int) -> np.ndarray:
    """A second [channels, samples] of a tone each, all so low that a channel for low effects holds them too."""
    time_s = np.arange(RATE_HZ) / RATE_HZ
    return np.stack([0.1 * np.sin(2 * np.pi * (40 + 10 * n) * time_s) for n in range(channels)]).astype(np.float32)


def places(samples: np.ndarray) -> list[int]:
    """Which tone of the chord each of the channels [channels, samples] holds."""
    return [round((int(np.argmax(np.abs(np.fft.rfft(each[:RATE_HZ])))) - 40) / 10) for each in samples]


def by_ffmpeg(path: Path) -> np.ndarray:
    """Samples [channels, samples] in the order of wav files, as FFmpeg decodes them."""
    source = audio._DecodedSource(path)
    try:
        return source.get(0, source.info.samples).T
    finally:
        source.close()


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".flac"])
def test_channels_come_in_the_order_of_wav_files(tmp_path, suffix, channels):
    path = tmp_path / f"song{suffix}"
    format, subtype = SOUNDFILE[suffix]
    soundfile.write(path, chord(channels).T, RATE_HZ, format=format, subtype=subtype)
    found = places(audio.read(path).samples)
    assert found == places(by_ffmpeg(path)) and sorted(found) == list(range(channels))
    with audio.open_audio(path) as reader:
        np.testing.assert_allclose(reader.read(20_000, 21_000), audio.read(path).samples[:, 20_000:21_000], atol=1e-6)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("format", ["ogg", "flac", "wav16"])
def test_channels_go_where_others_look_for_them(tmp_path, format, channels):
    path = tmp_path / f"song{(audio.FORMATS | audio.LOSSY)[format]}"
    audio.write(path, audio.AudioClip(chord(channels), RATE_HZ), format)
    assert places(by_ffmpeg(path)) == places(audio.read(path).samples) == list(range(channels))


@pytest.mark.parametrize("riff", [0, 36, 2**32 - 1])
@pytest.mark.parametrize("length", [0, 2**32 - 1])
def test_a_wav_file_whose_recorder_crashed_is_read_whole(tmp_path, riff, length):
    steps = np.random.default_rng(0).integers(-20_000, 20_000, (50_000, 2)).astype(np.int16)
    soundfile.write(path := tmp_path / "take.wav", steps, 44_100, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[4:8], data[40:44] = riff.to_bytes(4, "little"), length.to_bytes(4, "little")
    path.write_bytes(data)
    np.testing.assert_array_equal(audio.read(path).samples.T * 32_768, steps)
