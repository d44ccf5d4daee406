"""Every error a user can meet: what happened, why, and what to do next, in one sentence or two."""

from __future__ import annotations

import pickle
import struct

from .language import say

FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)
"""What others' code may raise where it is given a file that someone damaged or made up, or one of another program."""


class MgeldmError(Exception):
    """Base of every error this library raises on purpose; its text is written for the user.

    Args:
        template: The text, in English; `str` of the error is a `language.Sentence`.
        values: What its `{names}` stand for.
    """

    def __init__(self, template: str, /, **values: object) -> None:
        super().__init__(say(template, **values))


class InputError(MgeldmError):
    """The request, the prompt or the audio given cannot be used; another input would work."""


class AudioError(InputError):
    """An audio file cannot be read or used."""


class SilenceError(InputError):
    """The model plays nothing for what was asked; other words, another seed or another region may bring something."""


class OutputError(MgeldmError):
    """A result cannot be written (folder not writable, disk full)."""


class CheckpointError(MgeldmError):
    """A model file is missing, truncated, foreign or malicious."""


class Cancelled(MgeldmError):
    """The caller asked for the work to stop; nothing partial is left behind."""
