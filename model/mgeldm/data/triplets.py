"""Triplets of mixture, submixture and source, drawn from songs as in the paper (PAPER: training), and what goes beyond.

The paper's: a random segment, not silent, of a random source, up to ten tries; one offset for all stems. Beyond it,
sources that are sums of stems ("the rhythm section", "everything but the vocals"), and silent ones, whose prompt names
what the song lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..audio import Samples
from .captions import Union, draw_absent, draw_union
from .songs import Song, captions_of

TRIES = 10
AUDIBLE = 0.03
"""RMS of a source, as a part of its song's, under which a window counts as silent (-30 dB)."""


@dataclass(frozen=True)
class Shares:
    """How often a window also gives a silent source, for each label of the song, and a union, for each label heard."""

    absent: float = 0.06
    unions: float = 0.0


@dataclass
class Triplet:
    """One training item: sounds float32 [2, samples], `mixture = submixture + source`.

    `captions` are phrases for the source, `parts` the labels it sums (none: it is silent), `others` those heard beside.
    """

    mixture: Samples
    submixture: Samples
    source: Samples
    label: str
    captions: tuple[str, ...]
    parts: tuple[str, ...]
    others: tuple[str, ...]


def sources(
    captions: Mapping[str, Sequence[str]],
    heard: Sequence[str],
    vocabulary: Mapping[str, Sequence[str]],
    shares: Shares,
    rng: np.random.Generator,
) -> list[Union]:
    """The sources that one window is split into, each in turn against the rest.

    Args:
        captions: Label to phrases of every stem of the song.
        heard: Labels that sound in the window.
        vocabulary: Label to phrases; prompts for what is absent come from it and from the song's silent stems.
        shares: How often to add a silent source and a union.
        rng: Source of choices.
    """
    found = [Union(label, (label,), tuple(captions[label])) for label in heard]
    if shares.unions and rng.random() < shares.unions * len(heard):
        found += filter(None, [draw_union(heard, rng)])
    if shares.absent and rng.random() < shares.absent * len(captions):
        found += filter(None, [draw_absent(heard, {**vocabulary, **captions}, rng)])
    return found


def segment(song: Song, samples: int, rng: np.random.Generator) -> tuple[str, int]:
    """A random stem's label, and the first sample of a segment where it sounds: the last of up to `TRIES` places."""
    stem = song.stems[int(rng.integers(len(song.stems)))]
    last = max(song.samples - samples, 0)
    start = 0
    for _ in range(TRIES):
        start = int(rng.integers(0, last + 1))
        if _heard(stem.read(start, start + samples), song):
            break
    return stem.label, start


def draw(
    song: Song,
    samples: int,
    rng: np.random.Generator,
    vocabulary: Mapping[str, Sequence[str]] | None = None,
    shares: Shares | None = None,
) -> Triplet | None:
    """A triplet of sounds from one place of a song; None where the source that was drawn is silent.

    Args:
        song: The song; stems of one label are one source.
        samples: Length in samples at the song's rate.
        rng: Source of choices.
        vocabulary: See `sources`.
        shares: See `Shares`; None draws the paper's triplets alone.
    """
    label, start = segment(song, samples, rng)
    captions = captions_of(song.stems)
    audio: dict[str, Samples] = {}
    for stem in song.stems:
        audio[stem.label] = audio.get(stem.label, np.float32(0)) + stem.read(start, start + samples)
    heard = [name for name, sound in audio.items() if _heard(sound, song)]
    found = sources(captions, heard, vocabulary or {}, shares or Shares(absent=0.0), rng)
    number = int(rng.integers(len(found))) if found else 0
    if number >= len(heard) and found:
        chosen = found[number]
    elif label in heard:
        chosen = Union(label, (label,), tuple(captions[label]))
    else:
        return None
    mixture: Samples = np.stack(list(audio.values())).sum(0)
    source = np.zeros_like(mixture)
    for part in chosen.parts:
        source += audio[part]
    others = tuple(name for name in heard if name not in chosen.parts)
    return Triplet(mixture, mixture - source, source, chosen.label, chosen.captions, chosen.parts, others)


def _heard(sound: Samples, song: Song) -> bool:
    return float(np.sqrt(np.square(sound.mean(0)).mean())) > AUDIBLE * song.level
