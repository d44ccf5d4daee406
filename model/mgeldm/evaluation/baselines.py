"""What an extracted stem has to beat, and what bounds it.

`BASELINES` take the mixture [channels, samples] and give an estimate of its shape; the oracles know the true source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.ndimage
import scipy.signal
import torch

from ..audio import AudioClip, Samples
from ..pipeline import Pipeline
from ..pipeline.listening import Listener
from ..refine import Estimate, estimate_of_audio, refine

_FFT, _HOP = 2048, 512


def mixture(audio: np.ndarray, rate_hz: int) -> np.ndarray:
    """The mixture itself."""
    return audio


def silence(audio: np.ndarray, rate_hz: int) -> np.ndarray:
    """Nothing; SDR 0 dB."""
    return np.zeros_like(audio)


def low_pass(audio: np.ndarray, rate_hz: int, cutoff_hz: float = 200.0) -> np.ndarray:
    """A fourth-order low-pass without phase shift: a bass anyone can have."""
    sections = scipy.signal.butter(4, cutoff_hz, fs=rate_hz, output="sos")
    return scipy.signal.sosfiltfilt(sections, audio, axis=1)


def percussive(audio: np.ndarray, rate_hz: int) -> np.ndarray:
    """Median-filter harmonic-percussive separation (Fitzgerald 2010): drums anyone can have."""
    _, _, stft = scipy.signal.stft(audio, rate_hz, nperseg=_FFT, noverlap=_FFT - _HOP)
    magnitude = np.abs(stft).mean(0)  # one mask for all channels
    harmonic, percussion = _medians(magnitude), _medians(magnitude.T).T
    mask = percussion**2 / (percussion**2 + harmonic**2 + 1e-12)
    _, estimate = scipy.signal.istft(stft * mask, rate_hz, nperseg=_FFT, noverlap=_FFT - _HOP)
    return estimate[:, : audio.shape[1]]


def _medians(rows: np.ndarray, size: int = 31) -> np.ndarray:
    """Running median along each row; row by row scipy is six times faster than on all at once."""
    return np.stack([scipy.ndimage.median_filter(row, size) for row in rows])


def ideal_mask(audio: np.ndarray, source: np.ndarray, rate_hz: int) -> np.ndarray:
    """The ideal ratio mask of each channel's STFT, as ours listens to each: an oracle."""
    whole, part = (scipy.signal.stft(x, rate_hz, nperseg=_FFT, noverlap=_FFT - _HOP)[2] for x in (audio, source))
    wanted, rest = np.abs(part), np.abs(whole - part)  # [channels, bins, frames]
    mask = wanted / (wanted + rest + 1e-12)
    _, estimate = scipy.signal.istft(whole * mask, rate_hz, nperseg=_FFT, noverlap=_FFT - _HOP)
    return estimate[:, : audio.shape[1]]


@torch.inference_mode()
def latent_limit(pipeline: Pipeline, clip: AudioClip, source: Samples) -> Samples:
    """What a perfect denoiser would give: the ratio mask of true source and rest as the latents keep them.

    Both go through the autoencoder and back, then through the same refinement as an extraction.

    Args:
        pipeline: The model.
        clip: The mixture.
        source: The true source [channels, samples].
    """
    parts = [AudioClip(audio, clip.rate_hz) for audio in (source, clip.samples - source)]
    found = [_kept(pipeline, [listener.on(part) for part in parts]) for listener in pipeline.listeners(clip)]
    return refine(clip, found if len(found) > 1 else found[0])[0][0]


def _kept(pipeline: Pipeline, listeners: Sequence[Listener]) -> Estimate:
    """What the latents keep of a source and of the rest, each heard by its listener."""
    config, autoencoder = pipeline.config, pipeline.model.autoencoder
    heard = np.stack([listener.read(0, listener.frames) for listener in listeners])
    audio = torch.from_numpy(heard).to(pipeline.compute.device)
    latents = autoencoder.encode(audio[:, None])  # [2, channels, frames]
    if not config.is_embedded:
        sound = autoencoder.decode(latents)[:, 0].float().cpu().numpy()  # [2, samples]
        return estimate_of_audio(sound[:1], sound[1], config.rate_hz)
    kept = autoencoder.expand(autoencoder.decode_mel(latents)).cpu().numpy()  # [2, bands, mel frames]
    step_s = listeners[0].frame_s / autoencoder.config.mels_per_latent
    return Estimate(kept[:1], kept[1], autoencoder.centres_hz.cpu().numpy(), step_s, step_s / 2)


BASELINES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "mixture": mixture,
    "silence": silence,
    "percussive": percussive,
    "low-pass": low_pass,
}
