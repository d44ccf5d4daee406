"""Drum kits from folders of one-shots: Hydrogen's drum kits, and any folder whose file names say what is struck."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import AudioError, InputError
from .bank import HIT_S, Bank
from .notes import cut

PIECES: dict[str, tuple[int, ...]] = {
    "kick drum": (35, 36),
    "snare drum": (37, 38, 40),
    "hi-hats": (42, 44, 46),
    "toms": (41, 43, 45, 47, 48, 50),
    "cymbals": (49, 51, 52, 53, 55, 57, 59),
    "claps": (39,),
}
"""General MIDI drum keys of each piece of a kit (`words.KIT`, in its order); other keys are percussion."""

_SUFFIXES = (".wav", ".flac", ".aiff", ".ogg")

# What a name says: pattern, General MIDI drum key, level of the peak in a kit. The first that fits counts.
_NAMES = tuple(
    (re.compile(pattern), key, peak)
    for pattern, key, peak in (
        (r"cowbell", 56, 0.5), (r"tambourine", 54, 0.4), (r"triangle|chime", 81, 0.3), (r"shak|maraca|cabasa", 70, 0.3),
        (r"conga|bongo|tabla.*(te|ke|re)", 62, 0.6), (r"\btabla|djembe|ghe", 64, 0.6),
        (r"clave|(?<![a-z])wood(?![a-z])|block", 75, 0.4), (r"stick|rim", 37, 0.6), (r"clap|snap", 39, 0.7),
        (r"snare|\bsn[_\d]|^sn_|\bsd\b", 38, 0.8), (r"splash", 55, 0.5), (r"china", 52, 0.55),
        (r"crash|cymbal.*(hard|soft)|cymbal \d|elec_cymbal", 49, 0.55),
        (r"ride.*bell", 53, 0.4), (r"ride", 51, 0.4), (r"(hat|hh|cymbal).*open|open.*(hat|hh)", 46, 0.4),
        (r"(hat|hh|cymbal).*pedal|pedal.*(hat|hh)", 44, 0.3), (r"hat|\bhh|cymbal.*closed|closed.*hh", 42, 0.35),
        (r"tom.*(hi|3)|(hi|high).*tom", 48, 0.7), (r"tom.*mid|mid.*tom|fuzz_tom", 47, 0.7), (r"tom|floor", 43, 0.7),
        (r"kick|bass ?drum|^bd[_\d]|drum_bass|\bbd\b", 36, 0.95),
    )
)  # fmt: skip


def piece_of(key: int) -> str:
    """The piece of a kit that a drum key belongs to, or "percussion"."""
    return next((piece for piece, keys in PIECES.items() if key in keys), "percussion")


def key_of(name: str) -> tuple[int, float] | None:
    """General MIDI drum key and usual peak of what a name says is struck; None where it says nothing."""
    return next(((key, peak) for pattern, key, peak in _NAMES if pattern.search(name.lower())), None)


def build_kits(folders: list[Path], name: str = "kits", licence: str = "") -> Bank:
    """A bank without notes; each folder is one of its kits, in which a key may have several hits to choose from.

    Raises:
        InputError: No folder holds a hit.
    """
    found = [(number, *hit) for number, folder in enumerate(folders) for hit in _hits(Path(folder))]
    if not found:
        raise InputError(f"There are no drum hits in {', '.join(map(str, folders))}; give folders of one-shots.")
    kits, keys, hits = zip(*found, strict=True)
    notes = np.zeros((0, 1), np.int16)
    none = np.zeros(0, np.int16)
    return Bank(name, notes, none, none, np.stack(hits), np.array(kits, "i2"), np.array(keys, "i2"), licence=licence)


def _hits(folder: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Key and audio of every hit of a folder, int16 [samples]."""
    if (folder / "drumkit.xml").is_file():
        named = list(_hydrogen(folder))
    else:
        named = [(path.stem, path) for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES]
    for said, path in named:
        yield from _hit(said, path)


def _hydrogen(folder: Path) -> Iterator[tuple[str, Path]]:
    """What each instrument of a Hydrogen kit is called, with its file, or the files of its layers."""
    for instrument in ElementTree.parse(folder / "drumkit.xml").getroot().iter():
        if instrument.tag.endswith("instrument"):
            name = next((e.text or "" for e in instrument if e.tag.endswith("name")), "")
            for element in instrument.iter():
                if element.tag.endswith("filename") and element.text:
                    yield re.sub(r"^[a-g]#?\d - ", "", name), folder / element.text


def _hit(said: str, path: Path) -> list[tuple[int, np.ndarray]]:
    """Key and audio of one file; nothing where its name says no drum or it cannot be read."""
    known = key_of(said)
    if known is None:
        return []
    try:
        sound = cut(path, HIT_S)
    except AudioError:
        return []
    if sound is None:
        return []
    return [(known[0], np.round(sound * (known[1] / np.abs(sound).max()) * 32767).astype(np.int16))]
