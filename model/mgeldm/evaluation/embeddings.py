"""Spaces in which sounds are compared: the model's own audio tower, LAION's CLAP, and VGGish."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..audio import AudioClip, resample
from ..conditioning import Conditioner
from ..errors import FAULTS, CheckpointError
from ..nn.spectral import MIXTURE_RMS
from ..pipeline import Pipeline

TOWER_S = 128 / 43.07  # what the embedded audio tower was trained on
CLAP_S = 5.0
_VGGISH_HZ, _VGGISH_HOP, _VGGISH_WINDOW, _VGGISH_FRAMES = 16000, 160, 400, 96


class Embedding(Protocol):
    """Sounds to points, one a stretch of a fixed length."""

    name: str

    def __call__(self, clip: AudioClip) -> np.ndarray:
        """Points [stretches, dimensions] of a clip's mono sum, brought to one level."""
        ...


class Tower:
    """The audio side of the conditioner that the model understands text through.

    Args:
        pipeline: The model.
    """

    def __init__(self, pipeline: Pipeline):
        self.pipeline = pipeline
        self.name = "our tower" if pipeline.config.is_embedded else "CLAP"

    def __call__(self, clip: AudioClip) -> np.ndarray:
        conditioner = self.pipeline.conditioner
        if conditioner.audio_input == "audio":
            return _of_audio(conditioner, clip)
        config = self.pipeline.config
        per = config.samples_per_frame
        mono = _mono(clip, config.rate_hz)
        parts = _stretches(mono, round(TOWER_S * config.rate_hz / per) * per)
        mel = self.pipeline.compute.map(self.pipeline.model.autoencoder.mel, torch.from_numpy(parts))
        return conditioner.embed_audio(mel).cpu().numpy()


class Clap:
    """LAION's CLAP, whose music checkpoint the paper's second FAD uses.

    Args:
        folder: Its weights, see `conditioning.clap`.

    Raises:
        CheckpointError: A file is missing, damaged or foreign, or transformers is not installed.
    """

    name = "CLAP"

    def __init__(self, folder: Path):
        from ..conditioning.clap import ClapConditioner

        self.conditioner = ClapConditioner.load(folder)

    def __call__(self, clip: AudioClip) -> np.ndarray:
        return _of_audio(self.conditioner, clip)


class Vggish:
    """VGGish (Hershey et al. 2017), whose 128 numbers before the last activation are what FAD was defined on.

    Args:
        path: torchvggish's tensors (a .pth file); its PCA is not used, as in the definition of FAD.

    Raises:
        CheckpointError: The file is missing, damaged or foreign.
    """

    name = "VGGish"

    def __init__(self, path: Path):
        with torch.device("meta"):
            self.network = VggishNetwork().eval()
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.network.load_state_dict({name: state[name] for name in self.network.state_dict()}, assign=True)
        except FAULTS as error:
            told = f"{path} does not hold VGGish's tensors ({error}); give torchvggish's file."
            raise CheckpointError(told) from error

    @torch.inference_mode()
    def __call__(self, clip: AudioClip) -> np.ndarray:
        return self.network(torch.from_numpy(vggish_input(_mono(clip, _VGGISH_HZ)))).numpy()


class VggishNetwork(nn.Module):
    """Log mels [batch, 96, 64] to points [batch, 128]; tensors are named as torchvggish names them."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for channels in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0):  # 0 is a maximum over two by two
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()] if channels else [nn.MaxPool2d(2)]
            width = channels or width
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 128)
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        """[batch, 96, 64] to [batch, 128]."""
        x = self.features(log_mel[:, None])  # [batch, 512, 6, 4]
        return self.embeddings(x.permute(0, 2, 3, 1).flatten(1))  # channels last, as TensorFlow flattens


def vggish_input(mono: np.ndarray) -> np.ndarray:
    """VGGish's log mel spectrograms float32 [n, 96, 64] of each 0.96 s of sound at 16 kHz [samples]; log(mel + 0.01).

    Frames overlap, so the last two of each 96 reach into the next 0.96 s. A sound too short for 96 frames is padded.
    """
    least = (_VGGISH_FRAMES - 1) * _VGGISH_HOP + _VGGISH_WINDOW
    padded = np.pad(mono, (0, max(0, least - len(mono))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _VGGISH_WINDOW)[::_VGGISH_HOP]
    count = len(frames) // _VGGISH_FRAMES
    periodic_hann = 0.5 - 0.5 * np.cos(2 * np.pi / _VGGISH_WINDOW * np.arange(_VGGISH_WINDOW))
    magnitude = np.abs(np.fft.rfft(frames[: count * _VGGISH_FRAMES] * periodic_hann, 512))  # [frames, 257]
    bins = _htk_mel(np.linspace(0, _VGGISH_HZ / 2, 257))[:, None]
    edges = np.linspace(_htk_mel(125.0), _htk_mel(7500.0), 66)
    low, centre, high = edges[None, :-2], edges[None, 1:-1], edges[None, 2:]
    filters = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clip(0)  # [257, 64]
    filters[0] = 0
    log_mel = np.log(magnitude @ filters + 0.01).astype(np.float32)
    return log_mel.reshape(count, _VGGISH_FRAMES, -1)  # [frames, 64] -> [n, 96, 64]


def _htk_mel(hz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)


def _mono(clip: AudioClip, rate_hz: int) -> np.ndarray:
    """The mono sum float32 [samples] at a rate, at the level that models know."""
    mono = resample(clip.samples.mean(0, keepdims=True), clip.rate_hz, rate_hz)[0]
    level = float(np.sqrt(np.square(mono, dtype=np.float64).mean()))
    return (mono * (MIXTURE_RMS / level if level > 1e-5 else 1.0)).astype(np.float32)


def _stretches(mono: np.ndarray, size: int) -> np.ndarray:
    """Mono [samples] in stretches [n, size] without overlap; the last whole one ends it, a short sound is padded."""
    count = max(1, len(mono) // size)
    return np.pad(mono, (0, max(0, size - len(mono))))[: count * size].reshape(count, size)


def _of_audio(conditioner: Conditioner, clip: AudioClip) -> np.ndarray:
    parts = _stretches(_mono(clip, 48000), round(CLAP_S * 48000))
    return torch.cat([conditioner.embed_audio(torch.from_numpy(part[None])) for part in parts]).cpu().numpy()


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two clouds of points [n, dimensions] taken as normal distributions (FAD: arXiv 1812.08466).

    |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)). The last trace is the sum of the singular values of the centred clouds'
    product, so no root of a matrix is needed and fewer points than dimensions are no trouble.

    Raises:
        ValueError: A cloud has fewer than two points.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError("a distribution needs two points at least")
    a, b = a.astype(np.float64), b.astype(np.float64)
    centred_a, centred_b = ((x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (a, b))
    spread = np.square(centred_a).sum() + np.square(centred_b).sum()
    shared = np.linalg.svd(centred_a @ centred_b.T, compute_uv=False).sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + spread - 2 * shared)


def points(embedding: Embedding, clips: Iterable[AudioClip]) -> np.ndarray:
    """Points [n, dimensions] of many clips."""
    return np.concatenate([embedding(clip) for clip in clips])
