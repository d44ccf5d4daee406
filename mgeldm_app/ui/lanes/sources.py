"""What all lanes show, kept up to date as the project changes: pyramids and tiles, made on workers bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from mgeldm.audio import FADE_S, HARDLY_HEARD, MOMENT_S
from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from ...core import peaks, spectrum
from ...core.peaks import BLOCK_SAMPLES, Columns, Peaks, Read
from ...core.ports import Growing, Workers
from ...core.project import REST_ID, Audio, Lane, Project, SongFile, Span, without
from ...core.sound import heard_span
from .pyramids import MOST_KEPT, Pyramids, Work
from .raster import Bytes
from .sounds import Segment, Sound, View, clip_name, clip_reader, file_reader, file_samples, lane_reader, made_of
from .tiles import TileKey, Tiles

MOST_RUNNING, TILES_AT_ONCE = 2, 4
QUIETEST_PEAK = 0.05  # a song softer than this is not blown up further
_SILENCE = 1e-6  # of which nothing is missed
_COARSER = (1, 2, 4, 8, 16, 64)  # times longer columns that stand in for a tile, the best first


class Sources(QObject):
    """Gives columns and spectra of lanes, and tells when they have changed. All methods are for the GUI thread.

    Args:
        workers: Measure what is missing.
        parent: Owner.

    Attributes:
        view: Samples of clips, as they were last shown.
        near: What is in sight, which is measured first.
        scale: 1 over the song's loudest sample: all lanes are drawn to one measure.
    """

    changed = Signal(str, object)  # lane id, Span
    rescaled = Signal()

    def __init__(self, workers: Workers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workers = workers
        self._running, self._pumping, self._stopped = 0, False, False
        self._project = Project()
        self._sounds: dict[str, Sound] = {}
        self._pyramids = Pyramids(self)
        self._pyramids.measured.connect(self._measured)
        self._tiles = Tiles()
        self._names: dict[Audio, Hashable] = {}
        self.view: View | None = None
        self.near = Span(0, 0)
        self.scale = 1.0

    # ------------------------------------------------------------------------------------------------- what there is

    def show(self, project: Project, lanes: tuple[Lane, ...], growing: tuple[Growing, ...], view: View | None) -> None:
        """Another state of the project; measures what is new.

        Args:
            project: The project.
            lanes: Its lanes, and those that only grow.
            growing: Files being filled.
            view: Samples of clips; None shows nothing.
        """
        is_other = project.song != self._project.song or view != self.view
        if is_other:
            self._tiles = Tiles()  # what is being made for the old one is dropped
        self._project, self.view = project, view
        self._names = {}
        before, self._sounds = self._sounds, {}
        for lane in lanes if view is not None else ():
            sound = self._sound(lane, growing, before.get(lane.id), view)
            if sound is not None:
                self._sounds[lane.id] = sound
        for lane_id in before.keys() - self._sounds.keys():
            self._tiles.outdate(lane_id, Span(0, 1 << 62))
        for lane_id, sound in self._sounds.items():
            for span in sound.changed_from(before.get(lane_id)):
                self._tiles.outdate(lane_id, span)
                self.changed.emit(lane_id, span)
        shown = {segment.name for sound in self._sounds.values() for segment in sound.segments}
        self._pyramids.touch(shown, spare=0 if is_other else MOST_KEPT)
        self.pump()

    def _sound(self, lane: Lane, growing: tuple[Growing, ...], old: Sound | None, view: Any) -> Sound | None:
        song, read = self._project.song, lane_reader(self._project, lane, growing, view)
        if lane.kind in ("song", "rest") and song is None:
            return None
        if lane.kind == "rest" and song is not None:
            return self._rest(song, growing, old, read, view)
        parts = ((0, song.audio),) if lane.kind == "song" and song else \
            tuple((part.start, part.take.audio) for part in lane.parts)
        files = tuple(file for file in growing if file.lane_id == lane.id)
        contents = made_of(self._named(parts, view), files)
        if old is not None and old.made_of == contents:
            return replace(old, read=read)
        segments = [Segment(self._name(audio, view), start, self._clip(audio, view)) for start, audio in parts]
        segments += [self._file(file, old) for file in files]
        return Sound(contents, tuple(segments), read)

    def _name(self, audio: Audio, view: View) -> Hashable:
        return self._names.get(audio) or self._names.setdefault(audio, clip_name(audio, view))

    def _named(self, parts: Sequence[tuple[int, Audio]], view: View) -> tuple[tuple[int, Hashable, int], ...]:
        return tuple((start, self._name(audio, view), audio.samples) for start, audio in parts)

    def _clip(self, audio: Audio, view: View) -> Peaks:
        name = self._name(audio, view)
        known = self._pyramids.get(name)
        return self._pyramids.put(name, known or Peaks(audio.samples), clip_reader(audio, view))

    def _file(self, file: Growing, old: Sound | None) -> Segment:
        """A file being filled; what was added to it is measured."""
        name = str(file.path)
        pyramid = self._pyramids.get(name)
        if pyramid is None:
            old, pyramid = None, Peaks(file_samples(file), empty=True)
        self._pyramids.put(name, pyramid, file_reader(file.path))
        fresh = list(file.filled)
        for segment in old.segments if old else ():
            for span in (segment.shown or ()) if segment.name == name else ():
                fresh = without(fresh, span)
        for span in fresh:
            pyramid.want(span)
        heard = (heard_span(pyramid.samples, span, self._project.rate_hz) for span in file.filled)
        return Segment(name, file.start, pyramid, tuple(span for span in heard if span is not None))

    def _rest(
        self, song: SongFile, growing: tuple[Growing, ...], old: Sound | None, read: Read, view: View
    ) -> Sound:
        """The song's own pyramid until something is extracted, then one that is measured where stems change."""
        stems = [(x.start, x.take.audio) for stem in self._project.of_kind("extracted") for x in stem.parts]
        files = tuple(file for file in growing if file.kind == "extracted")
        whole = made_of(self._named([(0, song.audio)], view), ())
        contents = whole | made_of(self._named(stems, view), files)
        of_song = self._clip(song.audio, view)
        if contents == whole:
            return Sound(contents, (Segment(self._name(song.audio, view), 0, of_song),), read)
        known = self._pyramids.get(REST_ID)
        if known is None or old is None or old.segments[0].peaks is not known or not whole <= old.made_of:
            known = Peaks(song.audio.samples, like=of_song, empty=True)
            for span in of_song.wanted:
                known.want(span)
            old = Sound(whole, (), read)
        self._pyramids.put(REST_ID, known, read)
        sound = Sound(contents, (Segment(REST_ID, 0, known),), read)
        for span in sound.changed_from(old):
            known.want(span)
        return sound

    # ------------------------------------------------------------------------------------------------- what is drawn

    def inside(self, lane_id: str, start: float, step: float, pixels: int) -> np.ndarray:
        """Where a lane has audio: bool [pixels] of `step` samples each, from sample `start` on."""
        mask = np.zeros(pixels, bool)
        for segment in self._segments(lane_id):
            for span in segment.spans:
                mask[_pixels(span, start, step)] = True
        return mask

    def columns(self, lane_id: str, start: float, step: float, pixels: int) -> Columns:
        """Lowest, highest and RMS value [3, pixels] of a lane; close views ask for what they need and get it later."""
        out = np.zeros((3, pixels), np.float32)
        if lane_id not in self._sounds:
            return out
        for segment in self._sounds[lane_id].segments:
            first = start - segment.start
            values = segment.peaks.columns(first, first + step * pixels, pixels)
            for span in segment.spans:
                place = _pixels(span, start, step)
                out[:, place] = values[:, place]
        if step < BLOCK_SAMPLES:
            close = self._close(lane_id, start, step, pixels)
            out = np.where(np.isnan(close), out, close)
        return out

    def _close(self, lane_id: str, start: float, step: float, pixels: int) -> Columns:
        """Columns [3, pixels] from tiles with a column for each pixel or more; not a number where they are missing."""
        hop, size = 1 << int(np.log2(max(step, 1.0))), spectrum.TILE_COLUMNS
        edges = np.maximum((start + step * np.arange(pixels + 1)) / hop, 0).astype(int)  # in columns of tiles
        first, last = int(edges[0]), int(max(edges[-1] - 1, edges[-2]))
        indexes = range(first // size, last // size + 1)
        missing = np.full((3, size), np.nan, np.float16)
        found = [self._tiles.get(TileKey(lane_id, "peaks", hop, index)) for index in indexes]
        self.pump()
        values = np.concatenate([missing if tile is None else tile for tile in found], axis=1)
        values = values[:, first - indexes[0] * size : last + 1 - indexes[0] * size]
        return peaks.joined(values, edges[:-1] - first)

    def spectrum(self, lane_id: str, start: float, step: float, pixels: int) -> Bytes:
        """Loudness [bands, pixels] of a lane; what is missing is asked for, and coarser until then."""
        out = np.zeros((spectrum.BANDS, pixels), np.uint8)
        if lane_id not in self._sounds:
            return out
        todo = [(0, pixels)]
        for coarser in _COARSER:
            hop = spectrum.hop_of(step) * coarser
            places = np.maximum((start + step * (np.arange(pixels) + 0.5)) / hop, 0).astype(int)  # in columns
            get = self._tiles.get if coarser == 1 else self._tiles.peek
            find = partial(_found, get, lane_id, hop)
            todo = [gap for first, stop in todo for gap in _fill(out, places, first, stop, find)]
            if not todo:
                break
        self.pump()
        return out

    def _segments(self, lane_id: str) -> tuple[Segment, ...]:
        return self._sounds[lane_id].segments if lane_id in self._sounds else ()

    def trouble(self, lane_id: str) -> str:
        """Why some of a lane cannot be shown, for people; "" when all is well."""
        broken = self._pyramids.broken
        if not broken or lane_id not in self._sounds:
            return ""
        return next((broken[segment.name] for segment in self._sounds[lane_id].segments if segment.name in broken), "")

    def hardly_heard(self, lane_id: str) -> bool:
        """Whether all that a lane has is measured, and as good as silent beside the song."""
        pyramids, song = [segment.peaks for segment in self._segments(lane_id)], self._of_song
        if song is None or not pyramids or not all(pyramid.complete for pyramid in (*pyramids, song)):
            return False
        moment, edge = (round(seconds * self._project.rate_hz) for seconds in (MOMENT_S, FADE_S))
        level = max(pyramid.reached(moment, edge) for pyramid in pyramids)
        return level < max(song.reached(moment, edge), _SILENCE) * HARDLY_HEARD

    @property
    def _of_song(self) -> Peaks | None:
        song = self._project.song
        return self._pyramids.get(self._names.get(song.audio)) if song is not None else None

    @property
    def complete(self) -> bool | None:
        """Whether all waveforms are as fine as they get; None while some are not to be seen at all."""
        return self._pyramids.complete

    # ------------------------------------------------------------------------------------------------------- workers

    def pump(self) -> None:
        """Give the workers what is missing, a little at a time: surveys, then what is in sight, then the rest."""
        if self._stopped or self._pumping:  # a worker that is done at once would come back here
            return
        self._pumping = True
        while self._running < MOST_RUNNING and (work := self._pyramids.survey() or self._tiles_work() or self._piece()):
            self._running += 1
            self._workers.run(work.function, partial(self._finish, work.done), partial(self._finish, work.failed))
        self._pumping = False

    def stop(self) -> None:
        """Begin nothing more: the window closes, and what is done later comes to nobody."""
        self._stopped = True

    def _finish(self, then: Callable[[Any], None], result: Any) -> None:
        if not isValid(self):
            return  # the window was closed meanwhile
        self._running -= 1
        then(result)
        self.pump()

    def _piece(self) -> Work | None:
        near: dict[Hashable, Span] = {}
        for sound in self._sounds.values():
            for segment in sound.segments:
                near[segment.name] = Span(self.near.start - segment.start, self.near.stop - segment.start)
        return self._pyramids.piece(near)

    def _tiles_work(self) -> Work | None:
        keys = self._tiles.take(TILES_AT_ONCE)
        for key in [key for key in keys if key.lane_id not in self._sounds]:
            self._tiles.dropped(key)
            keys.remove(key)
        if not keys:
            return None
        rate_hz, reads = self._project.rate_hz, {key: self._sounds[key.lane_id].read for key in keys}
        return Work(lambda: [_tile(key, reads[key], rate_hz) for key in keys],
                    partial(self._made, self._tiles, keys), partial(self._unmade, self._tiles, keys))

    def _made(self, tiles: Tiles, keys: list[TileKey], made: list[np.ndarray]) -> None:
        for key, values in zip(keys, made, strict=True):
            tiles.put(key, values)
            self.changed.emit(key.lane_id, key.span)

    def _unmade(self, tiles: Tiles, keys: list[TileKey], error: BaseException) -> None:
        """Nothing to see there: asking again and again would not help. `trouble` tells why."""
        shapes = {"spectrum": (spectrum.BANDS, np.uint8), "peaks": (3, np.float16)}
        for key in keys:
            rows, kind = shapes[key.kind]
            tiles.put(key, np.zeros((rows, spectrum.TILE_COLUMNS), kind))

    def _measured(self, name: Hashable, span: Span) -> None:
        """Part of a pyramid is up to date: so are the lanes that show it."""
        for lane_id, sound in self._sounds.items():
            for segment in sound.segments:
                if segment.name == name:
                    self.changed.emit(lane_id, Span(span.start + segment.start, span.stop + segment.start))
        song, pyramid = self._of_song, self._pyramids.get(name)
        if song is not None and pyramid is song:
            scale = 1 / max(song.loudest, QUIETEST_PEAK)
            if abs(scale / self.scale - 1) > 0.01 or song.complete:  # now stems are known to be hardly heard
                self.scale = scale
                self.rescaled.emit()


def _pixels(span: Span, start: float, step: float) -> slice:
    """The pixels of `step` samples, from sample `start` on, that a span touches."""
    first, stop = np.floor((span.start - start) / step), np.ceil((span.stop - start) / step)
    return slice(max(0, int(first)), max(0, int(stop)))


def _found(get: Callable[[TileKey], Any], lane_id: str, hop: int, index: int) -> Any:
    """A tile of a spectrogram, or None."""
    return get(TileKey(lane_id, "spectrum", hop, index))


def _fill(out: Bytes, places: np.ndarray, first: int, stop: int, find: Callable[[int], Any]) -> list[tuple[int, int]]:
    """Fill pixels `first` to `stop` of `out` with the columns `places` of tiles; returns the gaps that are left."""
    gaps, at, size = [], first, spectrum.TILE_COLUMNS
    while at < stop:
        index = int(places[at]) // size
        end = min(stop, int(np.searchsorted(places, (index + 1) * size)))
        values = find(index)
        if values is None:
            gaps.append((at, end))
        else:
            out[:, at:end] = values[:, places[at:end] - index * size]
        at = end
    return gaps


def _tile(key: TileKey, read: Read, rate_hz: int) -> np.ndarray:
    """Make a tile; for a worker."""
    if key.kind == "spectrum":
        return spectrum.tile(read, rate_hz, key.hop, key.index)
    return peaks.blocks_of(read(key.span.start, key.span.stop), key.hop).astype(np.float16)
