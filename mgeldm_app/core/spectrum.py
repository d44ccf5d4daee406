"""Spectrograms for drawing: power over time on a logarithmic scale of frequency, as bytes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .peaks import Read

BANDS = 128
LOWEST_HZ, HIGHEST_HZ = 40.0, 16000.0
FLOOR_DB, CEILING_DB = -84.0, -20.0  # drawn as 0 and 255; a full-scale sine has 0 dB
TILE_COLUMNS = 256
MOST_LOOKS = 2  # windows a column at most, so that far views stay quick
WINDOW_S, SHORT_WINDOW_S = 0.093, 0.046  # long windows tell notes apart, short ones beats
_AT_ONCE = 64  # windows transformed together: what the cache holds

Image = npt.NDArray[np.uint8]
"""Loudness [bands, columns], lowest band first."""


def hop_of(samples_per_pixel: float) -> int:
    """Samples a column, a power of two: the closest below a pixel, so that tiles serve a range of zooms."""
    return 1 << max(6, int(np.log2(max(samples_per_pixel, 1.0))))


def window_samples(rate_hz: int, hop_samples: int) -> int:
    """Length of the Fourier window: a power of two, shorter in close views."""
    length_s = SHORT_WINDOW_S if hop_samples < SHORT_WINDOW_S / 4 * rate_hz else WINDOW_S
    return max(64, 1 << round(np.log2(length_s * rate_hz)))


@lru_cache(maxsize=8)
def bands(rate_hz: int, window: int) -> npt.NDArray[np.float32]:
    """Weights [bands, bins] that gather power into bands: triangles between their neighbours, a bin wide at least.

    Wide bands weigh less by the root of their width: halfway between showing tones and showing noise as they are.
    """
    highest = min(HIGHEST_HZ, 0.49 * rate_hz)
    centres = np.geomspace(min(LOWEST_HZ, highest / 8), highest, BANDS) * window / rate_hz  # in bins
    width = np.maximum(np.gradient(centres), 1.0)[:, None]
    weights = np.clip(1 - np.abs(np.arange(window // 2 + 1)[None] - centres[:, None]) / width, 0, None)
    return (weights / np.sqrt(width)).astype(np.float32)


def tile(read: Read, rate_hz: int, hop_samples: int, index: int) -> Image:
    """Columns `index` * 256 to (`index` + 1) * 256 of a spectrogram [bands, 256]; slow, for a worker.

    Args:
        read: The samples, silence outside of the song.
        rate_hz: Their rate.
        hop_samples: Samples a column.
        index: Which tile; the first begins at sample 0.

    Raises:
        AudioError: The samples cannot be read.
    """
    window = window_samples(rate_hz, hop_samples)
    looks = min(MOST_LOOKS, max(1, 2 * hop_samples // window))
    first = index * TILE_COLUMNS * hop_samples
    centres = first + (np.arange(TILE_COLUMNS * looks) + 0.5) * hop_samples / looks
    starts = np.round(centres).astype(np.int64) - window // 2  # [columns * looks]
    power = np.concatenate([
        _power(_windows(read, starts[at : at + _AT_ONCE], window), rate_hz) for at in range(0, len(starts), _AT_ONCE)
    ])
    power = power.reshape(TILE_COLUMNS, looks, BANDS).max(axis=1).T  # [bands, columns]
    decibels = 10 * np.log10(np.maximum(np.nan_to_num(power), 1e-12))
    return np.clip(255 * (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB), 0, 255).astype(np.uint8)


def _windows(read: Read, starts: npt.NDArray[np.int64], window: int) -> npt.NDArray[np.float32]:
    """Stretches [channels, starts, window] of the samples; those that touch are read at once."""
    if starts[-1] - starts[0] > window * len(starts):
        return np.stack([read(int(start), int(start) + window).T for start in starts], axis=1)
    block = np.ascontiguousarray(read(int(starts[0]), int(starts[-1]) + window).T)  # [channels, samples]
    return np.lib.stride_tricks.sliding_window_view(block, window, axis=1)[:, starts - starts[0]]


def _power(windows: npt.NDArray[np.float32], rate_hz: int) -> npt.NDArray[np.float32]:
    """Power [windows, bands] of stretches [channels, windows, window], averaged over channels."""
    from scipy.fft import rfft  # late: it takes a while to import

    length = windows.shape[2]
    shape = np.hanning(length).astype(np.float32)
    spectra = rfft(windows * shape, axis=2) * (2 / shape.sum())  # [channels, windows, bins]
    power = np.square(spectra.real) + np.square(spectra.imag)
    return power.mean(axis=0) @ bands(rate_hz, length).T
