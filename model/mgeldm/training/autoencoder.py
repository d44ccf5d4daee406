"""The autoencoder recipes: the embedded model's decoder, and Oobleck at any size; adversarial where a critic is given.

The embedded encoder is a projection that `SpectralAutoencoder.fit` finds at once; only its ISTFT decoder, where it has
one, is trained, on what the projection leaves. Oobleck is trained whole, with weight norm, which is folded away after.
Losses: multi-resolution STFT and mel, discriminators' marks and features, KL (PAPER: training).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ..errors import InputError
from ..nn.bottleneck import kl
from ..nn.oobleck import OobleckAutoencoder
from ..nn.spectral import SpectralAutoencoder
from .discriminators import Discriminators, StftDiscriminator
from .loop import Scalars
from .losses import MEL_SIZES, feature_matching, fooling, magnitudes, mel_loss, multi_resolution, telling_apart
from .sounds import Sounds

_STFT_SIZES = (2048, 1024, 512, 256, 128)
_PAPER_STFT_SIZES = (2048, 1024, 512, 256, 128, 64, 32)
_SHOWN_SIZE, _SHOWN_POWER = 1024, 0.3  # of the STFT that a picture shows, and of its magnitudes


@dataclass(frozen=True)
class Weights:
    """What each loss counts. The default is spectral only; `PAPER_WEIGHTS` needs a critic."""

    stft: float = 1.0
    mel: float = 0.0
    adversarial: float = 0.0
    features: float = 0.0
    kl: float = 0.0


PAPER_WEIGHTS = Weights(stft=1.0, adversarial=0.12, features=5.0, kl=1e-4)


class AutoencoderRecipe(ABC):
    """Batches of short crops, reconstructed and judged.

    Args:
        model: What is trained; the batches go where it lies.
        sounds: Where crops come from.
        batch: Crops a batch.
        samples: Length of a crop.
        weights: What the losses count.
        critic: Discriminators, if the losses need them.
    """

    channels = 1
    sizes: tuple[int, ...] = _STFT_SIZES
    heard_as_it_sounds = False
    """Whether STFT losses are A-weighted."""

    def __init__(
        self,
        model: nn.Module,
        sounds: Sounds,
        batch: int,
        samples: int,
        weights: Weights = Weights(),
        critic: Discriminators | None = None,
    ):
        self.model, self.sounds, self.batch, self.samples = model, sounds, batch, samples
        self.weights, self.critic, self.rate_hz = weights, critic, sounds.rate_hz
        self.device = next(model.parameters()).device
        self._last: tuple[Tensor, Tensor] | None = None  # audio and what was made of it, for `critic_loss`

    @abstractmethod
    def reconstruct(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of audio [batch, channels, samples]: what was made, what it is to be, both of one shape, and the KL loss."""

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Scalars]:
        """Weighted sum of the losses of one batch."""
        drawn = self.sounds.draw(rng, self.batch, self.samples, self.channels)
        made, audio, divergence = self.reconstruct(torch.from_numpy(drawn).to(self.device))
        made, weights = made.float(), self.weights
        flat_made, flat = made.flatten(0, 1), audio.flatten(0, 1)  # [batch * channels, samples]
        heard = self.rate_hz if self.heard_as_it_sounds else None
        with torch.autocast(self.device.type, enabled=False):  # logarithms want single precision
            parts = {"stft": multi_resolution(flat_made, flat, self.sizes, heard)}
            if weights.mel:
                parts["mel"] = mel_loss(flat_made, flat, self.rate_hz)
        if weights.kl:
            parts["kl"] = divergence
        if self.critic is not None:
            with _still(self.critic):
                marks, layers = self.critic(made)
                with torch.no_grad():
                    _, wanted = self.critic(audio)
            parts |= {"adversarial": fooling(marks), "features": feature_matching(wanted, layers)}
            self._last = audio, made.detach()
        total = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    def critic_loss(self) -> Tensor:
        """Hinge loss of the critic on what `loss` made last."""
        assert self.critic is not None and self._last is not None
        audio, made = self._last
        (real, _), (false, _) = self.critic(audio), self.critic(made)
        return telling_apart(real, false)

    def sketch(self, rng: np.random.Generator, items: int = 3) -> dict[str, Tensor]:
        """Spectrograms and sound of a few crops and of what is made of them."""
        drawn = self.sounds.draw(rng, items, self.samples, self.channels)
        made, audio, _ = self.reconstruct(torch.from_numpy(drawn).to(self.device))
        parts: dict[str, Tensor] = {}
        for name, several in (("made", made), ("wanted", audio)):
            for number, sound in enumerate(several.mean(1)):  # [samples]
                parts |= pictured(f"{number}/{name}", sound)
        return parts

    def _longest(self) -> int:
        """Samples of the longest STFT that a crop is judged by."""
        mels = [size for size, _ in MEL_SIZES] if self.weights.mel else []
        scales = [] if self.critic is None else self.critic.modules()
        return max(*self.sizes, *mels, *(scale.size for scale in scales if isinstance(scale, StftDiscriminator)))


def pictured(name: str, sound: Tensor) -> dict[str, Tensor]:
    """A sound [samples] and its spectrogram [bins, frames], as `board.Board` takes them."""
    return {f"{name} spectrogram": magnitudes(sound[None], _SHOWN_SIZE)[0] ** _SHOWN_POWER, name: sound}


@contextmanager
def _still(critic: nn.Module) -> Iterator[None]:
    """The critic judges without learning: gradients pass through it, and none stay."""
    critic.requires_grad_(False)
    try:
        yield
    finally:
        critic.requires_grad_(True)


class DecoderRecipe(AutoencoderRecipe):
    """The embedded form's decoder network.

    Args:
        spectral: The fitted autoencoder, whose decoder is trained.
        sounds: At the model's rate.
        batch: Crops a batch.
        crop_frames: Latent frames a crop.
        weights: What the losses count.
        critic: Discriminators, if the losses need them.

    Raises:
        InputError: The model has no decoder network, or a crop is too short for the losses.
    """

    def __init__(
        self,
        spectral: SpectralAutoencoder,
        sounds: Sounds,
        batch: int = 12,
        crop_frames: int = 8,
        weights: Weights = Weights(),
        critic: Discriminators | None = None,
    ):
        config = spectral.config
        if spectral.decoder is None:
            raise InputError(
                "This model finds its phases without a network; give decoder_depth in [model.autoencoder]."
            )
        frame = config.hop_samples * config.frames_per_mel * config.mels_per_latent
        super().__init__(spectral.decoder, sounds, batch, crop_frames * frame, weights, critic)
        self.spectral = spectral.to(self.device)
        least = (2 * config.fft_samples + self._longest() // 2) // frame + 1  # without the edges an STFT still fits
        if crop_frames < least:
            raise InputError(f"crop_frames is {crop_frames}, too short to be judged; give {least} or more.")

    def reconstruct(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `AutoencoderRecipe`; the edges, where the STFT sees silence, are left out."""
        audio = audio[:, 0]
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            mel = self.spectral.decode_mel(self.spectral.encode_mel(self.spectral.mel(audio)))
        margin = self.spectral.config.fft_samples
        inside = slice(margin, -margin)
        with torch.autocast(self.device.type, enabled=False):  # phases and exponentials want single precision
            made = self.model(mel)
        return made[:, None, inside], audio[:, None, inside], audio.new_zeros(())


class OobleckRecipe(AutoencoderRecipe):
    """Oobleck: encoder, variational bottleneck and decoder.

    Args:
        model: With weight norm, see `weight_normed`.
        sounds: At the model's rate.
        batch: Crops a batch.
        samples: Length of a crop, a multiple of the ratio.
        weights: What the losses count.
        critic: Discriminators of as many channels, if the losses need them.

    Raises:
        InputError: The model or the losses cannot take crops of that length.
    """

    sizes = _PAPER_STFT_SIZES
    heard_as_it_sounds = True

    def __init__(
        self,
        model: OobleckAutoencoder,
        sounds: Sounds,
        batch: int = 16,
        samples: int = 32768,
        weights: Weights = PAPER_WEIGHTS,
        critic: Discriminators | None = None,
    ):
        super().__init__(model, sounds, batch, samples, weights, critic)
        self.oobleck, self.channels = model, model.config.audio_channels
        ratio, most = math.prod(model.config.strides), self._longest() // 2
        if samples % ratio or samples <= most:
            raise InputError(f"samples is {samples}; give a multiple of {ratio}, and more than {most} to be judged.")

    def reconstruct(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `AutoencoderRecipe`; latents are drawn from the posterior."""
        mean, stdev = self.oobleck.encode_posterior(audio)
        latents = mean + stdev * torch.randn_like(mean)
        return self.oobleck.decode(latents), audio, kl(mean.float(), stdev.float())


def weight_normed(model: OobleckAutoencoder) -> OobleckAutoencoder:
    """The same model with every convolution's weight as a length and a direction for each row."""
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            weight_norm(module)
    return model


def folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a model in weight norm as that of a plain one."""
    plain = {}
    for name, value in state.items():
        if name.endswith("parametrizations.weight.original0"):
            base = name.removesuffix("parametrizations.weight.original0")
            direction = state[f"{base}parametrizations.weight.original1"]
            axes = tuple(range(1, direction.ndim))
            plain[f"{base}weight"] = value * direction / direction.norm(dim=axes, keepdim=True)
        elif ".parametrizations." not in name:
            plain[name] = value
    return plain
