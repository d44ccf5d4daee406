"""`mgeldm evaluate`: extraction by class on songs never trained on, beside baselines and an oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..audio import AudioClip
from ..data import corpus
from ..data.bank import load_bank
from ..errors import InputError
from ..pipeline import Pipeline
from ..refine import refine
from ..requests import Extract, Sampling
from .baselines import BASELINES, ideal_mask
from .metrics import bootstrap, log_mel_l1, sdr_db

EXCERPT_S = 12.0
_AUDIBLE = 2e-3  # level under which a stem counts as silent in an excerpt


@dataclass
class Scores:
    """SDR in dB by method, and log-mel L1 of ours, of the excerpts of one class in one set."""

    sdr_db: dict[str, list[float]] = field(default_factory=dict)
    log_mel_l1: list[float] = field(default_factory=list)


def evaluate(pipeline: Pipeline, stems: Path | None, bank: Path | None, songs: int) -> dict[str, Any]:
    """Score extraction and print-ready tables.

    Args:
        pipeline: The model.
        stems: Folder of real songs of stems, from which the held-out one is taken; None leaves real music out.
        bank: A note bank that training never saw; None renders with the synthesisers alone.
        songs: Rendered songs.

    Raises:
        InputError: A folder or bank is missing.
    """
    sets: dict[str, Callable[[], Iterator[corpus.Song]]] = {"synthetic": lambda: _rendered(bank, songs)}
    if stems is not None:
        if not (stems / corpus.HELD_OUT_SONG).is_dir():
            raise InputError(f"There is no song {corpus.HELD_OUT_SONG} in {stems}; give the folder of the real stems.")
        sets["real"] = lambda: _excerpts(corpus.read_real_song(stems / corpus.HELD_OUT_SONG))
    scores = {name: _score(pipeline, make()) for name, make in sets.items()}
    text = "\n\n".join(_table(name, classes) for name, classes in scores.items())
    return {"sets": {name: _plain(classes) for name, classes in scores.items()}, "text": text}


def _rendered(bank: Path | None, songs: int) -> Iterator[corpus.Song]:
    banks = [load_bank(bank)] if bank is not None else []
    for seed in range(songs):
        yield corpus.render_song(500_000 + seed, banks, EXCERPT_S, split="test")


def _excerpts(song: corpus.RealSong) -> Iterator[corpus.Song]:
    for start_s in np.arange(0.0, song.duration_s - EXCERPT_S, EXCERPT_S):
        yield song.read(float(start_s), EXCERPT_S)


def _score(pipeline: Pipeline, songs: Iterator[corpus.Song]) -> dict[str, Scores]:
    classes: dict[str, Scores] = {}
    for song in songs:
        mixture = song.mixture.astype(np.float32)
        clip = AudioClip(mixture, song.rate_hz)
        for stem in song.stems:
            if float(np.square(stem.audio).mean()) ** 0.5 < _AUDIBLE:
                continue
            found = pipeline.extract(clip, Extract((stem.label,), sampling=Sampling()))
            ours = refine(clip, found.estimates)[0][0]
            scores = classes.setdefault(stem.label, Scores())
            estimates = {"ours": ours, "ideal mask": ideal_mask(mixture, stem.audio, song.rate_hz)}
            estimates |= {name: method(mixture, song.rate_hz) for name, method in BASELINES.items()}
            for name, estimate in estimates.items():
                scores.sdr_db.setdefault(name, []).append(sdr_db(stem.audio, estimate))
            scores.log_mel_l1.append(log_mel_l1(stem.audio, ours, song.rate_hz))
    return classes


def _plain(classes: dict[str, Scores]) -> dict[str, Any]:
    return {
        label: {
            "excerpts": len(scores.log_mel_l1),
            "sdr_db": {name: round(float(np.mean(values)), 2) for name, values in scores.sdr_db.items()},
            "worse_than_silence": round(float(np.mean(np.array(scores.sdr_db["ours"]) < 0)), 3),
            "log_mel_l1": round(float(np.mean(scores.log_mel_l1)), 3),
        }
        for label, scores in sorted(classes.items())
    }


def _table(name: str, classes: dict[str, Scores]) -> str:
    """Mean SDR by class, with the 95 % interval of ours and the share of excerpts worse than silence."""
    methods = ["ours", *BASELINES, "ideal mask"]
    heads = ["class", "excerpts", *methods, "95 % of ours", "< 0 dB", "log-mel L1"]
    lines = [f"{name}: mean SDR in dB", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    rng = np.random.default_rng(0)
    for label, scores in sorted(classes.items()):
        ours = scores.sdr_db["ours"]
        low, high = bootstrap(ours, rng)
        cells = [label, str(len(ours)), *(f"{np.mean(scores.sdr_db[method]):.1f}" for method in methods)]
        cells += [f"{low:.1f} to {high:.1f}", f"{np.mean(np.array(ours) < 0):.0%}", f"{np.mean(scores.log_mel_l1):.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
