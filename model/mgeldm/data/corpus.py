"""Multi-stem songs for training: rendered on the fly from banks and synthesisers, or read from real stems."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.fft

from . import events, synth
from .bank import Bank, speeches
from .captions import HELD_OUT_CAPTIONS, describe, own_phrases
from .events import Plan
from .readers import Skip, files_of, tell
from .singer import sung
from .songs import RATE_HZ, Song, Stem
from .synth import Sampler, bank_sampler

HELD_OUT_SONG = "sodium"
"""The real song that no model is trained on."""
RENDERING = 2
"""Rises when a seed gives another song to train on than it did, plain or wide."""
TEST_SEED = 1_000_000_007
"""Songs of the test split draw from seeds that no training song uses."""

# Label: (weight of being drawn, GM programs, styles of chords or lead, share of synthesised sounds, lead centre).
PITCHED: dict[str, tuple[float, tuple[int, ...], str, float, float]] = {
    "electric guitar": (1.2, tuple(range(26, 31)), "guitar", 0.0, 64),
    "acoustic guitar": (0.9, (24, 25), "strum", 0.3, 62),
    "piano": (1.1, tuple(range(8)), "chords", 0.0, 68),
    "organ": (0.6, tuple(range(16, 24)), "chords", 0.0, 66),
    "strings": (0.7, (40, 41, 42, 44, 45, 48, 49, 50, 51), "strings", 0.0, 67),
    "brass": (0.5, (56, 57, 58, 59, 60, 61, 62, 63), "both", 0.0, 62),
    "reed": (0.5, (64, 65, 66, 67, 68, 69, 70, 71), "lead", 0.0, 64),
    "flute": (0.4, (72, 73, 74, 75, 76, 77, 78, 79), "lead", 0.0, 76),
    "lead synth": (0.9, tuple(range(80, 88)), "synth", 0.7, 72),
    "pad synth": (0.7, tuple(range(88, 96)), "pad", 0.6, 62),
    "vocals": (1.3, (52, 53, 54), "vocals", 0.8, 62),
    "percussion": (0.6, (), "percussion", 0.3, 0),
    "effects": (0.25, tuple(range(96, 104)), "pad", 0.6, 60),
}


def seed_of(shard: int, place: int) -> int:
    """Seed of one of the rendered songs of a shard."""
    return shard * 1000 + place


def render_song(seed: int, banks: list[Bank], duration_s: float, split: str = "train") -> Song:
    """A random song. The same arguments give the same samples; `split` is "train" or "test"."""
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', not {split!r}")
    rng = np.random.default_rng([seed, TEST_SEED if split == "test" else 0])
    plan = events.random_plan(rng, duration_s)
    samples = round(duration_s * RATE_HZ)
    room = _room(rng)
    stems = []
    for label in choose_labels(rng):
        dry, captions = _render_part(label, plan, rng, banks, samples, split)
        stems.append(Stem(label, captions, _plain_production(dry, rng, room, label)))
    peak = max(float(np.abs(np.sum([s.audio for s in stems], axis=0)).max()), 1e-6)
    gain = np.float32(rng.uniform(0.4, 0.98) / peak)
    for stem in stems:
        stem.audio *= gain
    return Song(stems, RATE_HZ, plan.tempo_bpm)


def choose_labels(rng: np.random.Generator) -> list[str]:
    """Labels of 3-7 stems, without repeats."""
    count = int(rng.choice([3, 4, 5, 6, 7], p=[0.2, 0.3, 0.25, 0.15, 0.1]))
    first = [label for label in ("drums", "bass") if rng.uniform() < 0.9]
    weights = np.array([p[0] for p in PITCHED.values()])
    rest = rng.choice(list(PITCHED), count - len(first), replace=False, p=weights / weights.sum())
    return first + [str(r) for r in rest]


def _render_part(label: str, plan: Plan, rng, banks: list[Bank], samples: int, split: str):
    """Dry audio float32 [samples] and captions of one part."""
    playing, words = [bank for bank in banks if bank.plays], speeches(banks)
    bank = playing[rng.integers(len(playing))] if playing else None
    style, program = None, None
    if label in ("drums", "percussion"):
        if label == "drums":
            groove = events.choose(rng, events.GROOVES, split)
            notes, style = events.drum_part(plan, rng, groove), groove.name
        else:
            notes = events.percussion_part(plan, rng)
        if bank is None or not len(bank.kits) or rng.uniform() < 0.35:
            kit, tags = synth.drum_kit(rng), synth.KIT_TAGS
        else:
            # the orchestra's are no drums, but the songs that figures are measured on stay what they were
            number = int(rng.choice(np.unique(bank.kits) if split == "test" else bank.drum_kits))
            kit, tags = bank.kit(number), bank.kit_tags(number)
        dry = _hits(notes, kit, samples)
    else:
        notes, style = _pitched_notes(label, plan, rng, split)
        if label == "vocals" and (split == "train" or words) and rng.uniform() < 0.7:
            dry, tags = sung(notes, samples, rng, words)
        else:
            sampler, program = _instrument(label, notes, rng, bank)
            dry, tags = _play(notes, sampler, samples), sampler.tags
    if split == "train":
        return dry, describe(label, style, tags, program)
    return dry, [*HELD_OUT_CAPTIONS[label], *own_phrases(label, program, tags)]


def _pitched_notes(label: str, plan: Plan, rng, split: str) -> tuple[np.ndarray, str]:
    """Notes [n, 4] of a pitched part, and the style they are in."""
    if label == "bass":
        style = events.choose(rng, events.BASS_STYLES, split).name
        return events.bass_part(plan, rng, style), style
    _, _, role, _, centre = PITCHED[label]
    return role_notes(role, plan, rng, centre, split)


def _instrument(label: str, notes: np.ndarray, rng, bank: Bank | None) -> tuple[Sampler, int | None]:
    """What plays a pitched part, and its General MIDI program, if it has one."""
    programs, share = (tuple(range(32, 40)), 0.45) if label == "bass" else (PITCHED[label][1], PITCHED[label][3])
    available = [p for p in programs if bank is not None and p in bank.by_program]
    if bank is None or not available or rng.uniform() < share:
        return synth_sampler(label, notes, rng), None
    program = int(rng.choice(available))
    return bank_sampler(bank, program, 0.15 if label in ("strings", "pad synth") else 0.06), program


def role_notes(role: str, plan: Plan, rng, centre: float, split: str) -> tuple[np.ndarray, str]:
    """Notes [n, 4] of a pitched part in a role of `PITCHED`, and the style they are in."""

    def chords(*names: str) -> tuple[np.ndarray, str]:
        style = events.choose(rng, events.CHORD_STYLES, split, lambda n: not names or n in names)
        return events.chord_part(plan, rng, style.name), style.name

    def lead(*names: str) -> tuple[np.ndarray, str]:
        style = events.choose(rng, events.LEAD_STYLES, split, lambda n: not names or n in names)
        return events.lead_part(plan, rng, style.name, centre + rng.uniform(-4, 4)), style.name

    solo = rng.uniform()
    if role == "guitar":
        return lead() if solo < 0.35 else chords("power", "strum", "stabs", "eighths", "broken", "skank", "charleston")
    if role == "strum":
        return lead("phrases", "riff") if solo < 0.15 else chords("strum", "broken", "arpeggio", "halves", "rolling")
    if role == "chords":
        return lead() if solo < 0.15 else chords()
    if role == "strings":
        return lead("long", "phrases") if solo < 0.4 else chords("held", "halves", "stabs")
    if role == "both":
        return lead() if solo < 0.55 else chords("stabs", "held", "halves", "charleston")
    if role == "synth":
        return chords("arpeggio", "stabs", "offbeat") if solo < 0.35 else lead()
    if role == "pad":
        return chords("held", "halves")
    if role == "vocals":
        return lead("phrases", "long", "calls")
    return lead()


def synth_sampler(label: str, notes: np.ndarray, rng) -> Sampler:
    """A random synthesised sound for `label`, rendered at the pitches that `notes` need."""
    if len(notes):
        low, high = float(notes[:, 2].min()), float(notes[:, 2].max())
    else:
        low, high = 48.0, 60.0
    pitches = np.linspace(low, high, max(1, min(4, int((high - low) // 5) + 1)))
    if label == "bass":
        pick = rng.uniform()
        if pick < 0.3:
            return synth.sub_bass(rng, pitches)
        if pick < 0.5:
            return synth.plucked(rng, pitches)
        make = synth.fm if pick < 0.7 else synth.subtractive
        return make(rng, pitches, "bass")
    if label == "vocals":
        return synth.voice(rng, pitches, bool(rng.uniform() < 0.5))
    if label == "acoustic guitar":
        return synth.plucked(rng, pitches)
    if label == "effects" and rng.uniform() < 0.6:
        return synth.noise_effect(rng)
    kind = "pad" if label in ("pad synth", "strings", "organ", "effects") else "lead"
    make = synth.fm if rng.uniform() < 0.3 else synth.subtractive
    return make(rng, pitches, kind)


def _play(notes: np.ndarray, sampler: Sampler, samples: int) -> np.ndarray:
    """Mix notes [n, 4] played on a sampler: float32 [samples]."""
    out = np.zeros(samples, np.float32)
    cache: dict[tuple[float, int], np.ndarray] = {}
    for start_s, duration_s, pitch, velocity in notes:
        start = int(start_s * RATE_HZ)
        if start >= samples:
            continue
        key = (pitch, round(duration_s * 50))
        audio = cache.get(key)
        if audio is None:
            audio = cache[key] = sampler.note(pitch, duration_s)
        end = min(start + len(audio), samples)
        out[start:end] += audio[: end - start] * np.float32(velocity**1.5)
    return out


def _hits(notes: np.ndarray, kit: dict[int, np.ndarray], samples: int) -> np.ndarray:
    """Mix drum hits: float32 [samples]. A key that the kit lacks falls back to its nearest."""
    out = np.zeros(samples, np.float32)
    keys = np.array(sorted(kit))
    for start_s, _, key, velocity in notes:
        start = int(start_s * RATE_HZ)
        if start < samples:
            audio = kit[int(keys[np.abs(keys - key).argmin()])]
            end = min(start + len(audio), samples)
            out[start:end] += audio[: end - start] * np.float32(velocity**1.5)
    return out


BLOCK = 65536
ROOM_TAPS = 24576
HOP = BLOCK - ROOM_TAPS
"""Overlap-add in blocks of `BLOCK` samples keeps the transforms in the cache."""


def _room(rng: np.random.Generator) -> np.ndarray:
    """Spectra complex64 [2, BLOCK // 2 + 1] of a song's reverb: decaying noise, one per channel."""
    time = np.arange(ROOM_TAPS // 2, dtype=np.float32) / RATE_HZ
    decay_s = rng.uniform(0.03, 0.09)
    impulse = rng.standard_normal((2, len(time))).astype(np.float32) * np.exp(-time / decay_s)
    delay = int(rng.uniform(0, 0.025) * RATE_HZ)
    impulse = np.pad(impulse / np.sqrt((impulse**2).sum(1, keepdims=True)), ((0, 0), (delay, 0)))
    spectra = scipy.fft.rfft(impulse, BLOCK, axis=1)
    return (spectra / (1 + (_frequencies() / rng.uniform(2000, 9000)) ** 2)).astype(np.complex64)


@lru_cache(1)
def _frequencies() -> np.ndarray:
    return np.fft.rfftfreq(BLOCK, 1 / RATE_HZ)


def _tilt(rng: np.random.Generator) -> np.ndarray:
    """Gains float [BLOCK // 2 + 1] of a gentle random equaliser: low and high shelves and one bell."""
    hz = _frequencies()
    low, high, bell = rng.normal(0, 2.5, 3)
    shape = low / (1 + (hz / rng.uniform(120, 400)) ** 2) + high / (1 + (rng.uniform(2000, 7000) / (hz + 1)) ** 2)
    centre = np.exp(rng.uniform(np.log(200), np.log(6000)))
    shape += bell * np.exp(-(np.log((hz + 1) / centre) ** 2) / 0.5)
    return 10 ** (shape / 20) * (hz / (hz + 20))


def _plain_production(dry: np.ndarray, rng: np.random.Generator, room: np.ndarray, label: str) -> np.ndarray:
    """Saturate, equalise, place and reverberate a dry part [samples]: float32 [2, samples]."""
    level = max(float(np.sqrt(np.mean(dry**2))), 1e-5)
    dry = dry * np.float32(0.1 / level)
    if rng.uniform() < 0.5:
        drive = np.float32(rng.uniform(0.5, 3))
        dry = np.tanh(dry * drive) / drive
    pan = float(np.clip(rng.normal(0, 0.08 if label in ("drums", "bass", "vocals") else 0.4), -1, 1))
    angle = (pan + 1) * np.pi / 4
    sides = np.array([np.cos(angle), np.sin(angle)])[:, None]
    wet = rng.uniform(0, 0.08) if label == "bass" else rng.uniform(0, 0.45)
    response = _tilt(rng) * (sides + wet * room)
    if rng.uniform() < 0.3 and label not in ("drums", "bass"):
        delays = np.array([[0.0], [rng.uniform(0.005, 0.02)]])
        response = response * np.exp(-2j * np.pi * _frequencies() * delays)
    audio = _filter(dry, response.astype(np.complex64))
    level = max(float(np.sqrt(np.mean(audio**2))), 1e-6)
    target_db = rng.normal(-20 if label in ("drums", "bass", "vocals") else -22, 5)
    audio *= np.float32(10 ** (np.clip(target_db, -38, -10) / 20) / level)
    return audio


def _filter(dry: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Overlap-add filtering of `dry` [samples] by spectra [2, bins]: float32 [2, samples]."""
    samples = len(dry)
    count = -(-samples // HOP)
    out = np.zeros((2, count * HOP + ROOM_TAPS), np.float32)
    for i in range(count):
        spectrum = scipy.fft.rfft(dry[i * HOP : (i + 1) * HOP], BLOCK)
        out[:, i * HOP : i * HOP + BLOCK] += scipy.fft.irfft(spectrum * response, BLOCK, axis=1)
    return out[:, :samples]


def read_real_song(folder: str | Path, on_skip: Skip = tell) -> Song:
    """The stems of a folder of `<label_with_underscores>.opus` (or .flac, .wav) files; nothing is read yet.

    `on_skip` is told of files that are left out.
    """
    return Song(files_of(Path(folder), on_skip), name=Path(folder).name)
