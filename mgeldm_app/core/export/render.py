"""Lanes as audio files: in blocks, nulling to the last bit in integer formats, all of them or none."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mgeldm.audio import BITS, FORMATS, LOSSY, Writer, fitting_gain, reach_of, rounded, unique_names
from mgeldm.errors import InputError
from mgeldm.language import say
from mgeldm.progress import Reporter

from ..clips import Frames
from ..project import Audio, Lane, Project, Span
from ..settings import ExportSettings
from ..sound import read_lane
from ..voices import lane_gains
from .bwf import broadcast_chunk

View = Callable[[Audio], Frames]
"""Gives a clip's samples: `ClipStore.view`."""

FIELDS = ("song", "lane", "number", "bpm", "key", "prompt")
_BLOCK_SAMPLES = 1 << 17
_LOSSY_BITS = 24  # steps in which the level of what mp3 and ogg are given is measured


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
        if self.gain < 1:
            return say(
                "Exported {what} to {folder}; all turned down by {turned:.2f} dB, so that nothing clips.",
                what=what,
                folder=folder,
                turned=-self.gain_db,
            )
        return say("Exported {what} to {folder}.", what=what, folder=folder)


@dataclass(frozen=True)
class Track:
    """A file to be written: the sum of lanes over a span of the song.

    Attributes:
        path: Where it goes.
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

    Lanes are written as chosen, muted or not. Without faders the song equals its stems and the rest: to the last bit
    in integer formats, where the rest is made of rounded samples.

    Raises:
        InputError: There is no song, no lane, no region, or the pattern has a field that is not known.
        AudioError: A clip is missing or damaged.
        OutputError: A file cannot be written.
        Cancelled: The reporter says so. In each of these cases no file is left.
    """
    span = wanted_span(project, options.region_only)
    if not lanes:
        raise InputError("No lane is chosen; choose at least one to export.")
    names = file_names(project, lanes, options, folder)
    if options.as_mix:
        tracks = [Track(folder / names[0], tuple(lanes), span, faders=True)]
    else:
        each = zip(lanes, names, strict=True)
        tracks = [Track(folder / name, (lane,), span, options.faders) for lane, name in each]
    gain = write_tracks(project, view, tracks, options.format, reporter or Reporter())
    return ExportReport(
        tuple(Exported(track.path, "" if options.as_mix else track.lanes[0].id) for track in tracks), gain
    )


def wanted_span(project: Project, region_only: bool) -> Span:
    """The whole song, or the region.

    Raises:
        InputError: There is none.
    """
    if project.song is None or not project.samples:
        raise InputError("There is nothing to take away yet; open a song first.")
    if not region_only:
        return Span(0, project.samples)
    if project.region is None or not project.region.meets(Span(0, project.samples)):
        raise InputError("No region is selected; drag over the song to select one, or take the whole song.")
    return Span(max(project.region.start, 0), min(project.region.stop, project.samples))


def file_names(
    project: Project, lanes: Sequence[Lane], options: ExportSettings, folder: Path | None = None
) -> list[str]:
    """Names for the audio files of lanes (one name for a mix), by the pattern; none is taken in `folder`.

    Raises:
        InputError: The pattern has a field that is not known.
    """
    unknown = [name for name in re.findall(r"\{(.*?)\}", options.pattern) if name not in FIELDS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise InputError(
            "The pattern of names has {field}; it may have {known}.", field=f"{{{unknown[0]}}}", known=known
        )
    tempo, song = project.tempo, Path(project.song.name).stem if project.song else ""
    texts = []
    for number, lane in enumerate(lanes[:1] if options.as_mix else lanes, 1):
        prompts = [part.take.made.prompt for part in lane.parts if part.take.made.prompt]
        values = {
            "song": song,
            "lane": "Mix" if options.as_mix else lane.name,
            "number": f"{number:02d}",
            "bpm": f"{tempo.bpm:g}" if tempo.source != "none" else "",
            "key": tempo.key,
            "prompt": "Mix" if options.as_mix else (prompts or [lane.name])[0],
        }
        text = "".join(
            values[piece] if odd % 2 else piece for odd, piece in enumerate(re.split(r"\{(.*?)\}", options.pattern))
        )
        texts.append(re.sub(r"(\s*[-_]\s*){2,}", " - ", text).strip(" -_"))  # where a value is unknown
    suffix = (FORMATS | LOSSY).get(options.format, "")
    taken = [path.stem for path in folder.glob(f"*{suffix}")] if folder is not None and folder.is_dir() else []
    return unique_names([*taken, *texts], suffix)[len(taken) :]


def write_tracks(project: Project, view: View, tracks: Sequence[Track], format: str, reporter: Reporter) -> float:
    """Write files in blocks; all appear, or none. Returns the gain that they share.

    Where a file of an integer format clips, all are written again, turned down.

    Raises:
        AudioError, OutputError, Cancelled: As `export_lanes`.
    """
    bits = _LOSSY_BITS if format in LOSSY else BITS.get(format)
    gain = 1.0
    while True:
        reporter.start()
        with contextlib.ExitStack() as stack:
            writers, reach = _written(project, view, tracks, format, gain, reporter, stack)
            fitting = fitting_gain(reach, bits, len(project.lanes)) if bits else 1.0
            if fitting == 1:
                _commit(writers)
                return gain
        gain *= fitting


def _written(
    project: Project,
    view: View,
    tracks: Sequence[Track],
    format: str,
    gain: float,
    reporter: Reporter,
    stack: contextlib.ExitStack,
) -> tuple[list[Writer], int]:
    """Files complete but for their names, removed with `stack` if they get none, and the largest step in them."""
    audio = project.song.audio if project.song else Audio("", project.rate_hz, 2, 0)
    bits = _LOSSY_BITS if format in LOSSY else BITS.get(format)
    done, total = 0, sum(track.span.samples for track in tracks)
    writers, reach = [], 0
    for track in tracks:
        chunk = _broadcast(project, track, format) if format.startswith("wav") else b""
        writer = Writer(track.path, audio.rate_hz, audio.channels, format, chunk)
        stack.callback(writer.discard)
        for block in _blocks(project, view, track, bits, gain):
            if bits:
                reach = max(reach, reach_of(block))
            writer.write(block.T / 2 ** (_LOSSY_BITS - 1) if format in LOSSY else block.T)
            done += len(block)
            reporter.report("samples", done, total)
        writer.finish()
        writers.append(writer)
    return writers, reach


def _commit(writers: Sequence[Writer]) -> None:
    """Give all files their names, or none: their names were free."""
    done: list[Path] = []
    try:
        for writer in writers:
            writer.commit()
            done.append(writer.path)
    except BaseException:
        for path in done:
            path.unlink(missing_ok=True)
        raise


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
        return read_lane(project, track.lanes[0], view, start, stop)
    out: npt.NDArray[np.float64] | None = None
    for lane in track.lanes:
        frames = read_lane(project, lane, view, start, stop).astype(np.float64)
        frames *= fader(lane, frames.shape[1]) if track.faders else 1.0
        out = frames if out is None else out + frames
    assert out is not None  # a track has lanes
    return out


def fader(lane: Lane, channels: int) -> npt.NDArray[np.float64]:
    """Gains [channels] of a lane as the mixer has them; only two channels can be panned."""
    left, right = lane_gains(lane)
    return np.array([left, right] if channels == 2 else [max(left, right)] * channels)


def _whole(
    project: Project, view: View, lane: Lane, start: int, stop: int, bits: int, gain: float
) -> npt.NDArray[np.int64]:
    return rounded(read_lane(project, lane, view, start, stop), bits, gain)


def _broadcast(project: Project, track: Track, format: str) -> bytes:
    audio = project.song.audio if project.song else Audio("", project.rate_hz, 2, 0)
    song, names = project.song.name if project.song else "", ", ".join(lane.name for lane in track.lanes)
    bits = BITS.get(format, 32)
    return broadcast_chunk(track.span.start, f"{song}: {names}", audio.id[:32], audio.rate_hz, audio.channels, bits)
