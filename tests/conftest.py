"""Fixtures that several folders share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import mgeldm  # noqa: F401 - before torch: it says how long torch's threads may spin
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from mgeldm.audio import AudioClip
from mgeldm.checkpoint import Model, load_model
from mgeldm.data import corpus
from mgeldm.data.songs import Song
from mgeldm.pipeline import EMBEDDED_PATH, Pipeline
from safetensors.torch import load_file

VECTORS = Path(__file__).parent / "vectors"

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # none is timed
settings.load_profile("any machine")


def pytest_sessionfinish() -> None:
    """Empty the clipboard.

    Qt's offscreen clipboard deletes what it holds when the process ends. If Python made that, PySide 6.10 then asks the
    interpreter for its state, which is gone, and crashes (`Shiboken::Object::destroy` below `exit`).
    """
    widgets = sys.modules.get("PySide6.QtWidgets")
    if widgets and widgets.QApplication.instance():
        widgets.QApplication.clipboard().clear()


@pytest.fixture(scope="session")
def published() -> Model:
    """The miniature checkpoint of the published form."""
    return load_model(VECTORS / "unwrapped_DiT.ckpt")


@pytest.fixture(scope="session")
def vectors() -> dict[str, torch.Tensor]:
    """What the published implementation computes from it."""
    return load_file(VECTORS / "vectors.safetensors")


@pytest.fixture(scope="session")
def agree() -> Callable[[torch.Tensor, torch.Tensor], None]:
    """Asserts agreement within 1e-4 of the largest magnitude."""

    def check(ours: torch.Tensor, theirs: torch.Tensor) -> None:
        assert ours.shape == theirs.shape
        assert float((ours - theirs).abs().max()) < 1e-4 * float(theirs.abs().max())

    return check


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The shipped model, on the CPU."""
    return Pipeline.load(EMBEDDED_PATH, "cpu")


@pytest.fixture(scope="session")
def song() -> Song:
    """A rendered song of 15 s with its stems, from the synthesisers alone."""
    return corpus.render_song(11, [], 15.0, "test")


@pytest.fixture(scope="session")
def clip(song: Song) -> AudioClip:
    """Its mixture."""
    return AudioClip(song.mixture.astype(np.float32), song.rate_hz)
