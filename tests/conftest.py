"""Fixtures that several folders share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import mgeldm  # noqa: F401 - before torch: it says how long torch's threads may spin
import numpy as np
import pytest
import torch
from mgeldm.audio import AudioClip
from mgeldm.checkpoint import Model, load_model
from mgeldm.data import corpus
from mgeldm.pipeline import EMBEDDED_PATH, Pipeline
from safetensors.torch import load_file

VECTORS = Path(__file__).parent / "vectors"
_status = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how the tests ended for `pytest_unconfigure`."""
    session.config.stash[_status] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave with the status of the tests, at once.

    Qt, PortAudio and torch in one process are unloaded in an order that nobody chose, and at times one crashes there:
    a process without a word and with another status, after every test has passed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if _status in config.stash:
        os._exit(config.stash[_status])


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
def song() -> corpus.Song:
    """A rendered song of 15 s with its stems, from the synthesisers alone."""
    return corpus.render_song(11, [], 15.0, "test")


@pytest.fixture(scope="session")
def clip(song: corpus.Song) -> AudioClip:
    """Its mixture."""
    return AudioClip(song.mixture.astype(np.float32), song.rate_hz)
