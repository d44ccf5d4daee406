"""Pre-encoding: songs to triplets of compressed mel magnitudes on disk, which is all that training reads.

One shard is one `.npz` of triplets (mixture, submixture, source) with the source's label. Sums are made in the complex
STFT, where they are exact, so a song's stems can be mixed anew with other gains in every window at no cost. For the
published form (`WaveformEncoder`) the three are latents of its autoencoder, and the conditioner's audio embeddings of
all three lie beside them, as in the paper.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..audio import resample
from ..conditioning import Conditioner
from ..config import EMBEDDED, ModelConfig, SpectralConfig
from ..errors import InputError
from ..nn.spectral import MIXTURE_RMS, SpectralAutoencoder
from .captions import VAGUE, alike
from .files import whole
from .manifest import Facts, items_of, shards
from .songs import Song, Stem, captions_of
from .triplets import AUDIBLE, Shares, draw, segment, sources

_AUDIBLE = AUDIBLE * MIXTURE_RMS
_CONDITIONER_HZ = 48000
_ABSENT = 0.06  # the most of what is drawn of a kind that asks for what is not there


@dataclass
class Triplets:
    """Compressed mel magnitudes [items, bands, mel frames] in half precision, and what is known of each source.

    `sources` and `rests` are what the paper calls source and submixture. `captions` holds phrases that name the source,
    `others` the labels heard in the rest and `parts` those that the source sums (one for a plain source, none for a
    silent one), each joined by "|". Where `strange`, the source and what plays beside it are of different songs: they
    can be told apart, but neither follows the other. Shards from before `parts` give every source its own label there.
    """

    mixtures: np.ndarray
    rests: np.ndarray
    sources: np.ndarray
    labels: np.ndarray  # of str, as are the three below
    captions: np.ndarray
    others: np.ndarray
    parts: np.ndarray = None  # type: ignore[assignment]
    strange: np.ndarray = None  # type: ignore[assignment]  # bool

    def __post_init__(self) -> None:
        if self.parts is None:
            self.parts = self.labels.copy()
        if self.strange is None:
            self.strange = np.zeros(len(self.labels), bool)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def plain(self) -> np.ndarray:
        """Which items have a source that sounds and sums nothing, bool [items]."""
        return self.parts == self.labels

    def absent(self, rows: np.ndarray) -> np.ndarray:
        """Which of those rows have a silent source, bool: it sounds like nothing, and only words can ask for it."""
        return self.parts[rows] == ""

    def chances(self, weights: np.ndarray | None = None) -> np.ndarray:
        """How likely each item is to be drawn [items]: rare kinds are seen more often; all unions are one kind.

        A rare kind is what most songs lack, so of the items that ask for it many are silent. Drawn as often as the
        others, they would teach that what is rare is not there: no kind is absent in more than `_ABSENT` of its draws.

        Args:
            weights: How often to draw each item that sounds [items], beside the others of its kind; None is alike.
        """
        kinds = np.where(np.char.find(self.parts.astype(str), "|") < 0, self.labels, "")
        names, kind = np.unique(kinds, return_inverse=True)
        silent = self.absent(np.arange(len(self)))
        weights = np.ones(len(self)) if weights is None else weights
        lacking, counts = (np.bincount(kind[which], minlength=len(names)) for which in (silent, ~silent))
        heard = np.bincount(kind, weights * ~silent, len(names))
        share = np.minimum(1, _ABSENT / (1 - _ABSENT) * heard / np.maximum(lacking, 1))
        share[np.isin(names, [*VAGUE])] = 0
        chances = np.maximum(counts, 1)[kind] ** (-1 / 3) * np.where(silent, share[kind], weights)
        return chances / chances.sum()

    def can_join(self, row: int, other: int, rest: bool = False) -> bool:
        """Whether the source of `row` may be mixed into the song of `other`: nothing there may sound like it.

        With `rest` it is to join what plays beside the source of `other`.
        """
        asked = _split(self.parts[row]) or [str(self.labels[row])]
        return not any(alike(label, heard) for label in asked for heard in self.heard(other, rest))

    def heard(self, row: int, rest: bool = False) -> list[str]:
        """Labels heard in the mixture of `row`; with `rest` in what plays beside its source."""
        return [*_split(self.others[row]), *([] if rest else _split(self.parts[row]))]


class Encoder:
    """Cuts a song's stems into windows and encodes every audible source of each.

    Args:
        config: The model the triplets are for.
        absent: Share of items whose source is silent under a prompt for something the window lacks.
        unions: Share of items whose source sums several stems.
    """

    def __init__(self, config: ModelConfig = EMBEDDED, absent: float = 0.06, unions: float = 0.0):
        assert isinstance(config.autoencoder, SpectralConfig)
        self.config, self.shares = config, Shares(absent, unions)
        self.spectral = SpectralAutoencoder(config.autoencoder, config.rate_hz).eval()

    @torch.no_grad()
    def encode(
        self,
        song: Song | Sequence[Stem],
        vocabulary: Mapping[str, Sequence[str]],
        rng: np.random.Generator,
        windows: int | None = None,
    ) -> Triplets:
        """Triplets of one song.

        Args:
            song: The song at the model's rate, or its stems; stems of one label are one source.
            vocabulary: Label to phrases; prompts for absent sources are drawn from it.
            rng: Source of gains and choices.
            windows: Draw this many windows as the paper does (`triplets.segment`); None takes all in order, from
                somewhere in the first: else a quarter of them would begin with their song, on a downbeat.
        """
        song = song if isinstance(song, Song) else Song(song)
        captions = captions_of(song.stems)
        rows = np.array([list(captions).index(stem.label) for stem in song.stems])
        size, gain = self.config.window_samples, MIXTURE_RMS / (song.level + 1e-9)
        starts = range(int(rng.integers(song.samples % size + 1)), song.samples - size + 1, size)
        items = []
        for i in range(len(starts) if windows is None else windows):
            start = starts[i] if windows is None else segment(song, size, rng)[1]
            audio = np.zeros((len(captions), size), np.float32)
            np.add.at(audio, rows, song.mono(start, start + size) * np.float32(gain))
            items += self._window(torch.from_numpy(audio), captions, vocabulary, rng)
        return _stack(items)

    def _window(
        self,
        audio: Tensor,
        captions: Mapping[str, Sequence[str]],
        vocabulary: Mapping[str, Sequence[str]],
        rng: np.random.Generator,
    ) -> list[tuple[Any, ...]]:
        """Items of one window [sources, samples], its sources mixed anew."""
        gains = torch.from_numpy(10 ** (rng.normal(0, 2, (len(captions), 1)) / 20).astype(np.float32))
        audio = audio * (gains * float(10 ** (rng.normal(0, 3) / 20)))
        if float(audio.sum(0).square().mean().sqrt()) < _AUDIBLE:
            return []
        stft = dict(zip(captions, self.spectral.stft(audio), strict=True))  # label: [bins, frames]
        total = torch.stack(list(stft.values())).sum(0)
        mixture = self._mel(total)
        audible = (audio.square().mean(1).sqrt() > _AUDIBLE).tolist()
        heard = [label for label, is_heard in zip(captions, audible, strict=True) if is_heard]
        items = []
        for found in sources(captions, heard, vocabulary, self.shares, rng):
            source = sum((stft[part] for part in found.parts), torch.zeros_like(total))
            rest = self._mel(total - source) if found.parts else mixture
            others = [label for label in heard if label not in found.parts]
            texts = ("|".join(x) for x in (found.captions, others, found.parts))
            items.append((mixture, rest, self._mel(source), found.label, *texts))
        return items

    def _mel(self, stft: Tensor) -> np.ndarray:
        return self.spectral.mel_of_stft(stft[None])[0].half().numpy()


class WaveformEncoder:
    """Triplets of the published form: latents [channels, frames] of mono sound, with audio embeddings of all three.

    Args:
        config: The model's rate and window.
        autoencoder: Encodes audio [batch, 1, samples] to latents [batch, channels, frames].
        conditioner: Embeds mono audio at 48 kHz.
        shares: How often sources are silent or unions; None draws the paper's triplets alone.
    """

    def __init__(self, config: ModelConfig, autoencoder: Any, conditioner: Conditioner, shares: Shares | None = None):
        if conditioner.audio_input != "audio":
            raise ValueError("the published form needs a conditioner that embeds audio")
        self.config, self.autoencoder, self.conditioner, self.shares = config, autoencoder, conditioner, shares

    @torch.no_grad()
    def encode(
        self, song: Song, vocabulary: Mapping[str, Sequence[str]], rng: np.random.Generator, windows: int
    ) -> tuple[Triplets, np.ndarray]:
        """Triplets of `windows` segments (fewer where the drawn source is silent) and embeddings [items, tracks, d]."""
        size = round(self.config.window_samples * song.rate_hz / self.config.rate_hz)
        device = next(self.autoencoder.parameters()).device
        drawn = [draw(song, size, rng, vocabulary, self.shares) for _ in range(windows)]
        items, embeddings = [], []
        for triplet in filter(None, drawn):
            sounds = np.stack([triplet.mixture, triplet.submixture, triplet.source]).mean(1)  # [tracks, samples]
            heard = torch.from_numpy(resample(sounds, song.rate_hz, self.config.rate_hz)).to(device)
            latents = self.autoencoder.encode(heard[:, None, : self.config.window_samples]).half().cpu().numpy()
            texts = ("|".join(x) for x in (triplet.captions, triplet.others, triplet.parts))
            items.append((*latents, triplet.label, *texts))
            at_48k = torch.from_numpy(resample(sounds, song.rate_hz, _CONDITIONER_HZ))
            embeddings.append(self.conditioner.embed_audio(at_48k).half().cpu().numpy())
        return _stack(items), np.array(embeddings)


def _split(joined: str) -> list[str]:
    return str(joined).split("|") if joined else []


def _stack(items: list[tuple[Any, ...]]) -> Triplets:
    columns = zip(*items, strict=True) if items else [()] * len(fields(Triplets))
    return Triplets(*(np.array(column) for column in columns))


def save(path: Path, triplets: Sequence[Triplets], facts: Facts | None = None) -> None:
    """Write one shard, with where it comes from.

    Raises:
        InputError: Nothing sounds in what was to be encoded.
        OutputError: The disk is full, or the folder cannot be written to.
    """
    triplets = [part for part in triplets if len(part)]
    if not triplets:
        raise InputError(f"{path.name} is not written: no window of its songs sounds, or none is long enough.")
    columns = {f.name: np.concatenate([getattr(part, f.name) for part in triplets]) for f in fields(Triplets)}
    with whole(path) as file:
        np.savez(file, **columns, facts=np.array(str(facts or Facts())))  # type: ignore[arg-type]


def read_shard(path: Path) -> Triplets:
    """One shard; columns that came later than it are filled in."""
    with np.load(path) as shard:
        triplets = Triplets(**{f.name: shard[f.name] for f in fields(Triplets) if f.name in shard})
        if "strange" not in shard and path.name.startswith("remixed"):
            triplets.strange[:] = True
    return triplets


def load(folder: Path, limit: int | None = None) -> Triplets:
    """All triplets of a folder's shards, in the order of their names; they take as much memory as the shards do.

    Raises:
        InputError: There are no shards, or they are of models of different forms.
    """
    counts = counts_of(folder, limit)
    sounds: dict[str, np.ndarray] = {}
    facts: list[dict[str, np.ndarray]] = []  # what is known of each source, by shard
    first = 0
    for path, count in counts.items():
        columns = vars(read_shard(path))
        for name in ("mixtures", "rests", "sources"):  # filled in shard by shard: joined at the end they need twice
            part = columns.pop(name)
            if name not in sounds:
                sounds[name] = np.empty((sum(counts.values()), *part.shape[1:]), part.dtype)
            if part.shape[1:] != sounds[name].shape[1:]:
                raise InputError(f"{path.name} of {folder} is of a model of another form; keep it in another folder.")
            sounds[name][first : first + count] = part
        facts.append(columns)
        first += count
    return Triplets(**sounds, **{name: np.concatenate([shard[name] for shard in facts]) for name in facts[0]})


def counts_of(folder: Path, limit: int | None = None) -> dict[Path, int]:
    """A folder's shards, in the order of their names, and how many triplets each holds.

    Raises:
        InputError: There are none.
    """
    paths = shards(folder)[:limit]
    if not paths:
        raise InputError(f"There are no shards in {folder}; fill it with `python -m mgeldm.training.encode` first.")
    return {path: items_of(path) for path in paths}


def identity(autoencoder: Mapping[str, Tensor]) -> str:
    """What tells an autoencoder, by its state, from others: a hash of its biases and other vectors, as they are stored.

    Matrices are left out: no two machines need to agree in the last bit when they fold a weight norm into them.
    """
    vectors = {name: value for name, value in autoencoder.items() if value.ndim < 2 and value.is_floating_point()}
    digest = hashlib.sha256()
    for name in sorted(vectors):
        digest.update(name.encode() + vectors[name].detach().half().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
