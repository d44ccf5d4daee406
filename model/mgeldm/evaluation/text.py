"""What words mean to the model: prompts never seen, and instruments that are not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..audio import AudioClip
from ..data import captions
from ..data.captions import CAPTIONS, HELD_OUT_CAPTIONS, VAGUE
from ..pipeline import Pipeline
from ..progress import Reporter
from ..refine import refine
from ..requests import Extract, Quality, Sampling
from .embeddings import Embedding
from .metrics import bootstrap
from .sets import AUDIBLE, ExcerptSet, evenly, level

ABSENT_DB = -30.0  # under the mix: as good as silence
ALARM_DB = -15.0  # above this a listener takes it for the instrument
_KIN = (  # classes that a listener may take for each other: where one plays, the other is not asked for as absent
    frozenset(("electric guitar", "acoustic guitar")),
    frozenset(("lead synth", "pad synth", "organ", "strings")),
    frozenset(("drums", "percussion")),
    frozenset(("reed", "flute", "brass")),
)


def retrieval(pipeline: Pipeline, embedding: Embedding, sets: Sequence[ExcerptSet]) -> dict[str, Any]:
    """Whether prompts that training never saw find the right class.

    Returns:
        `named`: share of prompts nearest to their own class's known phrases. `found`: share of prompts whose nearest
        sound, of the sets' stems, is of their class, and `found_95`, its interval over prompts; `chance` is that of any
        sound. `told`: share of stems whose nearest unseen prompt is of their class. Without stems `named` is all.
    """
    embed = pipeline.conditioner.embed_text
    labels = [label for label in CAPTIONS if label != "other"]
    centres = np.stack([embed(list(CAPTIONS[label])).mean(0).cpu().numpy() for label in labels])
    prompts = [(label, prompt) for label in labels for prompt in HELD_OUT_CAPTIONS[label]]
    texts = embed([prompt for _, prompt in prompts]).cpu().numpy()
    owners = np.array([label for label, _ in prompts])
    result: dict[str, Any] = {
        "prompts": len(prompts),
        "named": round(float((np.array(labels)[(texts @ centres.T).argmax(1)] == owners).mean()), 3),
    }
    sounds: dict[str, list[np.ndarray]] = defaultdict(list)
    for excerpt in (excerpt for part in sets for excerpt in part.excerpts()):
        for stem in excerpt.audible:
            if stem.label in labels:
                sounds[stem.label].append(embedding(AudioClip(stem.audio, excerpt.mixture.rate_hz)).mean(0))
    if not sounds:
        return result | {"sounds": 0}
    heard = np.array([label for label, vectors in sounds.items() for _ in vectors])
    likeness = texts @ np.concatenate(list(sounds.values())).reshape(len(heard), -1).T  # [prompts, sounds]
    asked = np.isin(owners, list(sounds))
    right = heard[likeness.argmax(1)][asked] == owners[asked]
    told = owners[asked][likeness[asked].argmax(0)] == heard
    chance = np.mean([np.mean(heard == label) for label in owners[asked]])
    return result | {
        "prompts_with_sounds": int(asked.sum()),
        "found": round(float(right.mean()), 3),
        "found_95": [round(end, 3) for end in bootstrap(right.astype(float).tolist(), np.random.default_rng(0))],
        "chance": round(float(chance), 3),
        "told": round(float(told.mean()), 3),
        "sounds": len(heard),
    }


def absent(
    pipeline: Pipeline, sets: Sequence[ExcerptSet], quality: Quality, count: int, reporter: Reporter
) -> dict[str, Any]:
    """How loud the answer is to a prompt for an instrument that the song lacks, and to one that it has.

    Args:
        pipeline: The model.
        sets: Excerpts; in each that is not silent, one class that nothing in it resembles is asked for, and one that
            it has.
        quality: Of the extraction.
        count: Excerpts at most.
        reporter: Hears of them.

    Returns:
        Of absent ones, if any was asked for: median `level_db` against the mix, share `silent` (30 dB under it or more)
        with `silent_95`, share of `false_alarms` (within 15 dB of it), medians `by_class`. Of present ones: median
        `present_db`, and `missed`: the share answered as if absent although the true stem is within 15 dB of the mix;
        None without any.
    """
    chosen = evenly(sum(part.count for part in sets), count)
    rng = np.random.default_rng(0)
    lacking: dict[str, list[tuple[float, str]]] = defaultdict(list)
    present, missed, done = [], [], 0
    for index, excerpt in enumerate(chain.from_iterable(part.excerpts() for part in sets)):
        mix = level(excerpt.mixture.samples)
        if index not in chosen or mix <= AUDIBLE:  # of silence every answer is silent
            continue
        if missing := _missing({stem.label for stem in excerpt.audible}):
            label = str(rng.choice(missing))
            lacking[label].append((_answer_db(pipeline, excerpt.mixture, label, quality), excerpt.name))
        plain = [s for s in excerpt.audible if s.label not in VAGUE and 20 * np.log10(level(s.audio) / mix) > ALARM_DB]
        if plain:
            present.append(_answer_db(pipeline, excerpt.mixture, plain[rng.integers(len(plain))].label, quality))
            missed.append(present[-1] <= ABSENT_DB)
        done += 1
        reporter.report("absent instruments: excerpts", done, len(chosen))
    there = {
        "present": len(present),
        "present_db": round(float(np.median(present)), 1) if present else None,
        "missed": round(float(np.mean(missed)), 3) if present else None,
    }
    return _lacking(lacking) | there


def _lacking(lacking: dict[str, list[tuple[float, str]]]) -> dict[str, Any]:
    """What `absent` says of absent ones; `lacking[label]` are levels in dB and the songs that were asked."""
    answers = [answer for found in lacking.values() for answer in found]
    if not answers:
        return {"prompts": 0}
    levels = np.array([value for value, _ in answers])
    silent, songs = (levels <= ABSENT_DB).astype(float), [name for _, name in answers]
    medians = {label: float(np.median([value for value, _ in found])) for label, found in sorted(lacking.items())}
    return {
        "prompts": len(levels),
        "level_db": round(float(np.median(levels)), 1),
        "silent": round(float(silent.mean()), 3),
        "silent_95": [round(end, 3) for end in bootstrap(silent.tolist(), np.random.default_rng(0), songs)],
        "false_alarms": round(float((levels > ALARM_DB).mean()), 3),
        "by_class": {label: round(median, 1) for label, median in medians.items()},
    }


def _missing(labels: set[str]) -> list[str]:
    """Classes that are surely not there."""
    named = set().union(*map(captions.kinds, labels))
    kin = set().union(*(family for family in _KIN if family & named))
    return [label for label in captions.absent(labels, CAPTIONS) if label not in kin | VAGUE]


def _answer_db(pipeline: Pipeline, clip: AudioClip, label: str, quality: Quality) -> float:
    """Level of the stem in dB against the mix."""
    found = pipeline.extract(clip, Extract((label,), sampling=Sampling(quality)))
    stem = refine(clip, found.estimates)[0][0]
    return 20 * float(np.log10(max(level(stem), 1e-9) / max(level(clip.samples), 1e-9)))


def retrieval_text(found: dict[str, Any]) -> str:
    """Retrieval in a sentence a line."""
    named = f"text: of {found['prompts']} prompts never seen, {found['named']:.0%} name the right class"
    if not found["sounds"]:
        return named
    low, high = found["found_95"]
    return "\n".join(
        (
            named,
            f"  the sound nearest to a prompt is of its class for {found['found']:.0%} ({low:.0%} to {high:.0%}) of "
            f"{found['prompts_with_sounds']} prompts, by chance {found['chance']:.0%}",
            f"  the prompt nearest to a sound is of its class for {found['told']:.0%} of {found['sounds']} stems",
        )
    )


def absent_text(found: dict[str, Any]) -> str:
    """Absent instruments in a sentence a line."""
    lines = ["absent instruments: there was nothing to ask for, as every class may be there or all is silent"]
    if found["prompts"]:
        low, high = found["silent_95"]
        lines = [
            f"absent instruments: {found['prompts']} prompts, answered at {found['level_db']:.1f} dB of the mix",
            f"  {found['silent']:.0%} ({low:.0%} to {high:.0%}) lie {-ABSENT_DB:.0f} dB or more under it; "
            f"{found['false_alarms']:.0%} within {-ALARM_DB:.0f} dB (false alarms)",
        ]
    if found["present"]:
        lines.append(
            f"  present ones: {found['present']} prompts, answered at {found['present_db']:.1f} dB; "
            f"{found['missed']:.0%} {-ABSENT_DB:.0f} dB or more under it (missed)"
        )
    return "\n".join(lines)
