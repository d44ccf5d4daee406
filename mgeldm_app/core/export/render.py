"""Lanes as audio files: in blocks, nulling to the last bit in integer formats, all of them or none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mgeldm.audio import (
    BITS,
    FORMATS,
    LOSSY,
    TITLE_BYTES,
    Writer,
    cleaned,
    fitting_gain,
    names_beside,
    reach_of,
    rounded,
    shortened,
)
from mgeldm.errors import AudioError, InputError
from mgeldm.language import say
from mgeldm.outputs import discard, held
from mgeldm.progress import Reporter

from ..clips import Frames
from ..project import REST_ID, Audio, Lane, Project, Span
from ..settings import ExportSettings
from ..sound import read_lane
from ..voices import fold_down, lane_gains
from .bwf import broadcast_chunk

View = Callable[[Audio], Frames]
"""Gives a clip's samples: `ClipStore.real`."""
Names = Callable[[Sequence[str]], Sequence[Path]]
"""Gives a free path to each of several files, none of them called as the files given, which came meanwhile."""

FIELDS = ("song", "lane", "number", "bpm", "key", "prompt")
_BLOCK_SAMPLES = 1 << 17
_LOSSY_BITS = 24  # steps in which the level of what mp3 and ogg are given is measured
_LANES = 32  # whose rounding a gain leaves room for at least: that of one more stem does not change it
_SOUND = 2  # rises when `sound` or this package would make other samples of the same project
_reaches: dict[tuple[int, str], int] = {}  # the largest step of lanes that were measured, by bits and content


@dataclass(frozen=True)
class Exported:
    """A file that was written, and which lane it holds ("" for a mix or a project)."""

    path: Path
    lane_id: str


@dataclass(frozen=True)
class ExportReport:
    """What an export made.

    Attributes:
        files: In the order of the lanes.
        gain: Shared by all of them: below 1 only where a file of an integer format would have clipped.
    """

    files: tuple[Exported, ...]
    gain: float = 1.0

    @property
    def gain_db(self) -> float:
        """The gain in dB, 0 or below."""
        return 20 * math.log10(self.gain)

    @property
    def text(self) -> str:
        """For the user."""
        folder = self.files[0].path.parent
        what = self.files[0].path.name if len(self.files) == 1 else say("{number} files", number=len(self.files))
        if self.gain_db < -0.005:  # less is not heard, and would read 0.00
            return say(
                "Exported {what} to {folder}; all turned down by {turned:.2f} dB, so that neither they nor the song or "
                "a stem clips.",
                what=what,
                folder=folder,
                turned=-self.gain_db,
            )
        return say("Exported {what} to {folder}.", what=what, folder=folder)


@dataclass(frozen=True)
class Track:
    """A file to be written: the sum of lanes over a span of the song.

    Attributes:
        path: Where it goes, unless something is there by then.
        lanes: One, or those of a mix.
        span: Which samples.
        faders: Whether gains and pans are applied.
    """

    path: Path
    lanes: tuple[Lane, ...]
    span: Span
    faders: bool = False


def export_lanes(
    project: Project,
    view: View,
    lanes: Sequence[Lane],
    folder: Path,
    options: ExportSettings,
    reporter: Reporter | None = None,
) -> ExportReport:
    """Write lanes, or their mix, to a folder under names of their own; no file that is there is touched.

    Lanes are written as chosen, muted or not; a mix is what is heard of them. Without faders the song equals its stems
    and the rest: to the last bit in integer formats, where the rest is made of rounded samples, and where the gain is
    the same whichever lanes and whichever part of the song are exported.

    Raises:
        InputError: There is no song, no lane, none that is heard, no region, or a field of the pattern is not known.
        AudioError: A clip is missing or damaged.
        OutputError: A file cannot be written.
        Cancelled: The reporter says so. In each of these cases no file is left.
    """
    span = wanted_span(project, options.region_only)
    if not lanes:
        raise InputError("No lane is chosen; choose at least one to export.")
    groups = [tuple(mixed(project, lanes))] if options.as_mix else [(lane,) for lane in lanes]

    def named(came: Sequence[str] = ()) -> list[Path]:
        return [folder / name for name in file_names(project, lanes, options, [*names_in(folder), *came])]

    faders, each = options.as_mix or options.faders, zip(named(), groups, strict=True)
    tracks = [Track(path, group, span, faders) for path, group in each]
    paths, gain = write_tracks(project, view, tracks, options.format, reporter or Reporter(), named)
    ids = [""] if options.as_mix else [lane.id for lane in lanes]
    files = tuple(Exported(path, lane_id) for path, lane_id in zip(paths, ids, strict=True))
    return ExportReport(files, gain)


def mixed(project: Project, lanes: Sequence[Lane]) -> Sequence[Lane]:
    """What a mix of lanes is made of: those that are heard.

    Raises:
        InputError: None of them is.
    """
    found = project.heard_of(lanes)
    if not found:
        raise InputError(
            "None of the chosen lanes is heard in the mix; unmute one, switch off the solo of others, or choose others."
        )
    return found


def wanted_span(project: Project, region_only: bool) -> Span:
    """The whole song, or the region.

    Raises:
        InputError: There is none.
    """
    if project.song is None or not project.samples:
        raise InputError("There is nothing to take away yet; open a song first.")
    if not region_only:
        return Span(0, project.samples)
    if (region := project.region_in_song) is None:
        raise InputError("No region is selected; drag over the song to select one, or take the whole song.")
    return region


def file_names(
    project: Project, lanes: Sequence[Lane], options: ExportSettings, taken: Sequence[str] = ()
) -> list[str]:
    """Names for the audio files of lanes (one name for a mix), by the pattern; where one is taken, all are numbered.

    Raises:
        InputError: The pattern has a field that is not known.
    """
    unknown = [name for name in re.findall(r"\{(.*?)\}", options.pattern) if name not in FIELDS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise InputError(
            "The pattern of names has {field}; it may have {known}.", field=f"{{{unknown[0]}}}", known=known
        )
    tempo, texts = project.tempo, []
    for number, lane in enumerate(lanes[:1] if options.as_mix else lanes, 1):
        prompts = [part.take.made.prompt for part in lane.parts if part.take.made.prompt]
        values = {
            "song": shortened(project.title, TITLE_BYTES),  # so that what tells the files apart has room
            "lane": "Mix" if options.as_mix else lane.name,
            "number": f"{number:02d}",
            "bpm": f"{tempo.bpm:g}" if tempo.source != "none" else "",
            "key": tempo.key,
            "prompt": "Mix" if options.as_mix else (prompts or [lane.name])[0],
        }
        texts.append(_filled(options.pattern, values))
    return names_beside(taken, texts, (FORMATS | LOSSY).get(options.format, ""))


def _filled(pattern: str, values: Mapping[str, str]) -> str:
    """A pattern with its values; of the separators around one of which nothing stays, one does, and none at an end."""

    def joint(gap: re.Match[str]) -> str:
        at_an_end = gap.start() == 0 or gap.end() == len(pattern)
        return "" if at_an_end else max(gap[1], gap[2], key=len)

    if empty := "|".join(name for name, value in values.items() if not cleaned(value)):
        pattern = re.sub(rf"([-_\s]*)(?:\{{(?:{empty})\}}([-_\s]*))+", joint, pattern)
    return re.sub(r"\{(.*?)\}", lambda field: values[field[1]], pattern)


def names_in(folder: Path) -> list[str]:
    """Names of all that is in a folder; none where it is not there or cannot be looked into."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def write_tracks(
    project: Project,
    view: View,
    tracks: Sequence[Track],
    format: str,
    reporter: Reporter,
    names: Names | None = None,
) -> tuple[Sequence[Path], float]:
    """Write files in blocks; all appear, or none. Returns where they are, and the gain that they share.

    Where a lane would clip in an integer format, all are turned down; where it takes faders to clip, all are written
    again. Files that came meanwhile stay: `names` gives others, and without it, where a path stands for what is in the
    file, they are what would have been written.

    Raises:
        AudioError, OutputError, Cancelled: As `export_lanes`.
    """
    _check_audio(project, view, {lane.id for track in tracks for lane in track.lanes})
    bits = _LOSSY_BITS if format in LOSSY else BITS.get(format)
    gain, measured, written = 1.0, 0, sum(track.span.samples for track in tracks)
    if bits and not any(track.faders for track in tracks):
        gain, measured = _project_gain(project, view, tracks, bits, reporter, written)

    def count(done: int) -> None:
        reporter.report("samples", measured + done, measured + written)

    while True:
        with contextlib.ExitStack() as stack:
            writers, reach = _written(project, view, tracks, format, gain, count, stack)
            fitting = _fitting(project, reach, bits) if bits else 1.0
            if fitting == 1:
                return _commit(writers, names), gain
        gain *= fitting


def _project_gain(
    project: Project, view: View, tracks: Sequence[Track], bits: int, reporter: Reporter, to_come: int
) -> tuple[float, int]:
    """With which all that adds up to the song fits, and what is asked for, from the song's beginning to its end.

    Were it that of what is asked for alone, a stem that is exported again would no longer null against the set exported
    before. A lane is measured once; the overviews of waveforms are too coarse for that. One whose audio is missing or
    damaged is passed over: where it is asked for, writing says so.

    Returns:
        The gain, and how many samples were measured ahead of those `to_come`.
    """
    song, asked = Span(0, project.samples), {lane.id for track in tracks for lane in track.lanes}
    lanes = [lane for lane in project.lanes if lane.kind != "added" or lane.id in asked]
    keys = [(bits, content_id(project, lane, song)) for lane in lanes]
    fresh = [(key, lane) for key, lane in zip(keys, lanes, strict=True) if key not in _reaches]
    measured = len(fresh) * song.samples
    for number, (key, lane) in enumerate(fresh):
        reach, done = 0, number * song.samples
        with contextlib.suppress(AudioError):
            for block in _blocks(project, view, Track(Path(), (lane,), song), bits, 1.0):
                reach, done = max(reach, reach_of(block)), done + len(block)
                reporter.report("samples", done, measured + to_come)
            _reaches[key] = reach
    return _fitting(project, max((_reaches.get(key, 0) for key in keys), default=0), bits), measured


def _fitting(project: Project, reach: int, bits: int) -> float:
    return fitting_gain(reach, bits, max(_LANES, len(project.lanes)))


def content_id(project: Project, lane: Lane, span: Span) -> str:
    """A hash, in hexadecimal, of everything that the samples of a lane follow from."""
    song = project.song.audio.id if project.song else ""
    sources = project.of_kind("extracted") if lane.kind == "rest" else (lane,)
    parts = [[[part.start, part.take.audio.id] for part in source.parts] for source in sources]
    content = [_SOUND, lane.kind, song, parts, span.start, span.stop]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _check_audio(project: Project, view: View, lane_ids: set[str]) -> None:
    """Raise `AudioError` where audio is missing that lanes are made of: what is silent would pass for what it was."""
    if REST_ID in lane_ids:
        lane_ids = lane_ids | {lane.id for lane in project.lanes if lane.kind in ("song", "extracted")}
    lost = []
    for lane in (lane for lane in project.lanes if lane.id in lane_ids):
        song = [project.song.audio] if lane.kind == "song" and project.song else []
        try:
            for audio in (*song, *(part.take.audio for part in lane.parts)):
                view(audio)
        except AudioError:
            lost.append(lane.name)
    if lost:
        raise _damaged(*lost)


def _damaged(*lanes: str) -> AudioError:
    return AudioError(
        "Audio of {lanes} is missing or damaged, so no file was made; bring the project's audio back from a backup "
        "and open the project again, or make these parts anew.",
        lanes=", ".join(lanes),
    )


def _written(
    project: Project,
    view: View,
    tracks: Sequence[Track],
    format: str,
    gain: float,
    count: Callable[[int], None],
    stack: contextlib.ExitStack,
) -> tuple[list[Writer], int]:
    """Files complete but for their names, removed with `stack` if they get none, and the largest step in them.

    `count` hears of the samples written.
    """
    audio = project.song.audio if project.song else Audio("", project.rate_hz, 2, 0)
    bits = _LOSSY_BITS if format in LOSSY else BITS.get(format)
    writers, reach, done = [], 0, 0
    for track in tracks:
        chunk = _broadcast(project, track, format, gain) if format.startswith("wav") else b""
        writer = Writer(track.path, audio.rate_hz, _channels(project, track), format, chunk)
        stack.callback(writer.discard)
        for block in _blocks(project, view, track, bits, gain):
            if bits:
                reach = max(reach, reach_of(block))
            writer.write(block.T / 2 ** (_LOSSY_BITS - 1) if format in LOSSY else block.T)
            done += len(block)
            count(done)
        writer.finish()
        writers.append(writer)
    return writers, reach


def _commit(writers: Sequence[Writer], names: Names | None) -> Sequence[Path]:
    """Give all files their names, or none."""
    with contextlib.ExitStack() as undone:
        paths = [writer.path for writer in writers] if names is None else held(names, undone)
        for writer, path in zip(writers, paths, strict=True):
            if names is None and path.exists():
                continue
            writer.path = path
            undone.callback(discard, path)
            writer.commit()
        undone.pop_all()
    return paths


def _blocks(
    project: Project, view: View, track: Track, bits: int | None, gain: float
) -> Iterator[npt.NDArray[np.float32] | npt.NDArray[np.int64]]:
    """Samples [n, channels] of a file, block after block: floats, or steps of an integer format."""
    for start in range(track.span.start, track.span.stop, _BLOCK_SAMPLES):
        stop = min(start + _BLOCK_SAMPLES, track.span.stop)
        if bits is None:
            yield _summed(project, view, track, start, stop).astype(np.float32)
        elif not track.faders and track.lanes[0].kind == "rest":
            stems = [_whole(project, view, lane, start, stop, bits, gain) for lane in project.of_kind("extracted")]
            yield _whole(project, view, project.lanes[0], start, stop, bits, gain) - sum(stems)
        else:
            yield rounded(_summed(project, view, track, start, stop), bits, gain)


def _summed(project: Project, view: View, track: Track, start: int, stop: int) -> npt.NDArray[np.floating]:
    """Samples [n, channels] of a track's lanes together."""
    if not track.faders and len(track.lanes) == 1:
        return _read(project, view, track.lanes[0], start, stop)
    out: npt.NDArray[np.float64] | None = None
    for lane in track.lanes:
        frames = _read(project, view, lane, start, stop).astype(np.float64)
        frames = _through_fader(frames, lane, _channels(project, track)) if track.faders else frames
        out = frames if out is None else out + frames
    assert out is not None  # a track has lanes
    return out


def _channels(project: Project, track: Track) -> int:
    """Of a file: the song's, but two where a lane of a mono song is panned, as it is heard."""
    channels = project.song.audio.channels if project.song else 2
    return 2 if channels == 1 and track.faders and any(lane.pan for lane in track.lanes) else channels


def fader(lane: Lane, channels: int) -> npt.NDArray[np.float64]:
    """Gains [channels] of a lane as the mixer has them; only what is on one side alone can be panned.

    A channel on both sides, as the centre, has the lower gain of the two, and that of low effects, on none, the higher.
    """
    left, right = lane_gains(lane)
    if channels == 1:
        return np.array([max(left, right)])
    sides = [dict(side) for side in fold_down(channels)]
    both = [[gain for gain, side in zip((left, right), sides, strict=True) if n in side] for n in range(channels)]
    return np.array([min(gains, default=max(left, right)) for gains in both])


def _through_fader(frames: npt.NDArray[np.float64], lane: Lane, channels: int) -> npt.NDArray[np.float64]:
    """Samples [n, channels] under gain and pan; folded down to two channels they are what the mixer plays of them."""
    gains = fader(lane, channels)
    out = frames * gains
    if channels > 2 and lane.pan:
        for side, (gain, weights) in enumerate(zip(lane_gains(lane), map(dict, fold_down(channels)), strict=True)):
            for n, weight in weights.items():  # what the pan leaves of the centre for one side alone goes there
                out[:, side] += frames[:, n] * ((gain - gains[n]) * weight / weights[side])
    return out


def _whole(
    project: Project, view: View, lane: Lane, start: int, stop: int, bits: int, gain: float
) -> npt.NDArray[np.int64]:
    return rounded(_read(project, view, lane, start, stop), bits, gain)


def _read(project: Project, view: View, lane: Lane, start: int, stop: int) -> npt.NDArray[np.float32]:
    """Samples [n, channels] of a lane; raises `AudioError` where they are not numbers, for which no gain is right."""
    frames = read_lane(project, lane, view, start, stop)
    if not np.isfinite(frames).all():
        raise _damaged(project.lane(lane.id).name if project.has_lane(lane.id) else lane.name)
    return frames


def _broadcast(project: Project, track: Track, format: str, gain: float) -> bytes:
    audio = project.song.audio if project.song else Audio("", project.rate_hz, 2, 0)
    song, names = project.song.name if project.song else "", ", ".join(lane.name for lane in track.lanes)
    channels, bits = _channels(project, track), BITS.get(format, 32)
    turned = f"Gain {gain:.6f}. " if gain < 1 else ""  # ahead of what may be cut off
    return broadcast_chunk(track.span.start, f"{turned}{song}: {names}", audio.id[:32], audio.rate_hz, channels, bits)
