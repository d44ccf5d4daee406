"""The files that come with the program: in a checkout at its root, once installed beside the code (`setup.py`)."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_INSTALLED = _HERE / "resources"
RESOURCES = _INSTALLED if _INSTALLED.is_dir() else _HERE.parents[1] / "resources"
EMBEDDED_PATH = RESOURCES / "embedded" / "model.safetensors"
CHECKSUMS = EMBEDDED_PATH.with_name("SHA256SUMS")
WORD_TABLE = EMBEDDED_PATH.with_name("words.safetensors")
DEMO_SONG = RESOURCES / "demo" / "demo.flac"
ICONS = RESOURCES / "icons"
TRANSLATIONS = RESOURCES / "translations"
APP_ICON = RESOURCES / "app.svg"
