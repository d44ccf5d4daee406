"""The denoiser recipe of the embedded model.

A part of each batch is extraction in one step (mixture known, tau = 1), whose estimates become a mask and are judged by
what the mask takes from the mixture. The rest is the paper's: its four patterns of timesteps, and time regions known
inside unknown tracks (PAPER: diffusion, training).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..conditioning.embedded import EmbeddedConditioner
from ..data.captions import VAGUE, unmistakable
from ..data.latents import Triplets
from ..diffusion import add_noise, velocity
from ..nn.dit import Denoiser
from ..nn.spectral import SpectralAutoencoder, transpositions
from ..pipeline.extraction import in_one_step, mask_of_latents
from ..tracks import Track, training_timesteps
from ..words import KIT
from .augment import SEMITONES, mixed, vary
from .loop import Scalars
from .machine import near, there

_AMONG_STRANGERS, _TRIES = 0.5, 8
_WORDS, _IN_USE = 0.2, 0.5  # of the conditions are words alone, and as in use; the others are mixed with sounds
_MISSING = 1 / 4  # of the sources among strangers are left out: what their prompts name is not there
_FAINT_DB, _FAINT = -18.0, 0.3  # what is softer than that beside its rest is drawn less often: hardly a song has it
_RATIO_DB = (-14.0, 8.0)  # of a source to the strangers that it is put among
_MASK_WEIGHTS = {"log_ratio": 0.25, "excess": 0.5, "compressed": 2.0}
_QUIET = 3e-3  # error under this part of the mixture's energy (-25 dB) is not worth fighting for
_SILENT = 3e-4  # and under this part (-35 dB) where the source is silent: what is absent is to stay absent


@dataclass
class Items:
    """What a batch is made of: compressed mels [batch, tracks, bands, mel frames], and what asks for each source.

    Attributes:
        mels: The mels.
        phrases: That name the source of each item, the plainest first.
        labels: Of the source of each item, str [batch].
        silent: Which sources are silent, bool [batch]: they have no sound of their own that could ask for them.
    """

    mels: Tensor
    phrases: list[Sequence[str]]
    labels: np.ndarray
    silent: np.ndarray


class DenoiserRecipe:
    """Batches of triplets under text and audio conditions.

    Args:
        model: What is trained; the batches go where it lies.
        spectral: The fitted autoencoder.
        conditioner: The trained towers, fixed here.
        pool: Pre-encoded triplets.
        batch: Items a batch.
        extraction: Share of them that are extraction.
        held: Triplets held out from training, for `scores`.
    """

    rate_hz = 44100

    def __init__(
        self,
        model: Denoiser,
        spectral: SpectralAutoencoder,
        conditioner: EmbeddedConditioner,
        pool: Triplets,
        batch: int = 24,
        extraction: float = 0.5,
        held: Triplets | None = None,
    ):
        self.model, self.pool, self.batch, self.extraction = model, pool, batch, round(batch * extraction)
        self.device = next(model.parameters()).device
        self.spectral, conditioner = spectral.eval().to(self.device), conditioner.eval().to(self.device)
        self.moves = transpositions(self.spectral.centres_hz, SEMITONES).to(self.device)
        self.conditions = Conditions(conditioner, pool)
        self.tracks = near((pool.mixtures, pool.rests, pool.sources), self.device)  # in the order of `Track`
        self.plain, self.pieces = pool.plain, np.isin(pool.labels.astype(str), KIT)
        bins = (spectral.filters > 0).sum(1).float()
        self.silence = float(spectral.compress(torch.zeros(())))
        self.energy = (bins / bins.sum())[:, None]  # what a band adds to the energy of the sound
        chances = pool.chances(np.where(self._levels_db() < _FAINT_DB, _FAINT, 1.0))
        # A new part is never to be silence, nor to go its own way: it learns from what plays with its own song alone.
        fitting = chances * ~(pool.strange | pool.absent(np.arange(len(pool))))
        self.chances, self.fitting = (_summed(x) for x in (chances, fitting if fitting.any() else chances))
        self.held = None if held is None else DenoiserRecipe(model, spectral, conditioner, held)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Scalars]:
        """Velocity loss on unknown parts, plus the mask losses on the extraction part."""
        extracted = self.extraction
        rows = self._draw(rng)
        with torch.autocast(self.device.type, enabled=False):
            items = self._items(rows, rng)
            mels = items.mels  # [batch, tracks, bands, mel frames]
            latents = self.spectral.encode_mel(mels.flatten(0, 1)).unflatten(0, mels.shape[:2])  # [batch, tracks, c, f]
        conditions = self.conditions.draw(items, extracted, rng)
        known, tau = training_timesteps(rng, self.batch, latents.shape[-1])  # [batch, tracks, f], [batch]
        known[:extracted], tau[:extracted] = False, 1.0
        known[:extracted, Track.MIXTURE] = True
        known, tau = (there(x, self.device) for x in (known, tau))
        predicted, target = self._velocity(latents, known, tau, conditions)
        unknown = ~known[:, :, None]  # [batch, tracks, 1, f]
        squared = (predicted - target).square().mean(2, keepdim=True) * unknown  # [batch, tracks, 1, f]
        count = unknown.sum((1, 2, 3)).float()  # [batch]
        diffusion = squared[extracted:].sum() / count[extracted:].sum().clamp(min=1)
        regression = squared[:extracted].sum() / count[:extracted].sum().clamp(min=1)
        with torch.autocast(self.device.type, enabled=False):
            masks = self._mask_losses(mels[:extracted], -predicted[:extracted])
        total = diffusion + regression + sum(_MASK_WEIGHTS[key] * value for key, value in masks.items())
        parts = {"diffusion": diffusion, "regression": regression, **masks}
        return total, {name: part.detach() for name, part in parts.items()}

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        """Rows of a batch: those to be extracted from anything, then new parts, which follow their own song."""
        counts = ((self.extraction, self.chances), (self.batch - self.extraction, self.fitting))
        return np.concatenate([sums.searchsorted(rng.random(count), side="right") for count, sums in counts])

    def _items(self, rows: np.ndarray, rng: np.random.Generator) -> Items:
        """Items varied; some sources among strangers, some of which are left out."""
        items = self._as_they_lie(rows)
        moved = self._move(items, rows, rng)
        items.mels = vary(items.mels, moved, self.moves, self.spectral.config.power, rng)
        strange = there(np.flatnonzero(moved), self.device)
        source, rest = items.mels[strange, Track.SOURCE], items.mels[strange, Track.SUBMIXTURE]
        ratio_db = self._ratio_db(source, rest)
        sounds = there(~items.silent[moved], self.device) & (ratio_db.abs() < 40)  # nothing is made of silence
        gain_db = torch.where(sounds, ratio_db.clamp(*_RATIO_DB) - ratio_db, 0)
        source = source * 10 ** (gain_db / 20 * self.spectral.config.power)[:, None, None]
        items.mels[strange, Track.SOURCE] = source
        items.mels[strange, Track.MIXTURE] = mixed(source, rest, self.spectral)
        return items

    def _ratio_db(self, source: Tensor, rest: Tensor) -> Tensor:
        """Level of sources over rests in dB [batch], of compressed mels [batch, bands, mel frames]; infinite or none
        where one is silent.
        """
        first, second = (self.energy_of(self.spectral.expand(mel)) for mel in (source, rest))
        return 10 * (first / second).log10()

    def _levels_db(self, each: int = 8, batch: int = 1024) -> np.ndarray:
        """Level of every source over its rest in dB [items], of every `each`th mel frame: enough to tell faint ones."""
        rests, sources = (self.tracks[track][..., ::each] for track in (Track.SUBMIXTURE, Track.SOURCE))
        pairs = zip(sources.split(batch), rests.split(batch), strict=True)
        found = [self._ratio_db(*(mel.to(self.device).float() for mel in pair)) for pair in pairs]
        return torch.cat(found).cpu().numpy()

    def _as_they_lie(self, rows: np.ndarray) -> Items:
        phrases = [self.conditions.phrases[row] for row in rows]
        return Items(self._stacked(rows), phrases, self.pool.labels[rows].astype(str), self.pool.absent(rows))

    def _stacked(self, rows: np.ndarray) -> Tensor:
        """Mels [batch, tracks, bands, mel frames] as they lie in the pool."""
        places = there(rows, self.tracks[0].device)
        return torch.stack([track[places] for track in self.tracks], 1).to(self.device).float()

    def _move(self, items: Items, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Put a submixture of another song that lacks its kind beside every second source; bool [batch] says where.

        A network that hears a source among the same few others always learns the song, not the source, and what is
        never missed is found everywhere. Only sources that are to be extracted meet strangers: new parts are to follow
        what they play with.
        """
        wanted = (rng.random(len(rows)) < _AMONG_STRANGERS) & (np.arange(len(rows)) < self.extraction)
        wanted &= self.plain[rows]  # "all but the bass" would mean the strangers too
        wanted &= ~self.pieces[rows] | (rng.random(len(rows)) < 0.5)  # few songs have the rest of a kit for them
        others = rng.integers(len(self.pool), size=(len(rows), _TRIES))
        each = zip(rows, others, wanted, strict=True)
        found = [self._stranger(row, tries) if asked else None for row, tries, asked in each]
        moved = np.array([stranger is not None for stranger in found])
        strangers = [stranger for stranger in found if stranger is not None]
        if strangers:
            others, tracks = (np.array(column) for column in zip(*strangers, strict=True))
            rests = self._stacked(others)[torch.arange(len(others), device=self.device), there(tracks, self.device)]
            items.mels[there(np.flatnonzero(moved), self.device), Track.SUBMIXTURE] = rests
        for item, stranger in enumerate(found):
            if stranger is not None and rng.random() < _MISSING:
                self._leave_out(items, item, *stranger)
        return moved

    def _leave_out(self, items: Items, item: int, other: int, track: Track) -> None:
        """Silence the source of an item among strangers, if a phrase names it and nothing that plays there."""
        label = str(items.labels[item])
        if label in VAGUE:
            return
        heard = self.pool.heard(other, rest=track == Track.SUBMIXTURE)
        if phrases := unmistakable(label, heard, {label: items.phrases[item]}):
            items.phrases[item], items.silent[item] = phrases, True
            items.mels[item, Track.SOURCE] = self.silence

    def _stranger(self, row: int, others: np.ndarray) -> tuple[int, Track] | None:
        """Of the first of `others` that will do: its row, and which of its tracks the source of `row` may join.

        A piece of a kit joins other pieces where there are any: beside no drums any drum would be an answer.
        """
        ways = ((int(other), track) for other in others for track in (Track.MIXTURE, Track.SUBMIXTURE))
        fitting = (way for way in ways if self.pool.can_join(row, way[0], rest=way[1] == Track.SUBMIXTURE))
        if not self.pieces[row]:
            return next(fitting, None)

        def lacks_pieces(way: tuple[int, Track]) -> bool:
            return {*KIT}.isdisjoint(self.pool.heard(way[0], rest=way[1] == Track.SUBMIXTURE))

        return min(fitting, key=lacks_pieces, default=None)

    def _velocity(self, latents: Tensor, known: Tensor, tau: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted and true velocity [batch, tracks, channels, frames]."""
        noise = torch.randn_like(latents)
        noise[tau == 1] = 0  # pure noise tells nothing: extraction leaves it out
        timesteps = tau[:, None, None] * ~known  # [batch, tracks, f]; what is known is clean, at timestep 0
        noised = add_noise(latents, noise, timesteps[:, :, None])
        predicted = self.model(noised.flatten(1, 2), timesteps, conditions)
        return predicted.float().unflatten(1, latents.shape[1:3]), velocity(latents, noise, timesteps[:, :, None])

    def _mask_losses(self, mels: Tensor, estimates: Tensor) -> dict[str, Tensor]:
        """How far the masked mixture is from the ideal mask's: by energies, and by compressed magnitudes.

        `log_ratio` compares the error with the mixture and `excess` with the source: a quiet source under a loud one
        counts as much as any, and an error larger than the source, worse than silence, counts most.
        """
        taken, target, mixture = self._masked(mels, estimates)
        error, whole, source = (self.energy_of(x) for x in (taken - target, mixture, target))
        whole = whole.clamp(min=1e-6)
        quiet, silence = _QUIET * whole, torch.where(source < _SILENT * whole, _SILENT, _QUIET) * whole
        level = mels[:, Track.MIXTURE].mean((1, 2), keepdim=True)
        compressed = (self.spectral.compress(taken) - self.spectral.compress(target)).abs() / level
        return {
            "log_ratio": torch.log10((error + quiet) / quiet).mean(),
            "excess": torch.log10(1 + error / (source + silence)).mean(),
            "compressed": compressed.mean(),
        }

    def _masked(self, mels: Tensor, estimates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Linear magnitudes [batch, bands, mel frames]: what the mask takes, what it should take, and the mixture."""
        mask = mask_of_latents(self.spectral, estimates)
        mixture, rest, source = (self.spectral.expand(mels[:, track]) for track in Track)
        return mixture * mask, mixture * source / (source + rest).clamp(min=1e-9), mixture

    def energy_of(self, magnitudes: Tensor) -> Tensor:
        """Mean energy [batch] of the sound with those linear magnitudes [batch, bands, mel frames]."""
        return (self.energy * magnitudes.square()).mean(2).sum(1)  # [batch]

    def separated(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Of whole windows as in use: magnitudes [batch, bands, mel frames] taken, wanted, and of the mixture."""
        mels, condition = self._stacked(rows), self.conditions.first_phrase(rows)
        latents = self.spectral.encode_mel(mels[:, Track.MIXTURE])
        return self._masked(mels, in_one_step(self.model, latents, condition))

    @torch.no_grad()
    def score(self, rows: np.ndarray, batch: int = 24) -> dict[str, tuple[float, float]]:
        """By label: mean SDR in dB of masked mel magnitudes of `rows`, and the share worse than silence (0 dB)."""
        results: dict[str, list[float]] = {}
        for chunk in np.array_split(rows, max(1, len(rows) // batch)):
            taken, target, _ = self.separated(chunk)
            error, energy = self.energy_of(taken - target), self.energy_of(target)
            sdr_db = 10 * torch.log10(energy / error.clamp(min=1e-12))
            for row, value, heard in zip(chunk, sdr_db.tolist(), (energy > 1e-7).tolist(), strict=True):
                if heard:
                    results.setdefault(str(self.pool.labels[row]), []).append(value)
        return {k: (float(np.mean(v)), float(np.mean(np.array(v) < 0))) for k, v in sorted(results.items())}

    def scores(self, most: int = 240) -> dict[str, float]:
        """Mean SDR over the classes of the held-out triplets, and the mean share worse than silence."""
        if self.held is None:
            return {}
        rows = np.linspace(0, len(self.held.pool) - 1, min(most, len(self.held.pool))).astype(int)
        by_class = np.array(list(self.held.score(rows).values()))
        return {"held_sdr_db": float(by_class[:, 0].mean()), "held_worse_than_silence": float(by_class[:, 1].mean())}

    def sketch(self, rng: np.random.Generator, items: int = 3) -> dict[str, Tensor]:
        """Spectrograms and sound of a few mixtures, of what was taken from each, and of what should have been."""
        shown = self.held or self
        parts: dict[str, Tensor] = {}
        for number, row in enumerate(rng.choice(len(shown.pool), min(items, len(shown.pool)), replace=False)):
            sounds = dict(zip(("taken", "wanted", "mixture"), shown.separated(np.array([row])), strict=True))
            for name, magnitudes in sounds.items():
                mel = self.spectral.compress(magnitudes)  # [1, bands, mel frames]
                where = f"{number} {shown.pool.labels[row]}/{name}"
                parts[f"{where} spectrogram"], parts[where] = mel[0], self.spectral.sound(mel)[0]
        return parts


def _summed(chances: np.ndarray) -> np.ndarray:
    """Chances summed up to 1: where a number from 0 to 1 falls among them is an item drawn by its chance."""
    sums = chances.cumsum()
    return sums / sums[-1]


class Conditions:
    """Text and audio embeddings of a pool's items; all phrases are embedded once, where the towers lie."""

    def __init__(self, conditioner: EmbeddedConditioner, pool: Triplets):
        self.conditioner, self.pool = conditioner, pool
        captions, place = np.unique(pool.captions.astype(str), return_inverse=True)
        apart = [text.split("|") for text in captions.tolist()]  # few, each shared by the items that it names
        self.phrases = [apart[i] for i in place.tolist()]
        distinct = list(dict.fromkeys(phrase for phrases in apart for phrase in phrases))
        self.numbers = {phrase: number for number, phrase in enumerate(distinct)}
        self.texts = conditioner.embed_text(distinct)  # [phrases, dimensions]
        self.prompts = conditioner.embed_prompt(distinct)  # the same, as in use
        labels, plain = pool.labels.astype(str), pool.plain
        self.alone = {label: np.flatnonzero(plain & (labels == label)) for label in np.unique(labels[plain]).tolist()}

    def first_phrase(self, rows: np.ndarray) -> Tensor:
        """What asks for each item in use, by its plainest phrase [batch, dimensions]."""
        return self.prompts[self._places([self.phrases[row][0] for row in rows])]

    def _places(self, phrases: Sequence[str]) -> Tensor:
        return there(np.array([self.numbers[phrase] for phrase in phrases]), self.texts.device)

    def draw(self, items: Items, extraction: int, rng: np.random.Generator) -> Tensor:
        """Conditions [batch, tracks, dimensions]; zeros where dropped.

        In use mixture and submixture have no condition, so those of the first `extraction` items never do.
        """
        mels, count = items.mels, len(items.phrases)
        device = mels.device
        conditions = torch.zeros(count, 3, self.texts.shape[1], device=device)
        conditions[:, Track.SOURCE] = self._asked(items, rng)
        others = mels[extraction:, : Track.SOURCE].flatten(0, 1)  # mixture and submixture of the other items
        kept = there(np.flatnonzero(rng.uniform(0, 1, len(others)) < 0.3), device)
        whole = torch.zeros(len(others), self.texts.shape[1], device=device)
        whole[kept] = self.conditioner.embed_audio(others[kept]).float()
        conditions[extraction:, : Track.SOURCE] = whole.unflatten(0, (-1, 2))
        dropped = rng.uniform(0, 1, count) < 0.15
        dropped[:extraction] = False
        conditions[there(np.flatnonzero(dropped), device)] = 0.0  # of all tracks: what guidance moves away from
        return conditions

    def _asked(self, items: Items, rng: np.random.Generator) -> Tensor:
        """What asks for each source [batch, dimensions]: as in use, words alone, or words and a sound.

        The last are the paper's a c_text + (1 - a) c_audio with a ~ U(0, 1) (PAPER: diffusion). Their sound is the
        source's own or that of another of its kind, of silent ones always another's: if only words asked for what is
        not there, the network would learn that whatever a sound asks for is.
        """
        count, device = len(items.phrases), items.mels.device
        drawn = zip(items.phrases, (rng.random(count) ** 2).tolist(), strict=True)  # the plainest are typed most
        places = self._places([phrases[int(chance * len(phrases))] for phrases, chance in drawn])
        kind, share = rng.random(count), rng.random((count, 1)).astype(np.float32)
        asked = torch.where(there(kind < _IN_USE, device)[:, None], self.prompts[places], self.texts[places])
        others = np.array([self._another(label, rng) for label in items.labels.tolist()])
        is_own = (others < 0) | (~items.silent & (rng.random(count) < 0.5))
        mixed = (kind > _IN_USE + _WORDS) & ~(is_own & items.silent)
        if mixed.any():
            where = there(np.flatnonzero(mixed), device)
            sounds = items.mels[where, Track.SOURCE]
            heard = there(self.pool.sources[others[mixed & ~is_own]], device)
            sounds[there(np.flatnonzero(~is_own[mixed]), device)] = heard.float()
            audio = self.conditioner.embed_audio(sounds).float()
            asked[where] = torch.lerp(audio, asked[where], there(share[mixed], device))
        return asked

    def _another(self, label: str, rng: np.random.Generator) -> int:
        """A row whose source is of that label and sounds; -1 of labels that say nothing, and of unions."""
        rows = self.alone.get(label)
        return -1 if rows is None or label in VAGUE else int(rows[int(rng.random() * len(rows))])
