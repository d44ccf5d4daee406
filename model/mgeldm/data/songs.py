"""Multi-stem songs: stems in memory (rendered, or cut from others) and stems in files, which are read in pieces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..audio import AudioClip, Samples, open_audio, probe, resample
from ..errors import AudioError

RATE_HZ = 44100
"""The rate of every stem, whatever its file's."""
_MARGIN = 2048  # samples read on both sides of a resampled piece, so that pieces join without a seam
_RUN_UP_S = 0.2  # decoded before the wanted sample of an AAC stream, whose frames overlap
_SURVEY_PIECES, _SURVEY_PIECE_S = 10, 3.0


@dataclass
class Stem:
    """One part of a song at `RATE_HZ`: `captions` are phrases that name it, the plainest first.

    `audio` is float32 [2, samples].
    """

    label: str
    captions: list[str]
    audio: Samples

    @property
    def samples(self) -> int:
        """Length."""
        return self.audio.shape[1]

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """Float32 [2, stop - start]; what lies outside the stem is silence."""
        stop = self.samples if stop is None else stop
        return AudioClip(self.audio, RATE_HZ).read(start, stop)


@dataclass(frozen=True)
class Recording:
    """A sound file, or with `stream` one of the sound streams of a container such as `.stem.mp4`."""

    path: Path
    stream: int | None = None

    def probe(self) -> tuple[int, int]:
        """Rate in Hz and samples a channel.

        Raises:
            AudioError: The file is missing or damaged, or lacks the stream.
        """
        if self.stream is None:
            info = probe(self.path)
            return info.rate_hz, info.samples
        return _probe_stream(self.path, self.stream)

    def read(self, start: int, stop: int) -> Samples:
        """Samples [2, stop - start] at the file's own rate; a mono file sounds on both sides.

        So does the mean of more than two channels, which is all that the model hears of them: stems of five speakers
        still sum to their mixture, whatever the order of the speakers.

        Raises:
            AudioError: As `probe`, or the file is damaged there.
        """
        if self.stream is None:
            with open_audio(self.path) as reader:
                samples = reader.read(start, stop)
        else:
            samples = _read_stream(self.path, self.stream, start, stop)
        return samples if len(samples) == 2 else np.repeat(samples.mean(0, keepdims=True), 2, 0)


class FileStem(Stem):
    """A stem in one file or in several that are summed; nothing is read before it is asked for.

    Args:
        label: What it is called.
        captions: Phrases that name it.
        recordings: Its files.
    """

    def __init__(self, label: str, captions: list[str], recordings: tuple[Recording, ...]):
        self.label, self.captions, self.recordings = label, captions, recordings

    @cached_property
    def _probed(self) -> list[tuple[int, int]]:
        return [recording.probe() for recording in self.recordings]

    @property
    def samples(self) -> int:
        """Length of the longest file, at `RATE_HZ`."""
        return max(round(samples * RATE_HZ / rate_hz) for rate_hz, samples in self._probed)

    @property
    def audio(self) -> Samples:  # type: ignore[override]
        """All of it, read anew at each call."""
        return self.read()

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """See `Stem`.

        Raises:
            AudioError: A file is missing or damaged.
        """
        stop = self.samples if stop is None else stop
        out = np.zeros((2, max(0, stop - start)), np.float32)
        for recording, (rate_hz, _) in zip(self.recordings, self._probed, strict=True):
            out += _at_rate(recording, rate_hz, start, stop)
        return out


def _at_rate(recording: Recording, rate_hz: int, start: int, stop: int) -> Samples:
    """Samples `start` to `stop` at `RATE_HZ` of a recording at `rate_hz`, the same whatever piece they are read in.

    A piece begins and ends at instants that are whole samples at both rates.
    """
    if rate_hz == RATE_HZ:
        return recording.read(start, stop)
    common = math.gcd(rate_hz, RATE_HZ)
    ours, theirs = RATE_HZ // common, rate_hz // common
    first, last = (start - _MARGIN) // ours, -(-(stop + _MARGIN) // ours)
    piece = resample(recording.read(first * theirs, last * theirs), rate_hz, RATE_HZ)
    return piece[:, start - first * ours : stop - first * ours]


def _open_stream(path: Path, stream: int):
    """The container and its sound stream number `stream`."""
    import av

    try:
        container = av.open(str(path), "r", options={"protocol_whitelist": "file"})
    except (OSError, av.error.FFmpegError) as error:
        raise AudioError(f"{path.name} cannot be read ({error}); fetch it again.") from error
    if stream >= len(container.streams.audio):
        found = len(container.streams.audio)
        container.close()
        raise AudioError(f"{path.name} holds {found} sound streams where number {stream} is wanted; fetch it again.")
    return container, container.streams.audio[stream]


def _probe_stream(path: Path, stream: int) -> tuple[int, int]:
    container, source = _open_stream(path, stream)
    with container:
        if source.duration is None or source.time_base is None:
            raise AudioError(f"{path.name} does not say how long it is; convert it to wav.")
        return source.rate, round(source.duration * source.time_base * source.rate)


def _read_stream(path: Path, stream: int, start: int, stop: int) -> Samples:
    """Samples [channels, stop - start] of one stream; frames say where they lie, so any sample can be entered."""
    import av
    from av.audio.resampler import AudioResampler

    container, source = _open_stream(path, stream)
    with container:
        rate_hz, base = source.rate, source.time_base
        origin = source.start_time or 0
        out = np.zeros((source.codec_context.channels, max(0, stop - start)), np.float32)
        resampler = AudioResampler(format="fltp", layout=source.codec_context.layout, rate=rate_hz)
        try:
            if (entry_s := start / rate_hz - _RUN_UP_S) > 0:  # a seek to the beginning skips what primes the decoder
                container.seek(origin + int(entry_s / base), stream=source)
            for frame in container.decode(source):
                at = round((frame.pts - origin) * base * rate_hz) - start
                if at >= out.shape[1]:
                    break
                for part in resampler.resample(frame):
                    block = part.to_ndarray()  # [channels, samples]
                    first, last = max(at, 0), min(at + block.shape[1], out.shape[1])
                    if last > first:
                        out[:, first:last] = block[:, first - at : last - at]
        except (OSError, av.error.FFmpegError) as error:
            at_s = start / rate_hz
            raise AudioError(f"{path.name} is damaged after {at_s:.2f} s ({error}); fetch it again.") from error
        return out


def shared(phrases: Sequence[Sequence[str]]) -> list[str]:
    """Phrases that are in every list, in the first one's order: what holds for each part of a sum."""
    return [phrase for phrase in phrases[0] if all(phrase in others for others in phrases)] if phrases else []


def captions_of(stems: Sequence[Stem]) -> dict[str, list[str]]:
    """Label to phrases that name the sum of its stems: two guitars are no clean guitar if only one of them is clean."""
    said: dict[str, list[Sequence[str]]] = {}
    for stem in stems:
        said.setdefault(stem.label, []).append(stem.captions)
    return {label: shared(phrases) or [label] for label, phrases in said.items()}


@dataclass
class Song:
    """Stems whose sum is the mixture, and where they come from (`source`, `licence`, `split`; empty where unknown)."""

    stems: Sequence[Stem]
    rate_hz: int = RATE_HZ
    tempo_bpm: float | None = None
    name: str = ""
    source: str = ""
    licence: str = ""
    split: str = ""

    @property
    def samples(self) -> int:
        """Length of the longest stem."""
        return max((stem.samples for stem in self.stems), default=0)

    @property
    def duration_s(self) -> float:
        """Length of the longest stem, in seconds."""
        return self.samples / self.rate_hz

    @property
    def mixture(self) -> Samples:
        """The sum of the stems, float32 [2, samples]."""
        return np.sum([stem.read(0, self.samples) for stem in self.stems], axis=0, dtype=np.float32)

    @cached_property
    def level(self) -> float:
        """RMS of the mixture in mono, over a few pieces of it as in use (`pipeline.listening.Survey`)."""
        size = round(_SURVEY_PIECE_S * self.rate_hz)
        count = min(_SURVEY_PIECES, max(1, self.samples // size))
        starts = np.linspace(0, self.samples - size, count).astype(int) if count > 1 else [0]
        size = size if count > 1 else self.samples
        power = [np.square(self.mono(int(start), int(start) + size).sum(0)).mean() for start in starts]
        return float(np.sqrt(np.mean(power)))

    def mono(self, start: int, stop: int) -> Samples:
        """Every stem's mean of both sides, float32 [stems, stop - start]."""
        return np.stack([stem.read(start, stop).mean(0) for stem in self.stems])

    def piece(self, start: int, stop: int) -> Song:
        """The song from sample `start` to `stop`, in memory; zeros past a stem's end."""
        stems = [Stem(stem.label, list(stem.captions), stem.read(start, stop)) for stem in self.stems]
        return Song(stems, self.rate_hz, self.tempo_bpm, self.name, self.source, self.licence, self.split)

    def read(self, start_s: float, duration_s: float) -> Song:
        """`piece` in seconds."""
        start = round(start_s * self.rate_hz)
        return self.piece(start, start + round(duration_s * self.rate_hz))
