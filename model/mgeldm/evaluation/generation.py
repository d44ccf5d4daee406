"""New parts and new music: distances between distributions, and whether a part fits what it plays with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ..audio import AudioClip
from ..errors import SilenceError
from ..pipeline import Pipeline
from ..progress import Reporter
from ..requests import Generate, Impute, Sampling
from .embeddings import Embedding, frechet_distance, points
from .metrics import bootstrap, drawn_means
from .music import RATE_HZ, UNPITCHED, key_agreement, onset_agreement
from .sets import EXCERPT_S, Excerpt, ExcerptSet, evenly, level

RANDOM, TRUE, OURS = "random stem", "true stem", "ours"
_SILENT = 10 ** (-50 / 20)  # of the true stem's level
_LABELS_IN_PROMPT = 4
_HALVED_SONGS = 4  # songs that a reference has at least for its halves to be compared


# ------------------------------------------------------------------------------------------------- total generation


def total_generation(
    pipeline: Pipeline,
    references: Sequence[ExcerptSet],
    yardsticks: Sequence[ExcerptSet],
    embeddings: Sequence[Embedding],
    count: int,
    sampling: Sampling,
    reporter: Reporter,
) -> dict[str, Any]:
    """FAD of music made from nothing, with a prompt and without one, against mixtures of real or rendered songs.

    The yardsticks are FAD of arrangements rendered through held-out sounds; the floor is that of half the songs of the
    reference against the others, as excerpts of one song are nearer to each other than other music could come.

    Args:
        pipeline: The model.
        references: Their excerpts together are the reference.
        yardsticks: Rendered songs of each kind that is not the reference.
        embeddings: Spaces to measure in.
        count: Pieces of `EXCERPT_S` to make with and without prompts, and to render.
        sampling: How; seeds count up from its own.
        reporter: Hears of pieces.

    Returns:
        The number of reference excerpts and of pieces, and `fad[embedding][system]` if there are any of both.
    """
    heard: list[tuple[str, str]] = []
    each: list[list[np.ndarray]] = [[] for _ in embeddings]
    for excerpt in (excerpt for part in references for excerpt in part.excerpts()):
        heard.append((excerpt.name, _prompt(excerpt)))
        for found, embedding in zip(each, embeddings, strict=True):
            found.append(embedding(excerpt.mixture))
    if not heard:
        return {"reference_excerpts": 0, "pieces": 0}
    prompts = [heard[int(i)][1] for i in np.linspace(0, len(heard) - 1, count)]
    systems = {
        "ours, prompted": _make(pipeline, prompts, sampling, reporter),
        "ours, unprompted": _make(pipeline, [""] * count, sampling, reporter),
    }
    for part in yardsticks:
        if clips := [excerpt.mixture for excerpt in islice(part.excerpts(), count)]:
            systems[f"rendered ({part.name})"] = clips
    fad: dict[str, dict[str, float]] = {}
    for found, embedding in zip(each, embeddings, strict=True):
        whole = np.concatenate(found)
        row = {name: frechet_distance(points(embedding, clips), whole) for name, clips in systems.items()}
        if halves := _halves([name for name, _ in heard]):
            row["half of the reference"] = frechet_distance(*(np.concatenate([found[i] for i in h]) for h in halves))
        fad[embedding.name] = {name: round(value, 3) for name, value in row.items()}
    return {"fad": fad, "reference_excerpts": len(heard), "pieces": count}


def _halves(names: Sequence[str]) -> list[list[int]]:
    """Excerpts of every other song, and the rest; none if there are too few songs. `names` are the excerpts' songs."""
    songs = list(dict.fromkeys(names))
    if len(songs) < _HALVED_SONGS:
        return []
    return [[i for i, name in enumerate(names) if songs.index(name) % 2 == side] for side in (0, 1)]


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
    """A song without one of its stems, and a stem of that class from another song; all mono [samples].

    `place` and `origin` are the excerpts of the two: a set's name and a number in it.
    """

    label: str
    song: str
    place: tuple[str, int]
    origin: tuple[str, int]
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
        true one (1), and "halfway_95" of that. Unpitched classes have no key. `named`: system -> share of parts that
        lie, in the first embedding, nearest to the true stems of their class, and "95" of ours; `named_parts`, of how
        many (see `_named`).
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
    result["named"], result["named_parts"] = _named(embeddings[0], gaps, parts)
    pitched = [i for i, gap in enumerate(gaps) if gap.label not in UNPITCHED]
    result["onset"] = _agreement(onset_agreement, range(len(gaps)), gaps, parts)
    result["key"] = _agreement(key_agreement, pitched, gaps, parts) if pitched else {}
    return result


def _named(
    embedding: Embedding, gaps: Sequence[Gap], parts: dict[str, list[np.ndarray]]
) -> tuple[dict[str, Any], int]:
    """Share of parts nearest to their class, by system, "95" of ours, and how many gaps that can be said of.

    What a gap is filled with is held against the true stems of all gaps but its own and the one that its stranger is
    the true stem of: a stem in its own class's centre would be near to it, whatever the embedding knows. Nearest is the
    smallest angle, seen from the mean of those stems, to the mean of a class; seen from nought, classes of few stems
    would be far from everything. A gap whose class has no stem left is left out. Other excerpts of the gap's song stay,
    so that a song alone can be judged; they are alike, which makes the true stems' row a ceiling.
    """
    where = {name: np.stack([embedding(_clip(part)).mean(0) for part in made]) for name, made in parts.items()}
    labels = np.array([gap.label for gap in gaps])
    right: dict[str, list[float]] = {name: [] for name in parts}
    songs: list[str] = []
    for i, gap in enumerate(gaps):
        kept = np.array([each.label != gap.label or each.place not in (gap.place, gap.origin) for each in gaps])
        classes = np.unique(labels[kept])
        if gap.label not in classes or len(classes) < 2:
            continue
        middle = where[TRUE][kept].mean(0)
        centres = np.stack([where[TRUE][kept & (labels == label)].mean(0) - middle for label in classes])
        centres /= np.linalg.norm(centres, axis=1, keepdims=True) + 1e-12  # [classes, d]
        songs.append(gap.song)
        for name, found in where.items():
            right[name].append(float(classes[(centres @ (found[i] - middle)).argmax()] == gap.label))
    if not songs:
        return {}, 0
    shares = {name: round(float(np.mean(found)), 3) for name, found in right.items()}
    return {**shares, "95": _interval(right[OURS], songs)}, len(songs)


def _interval(values: Sequence[float], songs: Sequence[str]) -> list[float]:
    return [round(end, 3) for end in bootstrap(values, np.random.default_rng(0), songs)]


def _gaps(songs: ExcerptSet, strangers: ExcerptSet, count: int) -> list[Gap]:
    """Songs with a stem taken out: of each the two whose classes were taken least, of all an even spread.

    Sets are gone through twice, first for what is there, then for the sound of what was chosen, as all would not fit.
    """
    chosen = _choice(songs, strangers, count)
    wanted = {(other, label) for _, label, other in chosen}
    sounds: dict[tuple[int, str], np.ndarray] = {}
    for number, excerpt in enumerate(strangers.excerpts()):
        sounds |= {(number, s.label): s.audio.mean(0) for s in excerpt.stems if (number, s.label) in wanted}
    gaps = []
    for number, excerpt in enumerate(songs.excerpts()):
        stems = {stem.label: stem.audio.mean(0) for stem in excerpt.stems}
        for _, label, other in (each for each in chosen if each[0] == number):
            true, place, origin = stems[label], (songs.name, number), (strangers.name, other)
            context = excerpt.mixture.samples.mean(0) - true
            gaps.append(Gap(label, excerpt.name, place, origin, context, true, _levelled(sounds[other, label], true)))
    return gaps


def _choice(songs: ExcerptSet, strangers: ExcerptSet, count: int) -> list[tuple[int, str, int]]:
    """Gaps as numbers of excerpts of `songs`, labels, and numbers of those of `strangers` that the strangers are in."""
    others: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, excerpt in enumerate(strangers.excerpts()):
        for stem in excerpt.audible:
            others[stem.label].append((excerpt.name, number))
    taken: Counter[str] = Counter()
    found = []
    for number, excerpt in enumerate(songs.excerpts()):
        for label in sorted((stem.label for stem in excerpt.accompanied), key=lambda label: taken[label])[:2]:
            foreign = [other for name, other in others[label] if name != excerpt.name]
            if foreign:
                found.append((number, label, foreign[taken[label] % len(foreign)]))
                taken[label] += 1
    return [found[i] for i in evenly(len(found), count)]


def _impute(pipeline: Pipeline, gaps: Sequence[Gap], sampling: Sampling, reporter: Reporter) -> list[np.ndarray]:
    parts = []
    for number, gap in enumerate(gaps):
        request = Impute((gap.label,), sampling=replace(sampling, seed=sampling.seed + number))
        try:
            made = pipeline.impute(AudioClip(gap.context[None], RATE_HZ), request)[0].samples.mean(0)
        except SilenceError:  # the user gets no part
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
    songs = [gaps[i].song for i in rows]
    means = {name: float(np.mean(values)) for name, values in found.items()}
    reach = means[TRUE] - means[RANDOM]
    return {
        **{name: round(mean, 3) for name, mean in means.items()},
        "95": _interval(found[OURS], songs),
        "halfway": round((means[OURS] - means[RANDOM]) / reach, 2) if abs(reach) > 1e-6 else None,
        "halfway_95": _halfway_interval(found, songs),
    }


def _halfway_interval(found: dict[str, list[float]], songs: Sequence[str]) -> list[float] | None:
    """95 % interval of where ours lies from random to true; none if that way may be none, as the ratio is then any."""
    rows = np.array([found[name] for name in (RANDOM, OURS, TRUE)])
    random, ours, true = drawn_means(rows, np.random.default_rng(0), songs)
    reach = true - random
    if reach.min() <= 0 <= reach.max():
        return None
    return np.quantile((ours - random) / reach, (0.025, 0.975)).round(2).tolist()


# ---------------------------------------------------------------------------------------------------------- reports


def generation_text(name: str, found: dict[str, Any]) -> str:
    """Total generation against one reference as a table."""
    if "fad" not in found:
        return f"total generation: nothing of {name} can be heard, so there is nothing to compare with."
    systems = list(next(iter(found["fad"].values())))
    compared = f"FAD against {found['reference_excerpts']} mixtures of {name}"
    head = f"total generation: {compared}, {found['pieces']} pieces each"
    lines = [head, "| embedding | " + " | ".join(systems) + " |", "|" + "---|" * (len(systems) + 1)]
    for space, row in found["fad"].items():
        lines.append(f"| {space} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |")
    return "\n".join(lines)


def imputation_text(name: str, found: dict[str, Any]) -> str:
    """Imputation of one set as a table."""
    if "sub_fad" not in found:
        return f"imputation, {name}: of fewer than two parts nothing can be compared; ask for more songs or pieces."
    heads = ("measure", RANDOM, "ours", TRUE, "no part", "from random to true")
    silent = f", {found['silent']:.0%} of them silent" if found["silent"] else ""
    head = f"imputation, {name}: {found['gaps']} parts{silent}"
    lines = [head, "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for space, row in found["sub_fad"].items():
        lines.append(f"| sub-FAD, {space} | {row[RANDOM]:.3f} | {row[OURS]:.3f} | 0 | {row['no part']:.3f} | |")
    if named := found["named"]:
        random, ours, true = (f"{named[system]:.0%}" for system in (RANDOM, OURS, TRUE))
        shares = f"{random} | {ours}{_span(named['95'], '.0%')} | {true}"
        lines.append(f"| nearest to its class ({found['named_parts']} parts) | {shares} | | |")
    for measure in ("onset", "key"):
        if row := found[measure]:
            ours = f"{row[OURS]:.2f}{_span(row['95'], '.2f')}"
            way = "" if row["halfway"] is None else f"{row['halfway']:.0%}{_span(row['halfway_95'], '.0%')}"
            lines.append(f"| {measure} agreement | {row[RANDOM]:.2f} | {ours} | {row[TRUE]:.2f} | | {way} |")
    return "\n".join(lines)


def _span(ends: Sequence[float] | None, form: str) -> str:
    """An interval in brackets, for a cell."""
    return "" if ends is None else f" ({ends[0]:{form}} to {ends[1]:{form}})"
