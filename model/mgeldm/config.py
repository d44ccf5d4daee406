"""Frozen configurations; `from_dict` is strict, so a misspelt key is an error and not a silent default."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from .errors import CheckpointError

_FROM_ZERO = ("decoder_depth", "fmin_hz")  # numbers that may be zero; all others lie above it


@dataclass(frozen=True)
class OobleckConfig:
    """Stable Audio's Oobleck VAE (PAPER: networks). Ratio = product of strides."""

    channels: int = 128
    multiples: tuple[int, ...] = (1, 2, 4, 8, 16)
    strides: tuple[int, ...] = (2, 4, 4, 8, 8)
    latent_channels: int = 64
    audio_channels: int = 1


@dataclass(frozen=True)
class SpectralConfig:
    """The embedded autoencoder: mel patches projected by PCA; `decoder_depth` layers of a decoder network, or none."""

    latent_channels: int = 64
    mel_bands: int = 128
    fmin_hz: float = 20.0
    fmax_hz: float = 18000.0
    fft_samples: int = 2048
    hop_samples: int = 512
    frames_per_mel: int = 2
    mels_per_latent: int = 4
    power: float = 0.3
    decoder_width: int = 192
    decoder_depth: int = 0


@dataclass(frozen=True)
class DenoiserConfig:
    """The joint three-track transformer. `width` counts all tracks together.

    `frame_timesteps` False: the published form (group norm over channels and time, the timestep embedding
    prepended as one token). True: the embedded form (norm per frame, a timestep per track and frame enters the
    AdaLN of that frame).
    """

    latent_channels: int = 64
    tracks: int = 3
    width: int = 1536
    depth: int = 24
    heads: int = 48
    condition_dim: int = 512
    timestep_features: int = 256
    feedforward_multiple: float = 4.0
    frame_timesteps: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """A whole model: rate, window, autoencoder, denoiser, how text becomes a condition."""

    name: str = "published"
    rate_hz: int = 16000
    window_frames: int = 100
    autoencoder: OobleckConfig | SpectralConfig = field(default_factory=OobleckConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    conditioner: str = "clap"

    @property
    def is_embedded(self) -> bool:
        """Whether it is of the embedded form: latents of magnitudes, masks, a timestep per frame."""
        return isinstance(self.autoencoder, SpectralConfig)

    @property
    def samples_per_frame(self) -> int:
        """Audio samples (at `rate_hz`) that one latent frame covers."""
        ae = self.autoencoder
        if isinstance(ae, SpectralConfig):
            return ae.hop_samples * ae.frames_per_mel * ae.mels_per_latent
        ratio = 1
        for stride in ae.strides:
            ratio *= stride
        return ratio

    @property
    def window_samples(self) -> int:
        """Audio samples in one window."""
        return self.window_frames * self.samples_per_frame

    def validate(self) -> None:
        """Raise `CheckpointError` for sizes that no network can be built of, or no sound be cut into."""
        ae, sizes = self.autoencoder, self.denoiser
        for part in (self, ae, sizes):
            _check_numbers(part)
        if sizes.width % (2 * sizes.heads):
            raise CheckpointError(
                "A width of {width} is no even share for each of {heads} attention heads.",
                width=sizes.width,
                heads=sizes.heads,
            )
        if sizes.width % sizes.tracks:
            raise CheckpointError(
                "A width of {width} is no whole share for each of {tracks} tracks.",
                width=sizes.width,
                tracks=sizes.tracks,
            )
        if sizes.latent_channels != ae.latent_channels:
            raise CheckpointError("The model's autoencoder and denoiser do not have the same latent channels.")
        if isinstance(ae, OobleckConfig) and len(ae.multiples) != len(ae.strides):
            raise CheckpointError("The model's autoencoder does not have as many strides as multiples.")


PUBLISHED = ModelConfig()
EMBEDDED = ModelConfig(
    name="embedded",
    rate_hz=44100,
    window_frames=64,
    autoencoder=SpectralConfig(),
    denoiser=DenoiserConfig(
        width=288, depth=12, heads=9, timestep_features=128, feedforward_multiple=2.0, frame_timesteps=True
    ),
    conditioner="embedded",
)


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON-ready data; a union's members carry their class name under `kind`."""
    data: dict[str, Any] = {"kind": type(config).__name__}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        data[f.name] = to_dict(value) if dataclasses.is_dataclass(value) else value
    return data


_KINDS = {c.__name__: c for c in (OobleckConfig, SpectralConfig, DenoiserConfig, ModelConfig)}


def from_dict(data: dict[str, Any]) -> Any:
    """The configuration that `to_dict` wrote.

    Raises:
        CheckpointError: An unknown kind or key, or a value of the wrong type.
    """
    data = dict(data)
    kind = _KINDS.get(str(data.pop("kind", "")))
    if kind is None:
        raise CheckpointError("The model's configuration names no known kind; the file is not a MGE-LDM model.")
    hints = typing.get_type_hints(kind)
    unknown = set(data) - set(hints)
    if unknown:
        raise CheckpointError("The model's configuration has unknown keys ({keys}).", keys=", ".join(sorted(unknown)))
    values = {key: _checked(kind.__name__, key, value, hints[key]) for key, value in data.items()}
    return kind(**values)


def _checked(kind: str, key: str, value: Any, hint: Any) -> Any:
    if isinstance(value, dict):
        value = from_dict(value)
    if isinstance(value, list):
        value = tuple(value)
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (typing.get_origin(hint) or hint,)
    if isinstance(value, int) and not isinstance(value, bool) and float in allowed:
        value = float(value)
    is_mixed = isinstance(value, tuple) and not all(type(each) is int for each in value)  # all tuples are of integers
    if is_mixed or not isinstance(value, tuple(allowed)) or (isinstance(value, bool) and bool not in allowed):
        raise CheckpointError(
            "The model's configuration gives {kind}.{key} as {value}, which has the wrong type.",
            kind=kind,
            key=key,
            value=repr(value),
        )
    return value


def _check_numbers(part: Any) -> None:
    """Refuse what is no number of something: none, less, or not finite."""
    for name, value in vars(part).items():
        for number in value if isinstance(value, tuple) else (value,):
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if is_number and not (math.isfinite(number) and (number > 0 or (number == 0 and name in _FROM_ZERO))):
                raise CheckpointError(
                    "The model's configuration gives {kind}.{key} as {value}, which no model can have; correct it, or "
                    "fetch another copy.",
                    kind=type(part).__name__,
                    key=name,
                    value=repr(value),
                )
