"""Errors of the app that a user can meet, beside the library's: what happened, why, and what to do next."""

from __future__ import annotations

from mgeldm.errors import MgeldmError


class StorageError(MgeldmError):
    """A project cannot be made, opened or saved."""
