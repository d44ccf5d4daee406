"""Metrics of extracted stems, numpy only. Audio is float [channels, samples]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.signal

LEAST_SONGS = 5
"""Of fewer songs `bootstrap` draws excerpts."""
_ROUNDS = 1000  # draws of a bootstrap
_WINDOW_SUM = 512.0  # of the Hann window of 1024 that log mels are seen through


def sdr_db(source: np.ndarray, estimate: np.ndarray) -> float:
    """10 log10(|s|^2 / |s - s_hat|^2) over all channels and samples, no filter allowed; silence scores 0."""
    error = float(np.square(source - estimate, dtype=np.float64).sum())
    return 10 * float(np.log10((np.square(source, dtype=np.float64).sum() + 1e-12) / (error + 1e-12)))


def si_sdr_db(source: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant SDR over all channels and samples (Le Roux et al. 2019, arXiv 1811.02508).

    Not a number where one of them is exact silence: that has no shape, so it is neither near nor far.
    """
    s, e = source.ravel().astype(np.float64), estimate.ravel().astype(np.float64)
    levels = np.linalg.norm(s), np.linalg.norm(e)
    if not all(levels):
        return float("nan")
    s, e = s / levels[0], e / levels[1]  # so that what is added below is as nothing to quiet sounds too
    target = s * (s @ e)
    return 10 * float(np.log10((target @ target + 1e-12) / (np.square(target - e).sum() + 1e-12)))


def log_mel_l1(source: np.ndarray, estimate: np.ndarray, rate_hz: int) -> float:
    """Mean absolute difference of log-mel spectrograms of the mono sums (PAPER: evaluation).

    The paper does not state its settings; these are 16 kHz, FFT 1024, hop 160, 64 mel bands, natural logarithm of
    magnitudes over the sum of the window, floor 1e-5.
    """
    made, wanted = (_log_mel(x.mean(0), rate_hz) for x in (estimate, source))
    return float(np.abs(made - wanted).mean())


def log_mel_l1_unscaled(source: np.ndarray, estimate: np.ndarray, rate_hz: int) -> float:
    """`log_mel_l1` of magnitudes as librosa and torchaudio scale them, that is, not over the sum of the window.

    Their floor lies that much lower, so that soft sounds count too.
    """
    return log_mel_l1(_WINDOW_SUM * source, _WINDOW_SUM * estimate, rate_hz)


def _log_mel(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    if rate_hz != 16000:
        mono = scipy.signal.resample_poly(mono, 16000, rate_hz)
    _, _, stft = scipy.signal.stft(mono, 16000, nperseg=1024, noverlap=1024 - 160, scaling="spectrum")
    mel_edges = np.linspace(0, _mel(8000.0), 66)
    edges_hz = 700 * (10 ** (mel_edges / 2595) - 1)
    bins_hz = np.linspace(0, 8000, 513)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    filters = np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)).clip(0)
    return np.log(np.maximum(filters @ np.abs(stft), 1e-5))


def _mel(hz: float) -> float:
    return 2595 * float(np.log10(1 + hz / 700))


def bootstrap(values: Sequence[float], rng: np.random.Generator, songs: Sequence[str] = ()) -> tuple[float, float]:
    """95 % interval of the mean, values drawn anew with those of one song together.

    Excerpts of a song are alike, so they tell less than as many songs do. Of fewer than `LEAST_SONGS` songs, or without
    names, each value is drawn alone: the interval is then one of more excerpts of these songs, not of other songs.

    Args:
        values: What the mean is of.
        rng: Source of draws.
        songs: Name of each value's song.
    """
    means = drawn_means(np.array([values]), rng, songs)[0]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def drawn_means(rows: np.ndarray, rng: np.random.Generator, songs: Sequence[str] = ()) -> np.ndarray:
    """Means [measures, _ROUNDS] of several measures [measures, values], drawn anew together as `bootstrap` says."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(songs))}
    places = [numbers[name] for name in songs] if len(numbers) >= LEAST_SONGS else range(rows.shape[1])
    sums, counts = np.stack([np.bincount(places, row) for row in rows]), np.bincount(places)
    drawn = rng.integers(0, len(counts), (_ROUNDS, len(counts)))
    return sums[:, drawn].sum(2) / counts[drawn].sum(1)
