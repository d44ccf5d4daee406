"""A song on its way in: what of it can be shown before it is decoded, how far it is, and whether it is still wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mgeldm.audio import AudioInfo, enters_anywhere, open_audio

from .underway import Underway

_LOOKS, _LOOK_SAMPLES = 200, 192


@dataclass(frozen=True)
class Overview:
    """A song as a few looks into it tell: its facts, and the peak [looks] of each of them, linear."""

    info: AudioInfo
    peaks: npt.NDArray[np.float32]


@dataclass
class Opening(Underway):
    """Something being opened.

    Attributes:
        name: What the user reads.
        is_song: Whether it is a song, which takes its time.
        is_copy: Whether it is a copy of the project that is open, which goes on meanwhile.
        overview: What it looks like, as soon as that is known.
    """

    name: str
    is_song: bool = False
    is_copy: bool = False
    overview: Overview | None = None

    @property
    def share(self) -> float:
        """Of the work, what is done, 0 to 1."""
        return self.progress.done / max(self.progress.total, 1) if self.progress else 0.0


def look_into(path: Path) -> Overview | None:
    """What a file looks like, in a fraction of a second; None where its format cannot be entered at once.

    Raises:
        AudioError: The file cannot be read.
    """
    if not enters_anywhere(path):  # asked first: to open what cannot be is to decode it all
        return None
    with open_audio(path) as song:
        starts = np.linspace(0, max(0, song.info.samples - _LOOK_SAMPLES), _LOOKS).astype(int)
        peaks = [float(np.abs(song.read(int(start), int(start) + _LOOK_SAMPLES)).max(initial=0)) for start in starts]
        return Overview(song.info, np.array(peaks, np.float32))
