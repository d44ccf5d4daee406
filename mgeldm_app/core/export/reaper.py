"""A Reaper project: a folder with an .rpp file and the audio beside it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from mgeldm.audio import safe_name

from ..project import Lane, Project
from .arrange import Colours, HandOff, Piece, Row, folder_aside, free_name, lead_quarters, put_folder
from .render import Exported, ExportReport, fader

_NATIVE = 0x1000000  # says that a colour is set


def write_reaper(hand_off: HandOff) -> ExportReport:
    """Write lanes to a new folder `path`: `NAME.rpp`, and in `audio` a file for each stretch that sounds.

    Raises:
        InputError, AudioError, OutputError, Cancelled: As `render.export_lanes`; nothing is left then.
    """
    rows, path = hand_off.rows(), hand_off.path
    with folder_aside(path) as aside:
        (aside / "audio").mkdir()
        gain = hand_off.write(rows, aside / "audio", "wav32")
        text = "\n".join(_project(hand_off.project, rows, hand_off.colours)) + "\n"
        with free_name(path) as path:
            name = safe_name(path.name, ".rpp")  # a folder's long name leaves no room for an ending
            (aside / name).write_text(text, encoding="utf-8", newline="\n")
            put_folder(aside, path)
    return ExportReport((Exported(path / name, ""),), gain)


def _project(project: Project, rows: Sequence[Row], colours: Colours) -> Iterator[str]:
    tempo, rate_hz = project.tempo, project.rate_hz
    lead_s = lead_quarters(project) * 60 / tempo.bpm
    yield '<REAPER_PROJECT 0.1 "6.0" 0'
    yield f"  TEMPO {tempo.bpm!r} {tempo.beats_per_bar} {tempo.beat_unit}"
    if lead_s:
        yield "  PROJOFFS 0 -1 0"  # bars count from 0, so that bar 1 is that of the window
    yield f"  SAMPLERATE {rate_hz} 1 0"
    yield f"  MASTER_NCH {_channels(project)} 2"
    yield "  PANLAW 1"
    yield f"  LOOP {int(project.looping)}"
    if region := project.region_in_song:
        start_s, stop_s = lead_s + region.start / rate_hz, lead_s + region.stop / rate_hz
        yield f"  SELECTION {start_s!r} {stop_s!r}"
        yield f"  MARKER 1 {start_s!r} Region 1 0 1 R {_guid('region')} 0"
        yield f'  MARKER 1 {stop_s!r} "" 1'
    for number, row in enumerate(rows):
        yield from _track(project, row, number, lead_s, colours.of(row.lane))
    yield ">"


def _track(project: Project, row: Row, number: int, lead_s: float, colour: str) -> Iterator[str]:
    lane = row.lane
    yield f"  <TRACK {_guid(f'track {number} {lane.id}')}"
    yield f"    NAME {quoted(lane.name)}"
    yield f"    PEAKCOL {_native(colour)}"
    yield f"    VOLPAN {float(fader(lane, 1)[0])!r} {lane.pan!r} -1 -1 1"
    yield f"    MUTESOLO {int(row.muted)} {int(row.soloed)} 0"
    yield f"    NCHAN {_channels(project)}"
    for piece in row.pieces:
        yield from _item(project, lane, piece, lead_s)
    yield "  >"


def _item(project: Project, lane: Lane, piece: Piece, lead_s: float) -> Iterator[str]:
    rate_hz = project.rate_hz
    yield "    <ITEM"
    yield f"      POSITION {lead_s + piece.span.start / rate_hz!r}"
    yield f"      LENGTH {piece.span.samples / rate_hz!r}"
    yield "      LOOP 0"
    yield "      FADEIN 1 0 0 1 0 0 0"  # no fades of Reaper's own
    yield "      FADEOUT 1 0 0 1 0 0 0"
    yield f"      NAME {quoted(lane.name)}"
    yield "      SOFFS 0"
    yield "      <SOURCE WAVE"
    yield f'        FILE "audio/{piece.name}"'  # as it is on the disk, whose names hold no such quotes
    yield "      >"
    yield "    >"


def _channels(project: Project) -> int:
    """Channels of a track, and of the master track, which Reaper has in pairs."""
    channels = project.song.audio.channels if project.song else 2
    return channels + channels % 2


def quoted(text: str) -> str:
    """A text as Reaper reads it back: in whichever quotes it does not hold; it knows no escapes."""
    text = "".join(letter for letter in text if letter.isprintable())
    for quote in ('"', "'", "`"):
        if quote not in text:
            return f"{quote}{text}{quote}"
    return "`" + text.replace("`", "'") + "`"


def _native(colour: str) -> int:
    """A colour as Reaper stores it: blue, green, red."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return _NATIVE | blue << 16 | green << 8 | red


def _guid(name: str) -> str:
    return f"{{{str(uuid.uuid5(uuid.NAMESPACE_OID, name)).upper()}}}"
