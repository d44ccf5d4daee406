"""MGE-LDM (arXiv 2505.23305): extraction, imputation, accompaniment and generation as one act of latent inpainting.

`import mgeldm` stays light: torch is imported when one of the lazy names below is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# Where torch shares operations among threads (training, large models; not small ones, see `threads`), GNU's OpenMP lets
# them wait for one another in a busy loop. By default it is so long that an extraction that still worked so took 52 s
# for 2.9 s beside two busy programs; so short it took 2.9 to 3.7 s. Read when torch is loaded.
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
