"""New parts and new music: distances between distributions, and whether a part fits what it plays with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ..audio import AudioClip
from ..errors import InputError
from ..pipeline import Pipeline
from ..progress import Reporter
from ..requests import Generate, Impute, Sampling
from .embeddings import Embedding, frechet_distance, points
from .metrics import bootstrap
from .music import RATE_HZ, UNPITCHED, key_agreement, onset_agreement
from .sets import EXCERPT_S, Excerpt, ExcerptSet, level

RANDOM, TRUE, OURS = "random stem", "true stem", "ours"
_SILENT = 10 ** (-50 / 20)  # of the true stem's level
_LABELS_IN_PROMPT = 4


# ------------------------------------------------------------------------------------------------- total generation


def total_generation(
    pipeline: Pipeline,
    references: Sequence[ExcerptSet],
    yardstick: ExcerptSet,
    embeddings: Sequence[Embedding],
    count: int,
    sampling: Sampling,
    reporter: Reporter,
) -> dict[str, Any]:
    """FAD of music made from nothing, with a prompt and without one, against mixtures of real or rendered songs.

    The yardstick is FAD of arrangements rendered through the held-out bank; the floor is that of one half of the
    reference against the other.

    Args:
        pipeline: The model.
        references: Their excerpts together are the reference.
        yardstick: Rendered songs.
        embeddings: Spaces to measure in.
        count: Pieces of `EXCERPT_S` to make with and without prompts, and to render.
        sampling: How; seeds count up from its own.
        reporter: Hears of pieces.

    Returns:
        `fad[embedding][system]`, the number of reference excerpts and of pieces.
    """
    heard = [(excerpt.mixture, _prompt(excerpt)) for part in references for excerpt in part.excerpts()]
    mixtures = [clip for clip, _ in heard]
    prompts = [heard[int(i)][1] for i in np.linspace(0, len(heard) - 1, count)]
    systems = {
        "ours, prompted": _make(pipeline, prompts, sampling, reporter),
        "ours, unprompted": _make(pipeline, [""] * count, sampling, reporter),
        f"rendered ({yardstick.name})": [excerpt.mixture for excerpt in islice(yardstick.excerpts(), count)],
    }
    fad: dict[str, dict[str, float]] = {}
    for embedding in embeddings:
        each = [embedding(clip) for clip in mixtures]
        whole = np.concatenate(each)
        found = {name: frechet_distance(points(embedding, clips), whole) for name, clips in systems.items()}
        if len(each) >= 4:
            found["half of the reference"] = frechet_distance(np.concatenate(each[::2]), np.concatenate(each[1::2]))
        fad[embedding.name] = {name: round(value, 3) for name, value in found.items()}
    return {"fad": fad, "reference_excerpts": len(mixtures), "pieces": count}


def _prompt(excerpt: Excerpt) -> str:
    """What a listener would call the mixture: its loudest instruments."""
    named = [stem for stem in excerpt.audible if stem.label != "other"]
    loudest = sorted(named, key=lambda stem: -level(stem.audio))
    return ", ".join(stem.label for stem in loudest[:_LABELS_IN_PROMPT])


def _make(pipeline: Pipeline, prompts: Sequence[str], sampling: Sampling, reporter: Reporter) -> list[AudioClip]:
    clips = []
    for number, prompt in enumerate(prompts):
        seeded = replace(sampling, seed=sampling.seed + number)
        clips.append(pipeline.generate(Generate(EXCERPT_S, prompt, seeded)))
        reporter.report("generation: pieces", number + 1, len(prompts))
    return clips


# ------------------------------------------------------------------------------------------------------- imputation


@dataclass(frozen=True)
class Gap:
    """A song without one of its stems, and a stem of that class from another song; all mono [samples]."""

    label: str
    context: np.ndarray
    true: np.ndarray
    stranger: np.ndarray


def imputation(
    pipeline: Pipeline,
    songs: ExcerptSet,
    strangers: ExcerptSet,
    embeddings: Sequence[Embedding],
    count: int,
    sampling: Sampling,
    reporter: Reporter,
) -> dict[str, Any]:
    """Parts made for songs that lack one, against a stem of the same class from another song and the true stem.

    All three are brought to the true stem's level, but for a part that is as good as silent, which stays so.
    sub-FAD is the distance of context with part from true mixtures.

    Args:
        pipeline: The model.
        songs: Where gaps come from.
        strangers: Where stems of other songs come from; may be the same set.
        embeddings: Spaces of sub-FAD.
        count: Gaps to fill, spread over classes.
        sampling: How; seeds count up from its own.
        reporter: Hears of parts.

    Returns:
        `silent`, the share of parts 50 dB or more under the true stem; `sub_fad[embedding][system]`; `onset` and
        `key`, each with system -> mean, "95" of ours and "halfway": where ours lies from the random stem (0) to the
        true one (1). Unpitched classes have no key. `named`: system -> share of parts that lie, in the first embedding,
        nearer to the mean of their class's true stems than to that of another class.
    """
    gaps = _gaps(songs, strangers, count)
    if len(gaps) < 2:
        return {"gaps": len(gaps)}
    parts = {RANDOM: [gap.stranger for gap in gaps], TRUE: [gap.true for gap in gaps]}
    parts[OURS] = _impute(pipeline, gaps, sampling, reporter)
    nothing = [np.zeros_like(gap.true) for gap in gaps]
    silent = sorted(gap.label for gap, part in zip(gaps, parts[OURS], strict=True) if not part.any())
    result: dict[str, Any] = {
        "gaps": len(gaps),
        "classes": sorted({gap.label for gap in gaps}),
        "silent": round(len(silent) / len(gaps), 3),
        "silent_classes": silent,
        "sub_fad": {},
    }
    for embedding in embeddings:
        mixtures = points(embedding, _joined(gaps, parts[TRUE]))
        result["sub_fad"][embedding.name] = {
            name: round(frechet_distance(points(embedding, _joined(gaps, made)), mixtures), 3)
            for name, made in {RANDOM: parts[RANDOM], OURS: parts[OURS], "no part": nothing}.items()
        }
    result["named"] = _named(embeddings[0], gaps, parts)
    pitched = [i for i, gap in enumerate(gaps) if gap.label not in UNPITCHED]
    result["onset"] = _agreement(onset_agreement, range(len(gaps)), gaps, parts)
    result["key"] = _agreement(key_agreement, pitched, gaps, parts) if pitched else {}
    return result


def _named(embedding: Embedding, gaps: Sequence[Gap], parts: dict[str, list[np.ndarray]]) -> dict[str, float]:
    labels = [gap.label for gap in gaps]
    where = {name: np.stack([embedding(_clip(part)).mean(0) for part in made]) for name, made in parts.items()}
    classes = sorted(set(labels))
    rows = [[i for i, label in enumerate(labels) if label == each] for each in classes]
    centres = np.stack([where[TRUE][own].mean(0) for own in rows])  # [classes, d]
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    named = {name: [classes[i] for i in (found @ centres.T).argmax(1)] for name, found in where.items()}
    return {name: round(float(np.mean(np.array(found) == labels)), 3) for name, found in named.items()}


def _gaps(songs: ExcerptSet, strangers: ExcerptSet, count: int) -> list[Gap]:
    """Songs with a stem taken out: of each the two whose classes were taken least, of all an even spread."""
    others: dict[str, list[tuple[str, np.ndarray]]] = defaultdict(list)
    for excerpt in strangers.excerpts():
        for stem in excerpt.audible:
            others[stem.label].append((excerpt.name, stem.audio.mean(0)))
    taken: Counter[str] = Counter()
    gaps = []
    for excerpt in songs.excerpts():
        mixture = excerpt.mixture.samples.mean(0)
        for stem in sorted(excerpt.accompanied, key=lambda stem: taken[stem.label])[:2]:
            foreign = [audio for name, audio in others[stem.label] if name != excerpt.name]
            if foreign:
                true, other = stem.audio.mean(0), foreign[taken[stem.label] % len(foreign)]
                gaps.append(Gap(stem.label, mixture - true, true, _levelled(other, true)))
                taken[stem.label] += 1
    return [gaps[i] for i in np.unique(np.linspace(0, len(gaps) - 1, min(count, len(gaps))).astype(int))]


def _impute(pipeline: Pipeline, gaps: Sequence[Gap], sampling: Sampling, reporter: Reporter) -> list[np.ndarray]:
    parts = []
    for number, gap in enumerate(gaps):
        request = Impute((gap.label,), sampling=replace(sampling, seed=sampling.seed + number))
        try:
            made = pipeline.impute(AudioClip(gap.context[None], RATE_HZ), request)[0].samples.mean(0)
        except InputError:  # it plays nothing: the user gets no part
            made = np.zeros_like(gap.true)
        parts.append(_levelled(made, gap.true))
        reporter.report("imputation: parts", number + 1, len(gaps))
    return parts


def _levelled(part: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A part as long and as loud as another; nothing if it is as good as silent."""
    part = np.pad(part, (0, max(0, len(like) - len(part))))[: len(like)]
    if level(part) < _SILENT * level(like):
        return np.zeros_like(like)
    return (part * (level(like) / max(level(part), 1e-9))).astype(np.float32)


def _joined(gaps: Sequence[Gap], parts: Sequence[np.ndarray]) -> Iterator[AudioClip]:
    return (_clip(gap.context + part) for gap, part in zip(gaps, parts, strict=True))


def _clip(mono: np.ndarray) -> AudioClip:
    return AudioClip(mono[None].astype(np.float32), RATE_HZ)


def _agreement(
    measure: Callable[[np.ndarray, np.ndarray], float],
    rows: Sequence[int],
    gaps: Sequence[Gap],
    parts: dict[str, list[np.ndarray]],
) -> dict[str, Any]:
    found = {name: [measure(made[i], gaps[i].context) for i in rows] for name, made in parts.items()}
    means = {name: float(np.mean(values)) for name, values in found.items()}
    reach = means[TRUE] - means[RANDOM]
    return {
        **{name: round(mean, 3) for name, mean in means.items()},
        "95": [round(end, 3) for end in bootstrap(found[OURS], np.random.default_rng(0))],
        "halfway": round((means[OURS] - means[RANDOM]) / reach, 2) if abs(reach) > 1e-6 else None,
    }


# ---------------------------------------------------------------------------------------------------------- reports


def generation_text(found: dict[str, Any]) -> str:
    """Total generation as a table."""
    systems = list(next(iter(found["fad"].values())))
    head = f"total generation: FAD against {found['reference_excerpts']} mixtures, {found['pieces']} pieces each"
    lines = [head, "| embedding | " + " | ".join(systems) + " |", "|" + "---|" * (len(systems) + 1)]
    for name, row in found["fad"].items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |")
    return "\n".join(lines)


def imputation_text(name: str, found: dict[str, Any]) -> str:
    """Imputation of one set as a table."""
    if "sub_fad" not in found:
        return f"imputation, {name}: no class has two songs, so nothing can be compared; ask for more songs."
    heads = ("measure", RANDOM, "ours", TRUE, "no part", "from random to true")
    silent = f", {found['silent']:.0%} of them silent" if found["silent"] else ""
    head = f"imputation, {name}: {found['gaps']} parts{silent}"
    lines = [head, "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for space, row in found["sub_fad"].items():
        lines.append(f"| sub-FAD, {space} | {row[RANDOM]:.3f} | {row[OURS]:.3f} | 0 | {row['no part']:.3f} | |")
    named = found["named"]
    lines.append(f"| nearest to its class | {named[RANDOM]:.0%} | {named[OURS]:.0%} | {named[TRUE]:.0%} | | |")
    for measure in ("onset", "key"):
        if row := found[measure]:
            low, high = row["95"]
            ours = f"{row[OURS]:.2f} ({low:.2f} to {high:.2f})"
            way = "" if row["halfway"] is None else f"{row['halfway']:.0%}"
            lines.append(f"| {measure} agreement | {row[RANDOM]:.2f} | {ours} | {row[TRUE]:.2f} | | {way} |")
    return "\n".join(lines)
