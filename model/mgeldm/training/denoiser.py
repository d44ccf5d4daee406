"""The denoiser recipe of the embedded model: the joint DiT and its refiner, trained together.

Half of a batch is extraction in one step (mixture known, tau = 1), whose estimates go on through the refiner to a mask
and are judged by what the mask takes from the mixture. The other half is the paper's: its four patterns of timesteps,
and time regions known inside unknown tracks (PAPER: diffusion, training).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..conditioning.embedded import EmbeddedConditioner
from ..config import ModelConfig, SpectralConfig
from ..data.latents import Triplets
from ..diffusion import add_noise, velocity
from ..nn.dit import Denoiser
from ..nn.refiner import Refiner
from ..nn.spectral import SpectralAutoencoder
from ..pipeline.extraction import mask_of_latents, source_only
from ..sampling import guided, posterior_mean
from ..tracks import Known, Track, training_timesteps
from .text_audio import equalise

_REFINER_FRAMES = 128
_QUIET = 3e-3  # error under this part of the mixture's energy (-25 dB) is not worth fighting for


class ExtractionModel(nn.Module):
    """Denoiser and refiner as one module, so that the loop trains and saves both."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        assert config.refiner is not None and isinstance(config.autoencoder, SpectralConfig)
        self.denoiser = Denoiser(config.denoiser)
        self.refiner = Refiner(config.refiner, config.autoencoder)


class DenoiserRecipe:
    """Batches of triplets under text and audio conditions.

    Args:
        model: What is trained.
        spectral: The fitted autoencoder.
        conditioner: The trained towers, fixed here.
        pool: Pre-encoded triplets.
        batch: Items a step; half of them extraction.
    """

    def __init__(
        self,
        model: ExtractionModel,
        spectral: SpectralAutoencoder,
        conditioner: EmbeddedConditioner,
        pool: Triplets,
        batch: int = 24,
    ):
        self.model, self.spectral, self.pool, self.batch = model, spectral.eval(), pool, batch
        self.conditions = Conditions(conditioner.eval(), pool)
        counts = {label: int((pool.labels == label).sum()) for label in set(pool.labels.tolist())}
        weights = np.array([counts[label] ** -0.5 for label in pool.labels])  # rare classes are seen more often
        self.weights = weights / weights.sum()
        bins = (spectral.filters > 0).sum(1).float()
        self.energy = (bins / bins.sum())[:, None]  # what a band adds to the energy of the sound

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Velocity loss on unknown parts, plus the two mask losses on the extraction half."""
        rows = rng.choice(len(self.pool), self.batch, p=self.weights)
        mels = self._mels(rows, rng)  # [batch, tracks, bands, mel frames]
        latents = self.spectral.encode_mel(mels.flatten(0, 1)).unflatten(0, mels.shape[:2])  # [batch, tracks, c, f]
        half = self.batch // 2
        known, tau = training_timesteps(rng, self.batch, latents.shape[-1])  # [batch, tracks, f], [batch]
        known[:half], tau[:half] = False, 1.0
        known[:half, Track.MIXTURE] = True
        conditions = self.conditions.draw(rows, mels, half, rng)
        predicted, target = self._velocity(latents, known, tau, conditions)
        unknown = ~known[:, :, None]  # [batch, tracks, 1, f]
        squared = (predicted - target).square().mean(2, keepdim=True)  # [batch, tracks, 1, f]
        diffusion = (squared * unknown)[half:].sum() / unknown[half:].sum()
        regression = (squared * unknown)[:half].sum() / unknown[:half].sum()
        ratio, compressed = self._mask_losses(mels[:half], -predicted[:half], conditions[:half, Track.SOURCE], rng)
        total = diffusion + regression + 0.25 * ratio + 2.0 * compressed
        parts = {"diffusion": diffusion, "regression": regression, "log_ratio": ratio, "compressed": compressed}
        return total, {key: float(value.detach()) for key, value in parts.items()}

    def _mels(self, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Compressed mels [batch, tracks, bands, mel frames], some remixed, all under a random equaliser and gain."""
        parts = (self.pool.mixtures, self.pool.rests, self.pool.sources)  # in the order of `Track`
        mels = torch.from_numpy(np.stack([part[rows] for part in parts], 1)).float()
        for i in range(0, len(rows), 3):
            self._remix(mels[i], rows[i], rng)
        gain_db = torch.from_numpy(rng.normal(0, 3, (len(rows), 1, 1, 1)).astype(np.float32))
        power = self.spectral.config.power
        mels = mels * 10 ** (gain_db / 20 * power)
        shaped = equalise(mels.transpose(1, 2).flatten(2), rng)  # [batch, bands, tracks * frames]
        return shaped.unflatten(2, (3, -1)).transpose(1, 2)

    def _remix(self, mel: Tensor, row: int, rng: np.random.Generator) -> None:
        """Put the source into another song that lacks its kind; energies add, as incoherent sounds' do."""
        other = int(rng.integers(len(self.pool)))
        label = self.pool.labels[row]
        if label == self.pool.labels[other] or label in str(self.pool.others[other]).split("|"):
            return
        gain = float(10 ** (rng.normal(0, 5) / 20))
        rest = self.spectral.expand(torch.from_numpy(self.pool.mixtures[other]).float()) * gain
        source = self.spectral.expand(mel[Track.SOURCE])
        mel[Track.SUBMIXTURE] = self.spectral.compress(rest)
        mel[Track.MIXTURE] = self.spectral.compress((rest.square() + source.square()).sqrt())

    def _velocity(self, latents: Tensor, known: Tensor, tau: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted and true velocity [batch, tracks, channels, frames]."""
        noise = torch.randn_like(latents)
        noise[tau == 1] = 0  # pure noise tells nothing: extraction leaves it out
        timesteps = tau[:, None, None] * ~known  # [batch, tracks, f]; what is known is clean, at timestep 0
        noised = add_noise(latents, noise, timesteps[:, :, None])
        predicted = self.model.denoiser(noised.flatten(1, 2), timesteps, conditions)
        return predicted.unflatten(1, latents.shape[1:3]), velocity(latents, noise, timesteps[:, :, None])

    def _mask_losses(self, mels: Tensor, estimates: Tensor, condition: Tensor, rng) -> tuple[Tensor, Tensor]:
        """How far the masked mixture is from the ideal mask's: log of the energy ratio, and compressed L1."""
        frames = self.spectral.config.mels_per_latent
        start = int(rng.integers(0, estimates.shape[-1] - _REFINER_FRAMES // frames + 1))
        mels = mels[..., start * frames : start * frames + _REFINER_FRAMES]
        estimates = estimates[..., start : start + _REFINER_FRAMES // frames]
        mask = mask_of_latents(self.spectral, self.model.refiner, estimates, condition, mels[:, Track.MIXTURE])
        mixture, target = self._mixture_and_target(mels)
        taken = mixture * mask
        error, whole = (self._energy(x) for x in (taken - target, mixture))
        log_ratio = torch.log10((error + _QUIET * whole) / whole.clamp(min=1e-9)).mean() - np.log10(_QUIET)
        level = mels[:, Track.MIXTURE].mean((1, 2), keepdim=True)
        compressed = ((self.spectral.compress(taken) - self.spectral.compress(target)).abs() / level).mean()
        return log_ratio, compressed

    def _mixture_and_target(self, mels: Tensor) -> tuple[Tensor, Tensor]:
        """Linear magnitudes [batch, bands, mel frames] of the mixture, and what the ideal ratio mask takes from it."""
        mixture, rest, source = (self.spectral.expand(mels[:, track]) for track in Track)
        return mixture, mixture * source / (source + rest).clamp(min=1e-9)

    def _energy(self, magnitudes: Tensor) -> Tensor:
        return (self.energy * magnitudes.square()).mean(2).sum(1)  # [batch]

    @torch.no_grad()
    def score(self, rows: np.ndarray, batch: int = 24) -> dict[str, tuple[float, float]]:
        """By label: mean SDR in dB of masked mel magnitudes of `rows`, and the share worse than silence (0 dB)."""
        results: dict[str, list[float]] = {}
        for chunk in np.array_split(rows, max(1, len(rows) // batch)):
            parts = (self.pool.mixtures, self.pool.rests, self.pool.sources)
            mels = torch.from_numpy(np.stack([part[chunk] for part in parts], 1)).float()
            condition = self.conditions.first_phrase(chunk)
            latents = self.spectral.encode_mel(mels[:, Track.MIXTURE])
            known = Known.nothing(*latents.shape).with_track(Track.MIXTURE, latents)
            estimates = posterior_mean(guided(self.model.denoiser, source_only(condition)), known)
            mask = mask_of_latents(self.spectral, self.model.refiner, estimates, condition, mels[:, Track.MIXTURE])
            mixture, target = self._mixture_and_target(mels)
            error, energy = self._energy(mixture * mask - target), self._energy(target)
            sdr_db = 10 * torch.log10(energy / error.clamp(min=1e-12))
            for row, value, heard in zip(chunk, sdr_db.tolist(), (energy > 1e-7).tolist(), strict=True):
                if heard:
                    results.setdefault(str(self.pool.labels[row]), []).append(value)
        return {k: (float(np.mean(v)), float(np.mean(np.array(v) < 0))) for k, v in sorted(results.items())}


class Conditions:
    """Text and audio embeddings of a pool's items."""

    def __init__(self, conditioner: EmbeddedConditioner, pool: Triplets):
        self.conditioner, self.pool = conditioner, pool
        self.phrases = [str(captions).split("|") for captions in pool.captions]

    def first_phrase(self, rows: np.ndarray) -> Tensor:
        """Text embeddings [batch, dimensions] of each item's plainest phrase."""
        return self.conditioner.embed_text([self.phrases[row][0] for row in rows])

    def draw(self, rows: np.ndarray, mels: Tensor, extraction: int, rng: np.random.Generator) -> Tensor:
        """Conditions [batch, tracks, dimensions]; zeros where dropped.

        The source's is a c_text + (1 - a) c_audio with a ~ U(0, 1) (PAPER: diffusion); a = 1 for most of the first
        `extraction` items, whose mixture and submixture stay without a condition, as in use.
        """
        text = self.conditioner.embed_text([str(rng.choice(self.phrases[row])) for row in rows])
        share = torch.from_numpy(rng.uniform(0, 1, (len(rows), 1)).astype(np.float32))
        share[:extraction][torch.from_numpy(rng.uniform(0, 1, extraction) < 0.7)] = 1.0
        silent = mels[:, Track.SOURCE].amax((1, 2)) < 2 * mels[:, Track.SOURCE].amin()
        share[silent] = 1.0  # silence sounds like nothing: only words can ask for what is absent
        conditions = torch.zeros(len(rows), 3, text.shape[1])
        mixed = share[:, 0] < 1
        conditions[:, Track.SOURCE] = text
        if mixed.any():
            audio = self.conditioner.embed_audio(mels[mixed][:, Track.SOURCE, :, ::2])
            conditions[mixed, Track.SOURCE] = share[mixed] * text[mixed] + (1 - share[mixed]) * audio
        others = mels[extraction:, : Track.SOURCE, :, ::2].flatten(0, 1)  # mixture and submixture of the other items
        kept = torch.from_numpy(rng.uniform(0, 1, (len(others), 1)) < 0.5)
        whole = self.conditioner.embed_audio(others) * kept
        conditions[extraction:, : Track.SOURCE] = whole.unflatten(0, (-1, 2))
        dropped = torch.from_numpy(rng.uniform(0, 1, len(rows)) < 0.15)
        dropped[:extraction] = False
        conditions[dropped, Track.SOURCE] = 0.0
        return conditions
