"""What nobody foresaw: kept in a file, and told to the user with something to send."""

from __future__ import annotations

import contextlib
import platform
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from mgeldm.errors import MgeldmError
from mgeldm.language import later, say

from .settings import settings_path

MOST_BYTES = 1 << 20
UNFORESEEN = later(
    "Something unforeseen happened; your project is saved. If it happens again, copy the diagnostics and send "
    "them to us."
)


def log_path() -> Path:
    """The file of unforeseen errors, beside the settings."""
    return settings_path().with_name("errors.log")


def trace_of(error: BaseException) -> str:
    """Where an error happened, for whoever mends it."""
    return "".join(traceback.format_exception(error))


def report(error: BaseException) -> str:
    """An error with what is needed to understand it; also appended to the log."""
    from mgeldm import __version__

    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} mgeldm {__version__}, {platform.platform()}, {sys.version}\n"
    text += trace_of(error)
    with contextlib.suppress(OSError):
        path = log_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > MOST_BYTES:
            path.replace(path.with_suffix(".old.log"))
        with path.open("a", encoding="utf-8") as log:
            log.write(text + "\n")
    return text


def explained(error: BaseException) -> tuple[str, str]:
    """What an error says to the user, "" where that is nothing to them; and of one nobody foresaw a report to copy."""
    if isinstance(error, MgeldmError):
        return str(error), ""
    if isinstance(error, OSError):
        return say("That did not work: {why}; check the disk and its rights.", why=error.strerror or error), ""
    return "", report(error)


def install(tell: Callable[[str, str], None]) -> Callable[[], None]:
    """Report every unforeseen error from now on; returns a function that ends this.

    Args:
        tell: Receives a sentence for the user and the report. Called on the thread where it happened.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        if issubclass(kind, Exception):
            tell(say(UNFORESEEN), report(error))

    sys.excepthook = hook

    def end() -> None:
        sys.excepthook = before

    return end
