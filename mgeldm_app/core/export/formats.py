"""Everything that can be exported to, in one table for the dialog, and one function that does it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mgeldm.audio import safe_name
from mgeldm.errors import InputError
from mgeldm.progress import Reporter

from ..files import numbered
from ..project import Lane, Project
from ..settings import ExportSettings
from .arrange import Colours, HandOff
from .dawproject import SUFFIX, write_dawproject
from .folder import write_folder
from .reaper import write_reaper
from .render import ExportReport, View, export_lanes, file_names, names_in


@dataclass(frozen=True)
class Format:
    """A row of the export dialog.

    Attributes:
        key: What `export` and the settings call it.
        title: Its name.
        suffix: Of the files; "" for a folder.
        purpose: What it is for.
        kind: Audio files, or a project of another program.
    """

    key: str
    title: str
    suffix: str
    purpose: str
    kind: Literal["audio", "project"]


_FORMATS = (
    Format("wav24", "WAV 24 bit", ".wav", "For any DAW; stems and rest sum to the song exactly.", "audio"),
    Format("wav16", "WAV 16 bit", ".wav", "For samplers and older programs; sums exactly too.", "audio"),
    Format("wav32", "WAV 32 bit float", ".wav", "Exactly what you hear, also above full scale.", "audio"),
    Format("flac", "FLAC", ".flac", "As good as WAV 24 bit, at half the size.", "audio"),
    Format("mp3", "MP3", ".mp3", "Small, to send to somebody; does not sum exactly.", "audio"),
    Format("ogg", "Ogg Vorbis", ".ogg", "Small, for games and the web; does not sum exactly.", "audio"),
    Format(
        "dawproject",
        "DAWproject",
        ".dawproject",
        "For Bitwig Studio, Studio One, Cubase and n-Track: tracks, clips, tempo, faders and markers.",
        "project",
    ),
    Format("reaper", "Reaper project", ".rpp", "For Reaper: tracks, items, tempo, faders and the region.", "project"),
    Format(
        "folder",
        "Folder for any DAW",
        "",
        "For Ableton Live, Logic, FL Studio and Pro Tools: equally long files and a MIDI file with the tempo.",
        "project",
    ),
)
_PROJECTS: dict[str, Callable[[HandOff], ExportReport]] = {
    "dawproject": write_dawproject,
    "reaper": write_reaper,
    "folder": write_folder,
}


def formats() -> tuple[Format, ...]:
    """All formats, in the order of the dialog."""
    return _FORMATS


def names_of(project: Project, lanes: Sequence[Lane], options: ExportSettings, folder: Path | None = None) -> list[str]:
    """Names of what `export` would write: of files, or of the one file or folder of another program's project.

    Raises:
        InputError: The pattern has a field that is not known.
    """
    if options.format not in _PROJECTS:
        return file_names(project, lanes, options, names_in(folder) if folder else ())
    first, suffix = _project_path(project, options, folder or Path()), _suffix(options)
    paths = numbered(first, suffix)  # a pathlib.Path would not forgive a folder that cannot be looked at
    return [next(path.name for path in paths if folder is None or not os.path.exists(path))]


def export(
    project: Project,
    view: View,
    lanes: Sequence[Lane],
    folder: Path,
    options: ExportSettings,
    colours: Colours,
    reporter: Reporter | None = None,
) -> ExportReport:
    """Export lanes to `folder` in any format of the table; nothing that is there is touched.

    A project for another program always holds the whole song; it goes to a file or folder named after it.

    Raises:
        InputError: As `export_lanes`, or the format is not known.
        AudioError, OutputError, Cancelled: As `export_lanes`.
    """
    form = next((form for form in _FORMATS if form.key == options.format), None)
    if form is None:
        raise InputError(
            "There is no format {format!r}; choose one of {formats}.",
            format=options.format,
            formats=", ".join(f.key for f in _FORMATS),
        )
    if form.kind == "audio":
        return export_lanes(project, view, lanes, folder, options, reporter)
    if not lanes:
        raise InputError("No lane is chosen; choose at least one to export.")
    path = _project_path(project, options, folder)
    return _PROJECTS[form.key](HandOff(project, view, lanes, path, colours, reporter or Reporter()))


def _project_path(project: Project, options: ExportSettings, folder: Path) -> Path:
    """Where a project for another program goes, if nothing is there."""
    return folder / safe_name(project.title, _suffix(options))


def _suffix(options: ExportSettings) -> str:
    return SUFFIX if options.format == "dawproject" else ""
