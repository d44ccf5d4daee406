"""Files that are no song, each with what is said of it: what the reader refuses, and what the window is given too."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 44_100


@dataclass(frozen=True)
class Bad:
    """A file named `name`, made by `write`; `says` matches what is said of it."""

    name: str
    says: str
    write: Callable[[Path], object]

    def make(self, folder: Path) -> Path:
        """Make it in a folder."""
        path = folder / self.name
        self.write(path)
        return path


def wav(path: Path, samples: np.ndarray, subtype: str = "FLOAT") -> Path:
    """A wav file of samples [samples, channels]."""
    soundfile.write(path, samples, RATE_HZ, format="WAV", subtype=subtype)
    return path


def _cut(size: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(wav(path, np.zeros((5000, 2))).read_bytes()[:size])


def _zero_channels(path: Path) -> None:
    content = bytearray(wav(path, np.zeros((5000, 2))).read_bytes())
    place = content.index(b"fmt ") + 10  # after the chunk's name, its size and the format's tag
    assert content[place : place + 2] == b"\x02\x00"
    content[place : place + 2] = b"\x00\x00"
    path.write_bytes(content)


def _no_channels(path: Path) -> None:
    format = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 0, 44100, 0, 0, 16)
    header = struct.pack("<4sI4s", b"RIFF", 1036, b"WAVE") + format + struct.pack("<4sI", b"data", 1000)
    path.write_bytes(header + bytes(1000))


def _not_a_number(path: Path) -> None:
    samples = np.zeros((2 * RATE_HZ, 2), np.float32)
    samples[RATE_HZ + 441, 1] = np.nan
    wav(path, samples)


def _playlist(path: Path) -> None:
    wav(path.with_name("secret.wav"), np.ones((5000, 1)) * 0.5)
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n")


_INFINITE = np.full((5000, 2), np.inf)
_HUGE = np.full((5000, 2), 1e20, np.float32)
_NOT_AUDIO = "not audio, or is damaged"
_NO_SOUND = "not audio|no sound"
BAD: tuple[Bad, ...] = (
    Bad("empty.wav", "empty", lambda path: path.touch()),
    *(Bad(f"cut at {size}.wav", _NOT_AUDIO, _cut(size)) for size in (1, 4, 11, 20, 35)),
    Bad("zero channels.wav", "number of channels", _zero_channels),
    Bad("no channels.wav", "channels|damaged", _no_channels),
    Bad("nine channels.wav", "9 channels; 1 to 8", lambda path: wav(path, np.zeros((5000, 9)))),
    Bad("text.wav", _NO_SOUND, lambda path: path.write_bytes(b"hello " * 1000)),
    Bad("noise.wav", _NO_SOUND, lambda path: path.write_bytes(np.random.default_rng(0).bytes(20_000))),
    Bad("picture.wav", _NO_SOUND, lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))),
    Bad("list.mp3", _NO_SOUND, _playlist),
    Bad("one sample.wav", "at least 50 ms", lambda path: wav(path, np.zeros((1, 2)))),
    Bad("no sample.wav", "at least 50 ms|damaged", lambda path: wav(path, np.zeros((0, 2)))),
    Bad("nearly.wav", r"49\.9\d* ms|50\.0 ms", lambda path: wav(path, np.zeros((RATE_HZ // 20 - 1, 2)))),
    Bad("slow.wav", "10 Hz", lambda path: soundfile.write(path, np.zeros((5000, 1)), 10)),
)
"""Refused by `mgeldm.audio.probe` and `read` alike."""

BAD_INSIDE: tuple[Bad, ...] = (
    Bad("nan.wav", r"holds values that are not numbers, or far too large, from 1\.010 s", _not_a_number),
    Bad("inf.wav", r"holds values that are not numbers.* from 0\.000 s", lambda path: wav(path, _INFINITE)),
    Bad("huge.wav", r"holds values that are .*far too large, from 0\.000 s", lambda path: wav(path, _HUGE)),
)
"""Refused by whoever reads as far as the fault."""
