"""What to do with files that are dropped on the window, or named on the command line."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mgeldm.language import say

from .files import whole_path
from .storage import SUFFIX

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".aif", ".aiff", ".wma", ".mp4", ".mov", ".mkv", ".webm",
    ".caf", ".w64", ".rf64", ".au",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What will be opened, and what not.

    Attributes:
        project: Folder of a project, if one was given; it goes before songs.
        song: File to open as the song.
        refused: (name, why) of everything else.
    """

    project: Path | None
    song: Path | None
    refused: tuple[tuple[str, str], ...]


def plan(paths: Sequence[Path]) -> Plan:
    """Choose among files and folders; a file's content decides later whether it really is audio.

    Of several files the first that is called like audio is the song: an album comes with pictures and lists.
    """
    paths = [whole_path(path) for path in paths]
    first = next((path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES and os.path.isfile(path)), None)
    project: Path | None = None
    song: Path | None = None
    refused: list[tuple[str, str]] = []
    for path in paths:
        folder = path.parent if path.name == "project.json" else path
        if path.suffix == SUFFIX and os.path.isfile(path):
            refused.append((path.name, say("it is a file, and projects are folders; unpack it and drop the folder")))
        elif folder.suffix == SUFFIX or (os.path.isdir(folder) and os.path.isfile(folder / "project.json")):
            if project is None:
                project = folder
            else:
                refused.append((folder.name, say("one project at a time can be open")))
        elif os.path.isdir(path):
            refused.append((path.name, say("it is a folder; drop a song or a project")))
        elif why := _unseen(path):
            refused.append((path.name, why))
        elif song is None and project is None and first in (path, None):
            song = path
        elif path.suffix.lower() not in AUDIO_SUFFIXES:
            refused.append((path.name, say("it is no song")))
        else:
            refused.append((path.name, say("one song at a time can be open")))
    if project is not None and song is not None:
        refused.append((song.name, say("a project was opened instead")))
        song = None
    return Plan(project, song, tuple(refused))


def _unseen(path: Path) -> str:
    """Why nothing can be seen at a path, which `os.path` does not tell; "" where something can."""
    try:
        os.stat(path)
    except (OSError, ValueError) as error:  # the latter of a name that no system takes
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            why = error.strerror
            return say("it cannot be looked at ({why}); check its rights, and that its disk is connected", why=why)
        return say("it is no longer there")
    return ""


def refusals(plan: Plan) -> str:
    """In a sentence or two what was left out, and why; "" if nothing was."""
    if not plan.refused:
        return ""
    (name, why), more = plan.refused[0], len(plan.refused) - 1
    first = say("{name} was not opened: {why}.", name=name, why=why)
    if more > 1:
        return say("{first} Nor were {more} others.", first=first, more=more)
    return say("{first} Nor was 1 other.", first=first) if more else first
