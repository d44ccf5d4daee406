"""A disk that does not answer: a share whose computer is off, a card that was pulled out."""

import errno
import os
from pathlib import Path


def take_away(monkeypatch, folder):
    """Whatever looks at a folder, or at anything in it, is told that its host is down."""
    look = os.stat

    def stat(path, *args, **kwargs):
        if not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(folder):
            raise OSError(errno.EHOSTDOWN, "Host is down", os.fspath(path))
        return look(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", stat)
    return folder
