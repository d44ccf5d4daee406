"""Extraction by class and set, beside baselines, a peer and oracles; and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..audio import AudioClip, Samples, safe_name
from ..data.songs import Stem
from ..pipeline import SILENT, Pipeline
from ..progress import Reporter
from ..refine import refine
from ..requests import Extract, Quality, Sampling
from . import plots
from .baselines import BASELINES, ideal_mask, latent_limit
from .metrics import bootstrap, log_mel_l1, log_mel_l1_unscaled, sdr_db, si_sdr_db
from .sets import ExcerptSet

OURS, DECODER, PEER, LIMIT, IDEAL = "ours", "decoder", "peer", "latent limit", "ideal mask"
METRICS: dict[str, Callable[[np.ndarray, np.ndarray, int], float]] = {
    "sdr_db": lambda source, estimate, _: sdr_db(source, estimate),
    "si_sdr_db": lambda source, estimate, _: si_sdr_db(source, estimate),
    "log_mel_l1": log_mel_l1,
    "log_mel_l1_unscaled": log_mel_l1_unscaled,
}
Peer = Callable[[AudioClip], dict[str, Samples]]
"""A separator of fixed classes: stems [channels, samples] of a mixture by label."""


@dataclass
class Scores:
    """Of one class in one set: `values[metric][method]`, one an excerpt, and the song that each is from."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {metric: {} for metric in METRICS})
    songs: list[str] = field(default_factory=list)

    def add(self, method: str, source: np.ndarray, estimate: np.ndarray, rate_hz: int) -> None:
        """Score one estimate."""
        for metric, measure in METRICS.items():
            self.values[metric].setdefault(method, []).append(measure(source, estimate, rate_hz))

    def mean(self, metric: str, method: str) -> float:
        """Mean over excerpts that have the metric; not a number where none has, or the method was not tried."""
        values = [value for value in self.values[metric].get(method, []) if not math.isnan(value)]
        return float(np.mean(values)) if values else float("nan")

    def silent(self, method: str) -> int:
        """Excerpts in which a method gave exact silence, which has no SI-SDR."""
        return int(np.isnan(self.values["si_sdr_db"].get(method, [])).sum())

    @property
    def below_silence(self) -> float:
        """Share of excerpts in which ours is worse than silence."""
        return float(np.mean(np.array(self.values["sdr_db"][OURS]) < 0))


Classes = dict[str, Scores]


def below_silence(classes: Classes) -> float:
    """Share of the excerpts of all classes in which ours is worse than silence."""
    values = [value for scores in classes.values() for value in scores.values["sdr_db"][OURS]]
    return float(np.mean(np.array(values) < 0))


def score(
    pipeline: Pipeline,
    excerpts: ExcerptSet,
    quality: Quality = "standard",
    peer: Peer | None = None,
    pictures: Path | None = None,
    reporter: Reporter = SILENT,
) -> Classes:
    """Extract every stem heard beside others in every excerpt by its label, and score all methods.

    Args:
        pipeline: The model.
        excerpts: The music.
        quality: Of our extraction.
        peer: Another separator, scored where it has the class.
        pictures: Folder for spectrograms of the first excerpt of each class.
        reporter: Hears of songs.
    """
    classes: Classes = {}
    for number, excerpt in enumerate(excerpts.excerpts()):
        clip = excerpt.mixture
        shared = {name: method(clip.samples, clip.rate_hz) for name, method in BASELINES.items()}
        others = peer(clip) if peer is not None else {}
        for stem in excerpt.accompanied:
            estimates = shared | _estimates(pipeline, clip, stem, quality)
            if stem.label in others:
                estimates[PEER] = others[stem.label]
            if pictures is not None and stem.label not in classes:
                _draw(pictures / safe_name(f"{excerpts.name} - {stem.label}", ".png"), clip, stem, estimates[OURS])
            scores = classes.setdefault(stem.label, Scores())
            scores.songs.append(excerpt.name)
            for name, estimate in estimates.items():
                scores.add(name, stem.audio, estimate, clip.rate_hz)
        reporter.report(f"extraction, {excerpts.name}: songs", number + 1, excerpts.count)
    return dict(sorted(classes.items()))


def _estimates(pipeline: Pipeline, clip: AudioClip, stem: Stem, quality: Quality) -> dict[str, Samples]:
    """Ours, the decoder's own sound, and both oracles."""
    request = Extract((stem.label,), sampling=Sampling(quality))
    return {
        OURS: refine(clip, pipeline.extract(clip, request).estimates)[0][0],
        DECODER: pipeline.extract_raw(clip, request)[0].samples,
        LIMIT: latent_limit(pipeline, clip, stem.audio),
        IDEAL: ideal_mask(clip.samples, stem.audio, clip.rate_hz),
    }


def _draw(path: Path, clip: AudioClip, stem: Stem, ours: Samples) -> None:
    parts = {"mixture": clip.samples, f"{stem.label}, true": stem.audio, f"{stem.label}, ours": ours}
    plots.spectrograms(path, {name: AudioClip(audio, clip.rate_hz) for name, audio in parts.items()})


# --------------------------------------------------------------------------------------------------------- reports


def plain(classes: Classes) -> dict[str, Any]:
    """Means by class, metric and method, for JSON, which knows no nan: a method without a mean is left out.

    `sdr_db_95` and so on are intervals of ours.

    `silent` counts the excerpts for which a method gave exact silence, which are in no mean of SI-SDR.
    """
    return {
        label: {
            "excerpts": len(scores.values["sdr_db"][OURS]),
            "worse_than_silence": round(scores.below_silence, 3),
            **{f"{metric}_95": ends for metric in METRICS if (ends := _rounded(_interval(scores, metric)))},
            **{metric: _means(scores, metric) for metric in METRICS},
            "silent": {name: count for name in scores.values["si_sdr_db"] if (count := scores.silent(name))},
        }
        for label, scores in classes.items()
    }


def _rounded(ends: tuple[float, float]) -> list[float]:
    return [round(end, 3) for end in ends if not math.isnan(end)]


def _means(scores: Scores, metric: str) -> dict[str, float]:
    means = {name: scores.mean(metric, name) for name in scores.values[metric]}
    return {name: round(mean, 3) for name, mean in means.items() if not math.isnan(mean)}


def table(name: str, classes: Classes) -> str:
    """SDR of all methods by class, with the 95 % interval, SI-SDR, share under 0 dB and both log-mel L1 of ours.

    The log-mel L1 of the decoder's own sound, which the paper states, is in brackets, and so are excerpts answered with
    exact silence, which are in no mean of SI-SDR. The unscaled one is of magnitudes as librosa scales them. The last
    line holds means of the classes, none where a method lacks a class, as means of different classes compare nothing;
    and the share of all excerpts.
    """
    if not classes:
        return f"{name}: nothing to separate, as no stem is heard beside others"
    known = {method for scores in classes.values() for method in scores.values["sdr_db"]}
    methods = [method for method in (DECODER, PEER, *BASELINES, LIMIT, IDEAL) if method in known]
    heads = ["class", "excerpts", "ours (95 %)", "SI-SDR", "< 0 dB"]
    heads += ["log-mel L1 (decoder)", "log-mel L1 unscaled (decoder)", *methods]
    lines = [f"{name}: mean SDR in dB", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    rows = []
    for label, scores in classes.items():
        low, high = _interval(scores)
        ours = [scores.mean(metric, OURS) for metric in ("sdr_db", "si_sdr_db")]
        l1 = [scores.mean(f"log_mel_l1{scale}", method) for scale in ("", "_unscaled") for method in (OURS, DECODER)]
        numbers = [*ours, scores.below_silence, *l1]
        numbers += [scores.mean("sdr_db", method) for method in methods]
        rows.append(numbers)
        excerpts, interval = len(scores.values["sdr_db"][OURS]), f" ({low:.1f} to {high:.1f})"
        lines.append(_row(label, excerpts, numbers, interval, scores.silent(OURS)))
    means = np.mean(rows, axis=0).tolist()
    means[2] = below_silence(classes)
    total = sum(len(scores.values["sdr_db"][OURS]) for scores in classes.values())
    lines.append(_row("mean of classes", total, means, "", sum(scores.silent(OURS) for scores in classes.values())))
    return "\n".join(lines)


def _row(label: str, excerpts: int, numbers: list[float], interval: str, silent: int) -> str:
    sdr, si_sdr, below, l1, decoder, unscaled, decoder_unscaled, *others = numbers
    shape = _number(si_sdr) + (f" ({silent} silent)" if silent else "")
    cells = [label, str(excerpts), f"**{sdr:.1f}**{interval}", shape, f"{below:.0%}"]
    cells += [f"{l1:.2f} ({decoder:.2f})", f"{unscaled:.2f} ({decoder_unscaled:.2f})"]
    return "| " + " | ".join([*cells, *map(_number, others)]) + " |"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}"


def _interval(scores: Scores, metric: str = "sdr_db") -> tuple[float, float]:
    """Of ours, over the excerpts that have the metric; not a number where none has."""
    found = scores.values[metric].get(OURS, [])
    rows = [(value, song) for value, song in zip(found, scores.songs, strict=True) if not math.isnan(value)]
    if not rows:
        return float("nan"), float("nan")
    values, songs = zip(*rows, strict=True)
    return bootstrap(values, np.random.default_rng(0), songs)


def gaps(sets: Iterable[ExcerptSet], found: dict[str, Classes]) -> dict[str, dict[str, float]]:
    """By kind of music: how far seen songs lie under their limit, and unseen ones under seen ones, in dB.

    Both are means over the classes that seen and unseen songs share. The first is what minutes, size and loss may
    give, the second what variety and inductive bias may.
    """
    by_kind: dict[str, dict[bool, Classes]] = {}
    for part in sets:
        by_kind.setdefault(part.kind, {})[part.seen] = found[part.name]
    result = {}
    for kind, pair in by_kind.items():
        labels = sorted(set(pair.get(True, {})) & set(pair.get(False, {})))
        if not labels:
            continue
        values = {
            f"{word} {method}": float(np.mean([pair[seen][label].mean("sdr_db", method) for label in labels]))
            for word, seen in (("seen", True), ("unseen", False))
            for method in (OURS, LIMIT)
        }
        values["seen under its limit"] = values[f"seen {LIMIT}"] - values[f"seen {OURS}"]
        values["unseen under seen"] = values[f"seen {OURS}"] - values[f"unseen {OURS}"]
        result[kind] = {"classes": float(len(labels)), **{name: round(value, 2) for name, value in values.items()}}
    return result


def gaps_text(gaps: dict[str, dict[str, float]]) -> str:
    """The gaps as a table."""
    heads = next(iter(gaps.values()))
    lines = ["gaps: mean SDR of the classes that seen and unseen songs share, in dB"]
    lines += ["| music | " + " | ".join(heads) + " |", "|" + "---|" * (len(heads) + 1)]
    for kind, values in gaps.items():
        cells = [f"{value:.0f}" if name == "classes" else f"{value:.1f}" for name, value in values.items()]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def chart(pictures: Path, name: str, classes: Classes) -> None:
    """Bars of mean SDR by class, ours with its interval, in a folder of pictures."""
    methods = ("mixture", PEER, DECODER, OURS, LIMIT, IDEAL)
    heights = {m: [scores.mean("sdr_db", m) for scores in classes.values()] for m in methods}
    heights = {method: values for method, values in heights.items() if not np.isnan(values).all()}
    intervals = {OURS: [_interval(scores) for scores in classes.values()]}
    path = pictures / safe_name(f"SDR - {name}", ".png")
    plots.bars(path, list(classes), heights, intervals, f"SDR in dB, {name}")
