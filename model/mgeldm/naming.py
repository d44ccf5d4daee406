"""Names of files that are written aside first: nothing is seen under its own name before it is whole."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

PART = ".part"
"""The end of the names of what is still being written aside."""
_PATIENCE_S = 2.0 if os.name == "nt" else 0.0
_PAUSE_S = 0.05


def aside_of(path: Path) -> Path:
    """A name beside `path` under which it can be written before it appears."""
    return path.with_name(f".{secrets.token_hex(6)}{PART}")


def give_name(aside: Path, path: Path) -> None:
    """Rename a file or folder, in place of a file of that name.

    On Windows what has just been written is held for a moment by virus scanners and by what synchronises folders:
    there it is tried again for two seconds.

    Raises:
        OSError: It cannot be renamed.
    """
    began_s = time.monotonic()
    while True:
        try:
            os.replace(aside, path)
            return
        except PermissionError:
            if time.monotonic() - began_s >= _PATIENCE_S:
                raise
        time.sleep(_PAUSE_S)
