"""Audio files: any common format in, at any rate, read in blocks from any sample; wav, flac, mp3 and ogg out, never
half-written.

Sample 0 of a reader is the first sample of the music: the decoders drop the encoder's delay where the file states it
(mp3, opus, ogg, m4a, mp4, mkv) and this module drops it for bare AAC, which cannot state it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import shutil
import struct
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import AudioError, OutputError
from .language import say
from .naming import aside_of, give_name

Samples = npt.NDArray[np.float32]

SHORTEST_S = 0.05
MOST_CHANNELS = 8
RATES_HZ = (1_000, 768_000)
EXACT_SEEK = {"PCM", "FLAC", "FLOAT", "DOUBLE", "ALAC", "ULAW"}  # others need a run-up before the wanted sample
LARGEST = 1e6  # no sample of music: 120 dB over full scale; of more, energies may be no numbers any more
_LONGEST_PATH = 260 if os.name == "nt" else 2**15  # characters; elsewhere the system itself says what is too long
RUN_UP_S = 1.0  # covers the mp3 bit reservoir, the overlap of vorbis and the 80 ms of opus
FORMATS = {"wav32": ".wav", "wav24": ".wav", "wav16": ".wav", "flac": ".flac"}
LOSSY = {"mp3": ".mp3", "ogg": ".ogg"}
BITS = {"wav24": 24, "wav16": 16, "flac": 24}
RIFF_LIMIT_BYTES = 2**32 - 2**16
FADE_S = 0.004  # at the edges of parts, inside them: who wants a region's first beat whole asks for so much more
HARDLY_HEARD = 1 / 64  # of the song's level, 36 dB below it: a stem that stays under it is pointed out
MOMENT_S = 0.1  # for which a level is reached, in all: no click, nor an attack that runs ahead of the bar behind
_DECODED_AT_ONCE = 2**18  # samples a channel on their way to a temporary file
_UNKNOWN = 2**62  # samples: what libsndfile says, and more, of a flac file that was written to a pipe
_FIRST_FRAME, _MOST_BEHIND = 2**12, 2**14  # bytes of an mp3 file: they hold its first frame; tags behind its sound
_MP3_HZ = (44_100, 48_000, 32_000)  # of version 1; half and a quarter of it in versions 2 and 2.5
_MP3_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_LOW_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # of the versions with lower rates
_FLAC_BEGIN = b"fLaC\x00\x00\x00\x22"  # the signature, and the head of the block that has to be the first
_FLAC_HARDLY = 0.75  # of the bytes of its samples: most music is smaller, and not worth a search through all of it
_SEARCHED_AT_ONCE = 2**20  # bytes
_FLAC_MOST_HZ = 655_350
_VORBIS_MOST_HZ = 200_000  # beyond it libsndfile begins a file all the same, and crashes as it is closed
_WAV_FROM_VORBIS = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}
"""By the number of channels, which channel of a Vorbis or Opus file, whose second one is the centre, is each of a wav
file's (Vorbis I specification, 4.3.9; RFC 7845, 5.1.1.2). libsndfile hands them through as they are."""
_ENCODED_AT_ONCE = 2**13  # frames: libvorbis lays what it is given on the stack, which is small in a thread on macOS


@dataclass(frozen=True)
class AudioClip:
    """Audio in memory.

    Attributes:
        samples: float32 [channels, samples], full scale 1.
        rate_hz: Samples a second.
    """

    samples: Samples
    rate_hz: int

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.samples.shape[0]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.shape[1] / self.rate_hz

    @property
    def info(self) -> AudioInfo:
        """The same facts as a file's."""
        return AudioInfo(self.rate_hz, self.channels, self.samples.shape[1], "memory")

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """Samples [channels, stop - start]; what lies outside the clip is silence."""
        stop = self.samples.shape[1] if stop is None else stop
        return _within(start, stop, self.samples.shape[1], self.channels, lambda a, b: self.samples[:, a:b])


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds: `rate_hz`, `channels`, `samples` (a channel) and the name of its `format`."""

    rate_hz: int
    channels: int
    samples: int
    format: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.rate_hz


class Song(Protocol):
    """What can be read by sample: an `AudioClip` or an `AudioReader`."""

    @property
    def info(self) -> AudioInfo: ...

    def read(self, start: int = 0, stop: int | None = None) -> Samples: ...


def _within(start: int, stop: int, samples: int, channels: int, get: Callable[[int, int], Samples]) -> Samples:
    """Samples [channels, stop - start]; `get` is asked for those that exist, the others are zero."""
    first, last = min(max(start, 0), samples), min(max(stop, 0), samples)
    out = np.zeros((channels, max(0, stop - start)), np.float32)
    if last > first:
        out[:, first - start : last - start] = get(first, last)
    return out


class _Source(Protocol):
    """Decoded audio with random access; `get` may return fewer samples only where the file is damaged."""

    info: AudioInfo

    def get(self, start: int, stop: int) -> Samples: ...  # [samples, channels]

    def close(self) -> None: ...


class _SoundFileSource:
    """What libsndfile reads: wav, aiff, flac, ogg, opus, mp3 and more, whatever the suffix says."""

    def __init__(self, path: Path) -> None:
        import soundfile

        self._file = file = soundfile.SoundFile(os.fspath(path))
        self.info = AudioInfo(file.samplerate, file.channels, file.frames, f"{file.format} {file.subtype}")
        # A recorder that crashed leaves a length of zero behind it, with all the sound behind that.
        self.knows_its_length = 0 < file.frames < _UNKNOWN and _tells_its_length(path, file)
        # Libsndfile 1.2.2 misses the place in Vorbis (its issue 885), by more after each jump, and loses the end.
        self.is_in_order = file.subtype == "VORBIS" or not file.seekable()
        # Soundfile seeks behind all that it reads, after which mp3 decoders lack the frames that the next one needs.
        file.seekable = lambda: False
        exact = any(file.subtype.startswith(kind) for kind in EXACT_SEEK) or file.format == "FLAC"
        self.run_up = 0 if exact else round(RUN_UP_S * file.samplerate)
        self._order = _WAV_FROM_VORBIS.get(file.channels) if file.subtype in ("VORBIS", "OPUS") else None
        self.position = 0  # the sample that can be had without seeking

    def get(self, start: int, stop: int) -> Samples:
        if start != self.position:
            first = max(0, start - self.run_up)
            self._file.seek(first)
            self._file.read(start - first, dtype="float32", always_2d=True)
        samples = self._file.read(stop - start, dtype="float32", always_2d=True)
        self.position = start + len(samples)
        return samples if self._order is None else samples[:, self._order]

    def close(self) -> None:
        self._file.close()


class _InOrderSource:
    """What libsndfile cannot enter at an exact sample: decoded from the beginning on, no further than asked for.

    Blocks in a row are handed through; from the first jump on all is kept in an unnamed temporary file.
    """

    def __init__(self, path: Path, source: _SoundFileSource) -> None:
        self._path, self._source, self.info = path, source, source.info
        self._kept: IO[bytes] | None = None

    def get(self, start: int, stop: int) -> Samples:
        if self._kept is None and start == self._source.position:
            return self._source.get(start, stop)
        try:
            kept = self._kept or self._begin_to_keep()
            kept.seek(0, os.SEEK_END)
            while (first := self._source.position) < stop:
                block = self._source.get(first, min(first + _DECODED_AT_ONCE, stop))
                if not len(block):  # cut off
                    break
                kept.write(np.ascontiguousarray(block).data)
            kept.flush()
            return _floats(kept, start, stop, self.info.channels)
        except OSError as error:
            self._forget()
            if error.errno == errno.ENOSPC:
                raise _no_room(self._path) from error
            raise

    def _begin_to_keep(self) -> IO[bytes]:
        self._source.close()
        self._source = _SoundFileSource(self._path)  # the way back: what libsndfile cannot seek has no other
        self._kept = tempfile.TemporaryFile(prefix="mgeldm-")  # noqa: SIM115 - lives as long as the reader
        return self._kept

    def _forget(self) -> None:
        if self._kept is not None:
            with contextlib.suppress(OSError):  # a full disk: what is left to be written
                self._kept.close()
        self._kept = None

    def close(self) -> None:
        self._forget()
        self._source.close()


def _floats(file: IO[bytes], start: int, stop: int, channels: int) -> Samples:
    """Samples [samples, channels] of a plain file of float32, as many as there are."""
    size = 4 * channels
    file.seek(start * size)
    return np.frombuffer(file.read((stop - start) * size), np.float32).reshape(-1, channels)


def _no_room(path: Path) -> AudioError:
    folder = tempfile.gettempdir()
    return AudioError("No room to decode {file} in {folder}; free some disk.", file=path.name, folder=folder)


def _tells_its_length(path: Path, sound: Any) -> bool:
    """Whether the length that a file states, of which libsndfile reads no more, is that of all its sound.

    Behind the first of several files that were put behind each other it is not.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if sound.format == "MP3":
            return _mp3_tells_its_length(file, size)
        if sound.format == "OGG":
            return _is_one_ogg(file)
        if sound.format == "FLAC":
            width = {"PCM_S8": 1, "PCM_16": 2}.get(sound.subtype, 3)
            return size < _FLAC_HARDLY * sound.frames * sound.channels * width or _is_one_flac(file)
    return True


def _mp3_tells_its_length(file: IO[bytes], size: int) -> bool:
    """Whether the first frame's Xing or Info header states no fewer frames than there are, and all sound is in them.

    Without one libsndfile guesses from the first frame's rate.
    """
    begin = 0
    while (tag := file.read(10))[:3] == b"ID3" and len(tag) == 10:
        length = sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
        begin += 10 + length + 10 * bool(tag[5] & 0x10)  # a footer repeats the header
        file.seek(begin)
    head = tag + file.read(_FIRST_FRAME)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 0 or at + 16 > len(head):
        return False
    flags, stated, sound_bytes = struct.unpack(">III", head[at + 4 : at + 16])
    first = begin + max(head.rfind(b"\xff", 0, at), 0)  # from there to this header there are only zeros
    frames, end = _mp3_frames(file, first, size)
    if flags & 2 and sound_bytes:
        end = begin + sound_bytes
    return bool(flags & 1) and 0 < stated >= frames - 1 and size - end < _MOST_BEHIND


def _mp3_frames(file: IO[bytes], first: int, size: int) -> tuple[int, int]:
    """How many whole frames lie behind each other from byte `first` on, and where the last of them ends."""
    frames, at, begin, block = 0, first, first, b""
    while at < size:
        if at + 3 > begin + len(block):
            file.seek(at)
            begin, block = at, file.read(_SEARCHED_AT_ONCE)
        length = _mp3_frame_bytes(block[at - begin : at - begin + 3])
        if not length:
            break
        at += length
        frames += at <= size
    return frames, min(at, size)


@functools.cache
def _mp3_frame_bytes(head: bytes) -> int:
    """Length of a frame of layer III that begins with these three bytes (ISO 11172-3, 2.4.2.3); 0 if none does."""
    bits = int.from_bytes(head, "big")
    version, kbps, rate = bits >> 11 & 3, bits >> 4 & 15, bits >> 2 & 3
    if bits >> 13 != 0x7FF or version == 1 or bits >> 9 & 3 != 1 or kbps == 15 or not kbps or rate == 3:
        return 0
    if version == 3:
        return 144_000 * _MP3_KBPS[kbps] // _MP3_HZ[rate] + (bits >> 1 & 1)
    return 72_000 * _MP3_LOW_KBPS[kbps] // (_MP3_HZ[rate] >> (1 if version == 2 else 2)) + (bits >> 1 & 1)


def _is_one_ogg(file: IO[bytes]) -> bool:
    """Whether no stream begins behind another: those that sound together all begin before any goes on (RFC 3533)."""
    at, goes_on = 0, False
    while (page := file.read(27 + 255))[:4] == b"OggS" and len(page) > 27:
        begins = bool(page[5] & 2)
        if begins and goes_on:
            return False
        goes_on = not begins
        at += 27 + page[26] + sum(page[27 : 27 + page[26]])  # the lengths of its segments, then these
        file.seek(at)
    return True


def _is_one_flac(file: IO[bytes]) -> bool:
    """Whether a file begins only once in it."""
    begins, behind = 0, b""
    while block := file.read(_SEARCHED_AT_ONCE):
        begins += (behind + block).count(_FLAC_BEGIN)
        behind = block[1 - len(_FLAC_BEGIN) :]
    return begins < 2


class _DecodedSource:
    """What FFmpeg reads (m4a, aac, the sound of video), decoded once into an unnamed temporary file.

    Compressed streams in these containers cannot be entered at an exact sample, and some do not say how long they are;
    a plain file of floats can, and does.
    """

    def __init__(self, path: Path, check: Callable[[], None] | None = None) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="mgeldm-")  # noqa: SIM115 - lives as long as the reader
        try:
            self.info = _decode(path, self._file, check)
        except BaseException:
            self._file.close()
            raise

    def get(self, start: int, stop: int) -> Samples:
        return _floats(self._file, start, stop, self.info.channels)

    def close(self) -> None:
        self._file.close()


def _decode(path: Path, out: IO[bytes], check: Callable[[], None] | None) -> AudioInfo:
    """Write the first sound stream of a file to `out` as interleaved float32, without encoder delay or padding.

    `check` is called before each packet, and raises to end it.
    """
    import av
    from av.audio.resampler import AudioResampler

    # A file object and this whitelist keep a playlist that pretends to be music from opening anything else.
    with open(path, "rb") as raw, av.open(raw, "r", options={"protocol_whitelist": "file"}) as container:
        if not container.streams.audio:
            raise AudioError("{file} holds no sound; choose a file with an audio track.", file=path.name)
        stream = container.streams.audio[0]
        # Bare AAC has no field for the delay; its first frame lacks the overlap that would make it whole.
        skip_frames = 1 if container.format.name == "aac" else 0
        rate_hz, channels = stream.rate, stream.codec_context.channels
        # Not "fltp", in a plane for each channel: of eight, PyAV takes whatever lies behind the last for a ninth.
        resampler = AudioResampler(format="flt", layout=stream.codec_context.layout, rate=rate_hz)
        samples, end, broken = 0, None, None
        for packet in container.demux(stream):
            if check is not None:
                check()
            try:
                frames = packet.decode()
            except av.error.InvalidDataError as error:
                broken = error  # behind the last sound these are tags or padding, and no harm
                continue
            if frames and broken and container.format.name != "mp3":  # where tags also lie between files joined to one
                raise broken
            if packet.pts is not None and packet.duration and stream.time_base == 1 / _fraction(rate_hz):
                end = packet.pts + packet.duration - (stream.start_time or 0)
            for frame in frames:
                if skip_frames:
                    skip_frames -= 1
                    continue
                for part in resampler.resample(frame):  # type: ignore[arg-type]
                    block = np.ascontiguousarray(part.to_ndarray()).reshape(-1, channels)  # [samples, channels]
                    out.write(block.data)
                    samples += len(block)
        if broken and not samples:
            raise broken
        padded = end is not None and 0 < samples - end < 4096  # the last frame is filled up with silence
        return AudioInfo(rate_hz, channels, end if padded and end is not None else samples, container.format.name)


def _fraction(value: int) -> Any:
    from fractions import Fraction

    return Fraction(value)


class AudioReader:
    """An open file: random access by sample in bounded memory. Use it in a `with` statement, or `close` it.

    Attributes:
        info: Rate, channels, samples and format.
    """

    def __init__(self, path: str | Path, check: Callable[[], None] | None = None) -> None:
        """Open `path`.

        Args:
            path: A file, which need not be called what it is.
            check: Raises to end the opening where all is decoded first, which takes minutes for hours of music.

        Raises:
            AudioError: If it is missing, empty, damaged, not audio, too short, or has too many channels.
        """
        self.path = Path(path)
        self._source = _open_source(self.path, check)
        self.info = self._source.info
        try:
            _check(self.path, self.info)
        except AudioError:
            self.close()
            raise

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """Samples [channels, stop - start]; what lies outside the file is silence.

        Raises:
            AudioError: If the file is cut off or damaged there, or holds values that are no sound.
        """
        stop = self.info.samples if stop is None else stop
        return _within(start, stop, self.info.samples, self.info.channels, lambda a, b: self._decoded(a, b).T)

    def _decoded(self, first: int, last: int) -> Samples:
        rate_hz, name = self.info.rate_hz, self.path.name
        try:
            samples = self._source.get(first, last)
        except (OSError, RuntimeError) as error:
            raise AudioError(
                "{file} is damaged after {at:.2f} s ({why}); export it again.", file=name, at=first / rate_hz, why=error
            ) from error
        if len(samples) < last - first:
            end_s = (first + len(samples)) / rate_hz
            raise AudioError(
                "{file} is cut off or damaged at {at:.2f} s; copy or export it again.", file=name, at=end_s
            )
        sound = (np.abs(samples) < LARGEST).all(1)  # [samples]; what is not a number is not less either
        if not sound.all():
            bad_s = (first + int(np.argmin(sound))) / rate_hz
            raise AudioError(
                "{file} holds values that are not numbers, or far too large, from {at:.3f} s on; export it again.",
                file=name,
                at=bad_s,
            )
        return samples

    def blocks(self, block_samples: int, start: int = 0, stop: int | None = None) -> Iterator[Samples]:
        """Consecutive blocks [channels, up to block_samples] from `start` to `stop`."""
        stop = self.info.samples if stop is None else stop
        for first in range(start, stop, block_samples):
            yield self.read(first, min(first + block_samples, stop))

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_source(path: Path, check: Callable[[], None] | None) -> _Source:
    source = _sound_file(path)
    if source is not None:
        return _InOrderSource(path, source) if source.is_in_order else source
    import av  # only now: what libsndfile reads is read where there is no PyAV too

    try:
        return _DecodedSource(path, check)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_room(path) from error
        raise AudioError("{file} is not audio, or is damaged; convert it to wav or flac.", file=path.name) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise AudioError("{file} is not audio, or is damaged; convert it to wav or flac.", file=path.name) from error


def _sound_file(path: Path) -> _SoundFileSource | None:
    """A file by libsndfile; None where that cannot read it, or not all of it.

    Raises:
        AudioError: Nothing else can read it either.
    """
    import soundfile

    try:
        if not path.is_dir() and not path.is_file() and path.exists():
            raise AudioError(
                "{file} is a stream, and songs are read twice; save it as a file first.", file=path.name
            )
        if path.stat().st_size == 0:
            raise AudioError("{file} is empty; copy or export it again.", file=path.name)
        with open(path, "rb"):
            pass
    except OSError as error:
        raise AudioError(
            "{file} cannot be opened ({why}); check the path and its rights.",
            file=path.name or path.resolve(),
            why=error.strerror,
        ) from error
    reason = ""
    try:
        source = _SoundFileSource(path)
        if source.knows_its_length:
            return source
        source.close()
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a suffix of .raw
        reason = str(error)
    if "channel" in reason.lower():
        raise AudioError("{file} states an impossible number of channels; export it again.", file=path.name)
    return None


def _check(path: Path, info: AudioInfo) -> None:
    if not 1 <= info.channels <= MOST_CHANNELS:
        raise AudioError(
            "{file} has {channels} channels; 1 to {most} can be used.",
            file=path.name,
            channels=info.channels,
            most=MOST_CHANNELS,
        )
    lowest_hz, highest_hz = RATES_HZ
    if not lowest_hz <= info.rate_hz <= highest_hz:
        raise AudioError(
            "{file} is at {rate} Hz; rates of {lowest} to {highest} Hz can be used.",
            file=path.name,
            rate=info.rate_hz,
            lowest=lowest_hz,
            highest=highest_hz,
        )
    if info.samples < SHORTEST_S * info.rate_hz:
        raise AudioError(
            "{file} lasts only {lasts:.1f} ms ({samples} samples); at least {least:.0f} ms are needed.",
            file=path.name,
            lasts=1000 * info.duration_s,
            samples=info.samples,
            least=1000 * SHORTEST_S,
        )


def open_audio(path: str | Path, check: Callable[[], None] | None = None) -> AudioReader:
    """Open an audio file, or the sound of a video, for reading in blocks; see `AudioReader`.

    Raises:
        AudioError: As `AudioReader`, or its path is no text: bytes of another system's letters.
    """
    shown = os.fspath(path).encode(errors="replace").decode()
    if shown != os.fspath(path):
        raise AudioError("The name {file} or its folder's has letters of another system; rename it.", file=shown)
    return AudioReader(path, check)


def enters_anywhere(path: Path) -> bool:
    """Whether a few samples in the middle of a file can be read without decoding others; known without decoding any.

    Raises:
        AudioError: It is missing, empty, or damaged so that nothing can read it.
    """
    source = _sound_file(path)
    if source is None:
        return False
    source.close()
    return source.run_up == 0 and not source.is_in_order


def probe(path: str | Path) -> AudioInfo:
    """What a file holds, without reading its samples where the format allows it.

    Raises:
        AudioError: As `AudioReader`.
    """
    with open_audio(path) as reader:
        return reader.info


def read(path: str | Path, start_s: float = 0.0, end_s: float | None = None) -> AudioClip:
    """Read a file, or the part of it from `start_s` to `end_s`.

    Raises:
        AudioError: As `AudioReader`, or if the part is empty or reaches outside the file.
    """
    with open_audio(path) as reader:
        info = reader.info
        start = round(start_s * info.rate_hz)
        stop = info.samples if end_s is None else round(end_s * info.rate_hz)
        if not 0 <= start < stop <= info.samples:
            facts = {"file": Path(path).name, "start": start_s, "lasts": info.duration_s}
            if end_s is None:
                raise AudioError("{file} has no part from {start:g} s to its end; it lasts {lasts:.3f} s.", **facts)
            raise AudioError(
                "{file} has no part from {start:g} s to {end:g} s; it lasts {lasts:.3f} s.", end=end_s, **facts
            )
        return AudioClip(reader.read(start, stop), info.rate_hz)


def without_offset(samples: Samples, offsets: Sequence[float], start: int, song_samples: int) -> Samples:
    """Samples [channels, n] from sample `start` on, less the offset of each channel where the song of that length is.

    No offsets are none.
    """
    if not any(offsets):
        return samples
    inside = np.arange(start, start + samples.shape[1])
    inside = (inside >= 0) & (inside < song_samples)
    return samples - np.asarray(offsets, np.float32)[:, None] * inside


def resample(samples: Samples, from_hz: float, to_hz: float) -> Samples:
    """Samples [channels, n] at another rate, [channels, round(n * to_hz / from_hz)], in very high quality."""
    import soxr

    if from_hz == to_hz:
        return samples
    wanted = round(samples.shape[1] * to_hz / from_hz)
    out = soxr.resample(samples.T, from_hz, to_hz, quality="VHQ").T[:, :wanted]
    return np.ascontiguousarray(np.pad(out, ((0, 0), (0, wanted - out.shape[1]))), dtype=np.float32)


# ---------------------------------------------------------------------------------------------------------------- out


class Writer:
    """Writes a file block by block, aside in the same folder; the file appears under its name only when complete.

    Use it in a `with` statement: leaving it normally puts the file in place, an exception removes every trace.

    Args:
        path: Where the file goes; one that exists is replaced.
        rate_hz: Sample rate.
        channels: Number of channels.
        format: "wav32" (float), "wav24", "wav16", "flac" (24 bit), or with losses "mp3", "ogg".
        chunk: A whole RIFF chunk to stand before the samples of a wav file; of even length.

    Raises:
        OutputError: If the folder is missing or not writable, the name too long, the disk full, or the format cannot
            hold so many channels or that rate.
    """

    def __init__(
        self, path: str | Path, rate_hz: int, channels: int, format: str = "wav32", chunk: bytes = b""
    ) -> None:
        if format not in FORMATS | LOSSY:
            raise OutputError(
                "The format {format!r} cannot be written; choose one of {formats}.",
                format=format,
                formats=", ".join(FORMATS | LOSSY),
            )
        self.path, self.format, self.channels = Path(path), format, channels
        self._aside = aside_of(self.path)
        with writing(self.path, self._aside):
            if len(os.fsencode(self.path.name)) > 255:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._sink: _WavSink | _EncodedSink = (
                _EncodedSink(self._aside, rate_hz, channels, format)
                if format in _ENCODED
                else _WavSink(self._aside, rate_hz, channels, BITS.get(format), chunk)
            )

    def write(self, samples: npt.NDArray[Any]) -> None:
        """Append samples [channels, n]: floats of full scale 1 or, for integer formats, whole steps as integers.

        Floats are rounded to steps and limited to the range of an integer format.

        Raises:
            OutputError: If the disk is full or the file cannot be written.
        """
        if samples.shape[0] != self.channels:
            raise ValueError(f"expected [{self.channels}, samples], got {samples.shape}")
        with writing(self.path, self._aside):
            self._sink.write(as_steps(samples, BITS[self.format]) if self.format in BITS else samples)

    def finish(self) -> None:
        """Complete the file aside, so that only its name is wanting: call it on several before any is put in place."""
        with writing(self.path, self._aside):
            self._sink.close()

    def commit(self) -> None:
        """Finish the file and give it its name."""
        self.finish()
        with writing(self.path, self._aside):
            give_name(self._aside, self.path)

    def discard(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(OSError, RuntimeError):  # a full disk: what cannot be finished is removed all the same
            self._sink.close()
        self._aside.unlink(missing_ok=True)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.discard()
        else:
            self.commit()


@contextlib.contextmanager
def writing(path: Path, aside: Path) -> Iterator[None]:
    """Turns failures to write `path` into `OutputError`s that say what to do, and removes the file `aside`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise OutputError(_failure(path, error)) from error


def _failure(path: Path, error: OSError | RuntimeError) -> str:
    """What went wrong while writing `path`, and what to do."""
    folder, name = path.parent, path.name
    code = error.errno if isinstance(error, OSError) else None
    full = code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if full or (code is None and folder.is_dir() and shutil.disk_usage(folder).free < 2**20):
        return say("No room for {file} in {folder}; free some disk or choose another folder.", file=name, folder=folder)
    if code == errno.ENAMETOOLONG or (code == errno.ENOENT and _reaches_too_far(path)):
        return say("The name {start}... or its folder's path is too long; choose a shorter one.", start=name[:40])
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return say("{folder} cannot be written to; choose another folder or change its rights.", folder=folder)
    if code in (errno.ENOENT, errno.ENOTDIR):
        return say("{folder} is not a folder; create it or choose another.", folder=folder)
    if code == errno.EISDIR:
        return say("{path} is a folder; choose another name for the file.", path=path)
    return say(
        "{file} could not be written to {folder} ({why}); try another folder.", file=name, folder=folder, why=error
    )


def _reaches_too_far(path: Path) -> bool:
    """Whether Windows, where long paths are off, denies that there is such a file: what is written aside counts too."""
    longest = max(len(os.path.abspath(each)) for each in (path, aside_of(path)))
    return longest >= _LONGEST_PATH


class _WavSink:
    """wav of 16 or 24 bit or, with `bits` None, of 32-bit floats; becomes RF64 (EBU Tech 3306) beyond 4 GB."""

    def __init__(self, path: Path, rate_hz: int, channels: int, bits: int | None, chunk: bytes = b"") -> None:
        self._rate_hz, self._channels, self._bits, self._chunk = rate_hz, channels, bits, chunk
        self._bytes = 0
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()
        self._file.write(self._header())

    def _header(self) -> bytes:
        """What stands before the samples, as long for any number of them; for floats 116 bytes and the caller's chunk.

        A JUNK chunk keeps room for the 64-bit sizes of RF64, which come first there. In other files a plain format is
        ahead of it: samplers and older programs look for the format in that place alone.
        """
        frames = self._bytes // self._frame_bytes
        format = self._format(frames)
        riff = 4 + len(format) + 36 + len(self._chunk) + 8 + self._bytes + self._bytes % 2
        large = riff > RIFF_LIMIT_BYTES
        cap = 0xFFFFFFFF
        room = struct.pack("<4sI28x", b"JUNK", 28)
        sizes = struct.pack("<4sIQQQI", b"ds64", 28, riff, self._bytes, frames, 0) if large else room
        return b"".join(
            [
                struct.pack("<4sI4s", b"RF64" if large else b"RIFF", cap if large else riff, b"WAVE"),
                *([format, sizes] if self._is_plain and not large else [sizes, format]),
                self._chunk,
                struct.pack("<4sI", b"data", cap if large else self._bytes),
            ]
        )

    def _format(self, frames: int) -> bytes:
        """The format chunk: the oldest form, or WAVE_FORMAT_EXTENSIBLE with the fact chunk that has to follow it."""
        bits, tag = self._bits or 32, 1 if self._bits else 3  # PCM, IEEE float
        more = fact = b""
        if not self._is_plain:
            guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
            speakers = {1: 4, 2: 3}.get(self._channels, 0)  # centre; left and right; unassigned
            more = struct.pack("<HHI", 22, bits, speakers) + guid
            tag, fact = 0xFFFE, struct.pack("<4sII", b"fact", 4, min(frames, 0xFFFFFFFF))
        rate_hz, frame = self._rate_hz, self._frame_bytes
        facts = struct.pack("<HHIIHH", tag, self._channels, rate_hz, rate_hz * frame, frame, bits) + more
        return struct.pack("<4sI", b"fmt ", len(facts)) + facts + fact

    @property
    def _is_plain(self) -> bool:
        """Whether the oldest form says it all. Not of floats: `map_wav` counts on the places of the other one."""
        return self._bits is not None and self._channels <= 2

    @property
    def _frame_bytes(self) -> int:
        return (self._bits or 32) // 8 * self._channels

    def write(self, samples: npt.NDArray[Any]) -> None:
        interleaved = np.ascontiguousarray(samples.T)  # [samples, channels]
        if self._bits is None:
            data = interleaved.astype("<f4")
        elif self._bits == 16:
            data = interleaved.astype("<i2")
        else:
            data = np.ascontiguousarray(interleaved.astype("<i4")[..., None].view(np.uint8)[..., :3])  # low three bytes
        self._file.write(data.data)
        self._bytes += data.nbytes

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            self._file.write(bytes(self._bytes % 2))
            self._file.seek(0)
            self._file.write(self._header())
        finally:
            self._file.close()


_ENCODED: dict[str, dict[str, Any]] = {
    "flac": {"format": "FLAC", "subtype": "PCM_24"},
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE", "compression_level": 0.1},
    "ogg": {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.2},
}


class _EncodedSink:
    """What libsndfile encodes: flac of 24 bit, mp3, and Vorbis in ogg."""

    def __init__(self, path: Path, rate_hz: int, channels: int, format: str) -> None:
        import soundfile

        if format == "ogg" and rate_hz > _VORBIS_MOST_HZ:
            raise _too_much(format, channels, rate_hz)
        path.touch()  # a plain OSError says why a folder cannot be written to; libsndfile would not
        try:
            self._file = soundfile.SoundFile(os.fspath(path), "w", rate_hz, channels, **_ENCODED[format])
        except soundfile.LibsndfileError as error:
            path.unlink()
            raise _too_much(format, channels, rate_hz) from error
        self._bits = BITS.get(format)
        order = _WAV_FROM_VORBIS.get(channels) if format == "ogg" else None
        self._order = None if order is None else np.argsort(order)

    def write(self, samples: npt.NDArray[Any]) -> None:
        in_order = samples if self._order is None else samples[self._order]
        interleaved = np.ascontiguousarray(in_order.T)  # [samples, channels]
        if self._bits:
            interleaved = interleaved.astype(np.int32) << (32 - self._bits)
        with self._no_room():
            for start in range(0, len(interleaved), _ENCODED_AT_ONCE):
                self._file.write(interleaved[start : start + _ENCODED_AT_ONCE])

    def close(self) -> None:
        with self._no_room():
            self._file.close()

    @contextlib.contextmanager
    def _no_room(self) -> Iterator[None]:
        """In a file that could be opened, libsndfile's "system error" and soundfile's assertion mean a full disk."""
        import soundfile

        try:
            yield
        except (AssertionError, soundfile.LibsndfileError) as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def _too_much(format: str, channels: int, rate_hz: int) -> OutputError:
    facts = {"format": format, "channels": channels, "rate": rate_hz}
    if rate_hz > _FLAC_MOST_HZ:
        return OutputError("{format} cannot hold {channels} channels at {rate} Hz; choose wav instead.", **facts)
    return OutputError("{format} cannot hold {channels} channels at {rate} Hz; choose flac or wav instead.", **facts)


def as_steps(samples: npt.NDArray[Any], bits: int) -> npt.NDArray[np.int32]:
    """Samples as whole steps of an integer format: floats are rounded and limited, integers passed on."""
    if np.issubdtype(samples.dtype, np.integer):
        return samples.astype(np.int32, copy=False)
    top = 2 ** (bits - 1)
    return np.clip(np.rint(samples.astype(np.float64) * top), -top, top - 1).astype(np.int32)


def rounded(samples: npt.NDArray[Any], bits: int, gain: float = 1.0) -> npt.NDArray[np.int64]:
    """Floats under a gain in whole steps of an integer format, also beyond what it holds."""
    return np.rint(samples.astype(np.float64) * (2.0 ** (bits - 1) * gain)).astype(np.int64)


def reach_of(*steps: npt.NDArray[Any]) -> int:
    """The largest step up, or down below -1: what must stay under 2 ** (bits - 1)."""
    return max(max(int(s.max(initial=0)), -int(s.min(initial=0)) - 1) for s in steps)


def fitting_gain(reach: int, bits: int, stems: int) -> float:
    """1, or the largest gain with which steps up to `reach` fit, also in the rest that is the song minus `stems`."""
    top = 2 ** (bits - 1)
    return 1.0 if reach < top else (top - stems - 3) / (reach + 1)  # room for what rounding adds to the rest


def write(path: str | Path, clip: AudioClip, format: str = "wav32") -> None:
    """Write a clip to a file; see `Writer`."""
    with Writer(path, clip.rate_hz, clip.channels, format) as writer:
        writer.write(clip.samples)


# ------------------------------------------------------------------------------------------------------------- mapped

_HEADER_BYTES = 116  # of every wav file of floats written here


def create_wav(path: str | Path, rate_hz: int, channels: int, samples: int) -> None:
    """Make a 32-bit float wav file of silence at its full length, to be filled through `map_wav`.

    Where the file system knows sparse files it takes no room until it is filled.

    Raises:
        OutputError: As `Writer`.
    """
    path = Path(path)
    with writing(path, path):
        sink = _WavSink(path, rate_hz, channels, None)
        sink._bytes = 4 * channels * samples
        sink.close()
        with open(path, "r+b") as file:
            file.truncate(_HEADER_BYTES + 4 * channels * samples)


def reserve(file: IO[bytes], first: int, size: int, folder: Path) -> None:
    """Room on the disk for bytes of a file that is written through a map: one that finds none kills the process.

    Raises:
        OutputError: There is no room.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file.fileno(), first, size)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(
                "No room for audio in {folder}; free some disk, then try again.", folder=folder
            ) from error


def map_wav(path: str | Path, writable: bool = False) -> tuple[npt.NDArray[np.float32], int]:
    """Samples [samples, channels] of a 32-bit float wav file written here, mapped into memory, and its rate in Hz.

    Several processes may map one file: what one writes, the others see.

    Raises:
        AudioError: If the file is missing, ends in its header, or was not written by this module as 32-bit floats.
    """
    path = Path(path)
    try:
        with open(path, "r+b" if writable else "rb") as file:  # once: it may be renamed meanwhile
            header = file.read(_HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
            channels, rate_hz = struct.unpack_from("<HI", header, 58)
            bits, tag = struct.unpack_from("<H", header, 70)[0], struct.unpack_from("<H", header, 80)[0]
            if header[48:52] != b"fmt " or header[108:112] != b"data" or (bits, tag) != (32, 3) or not channels:
                raise AudioError(
                    "{file} is not a 32-bit float wav file of this program; export the stem again.", file=path.name
                )
            shape = ((size - _HEADER_BYTES) // (4 * channels), channels)
            if shape[0] == 0:
                return np.zeros(shape, np.float32), rate_hz
            return np.memmap(file, "<f4", "r+" if writable else "r", offset=_HEADER_BYTES, shape=shape), rate_hz
    except (OSError, struct.error) as error:
        raise AudioError(
            "{file} cannot be opened ({why}); check that the project's folder is whole.", file=path.name, why=error
        ) from error


# -------------------------------------------------------------------------------------------------------------- names

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
TITLE_BYTES = 120  # of a song's title in the names of its files
_JOINERS = "\u200d\ufe0f\ufe0e"


def safe_name(prompt: str, suffix: str = "", prefix: str = "") -> str:
    """A file name of `prefix`, a prompt and `suffix` that every system takes: cleaned, and at most 255 bytes.

    Slashes and what Windows forbids become spaces, control characters go, reserved names get an underscore,
    dots and spaces at the ends go. Emoji and all scripts stay. An empty rest becomes "untitled".

    A prefix is a title, and what joins it to the prompt; of a long one only the beginning stays, so that the prompt,
    which tells the files of a song from each other, has room.
    """
    name = cleaned(_begun(prefix) + prompt) or "untitled"
    if _RESERVED.match(name):
        name = "_" + name
    return shortened(name, 255 - len(suffix.encode())) + suffix


def _begun(prefix: str) -> str:
    """A prefix of a title that leaves room for a prompt; none where nothing of the title stays in a file's name."""
    title = prefix.removesuffix(" - ")
    return shortened(title, TITLE_BYTES) + prefix[len(title) :] if cleaned(title) else ""


def names_beside(taken: Iterable[str], prompts: Sequence[str], suffix: str = "", prefix: str = "") -> list[str]:
    """`unique_names` of which none is taken, as systems compare names: else all are numbered, "bass 2" and "rest 2"."""
    there = {_folded(name) for name in taken}
    names, number = unique_names(prompts, suffix, prefix), 1
    while any(_folded(name) in there for name in names):
        number += 1
        names = unique_names(prompts, f" {number}{suffix}", prefix)
    return names


def unique_names(prompts: Sequence[str], suffix: str = "", prefix: str = "") -> list[str]:
    """`safe_name` of each prompt; equal ones (whatever their case) are numbered: "bass", "bass 2"."""
    names: list[str] = []
    taken: set[str] = set()
    for prompt in prompts:
        name, number = safe_name(prompt, suffix, prefix), 1
        while _folded(name) in taken:
            number += 1
            name = safe_name(prompt, f" {number}{suffix}", prefix)
        names.append(name)
        taken.add(_folded(name))
    return names


def _folded(name: str) -> str:
    """Equal for names that some system takes for one: in any case, accents apart or not (Unicode 3.13, D145)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def cleaned(text: str) -> str:
    """What of a text can stand in a file name, "" where nothing can; see `safe_name`."""
    text = _FORBIDDEN.sub(" ", unicodedata.normalize("NFC", text))
    kept = [" " if c.isspace() else c for c in text if c in _JOINERS or c.isspace() or _printable(c)]
    return " ".join("".join(kept).split()).strip(" .")


def _printable(character: str) -> bool:
    code = ord(character)
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:  # never a character: XML, so a DAWproject, cannot hold it
        return False
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs")


def shortened(name: str, most_bytes: int) -> str:
    """The longest beginning of `name` within `most_bytes` that does not cut a character or a joined emoji."""
    if len(name.encode()) <= most_bytes:
        return name
    cut = len(name.encode()[:most_bytes].decode(errors="ignore"))
    while cut > 1 and (name[cut] in _JOINERS or name[cut - 1] == "\u200d" or unicodedata.combining(name[cut])):
        cut -= 1
    return name[:cut].rstrip(" .")
