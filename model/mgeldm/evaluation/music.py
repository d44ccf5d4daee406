"""Whether a part fits what it plays with: onsets that fall together, and a key that both are in. Mono at 44.1 kHz."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
import scipy.signal

from ..data.captions import UNPITCHED as UNPITCHED

RATE_HZ = 44100
_HOP_S = 0.01
_ONSET_SPREAD_S = 0.03  # onsets this far apart still count as nearly together
# Krumhansl and Kessler 1982: how well each degree fits a key.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def onset_strength(mono: np.ndarray) -> np.ndarray:
    """Onset strength [frames] at 100 frames a second: spectral flux of log magnitudes above its local mean."""
    hop = round(_HOP_S * RATE_HZ)
    padded = np.pad(mono, (0, max(0, 1024 - len(mono))))
    _, _, stft = scipy.signal.stft(padded, RATE_HZ, nperseg=1024, noverlap=1024 - hop)
    magnitude = np.abs(stft)
    level = np.log1p(magnitude / (magnitude.mean() + 1e-9))
    flux = np.maximum(np.diff(level, axis=1, prepend=level[:, :1]), 0).mean(0)
    return np.maximum(flux - scipy.ndimage.uniform_filter1d(flux, round(0.3 / _HOP_S)), 0)


def onset_agreement(part: np.ndarray, context: np.ndarray) -> float:
    """Correlation of the onset strengths of two mono sounds, each onset blurred to 30 ms; 0 where one has none."""
    length = min(len(part), len(context))
    blurred = [
        scipy.ndimage.gaussian_filter1d(onset_strength(x[:length]), _ONSET_SPREAD_S / _HOP_S) for x in (part, context)
    ]
    return _correlation(*blurred)


def chroma(mono: np.ndarray) -> np.ndarray:
    """Share of each pitch class [12] from 55 Hz to 2 kHz, C first; peaks of each moment's spectrum alone count."""
    padded = np.pad(mono, (0, max(0, 8192 - len(mono))))
    hz, _, stft = scipy.signal.stft(padded, RATE_HZ, nperseg=8192, noverlap=6144)
    kept = (hz >= 55) & (hz <= 2000)
    magnitude = np.abs(stft)
    peaks = magnitude * (magnitude == scipy.ndimage.maximum_filter1d(magnitude, 5, axis=0))
    pitch_class = np.round(12 * np.log2(hz[kept] / 440) + 69).astype(int) % 12
    weights = np.bincount(pitch_class, np.sqrt(peaks[kept]).sum(1), 12)
    return weights / (weights.sum() + 1e-9)


def key_strengths(mono: np.ndarray) -> np.ndarray:
    """Correlation of the chroma with the profiles of the 12 major, then the 12 minor keys [24], C first."""
    found = chroma(mono)
    profiles = [np.roll(profile, key) for profile in (_MAJOR, _MINOR) for key in range(12)]
    return np.array([_correlation(found, profile) for profile in profiles])


def key_agreement(part: np.ndarray, context: np.ndarray) -> float:
    """Correlation of the key strengths of two mono sounds: 1 in one key, about 0 in keys that share nothing."""
    return _correlation(key_strengths(part), key_strengths(context))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-12 else 0.0
