"""Scores: standard MIDI files, alone or inside a Doom WAD (where the free songs of Freedoom are), as parts of notes.

`python -m mgeldm.data.midi PATH ... --out FOLDER` writes the MIDI of WADs as files, which are small enough to travel.
Notes are those of `events`: start in seconds, duration in seconds, pitch, velocity from 0 to 1.
"""

from __future__ import annotations

import argparse
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .files import make_folder, run

DRUM_CHANNEL = 9
LONGEST_S = 900.0
_SHORTEST_NOTE_S = 0.02
_SUSTAIN = 64  # the controller of the pedal, which is down from 64 on
_RESET, _ALL_OFF = 121, (120, 123)  # controllers that lift the pedal as well; the latter two end what sounds

# General MIDI programs up to and including the first number: the label of their part.
_PROGRAM_LABELS = (
    (7, "piano"), (15, "mallets"), (23, "organ"), (25, "acoustic guitar"), (31, "electric guitar"), (39, "bass"),
    (45, "strings"), (46, "plucked strings"), (47, "percussion"), (51, "strings"), (54, "vocals"), (55, "effects"),
    (63, "brass"), (71, "reed"), (79, "flute"), (87, "lead synth"), (95, "pad synth"), (103, "effects"),
    (107, "plucked strings"), (108, "mallets"), (109, "reed"), (110, "strings"), (111, "reed"), (119, "percussion"),
    (127, "effects"),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """What one instrument plays: General MIDI `program`, None for a drum kit; `notes` [n, 4]."""

    program: int | None
    notes: np.ndarray

    @property
    def label(self) -> str:
        """The corpus's label for the program."""
        if self.program is None:
            return "drums"
        return next(label for last, label in _PROGRAM_LABELS if self.program <= last)


@dataclass(frozen=True)
class Score:
    """A song as parts."""

    name: str
    parts: tuple[Part, ...]

    @property
    def duration_s(self) -> float:
        """When the last note ends."""
        return max((float((p.notes[:, 0] + p.notes[:, 1]).max()) for p in self.parts), default=0.0)

    @property
    def held_out(self) -> bool:
        """One song in eight, by its name, is for tests alone."""
        return zlib.crc32(self.name.encode()) % 8 == 0

    def excerpt(self, start_s: float, duration_s: float, speed: float = 1.0, semitones: int = 0) -> Score:
        """The part of the score that begins at `start_s`, played at a speed and moved in pitch (drums are not)."""
        parts = []
        for part in self.parts:
            notes = part.notes.copy()
            notes[:, 0] = (notes[:, 0] - start_s) / speed
            notes[:, 1] /= speed
            notes = notes[(notes[:, 0] >= 0) & (notes[:, 0] < duration_s)]
            if part.program is not None:
                notes[:, 2] += semitones
            if len(notes):
                parts.append(Part(part.program, notes))
        return Score(self.name, tuple(parts))


def read_scores(path: str | Path) -> list[Score]:
    """The scores of a .mid file, of a folder of them, or of a Doom WAD, in the order of their names.

    Files that are no MIDI are left out.

    Raises:
        InputError: The path holds no score at all, or is a WAD that is cut off.
    """
    path = Path(path)
    scores = []
    for name, content in _contents(path):
        try:
            score = parse(name, content)
        except InputError:
            continue
        if score.parts and score.duration_s <= LONGEST_S:
            scores.append(score)
    if not scores:
        raise InputError(f"{path} holds no MIDI song; give a .mid file, a folder of them, or a Doom WAD.")
    return scores


def score_licence(path: str | Path) -> str:
    """The licence of a path's scores: that of Freedoom's WADs, or what a file LICENCE in their folder says, or ""."""
    path = Path(path)
    if path.name.startswith("freedoom"):
        return "BSD-3-Clause"
    stated = path / "LICENCE"
    return stated.read_text(encoding="utf-8").strip() if stated.is_file() else ""


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in (".mid", ".midi"):
                yield file.stem, file.read_bytes()
    elif path.is_file():
        content = path.read_bytes()
        if content[:4] in (b"IWAD", b"PWAD"):
            yield from _lumps(path, content)
        else:
            yield path.stem, content


def _lumps(wad: Path, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The music of a WAD: lumps named D_..., each once."""
    try:
        count, directory = struct.unpack_from("<ii", content, 4)
        entries = [struct.unpack_from("<ii8s", content, directory + 16 * i) for i in range(count)]
    except struct.error as error:  # what tells where the lumps are is the end of the file
        raise InputError(f"{wad} is cut off; fetch it again.") from error
    seen = set()
    for start, size, name in entries:
        lump = content[start : start + size]
        if name.startswith(b"D_") and lump not in seen:
            seen.add(lump)
            yield f"{wad.stem}-{name.rstrip(bytes(1)).decode('ascii', 'replace')}", lump


def parse(name: str, content: bytes) -> Score:
    """A standard MIDI file of any format; each channel and program is a part.

    Raises:
        InputError: The bytes are no MIDI file, or are cut off.
    """
    try:
        kind, length, _, tracks, division = struct.unpack_from(">4sIHHH", content)
        if kind != b"MThd" or division & 0x8000 or division == 0:
            raise InputError(f"{name} is no MIDI file with notes in beats.")
        events: list[tuple[int, bytes]] = []
        at = 8 + length
        for _ in range(tracks):
            kind, length = struct.unpack_from(">4sI", content, at)
            if at + 8 + length > len(content):
                raise InputError(f"{name} is cut off.")
            if kind == b"MTrk":
                events += _track(content[at + 8 : at + 8 + length])
            at += 8 + length
    except (struct.error, IndexError) as error:
        raise InputError(f"{name} is no whole MIDI file ({error}).") from error
    events.sort(key=lambda event: event[0])  # stable: what a track does at one instant keeps its order
    return Score(name, _parts(events, division))


def _track(data: bytes) -> list[tuple[int, bytes]]:
    """Events (tick, message) of a track; of meta events only the tempo, as b"\\xff" and three bytes.

    Running status goes on after meta and exclusive events. The standard forbids that, but files have it.
    """
    events, at, tick, running = [], 0, 0, 0
    while at < len(data):
        delta, at = _number(data, at)
        tick += delta
        status = running
        if data[at] & 0x80:
            status = data[at]
            at += 1
        if status == 0xFF:
            kind = data[at]
            size, at = _number(data, at + 1)
            if kind == 0x51:
                events.append((tick, b"\xff" + data[at : at + 3]))
            at += size
        elif status in (0xF0, 0xF7):
            size, at = _number(data, at)
            at += size
        else:
            running = status if status < 0xF0 else running
            size = 1 if status & 0xF0 in (0xC0, 0xD0) else 2
            if at + size > len(data):
                raise IndexError("a message is cut off")
            events.append((tick, bytes([status]) + data[at : at + size]))
            at += size
    return events


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = 0
    while True:
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at


def midi_track(messages: Iterable[tuple[int, bytes]]) -> bytes:
    """A track of a MIDI file: messages at ticks, in their order."""
    data, last = b"", 0
    for tick, message in messages:
        data += _number_bytes(tick - last) + message
        last = tick
    data += b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(data)) + data


def _number_bytes(value: int) -> bytes:
    """A number as `_number` reads it."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.insert(0, value & 0x7F | 0x80)
    return bytes(digits)


class _Player:
    """Collects notes from messages, with the pedal: a note lasts until its key and its channel's pedal are up."""

    def __init__(self) -> None:
        self.programs = [0] * 16
        self.sounding: dict[tuple[int, int], tuple[float, float, int]] = {}  # channel, pitch: start, velocity, program
        self.held: set[tuple[int, int]] = set()  # of these the pedal alone is down
        self.pedals: set[int] = set()  # channels whose pedal is down
        self.notes: dict[int | None, list[tuple[float, float, float, float]]] = {}

    def play(self, message: bytes, time_s: float) -> None:
        """A message of a channel, at its time."""
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind == 0xC0:
            self.programs[channel] = message[1] & 0x7F
        elif kind == 0x90 and message[2]:
            self.end(channel, message[1], time_s)
            self.sounding[channel, message[1]] = (time_s, message[2] / 127, self.programs[channel])
        elif kind in (0x80, 0x90):
            if channel in self.pedals:
                self.held.add((channel, message[1]))
            else:
                self.end(channel, message[1], time_s)
        elif kind == 0xB0 and message[1] in (_SUSTAIN, _RESET, *_ALL_OFF):
            if message[1] in _ALL_OFF:
                self.held |= {note for note in self.sounding if note[0] == channel}
            self._pedal(channel, message[1] == _SUSTAIN and message[2] >= 64, time_s)

    def _pedal(self, channel: int, is_down: bool, time_s: float) -> None:
        if is_down:
            self.pedals.add(channel)
            return
        self.pedals.discard(channel)
        for held in [held for held in self.held if held[0] == channel]:
            self.end(*held, time_s)

    def end(self, channel: int, pitch: int, time_s: float) -> None:
        """A note ends, if it sounds."""
        self.held.discard((channel, pitch))
        if (begun := self.sounding.pop((channel, pitch), None)) is not None:
            start_s, velocity, program = begun
            key = None if channel == DRUM_CHANNEL else program
            length_s = max(time_s - start_s, _SHORTEST_NOTE_S)
            self.notes.setdefault(key, []).append((start_s, length_s, float(pitch), velocity))


def _parts(events: list[tuple[int, bytes]], division: int) -> tuple[Part, ...]:
    player = _Player()
    time_s, tick, tick_s = 0.0, 0, 0.5 / division
    for at, message in events:
        time_s += (at - tick) * tick_s
        tick = at
        if message[0] == 0xFF:
            tick_s = int.from_bytes(message[1:4], "big") / 1e6 / division
        else:
            player.play(message, time_s)
    for channel, pitch in list(player.sounding):
        player.end(channel, pitch, time_s)
    found = sorted(player.notes.items(), key=lambda item: -1 if item[0] is None else item[0])
    return tuple(Part(program, np.array(sorted(rows))) for program, rows in found)


def main(arguments: list[str] | None = None) -> None:
    """Write every score of WADs or folders as a file of its own, with the licence they share."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    licences = {score_licence(path) for path in args.paths}
    if len(licences) > 1:
        raise InputError("The scores are under several licences; write those of each into a folder of its own.")
    make_folder(args.out)
    (args.out / "LICENCE").write_text(licences.pop() + "\n", encoding="utf-8")
    for path in args.paths:
        known = {score.name for score in read_scores(path)}
        for name, content in _contents(path):
            if name in known:
                (args.out / f"{name}.mid").write_bytes(content)
    print(f"{args.out}: {len(read_scores(args.out))} scores")


if __name__ == "__main__":
    run(main)
