"""Wide songs: the corpus's arrangements and free scores through more sounds, mixed kits and a production chain.

`corpus.render_song` stays as it is, so that what is measured with it can be compared; this is what training adds. Every
hit and note is played a little differently, as no two of a player's are alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.signal

from ..audio import Samples
from . import corpus, events, synth
from .bank import MIXED, Bank, speeches
from .captions import HELD_OUT_CAPTIONS, describe, phrases
from .kits import PIECES, piece_of
from .midi import Score
from .production import Space, amplify, draw_level_db, master, produce, sidechain
from .singer import sung
from .songs import RATE_HZ, Song, Stem, shared
from .synth import Sampler, bank_sampler

PROGRAMS: dict[str, tuple[int, ...]] = {label: entry[1] for label, entry in corpus.PITCHED.items()} | {
    "bass": tuple(range(32, 40)),
    "mallets": (*range(8, 16), 108),
    "plucked strings": (45, 46, *range(104, 108)),
    "strings": (*corpus.PITCHED["strings"][1], 110),
    "reed": (*corpus.PITCHED["reed"][1], 109, 111),
}
"""General MIDI programs of each label; one is drawn at random, whatever a score asks for, half of the time."""
_SYNTH_SHARES = {label: entry[3] for label, entry in corpus.PITCHED.items()} | {"bass": 0.45, "mallets": 0.5}
_EXTRA = {"mallets": "chords", "plucked strings": "strum"}  # labels beyond the corpus's own, and their role
_SOFT = 0.62  # velocity under which a sound is one that was played softly, or duller
_ALIKE = 0.6  # recordings of one drum differ by less in the logarithm of their power, on average over bands
_SPAN = 16384  # samples of a hit that tell so
_FEWEST, _MOST = 2, 7
_LOWEST = 26  # MIDI pitch (37 Hz) that no sub-bass goes below
BY_PIECE = 0.4
_SUNG = 0.6  # of the random arrangements that would have no voice have one, where there are words
_Kit = dict[int, list[Samples]]
"""Drum key to the recordings of that drum, of which each hit is one."""


@dataclass(frozen=True)
class _Part:
    label: str
    notes: np.ndarray
    style: str | None = None
    program: int | None = None


@dataclass(frozen=True)
class _Sound:
    """Dry audio [samples] of a stem, tags of its sound, the program that was played and the level that is due to it."""

    label: str
    dry: Samples
    tags: Sequence[str] = ()
    program: int | None = None
    level_db: float | None = None


def render_wide_song(
    seed: int,
    banks: Sequence[Bank],
    duration_s: float,
    split: str = "train",
    scores: Sequence[Score] = (),
    by_piece: float = BY_PIECE,
) -> Song:
    """A random song with all that this module adds. The same arguments give the same samples.

    Args:
        seed: Decides everything.
        banks: Notes, kits and words; none leaves the synthesisers.
        duration_s: Length in seconds.
        split: "train" or "test", which share no groove, style, score, or seed.
        scores: Songs to play besides random arrangements, two in five where there are any.
        by_piece: Share of the songs that have a stem for each piece of their drum kit (`kits.PIECES`).
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', not {split!r}")
    rng = np.random.default_rng([seed, corpus.TEST_SEED if split == "test" else 0, 1])
    scores = [score for score in scores if score.held_out == (split == "test") and score.duration_s > duration_s / 2]
    plan = events.random_plan(rng, duration_s)
    parts = _score_parts(scores, duration_s, rng) if scores and rng.random() < 0.4 else []
    if len({part.label for part in parts}) < _FEWEST:
        parts = _planned_parts(plan, rng, split, bool(speeches(banks)))
    parts = _arranged(parts, 240 / plan.tempo_bpm * int(rng.choice([1, 2, 4])), duration_s, rng)
    space, samples = Space.draw(rng, plan.tempo_bpm), round(duration_s * RATE_HZ)
    stems: dict[str, Samples] = {}
    captions: dict[str, list[list[str]]] = {}
    for part, sound in _sounds(parts, banks, samples, rng.random() < by_piece, rng):
        label = sound.label
        audio, done = produce(automate(sound.dry, rng), label, space, rng, sound.level_db)
        stems[label] = stems.get(label, np.float32(0)) + audio
        said = describe(label, part.style if label == part.label else None, [*sound.tags, *done], sound.program)
        if split == "test":
            said = list(HELD_OUT_CAPTIONS.get(label, said))
        captions.setdefault(label, []).append(said)
    if rng.random() < 0.25:
        stems = sidechain(stems, rng)
    stems = master(stems, rng)
    said_of = {label: shared(captions[label]) if label in captions else phrases(label) for label in stems}
    named = [Stem(label, said_of[label] or [label], audio) for label, audio in stems.items()]
    return Song(named, tempo_bpm=plan.tempo_bpm)


def _planned_parts(plan: events.Plan, rng: np.random.Generator, split: str, has_words: bool) -> list[_Part]:
    """Parts of a random arrangement, as the corpus's, at times with a label that it lacks; sung, if there are words."""
    labels = corpus.choose_labels(rng)
    if rng.random() < 0.2:
        labels[-1] = str(rng.choice(list(_EXTRA)))
    if has_words and "vocals" not in labels and rng.random() < _SUNG:
        labels[-1] = "vocals"
    parts = []
    for label in labels:
        style = None
        if label == "drums":
            groove = events.choose(rng, events.GROOVES, split)
            notes, style = events.drum_part(plan, rng, groove), groove.name
        elif label == "percussion":
            notes = events.percussion_part(plan, rng)
        elif label == "bass":
            style = events.choose(rng, events.BASS_STYLES, split).name
            notes = events.bass_part(plan, rng, style)
            if rng.random() < 0.2 and notes[:, 2].min(initial=127) >= 12 + _LOWEST:
                notes[:, 2] -= 12  # sub-bass
        else:
            role, centre = _EXTRA.get(label), 70.0
            if role is None:
                _, _, role, _, centre = corpus.PITCHED[label]
            notes, style = corpus.role_notes(role, plan, rng, centre, split)
        parts.append(_Part(label, notes, style))
    return parts


def _score_parts(scores: Sequence[Score], duration_s: float, rng: np.random.Generator) -> list[_Part]:
    """Parts of a random excerpt of a random score, at another speed and pitch, some left out."""
    score = scores[int(rng.integers(len(scores)))]
    start_s = rng.uniform(0, max(score.duration_s - duration_s, 0))
    played = score.excerpt(start_s, duration_s, float(rng.uniform(0.85, 1.2)), int(rng.integers(-5, 7)))
    found = [part for part in played.parts if len(part.notes) >= 4 and rng.random() > 0.12]
    found = [part for part in found if part.label != "percussion"]  # timpani and the like have pitches, no drum keys
    labels = list(dict.fromkeys(part.label for part in found))
    kept = {labels[i] for i in rng.permutation(len(labels))[:_MOST]}
    return [_Part(part.label, part.notes, None, part.program) for part in found if part.label in kept]


def _arranged(parts: list[_Part], section_s: float, duration_s: float, rng: np.random.Generator) -> list[_Part]:
    """Parts that come and go by sections, as in real songs: breaks without drums and bass, solos, entries one by one.

    Every section keeps a part, and every part a section.
    """
    sections = max(1, round(duration_s / section_s))
    busy = rng.uniform(0.45, 1.0)
    plays = rng.random((len(parts), sections)) < busy  # [parts, sections]
    plays[rng.random(len(parts)) < 0.25] = True
    breaks = rng.random(sections) < 0.12
    rhythm = np.array([part.label in ("drums", "bass") for part in parts])
    plays[np.ix_(rhythm, breaks)] = False
    for empty in np.flatnonzero(~plays.any(0)):
        plays[rng.integers(len(parts)), empty] = True
    for resting in np.flatnonzero(~plays.any(1)):
        plays[resting, rng.integers(sections)] = True
    arranged = []
    for part, row in zip(parts, plays, strict=True):
        section = np.minimum(part.notes[:, 0] / section_s, sections - 1).astype(int)
        notes = part.notes[row[section]].copy()
        ends_s = np.minimum(_ends_s(row, section_s, duration_s)[section[row[section]]], duration_s)
        if part.label not in ("drums", "percussion"):
            notes[:, 1] = np.minimum(notes[:, 1], np.maximum(ends_s - notes[:, 0], 0.05))
        arranged.append(replace(part, notes=notes))
    return arranged


def _ends_s(plays: np.ndarray, section_s: float, duration_s: float) -> np.ndarray:
    """When the stretch that each section [sections] lies in ends, in seconds; a note may ring to the song's end."""
    ends = np.full(len(plays), duration_s)
    for section in range(len(plays) - 2, -1, -1):
        ends[section] = ends[section + 1] if plays[section + 1] else (section + 1) * section_s
    return ends


def automate(dry: Samples, rng: np.random.Generator) -> Samples:
    """A part [samples] whose level wanders, or whose filter opens or closes, over some seconds."""
    at = np.sort(rng.uniform(0, len(dry), 6))
    if rng.random() < 0.3:
        gain_db = np.interp(np.arange(len(dry)), at, rng.normal(0, 4, 6))
        dry = dry * (10 ** (gain_db / 20)).astype(np.float32)
    if rng.random() < 0.12:
        dull = scipy.signal.sosfilt(scipy.signal.butter(2, rng.uniform(150, 1200), fs=RATE_HZ, output="sos"), dry)
        open_ = np.interp(np.arange(len(dry)), at, rng.integers(0, 2, 6)).astype(np.float32)
        dry = dry * open_ + dull.astype(np.float32) * (1 - open_)
    return dry


def _sounds(
    parts: Sequence[_Part], banks: Sequence[Bank], samples: int, by_piece: bool, rng: np.random.Generator
) -> Iterator[tuple[_Part, _Sound]]:
    """What the parts sound like, dry; with `by_piece` drums are several sounds."""
    for part in parts:
        if part.label == "drums" and by_piece:
            yield from ((part, sound) for sound in _pieces(part, banks, samples, rng))
        else:
            yield part, _render(part, banks, samples, rng)


def _render(part: _Part, banks: Sequence[Bank], samples: int, rng: np.random.Generator) -> _Sound:
    label = part.label
    if label in ("drums", "percussion"):
        kit, tags = _kit(banks, rng)
        return _Sound(label, _strike(part.notes, kit, samples, rng), tags)
    if label == "vocals" and rng.random() < 0.9:
        return _Sound(label, *sung(part.notes, samples, rng, speeches(banks)))
    if label == "electric guitar" and rng.random() < 0.45:
        return _Sound(label, *_amplified(part, banks, samples, rng))
    sampler, program = _instrument(part, banks, rng)
    return _Sound(label, _perform(part.notes, sampler, samples, rng), sampler.tags, program)


def _pieces(part: _Part, banks: Sequence[Bank], samples: int, rng: np.random.Generator) -> Iterator[_Sound]:
    """A part's kit piece by piece, at about natural levels; what is no piece of a kit is percussion."""
    kit, tags = _kit(banks, rng)
    level_db = draw_level_db("drums", rng) - _rms_db(_strike(part.notes, kit, samples, rng))
    labels = np.array([piece_of(int(key)) for key in part.notes[:, 2]], object)
    for label in (*PIECES, "percussion"):
        dry = _strike(part.notes[labels == label], kit, samples, rng)
        if dry.any():
            yield _Sound(label, dry, tags, None, level_db + _rms_db(dry) + rng.normal(0, 3))


def _rms_db(audio: Samples) -> float:
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-10))


def _amplified(
    part: _Part, banks: Sequence[Bank], samples: int, rng: np.random.Generator
) -> tuple[Samples, list[str]]:
    """A guitar part of strings or of a clean program, through an amplifier; rhythm parts at times on both sides."""
    choices = [(bank, p) for bank in banks for p in (26, 27, 28) if p in bank.by_program]
    if choices and rng.random() < 0.5:
        bank, program = choices[int(rng.integers(len(choices)))]
        sampler = bank_sampler(bank, program, rng.uniform(0.03, 0.12))
    else:
        low, high = (float(part.notes[:, 2].min()), float(part.notes[:, 2].max())) if len(part.notes) else (48.0, 60.0)
        sampler = synth.plucked(rng, np.linspace(low, high, max(1, min(4, int((high - low) // 5) + 1))))
    return amplify(_perform(part.notes, sampler, samples, rng), rng), ["distorted"]


def _instrument(part: _Part, banks: Sequence[Bank], rng: np.random.Generator) -> tuple[Sampler, int | None]:
    """What plays a pitched part, and its General MIDI program, if it has one."""
    family = PROGRAMS.get(part.label, ())
    wanted = (part.program,) if part.program is not None and rng.random() < 0.5 else family
    choices = [(bank, p) for bank in banks for p in wanted if p in bank.by_program]
    choices = choices or [(bank, p) for bank in banks for p in family if p in bank.by_program]
    if choices and rng.random() >= _SYNTH_SHARES.get(part.label, 0.0):
        bank, program = choices[int(rng.integers(len(choices)))]
        rings = part.label in ("strings", "pad synth", "mallets")
        return bank_sampler(bank, program, rng.uniform(0.1, 0.4) if rings else rng.uniform(0.03, 0.12)), program
    low, high = (float(part.notes[:, 2].min()), float(part.notes[:, 2].max())) if len(part.notes) else (48.0, 60.0)
    pitches = np.linspace(low, high, max(1, min(4, int((high - low) // 5) + 1)))
    pick = rng.random()
    if part.label == "mallets":
        return synth.modal(rng, pitches), None
    if part.label in ("plucked strings", "acoustic guitar"):
        return synth.plucked(rng, pitches), None
    if part.label == "bass" and pick < 0.5:  # begins like a kick drum, and is none
        return synth.sub_bass(rng, pitches, drops=(2.0, 25.0), falls_s=(0.02, 0.12)), None
    kind = {"bass": "bass", "lead synth": "lead", "pad synth": "pad", "effects": "pad"}.get(part.label)
    if kind is not None and pick < (0.7 if kind == "bass" else 0.35):
        return synth.wavetable(rng, pitches, kind), None
    if kind is not None and pick < 0.45 and kind != "bass":
        return synth.modal(rng, pitches), None
    return corpus.synth_sampler(part.label, part.notes, rng), None


def _perform(notes: np.ndarray, sampler: Sampler, samples: int, rng: np.random.Generator) -> Samples:
    """Mix notes [n, 4]: float32 [samples]. Each is one of three takes a few cents apart.

    Soft ones are such as were played softly, where the sampler has them, and duller else.
    """
    out = np.zeros(samples, np.float32)
    takes: dict[tuple[float, int, int, bool], Samples] = {}
    cents = rng.normal(0, 4, 3)
    for start_s, duration_s, pitch, velocity in notes:
        start, take, soft = int(start_s * RATE_HZ), int(rng.integers(3)), bool(velocity < _SOFT)
        if start >= samples:
            continue
        key = (float(pitch), round(duration_s * 50), take, soft)
        if key not in takes:
            sound = sampler.note(pitch + cents[take] / 100, duration_s, soft)
            takes[key] = _duller(sound) if soft and sampler.soft is None else sound
        _add(out, takes[key], start, velocity)
    return out


def _strike(notes: np.ndarray, kit: _Kit, samples: int, rng: np.random.Generator) -> Samples:
    """Mix drum hits: float32 [samples]; no two of a key are as loud or as bright."""
    out = np.zeros(samples, np.float32)
    keys = {wanted: _nearest(kit, int(wanted)) for wanted in np.unique(notes[:, 2])}
    soft: dict[tuple[int, int], Samples] = {}
    for start_s, _, wanted, velocity in notes:
        start, key = int(start_s * RATE_HZ), keys[wanted]
        if start >= samples:
            continue
        take = int(rng.integers(len(kit[key])))
        hit = kit[key][take]
        if (key, take) not in soft:
            soft[key, take] = _duller(hit)
        share = np.float32(np.clip(1.6 - 1.6 * velocity + rng.normal(0, 0.1), 0, 1))
        _add(out, hit * (1 - share) + soft[key, take] * share, start, velocity * rng.uniform(0.9, 1.05))
    return out


def _nearest(kit: _Kit, wanted: int) -> int:
    """The key of a kit that stands for another: the nearest one of the same piece, if the kit has it."""
    same = [key for key in kit if piece_of(key) == piece_of(wanted)]
    return min(sorted(same or kit), key=lambda key: abs(key - wanted))


def _add(out: Samples, sound: Samples, start: int, velocity: float) -> None:
    end = min(start + len(sound), len(out))
    out[start:end] += sound[: end - start] * np.float32(velocity**1.5)


def _duller(sound: Samples) -> Samples:
    """A sound as if played softly: less of what is high."""
    return scipy.signal.lfilter([0.45], [1, -0.55], sound).astype(np.float32)


def _kit(banks: Sequence[Bank], rng: np.random.Generator) -> tuple[_Kit, tuple[str, ...]]:
    """A kit, at times with drums of others, and tags of what all of it is."""
    sets = [(bank, int(kit)) for bank in banks for kit in bank.drum_kits]
    kit, tags = _one_kit(sets, rng)
    if sets and rng.random() < 0.6:
        for voice in PIECES.values():
            if rng.random() < 0.35:
                other, said = _one_kit(sets, rng)
                kit |= {key: other[key] for key in voice if key in other}
                tags = tags if said == tags else MIXED
    speed = float(2 ** (rng.normal(0, 1.2) / 12))
    speeds = {key: speed * float(2 ** (rng.normal(0, 0.5) / 12)) for key in kit}
    return {key: [_at_speed(sound, speeds[key]) for sound in sounds] for key, sounds in kit.items()}, tags


def _one_kit(sets: list[tuple[Bank, int]], rng: np.random.Generator) -> tuple[_Kit, tuple[str, ...]]:
    if not sets or rng.random() < 0.3:
        return _synthetic_kit(rng), synth.KIT_TAGS
    bank, number = sets[int(rng.integers(len(sets)))]
    kit = {key: _takes(hits, rng) for key, hits in bank.variants(number).items()}
    if not len(bank.notes):  # a folder of one-shots lacks some drums
        kit = _synthetic_kit(rng) | kit
    return kit, bank.kit_tags(number)


def _synthetic_kit(rng: np.random.Generator) -> _Kit:
    return {key: [sound] for key, sound in synth.drum_kit(rng).items()}


def _takes(hits: list[Samples], rng: np.random.Generator) -> list[Samples]:
    """One of the sounds of a key, and those that sound like it: a folder may hold several drums of one name."""
    chosen = hits[int(rng.integers(len(hits)))]
    if len(hits) == 1:
        return hits
    power = _bands(chosen)
    return [hit for hit in hits if float(np.abs(_bands(hit) - power).mean()) < _ALIKE]


def _bands(hit: Samples) -> np.ndarray:
    """Logarithm of the power of a hit's beginning in some 35 bands."""
    start = hit[:_SPAN] * np.hanning(2 * _SPAN)[_SPAN:][: len(hit)]
    power = np.square(np.abs(np.fft.rfft(start, _SPAN)))
    edges = np.unique(np.geomspace(3, _SPAN // 2, 41).astype(int))
    return np.log10(np.add.reduceat(power, edges)[:-1] / np.diff(edges) + 1e-6)


def _at_speed(sound: Samples, speed: float) -> Samples:
    """A hit played faster or slower, linearly interpolated."""
    at = np.arange(0, len(sound) - 1, speed, dtype=np.float32)
    return np.interp(at, np.arange(len(sound)), sound).astype(np.float32)
