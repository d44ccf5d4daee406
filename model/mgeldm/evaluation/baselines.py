"""What an extracted stem has to beat. Each takes the mixture [channels, samples] and gives an estimate of its shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.ndimage
import scipy.signal

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
    harmonic = scipy.ndimage.median_filter(magnitude, (1, 31))
    percussion = scipy.ndimage.median_filter(magnitude, (31, 1))
    mask = percussion**2 / (percussion**2 + harmonic**2 + 1e-12)
    _, estimate = scipy.signal.istft(stft * mask, rate_hz, nperseg=_FFT, noverlap=_FFT - _HOP)
    return estimate[:, : audio.shape[1]]


def ideal_mask(audio: np.ndarray, source: np.ndarray, rate_hz: int) -> np.ndarray:
    """The ideal ratio mask of one STFT on all channels: an oracle."""
    whole, part = (scipy.signal.stft(x, rate_hz, nperseg=_FFT, noverlap=_FFT - _HOP)[2] for x in (audio, source))
    wanted, rest = np.abs(part).mean(0), np.abs(whole - part).mean(0)
    mask = wanted / (wanted + rest + 1e-12)
    _, estimate = scipy.signal.istft(whole * mask, rate_hz, nperseg=_FFT, noverlap=_FFT - _HOP)
    return estimate[:, : audio.shape[1]]


BASELINES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "mixture": mixture,
    "silence": silence,
    "percussive": percussive,
    "low-pass": low_pass,
}
