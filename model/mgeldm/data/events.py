"""Quick generators of musical material.

Notes are float arrays [n, 4]: start in seconds, duration in seconds, MIDI pitch, velocity from 0 to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
}
PROGRESSIONS = (
    (0, 4, 5, 3),
    (5, 3, 0, 4),
    (0, 3, 4, 4),
    (0, 5, 3, 4),
    (1, 4, 0, 0),
    (0, 0, 3, 0),
    (0, 6, 5, 4),
    (0, 3, 0, 4),
    (0, 2, 3, 4),
    (0, 5, 1, 4),
    (0, 0, 0, 0),
    (0, 6, 3, 0),
    (3, 4, 2, 5),
    (0, 3, 6, 2),
    (0, 0, 5, 5),
    (5, 4, 3, 4),
)


@dataclass
class Plan:
    """What the players of one song agree on."""

    key: int
    """Pitch class of the tonic."""
    scale: tuple[int, ...]
    tempo_bpm: float
    bars: int
    degrees: list[int]
    """Scale degree of each bar's chord, [bars]."""
    sevenths: bool
    swing: float
    """Delay of every second sixteenth, as a share of a sixteenth (0-0.67)."""
    human_s: float
    """Standard deviation of each note's start, in seconds."""
    fills_every: int = 4

    @property
    def step_s(self) -> float:
        """A sixteenth note, in seconds."""
        return 15.0 / self.tempo_bpm

    def pitch(self, degree: int, near: float) -> int:
        """The pitch of a scale degree (any integer) in the octave nearest to `near`."""
        base = self.key + self.scale[degree % 7]
        return int(base + 12 * round((near - base) / 12))

    def chord(self, bar: int, near: float) -> list[int]:
        """Close voicing of a bar's chord around `near`."""
        steps = (0, 2, 4, 6) if self.sevenths else (0, 2, 4)
        return sorted(self.pitch(self.degrees[bar] + s, near) for s in steps)

    def notes(self, rng: np.random.Generator, steps, lengths, pitches, velocities) -> np.ndarray:
        """Notes [n, 4] from times and lengths in sixteenths, swung and humanised."""
        steps, count = np.asarray(steps, float), len(steps)
        if not count:
            return np.zeros((0, 4))
        swung = steps + self.swing * (np.floor(steps).astype(int) % 2)
        start = np.maximum(swung * self.step_s + rng.normal(0, self.human_s, count), 0)
        velocity = np.clip(np.asarray(velocities, float) * rng.normal(1, 0.07, count), 0.05, 1)
        return np.stack([start, np.asarray(lengths, float) * self.step_s, np.asarray(pitches, float), velocity], 1)


def random_plan(rng: np.random.Generator, duration_s: float) -> Plan:
    """A song's key, tempo and chords, long enough for `duration_s`."""
    tempo = float(rng.uniform(70, 170))
    bars = int(np.ceil(duration_s * tempo / 240)) + 1
    names = list(MODES)
    scale = MODES[names[rng.choice(6, p=[0.35, 0.3, 0.12, 0.12, 0.05, 0.06])]]
    first, second = (PROGRESSIONS[i] for i in rng.choice(len(PROGRESSIONS), 2))
    degrees: list[int] = []
    hold = 2 if rng.uniform() < 0.2 else 1
    while len(degrees) < bars:
        degrees += [d for d in (first * 2 if rng.uniform() < 0.6 else second * 2) for _ in range(hold)]
    swing = float(rng.uniform(0.1, 0.6)) if rng.uniform() < 0.25 else 0.0
    return Plan(
        int(rng.integers(12)),
        scale,
        tempo,
        bars,
        degrees[:bars],
        bool(rng.uniform() < 0.35),
        swing,
        float(rng.choice([0, 0.004, 0.01])),
        int(rng.choice([2, 4, 8])),
    )


@dataclass(frozen=True)
class Groove:
    """A drum pattern of one bar of sixteenths: GM key -> 16 characters (x loud, o medium, . ghost, - nothing)."""

    name: str
    parts: dict[int, str]
    held_out: bool = False
    swing: float | None = None


K, S, R, C, H, P, A, D, B = 36, 38, 37, 39, 42, 44, 46, 51, 53
EIGHTHS, SIXTEENTHS, QUARTERS, OFF = "x-o-x-o-x-o-x-o-", "xoooxoooxoooxooo", "x---x---x---x---", "--x---x---x---x-"
BACK = "----x-------x---"
GROOVES = (
    Groove("rock", {K: "x-------x-o-----", S: BACK, H: EIGHTHS}),
    Groove("rock_ride", {K: "x-----o-x-------", S: BACK, D: EIGHTHS}),
    Groove("rock_busy", {K: "x--x--x-x-x---o-", S: "----x--.-.--x--.", H: EIGHTHS}),
    Groove("ballad", {K: "x---------x-----", R: BACK, H: EIGHTHS}),
    Groove("four_floor", {K: QUARTERS, C: BACK, A: OFF, H: "o-----o-----o---"}),
    Groove("house", {K: QUARTERS, C: BACK, H: OFF, 70: SIXTEENTHS}),
    Groove("techno", {K: QUARTERS, H: OFF, 45: "---o--o----o--o-", D: "----x-------x---"}),
    Groove("trance", {K: QUARTERS, S: BACK, A: OFF, H: "xoo-xoo-xoo-xoo-"}),
    Groove("hip_hop", {K: "x-----x---x-----", S: BACK, H: EIGHTHS}),
    Groove("boom_bap", {K: "x--o------xo----", S: BACK, H: EIGHTHS, A: "--------------o-"}, swing=0.35),
    Groove("trap", {K: "x-----x---x--o--", C: "--------x-------", H: "x-x-x-x-x-xxx-xx"}),
    Groove("half_time", {K: "x-----x---------", S: "--------x-------", H: EIGHTHS}),
    Groove("half_ride", {K: "x---------o--o--", S: "--------x-------", B: QUARTERS, D: EIGHTHS}),
    Groove("funk", {K: "x--x--o---x--x--", S: "----x--.-.-.x--.", H: SIXTEENTHS}),
    Groove("funk_open", {K: "x-x---x---xo----", S: "----x--.---.x-.-", H: "xxoxx-xxxoxxx-xx", A: "-----x-------x--"}),
    Groove("disco", {K: QUARTERS, S: BACK, H: "xo-oxo-oxo-oxo-o", A: OFF}),
    Groove("samba", {K: "x--ox--ox--ox--o", R: "x-x--x-xx-x--x--", 70: SIXTEENTHS, 64: "----x-------x-xx"}),
    Groove("latin", {K: "---x--x----x--x-", R: "x--x---x--x-x---", 56: EIGHTHS, 63: "----x-----xx----"}),
    Groove("shuffle", {K: "x-----o-x-------", S: BACK, D: EIGHTHS}, swing=0.6),
    Groove("jazz_ride", {D: "x---x--xx---x--x", P: BACK, K: ".---.---.---.---", S: "-------.------.-"}, swing=0.6),
    Groove("punk", {K: "x-x---x-x-x---x-", S: "--x-x---x---x-x-", H: EIGHTHS}),
    Groove("metal", {K: "xxxxxxxxxxxxxxxx", S: BACK, D: QUARTERS}),
    Groove("motown", {K: "x---o-o-x---o-o-", S: QUARTERS, 54: EIGHTHS}),
    Groove("sparse", {K: "x---------------", S: "------------x---", H: QUARTERS}),
    Groove("tribal", {41: "x--x--x-x--x--x-", 45: "--o--o---oo--o--", K: QUARTERS, 70: SIXTEENTHS}),
    Groove("uk_garage", {K: "x---------x-----", S: BACK, H: "--x--ox---x--ox-", R: "-------o--o----o"}, swing=0.3),
    Groove("drum_and_bass", {K: "x---------x-----", S: "----x--o-o--x---", H: EIGHTHS}),
    Groove("train", {S: "..x...x...x...x.", K: "x---x---x---x---", H: OFF}),
    # Held out: only for the test split.
    Groove("one_drop", {K: "--------x-------", R: "--------x-------", H: EIGHTHS}, True),
    Groove("bossa", {K: "x--xx--xx--xx--x", R: "x--x--x---x--x--", H: SIXTEENTHS}, True),
    Groove("second_line", {K: "x--x--x---x-x---", S: "x.x..xx.x.x..x.x", P: OFF}, True),
    Groove("amen", {K: "x-x-------xx----", S: "----x--x-x--x--x", D: EIGHTHS}, True),
    Groove("bo_diddley", {K: "x--x--x---x-x---", 45: "x-ox-ox-o-x-x-oo", 70: SIXTEENTHS}, True),
    Groove("dembow", {K: QUARTERS, S: "---x--x----x--x-", H: EIGHTHS}, True),
    Groove("rock_displaced", {K: "x-----x--xx--x--", S: "----x-----x---x-", A: QUARTERS}, True),
)
LEVELS = {"x": 0.95, "o": 0.6, ".": 0.28}


def drum_part(plan: Plan, rng: np.random.Generator, groove: Groove) -> np.ndarray:
    """A drum part for the whole song: the groove with small variations, fills, ghost hats and crashes."""
    steps, keys, velocities = [], [], []
    ghosts, drops, crashes = rng.uniform(0, 0.25), rng.uniform(0, 0.08), rng.uniform() < 0.7
    for bar in range(plan.bars):
        fill = (bar + 1) % plan.fills_every == 0 and rng.uniform() < 0.6
        cut = int(rng.choice([8, 10, 12, 14])) if fill else 16
        for key, pattern in groove.parts.items():
            for i, mark in enumerate(pattern[:cut]):
                if mark in LEVELS and rng.uniform() >= drops:
                    add = (i, key, LEVELS[mark])
                elif mark == "-" and key == H and rng.uniform() < ghosts * 0.5:
                    add = (i, key, 0.25)
                else:
                    continue
                steps.append(bar * 16 + add[0])
                keys.append(add[1])
                velocities.append(add[2])
        if fill:
            toms = rng.choice([38, 48, 47, 45, 43, 41], 16 - cut)
            for i in range(cut, 16):
                if rng.uniform() < 0.8:
                    steps.append(bar * 16 + i)
                    keys.append(int(toms[i - cut]))
                    velocities.append(rng.uniform(0.5, 1))
        if crashes and bar % plan.fills_every == 0 and rng.uniform() < 0.7:
            steps.append(bar * 16)
            keys.append(49)
            velocities.append(0.8)
    if groove.swing is not None:
        plan = Plan(**{**plan.__dict__, "swing": groove.swing})
    return plan.notes(rng, steps, np.full(len(steps), 4.0), keys, velocities)


PERCUSSION = (
    {70: SIXTEENTHS},
    {54: EIGHTHS},
    {62: "x--x--x-x--x--x-", 63: "--o--o---oo--o--", 64: "----x-------x-xx"},
    {60: "x-xx--x-x-xx-xx-", 61: "---x-x-----x---x"},
    {56: QUARTERS},
    {69: "xooxxooxxooxxoox", 75: "x--x--x---x-x---"},
    {76: "x--x--x-----x-x-", 77: "--x--x--xx-x---x"},
    {82: EIGHTHS, 39: BACK},
    {67: "x-xx-x-x-xx-x-x-", 68: "-x--x-x-x--x-x-x"},
)


def percussion_part(plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """One or two hand percussion loops."""
    parts: dict[int, str] = {}
    for i in rng.choice(len(PERCUSSION), rng.integers(1, 3), replace=False):
        parts |= PERCUSSION[i]
    steps, keys, velocities = [], [], []
    for bar in range(plan.bars):
        for key, pattern in parts.items():
            for i, mark in enumerate(pattern):
                if mark in LEVELS and rng.uniform() > 0.06:
                    steps.append(bar * 16 + i)
                    keys.append(key)
                    velocities.append(LEVELS[mark])
    return plan.notes(rng, steps, np.full(len(steps), 4.0), keys, velocities)


def bass_part(plan: Plan, rng: np.random.Generator, style: str) -> np.ndarray:
    """A bass line. Styles: root, octave, walking, eighths, synth, syncopated, long, fifths, dub."""
    centre = rng.uniform(33, 41)
    steps, lengths, pitches, velocities = [], [], [], []
    patterns = {
        "root": ([0, 8], 7),
        "octave": (list(range(0, 16, 2)), 1.7),
        "eighths": (list(range(0, 16, 2)), 1.8),
        "walking": ([0, 4, 8, 12], 3.7),
        "synth": (list(range(16)), 0.8),
        "long": ([0], 15.5),
        "fifths": ([0, 6, 8, 14], 2.0),
        "dub": ([0, 3, 6, 11], 2.0),
        "syncopated": None,
    }
    chosen = patterns[style] or (sorted({0, *rng.choice(np.arange(2, 16), rng.integers(3, 7), replace=False)}), 1.6)
    onsets, length = chosen
    for bar in range(plan.bars):
        root = plan.pitch(plan.degrees[bar], centre)
        for j, onset in enumerate(onsets):
            if bar and rng.uniform() < 0.04:
                continue
            pitch = root
            if style == "octave" or (style == "synth" and j % 4 == 2):
                pitch += 12 * (j % 2)
            elif style == "walking" and j:
                pitch = plan.pitch(plan.degrees[bar] + (0, 2, 4, 5)[j], root + 3)
            elif (style in ("fifths", "syncopated", "dub") and j and rng.uniform() < 0.5) or rng.uniform() < 0.03:
                pitch = plan.pitch(plan.degrees[bar] + int(rng.choice([4, 2, 6, 7])), root + 4)
            steps.append(bar * 16 + onset)
            lengths.append(length)
            pitches.append(pitch)
            velocities.append(0.95 if onset % 4 == 0 else 0.78)
    return plan.notes(rng, steps, lengths, pitches, velocities)


def chord_part(plan: Plan, rng: np.random.Generator, style: str) -> np.ndarray:
    """Chords.

    Styles: held, halves, stabs, strum, offbeat, eighths, broken, arpeggio, charleston, skank, rolling, power.
    """
    centre = 50 if style == "power" else rng.uniform(56, 66)
    rhythm = {
        "held": ([0], 15.8),
        "stabs": ([0, 6, 12], 1.5),
        "strum": ([0, 4, 6, 10, 12, 14], 2.0),
        "skank": ([4, 12], 1.2),
        "offbeat": ([2, 6, 10, 14], 1.0),
        "eighths": (list(range(0, 16, 2)), 1.8),
        "charleston": ([0, 6], 2.5),
        "broken": (list(range(0, 16, 2)), 3.0),
        "arpeggio": (list(range(16)), 1.5),
        "rolling": (list(range(0, 16, 4)), 4),
        "power": (list(range(0, 16, 2)), 1.8),
        "halves": ([0, 8], 7.5),
    }
    onsets, length = rhythm[style]
    order = rng.integers(4)
    steps, lengths, pitches, velocities = [], [], [], []
    for bar in range(plan.bars):
        chord = plan.chord(bar, centre)
        if style == "power":
            root = plan.pitch(plan.degrees[bar], 45)
            chord = [root, root + 7, root + 12]
        elif rng.uniform() < 0.3:
            chord = [*chord, chord[0] + 12]
        for j, onset in enumerate(onsets):
            if style in ("broken", "arpeggio"):
                line = [*chord, chord[0] + 12]
                line = [line, line[::-1], line + line[-2:0:-1], [line[0], line[-1], line[1], line[-2]]][order]
                played = [line[j % len(line)]]
            else:
                played = chord
            for k, pitch in enumerate(played):
                late = 0.12 * k if style == "strum" else 0
                steps.append(bar * 16 + onset + late)
                lengths.append(length)
                pitches.append(pitch)
                velocities.append(0.85 if onset % 8 == 0 else 0.68)
    return plan.notes(rng, steps, lengths, pitches, velocities)


def lead_part(plan: Plan, rng: np.random.Generator, style: str, centre: float) -> np.ndarray:
    """A melody around `centre`. Styles: phrases, long, riff, runs, calls (sparse answers)."""
    steps, lengths, pitches, velocities = [], [], [], []
    choices = {
        "phrases": [2, 2, 4, 4, 6, 8],
        "long": [8, 12, 16],
        "riff": [2, 2, 3, 4],
        "runs": [1, 1, 2],
        "calls": [2, 3, 4],
    }
    degree, rest = int(rng.integers(7)), {"phrases": 0.2, "long": 0.1, "riff": 0.15, "runs": 0.12, "calls": 0.3}[style]
    motif: list[tuple[int, int, int]] = []
    for section in range((plan.bars + 1) // 2):
        if not motif or (style != "riff" and rng.uniform() < 0.6):
            motif, at = [], 0
            while at < 32:
                length = int(rng.choice(choices[style]))
                degree += int(rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3]))
                degree = int(np.clip(degree, -6, 8))
                if rng.uniform() >= rest and not (style == "calls" and at >= 16):
                    motif.append((at, length, degree))
                at += length
        if style == "calls" and section % 2:
            continue
        for at, length, d in motif:
            bar = min(section * 2 + at // 16, plan.bars - 1)
            if at % 16 == 0:
                d = plan.degrees[bar] + 2 * (d % 3) - 7 * (d < 0)
            base = plan.key + plan.scale[d % 7] + 12 * (d // 7)
            shift = 12 * round((centre - plan.key - 4) / 12)
            steps.append(section * 32 + at)
            lengths.append(length * 0.95)
            pitches.append(base + shift)
            velocities.append(0.9 if at % 4 == 0 else 0.75)
    return plan.notes(rng, steps, lengths, pitches, velocities)


@dataclass(frozen=True)
class Style:
    """A named generator of a part; those with `held_out` play only in the test split."""

    name: str
    held_out: bool = False


BASS_STYLES = (
    *tuple(Style(n) for n in ("root", "octave", "walking", "eighths", "synth", "syncopated", "long")),
    Style("fifths", True),
    Style("dub", True),
)
CHORD_STYLES = (
    *tuple(Style(n) for n in ("held", "stabs", "strum", "offbeat", "eighths", "broken", "arpeggio", "power", "halves")),
    Style("charleston", True),
    Style("skank", True),
    Style("rolling", True),
)
LEAD_STYLES = (*tuple(Style(n) for n in ("phrases", "long", "riff", "runs")), Style("calls", True))


def choose(rng: np.random.Generator, items, split: str, allowed: Callable[[str], bool] = lambda name: True):
    """One of `items` (with `name` and `held_out`) that `split` ("train" or "test") may play."""
    pool = [i for i in items if i.held_out == (split == "test")]
    suited = [i for i in pool if allowed(i.name)] or pool
    return suited[rng.integers(len(suited))]
