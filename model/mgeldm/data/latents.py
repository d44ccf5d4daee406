"""Pre-encoding: songs to triplets of compressed mel magnitudes on disk, which is all that training reads.

One shard is one `.npz` of triplets (mixture, submixture, source) with the source's label. Sums are made in the complex
STFT, where they are exact, so a song's stems can be mixed anew with other gains in every window at no cost.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import EMBEDDED, ModelConfig, SpectralConfig
from ..errors import InputError
from ..nn.spectral import MIXTURE_RMS, SpectralAutoencoder
from .songs import Stem

_AUDIBLE = 0.003  # linear level of a source under which a window counts as silent


@dataclass
class Triplets:
    """Compressed mel magnitudes [items, bands, mel frames] in half precision, and what is known of each source.

    `sources` and `rests` are what the paper calls source and submixture. `captions` holds phrases that name the source
    and `others` the labels heard in the rest, each joined by "|".
    """

    mixtures: np.ndarray
    rests: np.ndarray
    sources: np.ndarray
    labels: np.ndarray  # of str, as are the two below
    captions: np.ndarray
    others: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


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
        self,
        stems: Sequence[Stem],
        vocabulary: dict[str, tuple[str, ...]],
        rng: np.random.Generator,
        windows: int | None = None,
    ) -> Triplets:
        """Triplets of one song.

        Args:
            stems: The song's stems at the model's rate, all of one length; stems of one label are one source.
            vocabulary: Label to phrases; prompts for absent sources are drawn from it.
            rng: Source of gains and choices.
            windows: Draw this many windows at random; None takes all in order.
        """
        captions: dict[str, str] = {}
        mono: dict[str, np.ndarray] = {}
        for stem in stems:
            captions[stem.label] = "|".join(stem.captions)
            mono[stem.label] = mono.get(stem.label, 0) + stem.audio.mean(0)
        audio = np.stack(list(mono.values()))  # [sources, samples]
        level = float(np.sqrt(np.mean(audio.sum(0) ** 2))) + 1e-9
        scaled = torch.from_numpy((audio * (MIXTURE_RMS / level)).astype(np.float32))
        size = self.config.window_samples
        last = scaled.shape[1] - size
        starts = range(0, last + 1, size) if windows is None else rng.integers(0, last + 1, windows).tolist()
        windows_of = (scaled[:, start : start + size] for start in starts)
        return _stack([item for audio in windows_of for item in self._window(audio, captions, vocabulary, rng)])

    def _window(self, audio: Tensor, captions: dict[str, str], vocabulary: dict, rng: np.random.Generator) -> list:
        """Items of one window [sources, samples], its sources mixed anew."""
        gains = torch.from_numpy(10 ** (rng.normal(0, 4, (len(captions), 1)) / 20).astype(np.float32))
        audio = audio * (gains * float(10 ** (rng.normal(0, 3) / 20)))
        if float(audio.sum(0).square().mean().sqrt()) < _AUDIBLE:
            return []
        stft = self.spectral.stft(audio)  # [sources, bins, frames]
        total = stft.sum(0)
        mixture = self._mel(total)
        audible = (audio.square().mean(1).sqrt() > _AUDIBLE).tolist()
        heard = [label for label, is_heard in zip(captions, audible, strict=True) if is_heard]
        items = []
        for i, (label, phrases) in enumerate(captions.items()):
            if audible[i]:
                others = "|".join(other for other in heard if other != label)
                items.append((mixture, self._mel(total - stft[i]), self._mel(stft[i]), label, phrases, others))
        missing = [label for label in vocabulary if label not in captions]
        if missing and rng.random() < self.absent * len(captions):
            label = missing[rng.integers(len(missing))]
            silence = self._mel(torch.zeros_like(total))
            items.append((mixture, mixture, silence, label, "|".join(vocabulary[label]), "|".join(heard)))
        return items

    def _mel(self, stft: Tensor) -> np.ndarray:
        return self.spectral.mel_of_stft(stft[None])[0].half().numpy()


def _stack(items: list) -> Triplets:
    columns = zip(*items, strict=True) if items else [()] * len(Triplets.__annotations__)
    return Triplets(*(np.array(column) for column in columns))


def save(path: Path, triplets: list[Triplets]) -> None:
    """Write one shard aside, then rename it."""
    parts = {key: np.concatenate([getattr(t, key) for t in triplets if len(t)]) for key in Triplets.__annotations__}
    aside = path.with_suffix(".tmp.npz")
    np.savez(aside, **parts)  # type: ignore[arg-type]
    os.replace(aside, path)


def load(folder: Path, limit: int | None = None) -> Triplets:
    """All triplets of a folder's shards, in the order of their names."""
    names = list(Triplets.__annotations__)
    paths = [path for path in sorted(folder.glob("*.npz")) if not path.name.endswith(".tmp.npz")][:limit]
    if not paths:
        raise InputError(f"There are no shards in {folder}; fill it with `python -m mgeldm.training.encode` first.")
    shards = [{name: shard[name] for name in names} for shard in map(np.load, paths)]
    return Triplets(**{name: np.concatenate([shard.pop(name) for shard in shards]) for name in names})
