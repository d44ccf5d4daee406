"""Files that exist before a drag begins. They stay in the project, since the DAW will refer to them there."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mgeldm.audio import safe_name
from mgeldm.errors import OutputError
from mgeldm.progress import Reporter

from ..files import can_write, numbered, write_whole
from ..project import Lane, Project, Span
from .render import Track, View, content_id, wanted_span, write_tracks

_FORMAT = "wav32"
_WRITTEN = ".written.json"
_noting = threading.Lock()  # several drags may be made ready at once


def prepare(
    project: Project,
    view: View,
    lanes: Sequence[Lane],
    folder: Path,
    region_only: bool,
    reporter: Reporter | None = None,
) -> list[Path]:
    """Float wav files of lanes, before their faders: full length from the song's first sample, or the region alone.

    A file is named after its lane and its content. The same content is the same file, which is never written again;
    other content is another file, so that one that a DAW refers to never changes. One that somebody changed or cut off
    since keeps its name, and the content gets another file.

    Raises:
        InputError, AudioError, OutputError, Cancelled: As `render.export_lanes`.
    """
    span = wanted_span(project, region_only)
    written = _written(folder)
    paths = [_free(folder / _name(project, lane, span, region_only), written) for lane in lanes]
    missing = {
        path: Track(path, (lane,), span) for path, lane in zip(paths, lanes, strict=True) if not path.exists()
    }
    if missing:
        try:
            write_tracks(project, view, list(missing.values()), _FORMAT, reporter or Reporter())
        except OutputError as error:
            if can_write(folder):
                raise
            raise OutputError(
                "Files to drag or copy are made in {folder}, which cannot be written to; export the lanes to another "
                "folder, or save the project under another name.",
                folder=folder,
            ) from error
        _note(folder, missing)
    return paths


def _free(path: Path, written: Mapping[str, list[int]]) -> Path:
    """The first name of a file that is not there, or is as it was written."""
    return next(p for p in numbered(path, ".wav") if not p.exists() or written.get(p.name) == _state(p))


def _state(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _written(folder: Path) -> dict[str, list[int]]:
    """Size and time of each file as it was written; what is not known of a file counts as changed."""
    try:
        known = json.loads((folder / _WRITTEN).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _note(folder: Path, paths: Iterable[Path]) -> None:
    """Add files as they are now to those that were written, of which others may have come meanwhile."""
    with _noting, contextlib.suppress(OutputError):  # then they are made once more
        written = _written(folder) | {path.name: _state(path) for path in paths}
        there = {name: state for name, state in written.items() if (folder / name).exists()}
        write_whole(folder / _WRITTEN, json.dumps(there).encode(), flush=False)


def _name(project: Project, lane: Lane, span: Span, region_only: bool) -> str:
    """"Song - Bass 3f2a91c0d4e5.wav"; the hexadecimal part stands for the content."""
    digest = content_id(project, lane, span)[:12]
    return safe_name(lane.name, f"{' (region)' if region_only else ''} {digest}.wav", f"{project.title[:60]} - ")
