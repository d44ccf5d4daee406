"""Pre-encoding: songs to triplets of compressed mel magnitudes on disk, which is all that training reads.

One shard is one `.npz` of triplets (mixture, submixture, source) with the source's label. Sums are made in the complex
STFT, where they are exact, so a song's stems can be mixed anew with other gains in every window at no cost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import EMBEDDED, ModelConfig, SpectralConfig
from ..nn.spectral import SpectralAutoencoder

MIXTURE_RMS = 0.1  # songs are brought to this level before encoding, here and in the pipeline
_AUDIBLE = 0.003  # linear level of a source under which a window counts as silent


@dataclass
class Triplets:
    """Compressed mel magnitudes [items, bands, mel frames] in half precision, and each source's label.

    `sources` and `rests` are what the paper calls source and submixture.
    """

    mixtures: np.ndarray
    rests: np.ndarray
    sources: np.ndarray
    labels: np.ndarray  # of str


class Encoder:
    """Cuts a song's stems into windows and encodes every audible source of each.

    Args:
        config: The model the triplets are for.
        absent: Share of items whose source is silent under a prompt for something the song lacks.
    """

    def __init__(self, config: ModelConfig = EMBEDDED, absent: float = 0.06):
        assert isinstance(config.autoencoder, SpectralConfig)
        self.config, self.absent = config, absent
        self.spectral = SpectralAutoencoder(config.autoencoder, config.rate_hz).eval()

    @torch.no_grad()
    def encode(
        self, stems: dict[str, np.ndarray], vocabulary: list[str], rng: np.random.Generator, windows: int | None = None
    ) -> Triplets:
        """Triplets of one song.

        Args:
            stems: Label to mono audio [samples] at the model's rate, all of one length.
            vocabulary: Labels that prompts for absent sources are drawn from.
            rng: Source of gains and choices.
            windows: Draw this many windows at random; None takes all in order.
        """
        labels = list(stems)
        audio = np.stack([stems[label] for label in labels])  # [stems, samples]
        level = float(np.sqrt(np.mean(audio.sum(0) ** 2))) + 1e-9
        audio = torch.from_numpy((audio * (MIXTURE_RMS / level)).astype(np.float32))
        size = self.config.window_samples
        last = audio.shape[1] - size
        starts = range(0, last + 1, size) if windows is None else rng.integers(0, last + 1, windows).tolist()
        items = [item for start in starts for item in self._window(audio[:, start : start + size], labels, vocabulary, rng)]
        return _stack(items)

    def _window(self, audio: Tensor, labels: list[str], vocabulary: list[str], rng: np.random.Generator) -> list:
        gains = torch.from_numpy(10 ** (rng.normal(0, 4, (len(labels), 1)) / 20).astype(np.float32))
        gains *= float(10 ** (rng.normal(0, 3) / 20))
        audio = audio * gains
        if float(audio.sum(0).square().mean().sqrt()) < _AUDIBLE:
            return []
        stft = self.spectral.stft(audio)  # [stems, bins, frames]
        total = stft.sum(0)
        mixture = self._mel(total)
        audible = audio.square().mean(1).sqrt() > _AUDIBLE
        items = []
        for i, label in enumerate(labels):
            if audible[i]:
                items.append((mixture, self._mel(total - stft[i]), self._mel(stft[i]), label))
        if rng.random() < self.absent * len(labels):
            missing = [label for label in vocabulary if label not in labels]
            silence = torch.zeros_like(total)
            items.append((mixture, mixture, self._mel(silence), missing[rng.integers(len(missing))]))
        return items

    def _mel(self, stft: Tensor) -> np.ndarray:
        return self.spectral.mel_of_stft(stft[None])[0].half().numpy()


def _stack(items: list) -> Triplets:
    mixtures, rests, sources, labels = zip(*items, strict=True) if items else ((), (), (), ())
    return Triplets(*(np.array(x) for x in (mixtures, rests, sources)), labels=np.array(labels))


def save(path: Path, triplets: list[Triplets]) -> None:
    """Write one shard aside, then rename it."""
    parts = {key: np.concatenate([getattr(t, key) for t in triplets if len(t.labels)]) for key in Triplets.__annotations__}
    aside = path.with_suffix(".tmp.npz")
    np.savez(aside, **parts)
    os.replace(aside, path)


def load(folder: Path, limit: int | None = None) -> Triplets:
    """All triplets of a folder's shards, in the order of their names."""
    shards: Iterator = (np.load(path) for path in sorted(folder.glob("*.npz"))[:limit] if not path.name.endswith(".tmp.npz"))
    loaded = [{key: shard[key] for key in Triplets.__annotations__} for shard in shards]
    return Triplets(**{key: np.concatenate([part[key] for part in loaded]) for key in Triplets.__annotations__})
