"""Every error a user can meet: what happened, why, and what to do next, in one sentence or two."""

from __future__ import annotations


class MgeldmError(Exception):
    """Base of every error this library raises on purpose; its text is written for the user."""


class InputError(MgeldmError):
    """The request, the prompt or the audio given cannot be used; another input would work."""


class AudioError(InputError):
    """An audio file cannot be read or used."""


class OutputError(MgeldmError):
    """A result cannot be written (folder not writable, disk full)."""


class CheckpointError(MgeldmError):
    """A model file is missing, truncated, foreign or malicious."""


class Cancelled(MgeldmError):
    """The caller asked for the work to stop; nothing partial is left behind."""
