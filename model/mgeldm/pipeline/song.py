"""A song as the pipeline reads it: any piece of it, at its own rate in all channels or at the model's rate in mono."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..audio import AudioClip, AudioInfo, resample

Samples = npt.NDArray[np.float32]
_LEVEL_PIECES, _PIECE_S = 12, 4.0
_RESAMPLE_MARGIN = 512  # native samples of context, so that a resampled piece does not feel its edges


class Song(Protocol):
    """What an open file (`audio.AudioReader`) and a clip in memory (`ClipSong`) have in common."""

    info: AudioInfo

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """Samples [channels, stop - start]; what lies outside the song is silence."""
        ...


class ClipSong:
    """A clip in memory as a song."""

    def __init__(self, clip: AudioClip):
        self.clip = clip
        self.info = AudioInfo(clip.rate_hz, clip.channels, clip.samples.shape[1], "memory")

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """Samples [channels, stop - start]; what lies outside the clip is silence."""
        size = self.info.samples
        stop = size if stop is None else stop
        piece = self.clip.samples[:, min(max(start, 0), size) : min(max(stop, 0), size)]
        return np.pad(piece, ((0, 0), (max(0, -start), max(0, stop - max(start, size)))))[:, : stop - start]


class Listener:
    """Hears a song as the model does: mono, at the model's rate, brought to the level the model was trained on.

    Args:
        song: The song.
        rate_hz: The model's rate.
        samples_per_frame: Model samples in one latent frame.
        target_rms: Level wanted; None leaves the song's own (the published model).
        region: Native samples (start, stop) that the level is taken from.
    """

    def __init__(
        self, song: Song, rate_hz: int, samples_per_frame: int, target_rms: float | None, region: tuple[int, int]
    ):
        self.song, self.rate_hz, self.samples_per_frame = song, rate_hz, samples_per_frame
        self.ratio = song.info.rate_hz / rate_hz  # native samples per model sample
        self.gain = 1.0 if target_rms is None else _gain(song, target_rms, region)

    @property
    def frames(self) -> int:
        """Latent frames that begin inside the song."""
        return max(1, -(-round(self.song.info.samples / self.ratio) // self.samples_per_frame))

    def frame_of(self, sample: float) -> float:
        """Latent frame in which a native sample lies."""
        return sample / self.ratio / self.samples_per_frame

    def sample_of(self, frame: float) -> int:
        """Native sample at which a latent frame begins."""
        return round(frame * self.samples_per_frame * self.ratio)

    def read(self, first_frame: int, frames: int) -> Samples:
        """Mono audio [frames * samples_per_frame] at the model's rate; silence outside the song."""
        start, wanted = self.sample_of(first_frame), frames * self.samples_per_frame
        margin = _RESAMPLE_MARGIN if self.ratio != 1 else 0
        stop = start + int(np.ceil(wanted * self.ratio))
        mono = self.song.read(start - margin, stop + margin).mean(0, keepdims=True) * np.float32(self.gain)
        heard = resample(mono, self.song.info.rate_hz, self.rate_hz)[0]
        skip = round(margin / self.ratio)
        piece = heard[skip : skip + wanted]
        return np.pad(piece, (0, wanted - len(piece)))


def _gain(song: Song, target_rms: float, region: tuple[int, int]) -> float:
    """Gain that brings the region to `target_rms`, from a few pieces of it: an hours-long song is not read twice."""
    start, stop = region
    size = round(_PIECE_S * song.info.rate_hz)
    if stop - start <= _LEVEL_PIECES * size:
        pieces = [(start, stop)]
    else:
        pieces = [(int(s), int(s) + size) for s in np.linspace(start, stop - size, _LEVEL_PIECES)]
    energy = sum(float(np.square(song.read(*piece).mean(0), dtype=np.float64).sum()) for piece in pieces)
    rms = (energy / sum(b - a for a, b in pieces)) ** 0.5
    return target_rms / rms if rms > 1e-5 else 1.0
