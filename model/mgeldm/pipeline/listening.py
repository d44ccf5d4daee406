"""A song as the model hears it: mono, at the model's rate, at the level it was trained on, from any latent frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
import numpy.typing as npt

from ..audio import AudioClip, Samples, Song, resample, without_offset
from ..refine import mono_loss_db, one_channel, standing_for_all

_SURVEY_PIECES, _PIECE_S = 100, 0.3
_PAUSE_DB = -30.0  # under the loudest piece: nothing plays there, which says nothing of how loud the music is
_QUIETEST = 0.1  # of the loudest channel's level: what is quieter is not brought up to the others
_SURE, _FEW_PIECES = 3.0, 8  # an offset is so much more than the spread of so many pieces' means: drums have means too
_MARGIN_SAMPLES = 512  # of context, so that a resampled piece does not feel its edges


@dataclass(frozen=True)
class Survey:
    """What short pieces of a song tell of all of it, without reading hours of music twice; its pauses do not count.

    Attributes:
        rms: Level of the mono sum, or of the channel that stands for it, full scale 1; an offset does not count.
        channel_rms: Levels of the channels; none is under a tenth of the loudest.
        offsets: Constant part (DC) of each channel, 0 where there is none; () if the song is too short to tell.
        mono_loss_db: How far the sides are above the mono sum (`refine.mono_loss_db`).
        channel: The one that is heard where the mono sum would be (`standing_for_all`); None is the sum itself.
        music: The pieces that count, one after the other.
    """

    rms: float
    channel_rms: tuple[float, ...]
    offsets: tuple[float, ...]
    mono_loss_db: float
    channel: int | None
    music: AudioClip

    @classmethod
    def of(cls, song: Song, start: int = 0, stop: int | None = None) -> Survey:
        """Survey a song, or what lies between two samples of it.

        Raises:
            AudioError: The song's file is damaged.
        """
        stop = song.info.samples if stop is None else stop
        size, total = round(_PIECE_S * song.info.rate_hz), stop - start
        few = total > _SURVEY_PIECES * size
        places = np.linspace(0, total - size, _SURVEY_PIECES).astype(int) if few else np.arange(0, max(total, 1), size)
        pieces = [song.read(place, min(place + size, stop)) for place in (start + places).tolist()]
        means = np.array([piece.mean(1, dtype=np.float64) for piece in pieces])  # [pieces, channels]
        pieces = [piece - mean[:, None] for piece, mean in zip(pieces, means.astype(np.float32), strict=True)]
        energies = np.array([np.square(piece, dtype=np.float64).sum(1) for piece in pieces])  # [pieces, channels]
        lengths = np.array([piece.shape[1] for piece in pieces])
        powers = (energies / lengths[:, None]).max(1)
        is_music = powers >= powers.max() * 10 ** (_PAUSE_DB / 10)
        music = [piece for piece, kept in zip(pieces, is_music.tolist(), strict=True) if kept]
        samples, channel = lengths[is_music].sum(), standing_for_all(music)
        heard = (one_channel(piece, channel) for piece in music)
        rms = np.sqrt(sum(float(np.square(piece, dtype=np.float64).sum()) for piece in heard) / samples)
        each = np.sqrt(energies[is_music].sum(0) / samples)
        levels = np.maximum(each, _QUIETEST * each.max()).tolist()
        clip = AudioClip(np.concatenate(music, 1), song.info.rate_hz)
        return cls(float(rms), tuple(levels), _offsets(means, lengths), mono_loss_db(music), channel, clip)


def _offsets(means: npt.NDArray[np.float64], lengths: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """What the means [pieces, channels] of pieces so long agree on, but for those of digital silence."""
    means, lengths = means[means.any(1)], lengths[means.any(1)]
    if len(means) < _FEW_PIECES:
        return ()
    offsets = np.average(means, 0, lengths)
    spreads = np.sqrt(np.average(np.square(means - offsets), 0, lengths))
    return tuple(np.where(np.abs(offsets) > _SURE * spreads, offsets, 0.0).tolist())


class Listener:
    """Reads windows of a song for the model.

    Args:
        song: The song.
        rate_hz: The model's rate.
        samples_per_frame: Model samples in one latent frame.
        gain: Brings the song to the level the model was trained on.
        channel: The channel to hear; None hears the mean of all.
        offsets: Constant part of each of the song's channels, which is not heard; () where there is none.
    """

    def __init__(
        self,
        song: Song,
        rate_hz: int,
        samples_per_frame: int,
        gain: float = 1.0,
        channel: int | None = None,
        offsets: tuple[float, ...] = (),
    ):
        self.song, self.rate_hz, self.samples_per_frame = song, rate_hz, samples_per_frame
        self.gain, self.channel, self.offsets = gain, channel, offsets
        self.ratio = Fraction(song.info.rate_hz, rate_hz)  # native samples per model sample

    def on(self, song: Song) -> Listener:
        """The same of another song at the same rate, say a part of this one."""
        offsets = Survey.of(song).offsets if any(self.offsets) else ()  # a part may be without its song's
        return Listener(song, self.rate_hz, self.samples_per_frame, self.gain, self.channel, offsets)

    @property
    def frames(self) -> int:
        """Latent frames that begin inside the song."""
        return max(1, -(-round(self.song.info.samples / self.ratio) // self.samples_per_frame))

    @property
    def frame_s(self) -> float:
        """Length of a latent frame, in seconds."""
        return self.samples_per_frame / self.rate_hz

    def read(self, first_frame: int, frames: int) -> Samples:
        """Mono audio [frames * samples_per_frame] at the model's rate; silence outside the song."""
        first, wanted = first_frame * self.samples_per_frame, frames * self.samples_per_frame
        margin = _MARGIN_SAMPLES if self.ratio != 1 else 0
        native, model = self.ratio.as_integer_ratio()  # so many samples last as long: none begins between two others
        before = (first * self.ratio - margin) // native
        start, skip = before * native, first - before * model
        audio = self.song.read(start, ceil((first + wanted) * self.ratio) + margin)
        audio = without_offset(audio, self.offsets, start, self.song.info.samples)
        heard = one_channel(audio, self.channel) * np.float32(self.gain)
        piece = resample(heard, self.song.info.rate_hz, self.rate_hz)[0, skip : skip + wanted]
        return np.pad(piece, (0, wanted - len(piece)))
