"""A song on its way in: what of it can be shown before it is decoded, how far it is, and whether it is still wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mgeldm.audio import AudioInfo, open_audio
from mgeldm.progress import Progress, Reporter

_LOOKS, _LOOK_SAMPLES = 200, 192


@dataclass(frozen=True)
class Overview:
    """A song as a few looks into it tell: its facts, and the peak [looks] of each of them, linear."""

    info: AudioInfo
    peaks: npt.NDArray[np.float32]


@dataclass
class Opening:
    """Something being opened. Workers write its fields, the window reads them.

    Attributes:
        name: What the user reads.
        is_song: Whether it is a song, which takes its time.
        is_copy: Whether it is a copy of the project that is open, which goes on meanwhile.
        overview: What it looks like, as soon as that is known.
        share: Of the work that is done, 0 to 1.
        cancelled: The user does not want it any more.
    """

    name: str
    is_song: bool = False
    is_copy: bool = False
    overview: Overview | None = None
    share: float = 0.0
    cancelled: bool = field(default=False)

    def reporter(self) -> Reporter:
        """Takes down progress, and stops the work when it is not wanted any more."""

        def note(progress: Progress) -> None:
            self.share = progress.done / max(progress.total, 1)

        return Reporter(note, lambda: self.cancelled)


def look_into(path: Path) -> Overview | None:
    """What a file looks like, in a fraction of a second; None where its format cannot be entered at once.

    Raises:
        AudioError: The file cannot be read.
    """
    with open_audio(path) as song:
        if not song.enters_anywhere:
            return None
        starts = np.linspace(0, max(0, song.info.samples - _LOOK_SAMPLES), _LOOKS).astype(int)
        peaks = [float(np.abs(song.read(int(start), int(start) + _LOOK_SAMPLES)).max(initial=0)) for start in starts]
        return Overview(song.info, np.array(peaks, np.float32))
