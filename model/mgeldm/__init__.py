"""MGE-LDM (arXiv 2505.23305): extraction, imputation, accompaniment and generation as one act of latent inpainting.

`import mgeldm` stays light: torch is imported when one of the lazy names below is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# OpenMP's threads (GNU's) wait for one another in a busy loop. By default it is so long that two busy programs beside
# make a `standard` extraction of 60 s on two cores take 52 s for 2.9 s; without it (OMP_WAIT_POLICY=PASSIVE) it takes
# 5.6 s always; so short it takes 3.7 s, and 2.9 to 3.3 s beside busy programs. Read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

_LAZY = {
    "AudioClip": "audio",
    "read": "audio",
    "write": "audio",
    "load_model": "checkpoint",
    "Pipeline": "pipeline",
}

__all__ = ["AudioClip", "Pipeline", "__version__", "load_model", "read", "write"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mgeldm' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
