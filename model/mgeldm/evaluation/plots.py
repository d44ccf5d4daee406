"""Pictures: spectrograms one above the other, and bars by class. matplotlib is imported when the first is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..audio import AudioClip


def spectrograms(path: Path, clips: Mapping[str, AudioClip]) -> None:
    """Draw clips of one length by name, one above the other, on a logarithmic frequency axis."""
    figure, axes = _figure(len(clips), 1, figsize=(12, 2.2 * len(clips)), sharex=True, squeeze=False)
    for axis, (name, clip) in zip(axes[:, 0], clips.items(), strict=True):
        mono = clip.samples.mean(0) + np.random.default_rng(0).normal(0, 1e-7, clip.samples.shape[1])  # no log of zero
        axis.specgram(mono, NFFT=2048, Fs=clip.rate_hz, noverlap=1024, vmin=-120, vmax=-30, cmap="magma")
        axis.set(yscale="log", ylim=(40, min(16000, clip.rate_hz / 2)), ylabel="Hz", title=name)
    axes[-1, 0].set_xlabel("seconds")
    _save(figure, path)


def bars(
    path: Path,
    groups: Sequence[str],
    heights: Mapping[str, Sequence[float]],
    intervals: Mapping[str, Sequence[tuple[float, float]]],
    label: str,
) -> None:
    """Draw a bar a method in each group.

    Args:
        path: The PNG.
        groups: Names along the axis.
        heights: By method, one a group; not a number leaves a gap.
        intervals: By method, where known: low and high of each bar.
        label: Of the vertical axis.
    """
    figure, axes = _figure(1, 1, figsize=(max(6.0, 1.3 * len(groups) + 2), 4.5), squeeze=False)
    axis, width = axes[0, 0], 0.8 / max(len(heights), 1)
    for i, (method, values) in enumerate(heights.items()):
        place = np.arange(len(groups)) + (i - (len(heights) - 1) / 2) * width
        errors = None
        if method in intervals:
            ends = np.array(intervals[method]).T  # [2, groups]
            errors = np.abs(ends - np.asarray(values))
        axis.bar(place, values, width, yerr=errors, label=method, error_kw={"linewidth": 1})
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_xticks(np.arange(len(groups)), groups, rotation=30, ha="right")
    axis.set_ylabel(label)
    axis.legend(fontsize="small", ncols=min(len(heights), 6))
    _save(figure, path)


def _figure(rows: int, columns: int, **options: Any) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, layout="constrained", **options)


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=110)
    plt.close(figure)
