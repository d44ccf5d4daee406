"""Makes the demo song: `python resources/demo/make_demo.py [--stems DIR]`.

Everything is written here: an arrangement of 18 bars in A minor at 104 beats a minute, played on this project's own
synthesisers. Drums, bass, electric piano chords, lead and pad, panned and put in one room.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
from mgeldm.data import synth

RATE_HZ = 44100
TEMPO_BPM = 104
SIXTEENTH_S = 60 / TEMPO_BPM / 4
HERE = Path(__file__).resolve().parent

# Chords as MIDI pitches, two bars of A, F, C, G in turn; the bridge moves under a held G.
VERSE = [(57, 60, 64, 67), (53, 57, 60, 64), (55, 60, 64, 67), (55, 59, 62, 66)]
BRIDGE = [(53, 57, 60, 65), (55, 59, 62, 67), (52, 55, 59, 64), (57, 60, 64, 69)]
BARS = [*VERSE, *VERSE, *BRIDGE, *VERSE, VERSE[0], VERSE[0]]
ROOTS = {57: 33, 53: 29, 55: 31, 52: 28}

GROOVE = {36: "x--x--x---x-----", 38: "----x-------x--o", 42: "x-xox-xox-xox-xo"}
FILL = {36: "x--x--x---x-----", 38: "----x---x-xxxxxx", 42: "x-x-x-x---------", 47: "----------x-x---"}
BASS = "x--x--x---x-x-xo"
STABS = "x-----x---x---x-"
MELODY = {  # bar: (sixteenth, length in sixteenths, pitch)
    0: [(0, 4, 76), (4, 2, 74), (6, 6, 72), (12, 4, 71)],
    1: [(0, 6, 69), (6, 2, 72), (8, 8, 76)],
    2: [(0, 3, 79), (3, 3, 76), (6, 6, 74), (12, 4, 72)],
    3: [(0, 10, 74), (12, 2, 71), (14, 2, 74)],
}


def drums(rng: np.random.Generator) -> np.ndarray:
    """The beat, with a fill in each fourth bar; the first two bars have hats alone."""
    kit, hits = synth.drum_kit(rng), []
    for bar in range(len(BARS)):
        pattern = FILL if bar % 4 == 3 else GROOVE
        for key, steps in pattern.items():
            if bar < 2 and key != 42:
                continue
            for step, mark in enumerate(steps):
                if mark != "-":
                    level = (0.5 if mark == "o" else 1.0) * (0.35 if key == 42 else 1.0) * rng.uniform(0.9, 1.0)
                    hits.append(((bar * 16 + step) * SIXTEENTH_S, kit[key] * np.float32(level)))
    return placed(hits)


def bass(rng: np.random.Generator) -> np.ndarray:
    """Roots with octaves, from the third bar on."""
    sampler = synth.subtractive(rng, np.arange(28, 48, 5), "bass")
    notes = []
    for bar, chord in enumerate(BARS):
        if bar < 2:
            continue
        for step, mark in enumerate(BASS):
            if mark != "-":
                pitch = ROOTS[chord[0]] + (12 if step in (6, 14) else 0)
                notes.append(((bar * 16 + step) * SIXTEENTH_S, sampler.note(pitch, 1.7 * SIXTEENTH_S)))
    return placed(notes)


def chords(rng: np.random.Generator) -> np.ndarray:
    """Electric piano stabs."""
    sampler = synth.fm(rng, np.arange(50, 74, 4), "lead")
    notes = []
    for bar, chord in enumerate(BARS):
        for step, mark in enumerate(STABS):
            if mark != "-":
                for pitch in chord:
                    start_s = (bar * 16 + step) * SIXTEENTH_S + rng.uniform(0, 0.006)
                    notes.append((start_s, sampler.note(pitch, 3.5 * SIXTEENTH_S) * np.float32(rng.uniform(0.8, 1))))
    return placed(notes)


def lead(rng: np.random.Generator) -> np.ndarray:
    """The tune: in the verses after the first, an octave lower in the bridge's answer."""
    sampler, notes = synth.subtractive(rng, np.arange(60, 84, 4), "lead"), []
    for bar in range(4, len(BARS) - 2):
        for step, length, pitch in MELODY[bar % 4]:
            low = 12 if 8 <= bar < 12 else 0
            notes.append(((bar * 16 + step) * SIXTEENTH_S, sampler.note(pitch - low, length * SIXTEENTH_S)))
    return placed(notes)


def pad(rng: np.random.Generator) -> np.ndarray:
    """Held chords from the bridge on."""
    sampler, notes = synth.subtractive(rng, np.arange(50, 74, 4), "pad"), []
    for bar, chord in enumerate(BARS[8:], 8):
        for pitch in chord:
            notes.append((bar * 16 * SIXTEENTH_S, sampler.note(pitch, 15 * SIXTEENTH_S)))
    return placed(notes)


def placed(notes: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Notes mixed at their times: float32 [samples]."""
    out = np.zeros(round((len(BARS) * 16 * SIXTEENTH_S + 2.0) * RATE_HZ), np.float32)
    for start_s, audio in notes:
        start = round(start_s * RATE_HZ)
        out[start : start + len(audio)] += audio[: len(out) - start]
    return out


# Part: player, its seed, level in dB, place from -1 (left) to 1 (right), share of the room.
PARTS = {
    "drums": (drums, 12, -14.0, 0.0, 0.12),
    "bass": (bass, 3, -16.0, 0.0, 0.02),
    "chords": (chords, 8, -20.0, -0.45, 0.35),
    "lead": (lead, 21, -19.5, 0.35, 0.4),
    "pad": (pad, 5, -26.0, 0.0, 0.6),
}


def arrange() -> dict[str, np.ndarray]:
    """Every part, float32 [2, samples]; their sum peaks at 0.9."""
    rng = np.random.default_rng(2305)
    length = round(0.9 * RATE_HZ)
    room = rng.standard_normal((2, length)).astype(np.float32)
    room *= np.exp(-np.arange(length) / RATE_HZ / 0.25) / 40
    stems = {}
    for name, (player, seed, level_db, place, wet) in PARTS.items():
        dry = player(np.random.default_rng(seed))
        dry *= 10 ** (level_db / 20) / np.sqrt(np.square(dry[dry != 0]).mean())
        angle = (place + 1) * np.pi / 4
        reverb = np.stack([convolved(dry, side) for side in room])
        stems[name] = (np.array([[np.cos(angle)], [np.sin(angle)]]) * dry + wet * reverb).astype(np.float32)
    peak = float(np.abs(sum(stems.values())).max())
    return {name: stem * np.float32(0.9 / peak) for name, stem in stems.items()}


def convolved(dry: np.ndarray, impulse: np.ndarray) -> np.ndarray:
    """A part in the room, as long as the part."""
    size = len(dry) + len(impulse)
    return np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(impulse, size), size)[: len(dry)]


def main() -> None:
    """Write demo.flac, and the parts if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--stems", type=Path, help="also write every part there")
    args = parser.parse_args()
    stems = arrange()
    soundfile.write(HERE / "demo.flac", sum(stems.values()).T, RATE_HZ, subtype="PCM_16")
    if args.stems is not None:
        args.stems.mkdir(parents=True, exist_ok=True)
        for name, stem in stems.items():
            soundfile.write(args.stems / f"{name}.wav", stem.T, RATE_HZ, subtype="FLOAT")


if __name__ == "__main__":
    main()
