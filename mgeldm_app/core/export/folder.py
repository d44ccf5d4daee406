"""For every other program: files of equal length that begin with the song, and a MIDI file with tempo and markers."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mgeldm.language import say

from ..project import Project
from ..timeline import Grid, time_text
from .arrange import HandOff, Row, folder_aside, free_name, put_folder
from .render import Exported, ExportReport

TICKS = 960  # a quarter note
_FASTEST_BPM = 999.0  # that other programs take
_STEADY_BEATS = 1000
"""MIDI's tempo is whole microseconds a beat: off by half of one, so many beats are off by half a millisecond. Then
another one follows that makes up for it."""


def write_folder(hand_off: HandOff) -> ExportReport:
    """Write lanes to a new folder `path`: numbered 24-bit Broadcast Wave files, `Tempo.mid` and `Read me.txt`.

    Raises:
        InputError, AudioError, OutputError, Cancelled: As `render.export_lanes`; nothing is left then.
    """
    numbered = [replace(lane, name=f"{number:02d} {lane.name}") for number, lane in enumerate(hand_off.lanes, 1)]
    rows, path = replace(hand_off, lanes=numbered).rows(whole=True), hand_off.path
    with folder_aside(path) as aside:
        gain = hand_off.write(rows, aside, "wav24")
        (aside / "Tempo.mid").write_bytes(tempo_midi(hand_off.project))
        text = _read_me(hand_off, rows, gain)
        (aside / "Read me.txt").write_text(text, encoding="utf-8", newline="\r\n")
        with free_name(path) as path:
            put_folder(aside, path)
    files = [Exported(path / row.pieces[0].name, row.lane.id) for row in rows]
    return ExportReport((*files, Exported(path / "Tempo.mid", "")), gain)


def tempo_midi(project: Project) -> bytes:
    """A standard MIDI file (format 0) whose bars are the song's, sample 0 at its beginning.

    What comes before the first downbeat is a short bar of its own, in a tempo that lets it last just that long.
    """
    grid, tempo = Grid.of(project), project.tempo
    pickup_ticks, quarters, signature = _pickup(grid)
    events = [(0, 0, _meta(0x03, b"MGE-LDM Desktop"))]
    if pickup_ticks:
        beat_us = round(grid.first_bar / grid.rate_hz / quarters * 1e6)
        events += [(0, 1, _signature(*signature)), (0, 2, _tempo(beat_us)), (0, 3, _meta(0x06, b"Pickup"))]
    events += [(pickup_ticks, 1, _signature(tempo.beats_per_bar, tempo.beat_unit))]
    events += _tempos(tempo.bpm, pickup_ticks, (project.samples - grid.first_bar) / grid.quarter_samples)

    def ticks(sample: int) -> int:
        if pickup_ticks and sample < grid.first_bar:
            return round(pickup_ticks * sample / grid.first_bar)
        first = grid.first_bar if pickup_ticks else 0
        return pickup_ticks + round((sample - first) / grid.quarter_samples * TICKS)

    if region := project.region_in_song:
        events += [(ticks(region.start), 4, _meta(0x06, b"Region start"))]
        events += [(ticks(region.stop), 4, _meta(0x06, b"Region end"))]
    last = max(ticks(project.samples), max(event[0] for event in events))
    track, now = b"", 0
    for at, _, message in sorted([*events, (last, 5, _meta(0x2F, b""))]):
        track += _variable(at - now) + message
        now = at
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _pickup(grid: Grid) -> tuple[int, float, tuple[int, int]]:
    """Ticks, quarter notes and time signature of the bar before the first downbeat; nothing where it is too short."""
    beats = grid.first_bar / grid.quarter_samples
    for unit in (4, 16, 32, 64):
        count = round(beats * unit / 4) if unit == 4 else max(1, round(beats * unit / 4))
        quarters = count * 4 / unit
        if count and quarters * 60 * grid.rate_hz <= _FASTEST_BPM * grid.first_bar:
            return round(quarters * TICKS), quarters, (count, unit)
    return 0, 0.0, (0, 4)


def _tempos(bpm: float, first_ticks: int, beats: float) -> Iterator[tuple[int, int, bytes]]:
    """Events of the tempo from a tick on: one, or several that are together never off by a millisecond."""
    reached_us, before = 0, 0
    for beat in range(0, max(1, math.ceil(beats)), _STEADY_BEATS):
        beat_us = round(((beat + _STEADY_BEATS) * 60e6 / bpm - reached_us) / _STEADY_BEATS)
        if beat_us != before:
            yield first_ticks + beat * TICKS, 2, _tempo(beat_us)
        reached_us, before = reached_us + _STEADY_BEATS * beat_us, beat_us


def _meta(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + _variable(len(data)) + data


def _tempo(beat_us: int) -> bytes:
    return _meta(0x51, beat_us.to_bytes(3, "big"))


def _signature(count: int, unit: int) -> bytes:
    return _meta(0x58, bytes([count, unit.bit_length() - 1, 24, 8]))


def _variable(value: int) -> bytes:
    """A number in MIDI's seven bits a byte."""
    out = bytes([value & 0x7F])
    while value := value >> 7:
        out = bytes([0x80 | value & 0x7F]) + out
    return out


def _tempo_text(project: Project) -> str:
    tempo = project.tempo
    if tempo.source == "none":
        return say("Tempo: unknown (Tempo.mid needs one, and says {bpm:g} bpm)", bpm=tempo.bpm)
    return say(
        "Tempo: {bpm:g} bpm, {beats}/{unit}, first downbeat at {time}",
        bpm=tempo.bpm,
        beats=tempo.beats_per_bar,
        unit=tempo.beat_unit,
        time=time_text(Grid.of(project).first_bar, project.rate_hz),
    )


def _read_me(hand_off: HandOff, rows: Sequence[Row], gain: float) -> str:
    project, colours = hand_off.project, hand_off.colours
    tempo, rate_hz = project.tempo, project.rate_hz
    lines = [
        say("{song}, by MGE-LDM Desktop", song=project.song.name if project.song else ""),
        "",
        say(
            "Put all files at the very beginning, bar 1: they are equally long. Import Tempo.mid first for tempo, bars "
            "and markers."
        ),
        "",
        _tempo_text(project) + (say(", key: {key}", key=tempo.key) if tempo.key else ""),
    ]
    if hand_off.doubled:
        lines[2] += " " + say("Together the extracted stems and the rest are the song, so keep the song itself muted.")
    if region := project.region_in_song:
        start, stop = time_text(region.start, rate_hz), time_text(region.stop, rate_hz)
        lines.append(say("Region: {start} to {stop}", start=start, stop=stop))
    if gain < 1:
        lines.append(
            say("All files share a gain of {gain:.6f}, so that neither they nor the song or a stem clips.", gain=gain)
        )
    lines += ["", say("The mixer as it was:")]
    for row in rows:
        lane = row.lane
        states = [name for name, on in ((say("muted"), row.muted), (say("solo"), row.soloed)) if on]
        colour = say("colour {colour}", colour=colours.of(lane))
        mix = ", ".join([f"{lane.gain_db:+.1f} dB", say("pan {pan:+.2f}", pan=lane.pan), colour, *states])
        lines.append(f"  {row.pieces[0].name}: {mix}")
    return "\n".join(lines) + "\n"
