"""Arrangements by MMA (Musical MIDI Accompaniment), where that program is installed: a melody over random chords.

`python -m mgeldm.data.mma --out FOLDER` writes MIDI files, which `midi.read_scores` reads. MMA's grooves are under the
GPL-2: use them for tests and baselines, not for weights that ship under another licence.
"""

from __future__ import annotations

import argparse
import re
import shutil
import struct
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import events, midi
from .files import make_folder, run

LIBRARY = Path("/usr/share/mma/lib/stdlib")
LICENCE = "GPL-2"
_GROOVE = re.compile(r"^\s*DefGroove\s+(\w+)", re.IGNORECASE | re.MULTILINE)
_NOT_WHOLE = re.compile(r"intro|end|fill|walk", re.IGNORECASE)
_NOTES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_BEATS = re.compile(r"^beats ([\d.]+)$", re.MULTILINE)
_TIMEOUT_S = 60
MELODIC = (0, 11, 22, 24, 26, 40, 42, 52, 56, 60, 65, 68, 71, 73, 75, 80, 81)
"""General MIDI programs that carry a melody."""
_MELODY_CHANNEL = 0  # MMA gives channels from the last one down, and a groove needs few


def grooves(library: Path = LIBRARY) -> list[str]:
    """Names of the library's grooves that can carry a song, in order.

    Raises:
        InputError: The library is not there.
    """
    found = {name for path in library.glob("*.mma") for name in _GROOVE.findall(path.read_text("latin-1"))}
    if not found:
        raise InputError(f"There are no grooves in {library}; install MMA (Debian: apt install mma).")
    return sorted(name for name in found if not _NOT_WHOLE.search(name))


def chord_sheet(plan: events.Plan, groove: str) -> str:
    """A plan's chords as MMA reads them: tempo, groove, one numbered bar a line."""
    lines = [f"Tempo {round(plan.tempo_bpm)}", f"Groove {groove}"]
    for bar in range(plan.bars):
        root, third, fifth, seventh = (_above(plan, plan.degrees[bar], step) for step in (0, 2, 4, 6))
        quality = {(3, 7): "m", (4, 7): "", (3, 6): "dim", (4, 8): "aug"}.get((third - root, fifth - root), "")
        tail = {"": {11: "M7", 10: "7"}, "m": {10: "m7", 11: "mM7"}}.get(quality, {}).get(seventh - root, quality)
        lines.append(f"{bar + 1} {_NOTES[(plan.key + root) % 12]}{tail if plan.sevenths else quality}")
    return "\n".join(lines) + "\n"


def _above(plan: events.Plan, degree: int, steps: int) -> int:
    """Semitones above the tonic of the scale tone `steps` above a degree."""
    return plan.scale[(degree + steps) % 7] + 12 * ((degree + steps) // 7)


def arrange(rng: np.random.Generator, names: list[str], duration_s: float) -> tuple[str, bytes]:
    """A random arrangement with a melody: its groove and MIDI bytes.

    Args:
        rng: Decides everything.
        names: Grooves to choose from.
        duration_s: Length that bars of four beats would have; those of a waltz are shorter.

    Raises:
        InputError: MMA is not installed, cannot play the groove, or takes too long.
    """
    if shutil.which("mma") is None:
        raise InputError("The program mma is not installed; install MMA (Debian: apt install mma).")
    groove = names[int(rng.integers(len(names)))]
    with tempfile.TemporaryDirectory() as folder:
        sheet, song = Path(folder, "song.mma"), Path(folder, "song.mid")
        plan = events.random_plan(rng, duration_s)
        text = f"RndSeed {rng.integers(2**31)}\n{chord_sheet(plan, groove)}Print beats $_Time\n"
        sheet.write_text(text, encoding="ascii")
        command = ["mma", "-f", str(song), str(sheet)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"MMA needs more than {_TIMEOUT_S} s for {groove}; ask for fewer --seconds.") from error
        beats = _BEATS.search(done.stdout)
        if done.returncode or beats is None or not song.exists():
            reason = (done.stdout + done.stderr).strip().splitlines()
            raise InputError(f"MMA cannot play {groove} ({reason[-1] if reason else 'no reason given'}).")
        return groove, _with_melody(song.read_bytes(), plan, float(beats[1]), rng)


def _with_melody(content: bytes, plan: events.Plan, beats: float, rng: np.random.Generator) -> bytes:
    """MMA's file of a plan, in bars of so many beats, with one track more: a melody by a sound that nothing else has.

    A melody has bars of four beats: what a bar of fewer has no room for is left out, and of more the rest is a rest.
    """
    used = {part.program for part in midi.parse("an arrangement", content).parts}
    program = int(rng.choice([program for program in MELODIC if program not in used]))
    style = events.LEAD_STYLES[int(rng.integers(len(events.LEAD_STYLES)))].name
    on_grid = replace(plan, swing=0.0, human_s=0.0)
    notes = events.lead_part(on_grid, rng, style, rng.uniform(66, 78))
    tracks, division = struct.unpack_from(">HH", content, 10)
    sixteenth, steps_a_bar = division / 4, 4 * beats
    bars, steps = np.divmod(np.round(notes[:, 0] / plan.step_s), 16)
    kept = (bars < plan.bars) & (steps < steps_a_bar)
    starts = np.round((bars * steps_a_bar + steps) * sixteenth)[kept]
    ends = starts + np.round(notes[kept, 1] / plan.step_s * sixteenth)
    ends = np.minimum(ends, np.append(starts[1:], plan.bars * steps_a_bar * sixteenth))
    messages = [(0, bytes([0xC0 | _MELODY_CHANNEL, program]))]
    for start, end, pitch, velocity in zip(starts, ends, notes[kept, 2], notes[kept, 3], strict=True):
        messages.append((int(start), bytes([0x90 | _MELODY_CHANNEL, int(pitch), max(1, round(100 * velocity))])))
        messages.append((int(end), bytes([0x80 | _MELODY_CHANNEL, int(pitch), 0])))
    return content[:10] + struct.pack(">H", tracks + 1) + content[12:] + midi.midi_track(messages)


def main(arguments: list[str] | None = None) -> None:
    """Write arrangements as MIDI files; one that is there already is kept."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args(arguments)
    make_folder(args.out)
    (args.out / "LICENCE").write_text(LICENCE + "\n", encoding="utf-8")
    names, made = grooves(), 0
    for seed in range(args.songs):
        if any(args.out.glob(f"{seed:05d}-*.mid")):
            continue
        try:
            groove, content = arrange(np.random.default_rng(seed), names, args.seconds)
        except InputError as error:  # a few grooves want more than chords, or more time
            print(error)
            continue
        (args.out / f"{seed:05d}-{groove}.mid").write_bytes(content)
        made += 1
    print(f"{args.out}: {made} new arrangements, licence {LICENCE}")


if __name__ == "__main__":
    run(main)
