"""DAWproject 1.0 (github.com/bitwig/dawproject): one file that Bitwig, Studio One, Cubase and n-Track open."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import mgeldm
from mgeldm.naming import give_name
from mgeldm.progress import Reporter

from ..project import Project, Span
from ..timeline import Grid
from .arrange import HandOff, Row, folder_aside, free_name, lead_quarters
from .bwf import PROGRAM
from .render import Exported, ExportReport, fader

SUFFIX = ".dawproject"
_COPIED_BYTES = 1 << 20


def write_dawproject(hand_off: HandOff) -> ExportReport:
    """Write lanes as a DAWproject: each stretch that sounds a clip at its place, with tempo, faders and markers.

    Raises:
        InputError, AudioError, OutputError, Cancelled: As `render.export_lanes`; no file is left then.
    """
    rows, path = hand_off.rows(), hand_off.path
    with folder_aside(path) as aside:
        gain = hand_off.write(rows, aside, "wav32")
        packed = aside / "packed"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("metadata.xml", _metadata(hand_off.project), zipfile.ZIP_DEFLATED)
            archive.writestr("project.xml", _Document(hand_off, rows).bytes(), zipfile.ZIP_DEFLATED)
            for piece in (piece for row in rows for piece in row.pieces):
                _pack(archive, aside / piece.name, hand_off.reporter)
        with free_name(path, SUFFIX) as path:
            give_name(packed, path)
    return ExportReport((Exported(path, ""),), gain)


def _pack(archive: zipfile.ZipFile, path: Path, reporter: Reporter) -> None:
    """Move a file into an archive."""
    entry = zipfile.ZipInfo.from_file(path, f"audio/{path.name}")
    with path.open("rb") as source, archive.open(entry, "w") as into:
        while block := source.read(_COPIED_BYTES):
            reporter.check()
            into.write(block)
    path.unlink()


def _metadata(project: Project) -> bytes:
    root = ElementTree.Element("MetaData")
    ElementTree.SubElement(root, "Title").text = _text(project.title)
    if project.tempo.key:
        ElementTree.SubElement(root, "Comment").text = _text(f"Key: {project.tempo.key}")
    return _bytes(root)


class _Document:
    """Builds project.xml; every element that can have an id has one, counted up."""

    def __init__(self, hand_off: HandOff, rows: Sequence[Row]) -> None:
        self.project, self.colours, self.rows = hand_off.project, hand_off.colours, rows
        self.grid, self.lead = Grid.of(self.project), lead_quarters(self.project)
        self._ids = 0

    def bytes(self) -> bytes:
        """The whole document."""
        root = ElementTree.Element("Project", version="1.0")
        ElementTree.SubElement(root, "Application", name=PROGRAM, version=mgeldm.__version__)
        transport = ElementTree.SubElement(root, "Transport")
        self._add(transport, "Tempo", unit="bpm", value=repr(float(self.project.tempo.bpm)))
        beats, unit = str(self.project.tempo.beats_per_bar), str(self.project.tempo.beat_unit)
        self._add(transport, "TimeSignature", numerator=beats, denominator=unit)
        tracks = self._structure(ElementTree.SubElement(root, "Structure"))
        self._arrangement(self._add(root, "Arrangement"), tracks)
        ElementTree.SubElement(root, "Scenes")
        return _bytes(root)

    def _add(self, parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
        self._ids += 1
        return ElementTree.SubElement(parent, tag, {**attributes, "id": f"id{self._ids}"})

    def _structure(self, structure: ElementTree.Element) -> list[str]:
        """Tracks with their channels, which play into a master track; returns the tracks' ids."""
        channels, tracks = [], []
        for row in self.rows:
            lane = row.lane
            name, colour = _text(lane.name), self.colours.of(lane)
            track = self._add(structure, "Track", contentType="audio", loaded="true", name=name, color=colour)
            channel = self._add(track, "Channel", audioChannels=self._channels, role="regular", solo=_flag(row.soloed))
            self._faders(channel, row.muted, lane.pan, float(fader(lane, 1)[0]))
            channels.append(channel)
            tracks.append(track.attrib["id"])
        master = self._add(structure, "Track", contentType="audio", loaded="true", name="Master")
        channels_out = str(max(2, int(self._channels)))
        out = self._add(master, "Channel", audioChannels=channels_out, role="master", solo="false")
        self._faders(out, False, 0.0, 1.0)
        for channel in channels:
            channel.set("destination", out.attrib["id"])
        return tracks

    def _faders(self, channel: ElementTree.Element, muted: bool, pan: float, gain: float) -> None:
        self._add(channel, "Mute", name="Mute", value=_flag(muted))
        self._add(channel, "Pan", name="Pan", unit="normalized", min="0.0", max="1.0", value=repr((pan + 1) / 2))
        self._add(channel, "Volume", name="Volume", unit="linear", min="0.0", max="4.0", value=repr(gain))

    def _arrangement(self, arrangement: ElementTree.Element, tracks: Sequence[str]) -> None:
        lanes = self._add(arrangement, "Lanes", timeUnit="beats")
        for row, track in zip(self.rows, tracks, strict=True):
            clips = self._add(self._add(lanes, "Lanes", track=track), "Clips")
            for piece in row.pieces:
                self._clip(clips, row, piece.name, piece.span)
        places = [(0, "Song", self.colours.song)]
        if region := self.project.region_in_song:
            colour = self.colours.rest
            places += [(region.start, "Region start", colour), (region.stop, "Region end", colour)]
        markers = self._add(arrangement, "Markers", timeUnit="beats")
        for sample, name, colour in places:
            ElementTree.SubElement(markers, "Marker", time=self._beats(sample), name=name, color=colour)

    def _clip(self, clips: ElementTree.Element, row: Row, name: str, span: Span) -> None:
        """A clip of a whole file at its beat; what it holds is raw and counts in seconds, so nothing stretches it."""
        duration, seconds = repr(span.samples / self.grid.quarter_samples), repr(span.samples / self.grid.rate_hz)
        clip = ElementTree.SubElement(
            clips,
            "Clip",
            {
                "time": self._beats(span.start),
                "duration": duration,
                "playStart": "0.0",
                "playStop": seconds,
                "contentTimeUnit": "seconds",
                "fadeTimeUnit": "seconds",
                "fadeInTime": "0.0",
                "fadeOutTime": "0.0",
                "name": _text(row.lane.name),
                "color": self.colours.of(row.lane),
            },
        )
        facts = {"channels": self._channels, "sampleRate": str(self.grid.rate_hz), "duration": seconds}
        audio = self._add(clip, "Audio", algorithm="raw", timeUnit="seconds", **facts)
        ElementTree.SubElement(audio, "File", path=f"audio/{name}")

    def _beats(self, sample: int) -> str:
        return repr(self.lead + sample / self.grid.quarter_samples)

    @property
    def _channels(self) -> str:
        return str(self.project.song.audio.channels if self.project.song else 2)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _text(value: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(letter for letter in value if letter.isprintable())


def _bytes(root: ElementTree.Element) -> bytes:
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
