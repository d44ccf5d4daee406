"""The audio of a project: float wav files named by their content, mapped into memory, shared with the engine."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Set
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from mgeldm.audio import FADE_S, AudioReader, Writer, create_wav, map_wav, open_audio, writing
from mgeldm.errors import AudioError
from mgeldm.naming import aside_of, give_name
from mgeldm.outputs import discard
from mgeldm.progress import Reporter

from .files import flush_folder, link_or_copy, may_be_open, sweep_parts
from .project import Audio

Frames = npt.NDArray[np.float32]
"""Samples [samples, channels]."""

_BLOCK_SAMPLES = 1 << 18
_KEPT_SHARE = 4  # a quarter of the files that may be open are clips looked at last
_PART = ".part.wav"


class ClipStore:
    """The folder `audio` of a project.

    A clip is written aside under a name of its own (`begin`), perhaps by another process, then named by its content
    (`adopt`). Clips are never changed afterwards, and never deleted while their project is open, since undo may bring
    them back.

    Args:
        folder: Where the files lie; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._views: WeakValueDictionary[str, Frames] = WeakValueDictionary()  # all that somebody holds
        self._look = lru_cache(may_be_open() // _KEPT_SHARE)(partial(_held, folder, self._views))
        self._lost: dict[str, Frames] = {}  # silence that stands in
        self._silences: dict[tuple[int, int, int], Audio] = {}

    def path(self, audio: Audio) -> Path:
        """The file of a clip."""
        return _path(self.folder, audio)

    def view(self, audio: Audio) -> Frames:
        """Read-only samples [samples, channels] of a clip, mapped: the same as long as somebody holds them.

        Raises:
            AudioError: The file is missing or damaged.
        """
        lost = self._lost.get(audio.id)  # asked once: a worker may be about to bring it back
        return self._look(audio) if lost is None else lost

    def real(self, audio: Audio) -> Frames:
        """As `view`, but silence that stands in for a clip is not taken for it: for what leaves the program.

        Raises:
            AudioError: The file is missing or damaged, or was when the project was opened.
        """
        if audio.id in self._lost:
            raise AudioError("{file} is missing; bring it back from a backup.", file=self.path(audio).name)
        return self.view(audio)

    def hand_on(self, audios: Iterable[Audio], folder: Path) -> None:
        """Give another store those clips that it lacks; what is missing here, too, it is left to find out.

        A clip whose file was moved away is still mapped where it was heard or seen lately, and is written from there.

        Raises:
            OSError, OutputError: There is no room.
        """
        for audio in audios:
            target = folder / f"{audio.id}.wav"
            if target.exists() or audio.id in self._lost:
                continue
            if self.path(audio).exists():
                link_or_copy(self.path(audio), target)
            elif (frames := self._views.get(audio.id)) is not None:
                with Writer(target, audio.rate_hz, audio.channels) as writer:
                    for start in range(0, audio.samples, _BLOCK_SAMPLES):
                        writer.write(frames[start : start + _BLOCK_SAMPLES].T)

    def begin(self, rate_hz: int, channels: int, samples: int) -> Path:
        """A new file of silence at full length, to be filled through `mgeldm.audio.map_wav` and then adopted.

        Raises:
            OutputError: It cannot be made.
        """
        path = self._new_path()
        create_wav(path, rate_hz, channels, samples)
        return path

    def stand_in(self, audio: Audio) -> None:
        """Let silence sound in place of a clip whose file is missing or damaged, until the program ends."""
        self._lost[audio.id] = np.broadcast_to(np.float32(0), (audio.samples, audio.channels))

    def stands_in(self, audio: Audio) -> bool:
        """Whether silence sounds in place of a clip."""
        return audio.id in self._lost

    def adopt(self, path: Path, reporter: Reporter | None = None) -> Audio:
        """Give a finished file its content's name; one that is there already, and whole, takes its place.

        What somebody else has mapped may stay behind under its old name, for `sweep` to remove.

        Raises:
            AudioError: The file is missing or damaged, or holds values that are not numbers.
            OutputError: It cannot be named or flushed to the disk.
            Cancelled: The reporter said so; the file stays as it is.
        """
        audio = _content(path, reporter or Reporter())
        target = self.path(audio)
        aside = aside_of(target)
        with writing(target, aside):
            if target.exists() and target.stat().st_size == path.stat().st_size:
                discard(path)
            else:
                with open(path, "r+b") as file:
                    os.fsync(file.fileno())
                try:
                    os.replace(path, target)
                except PermissionError:  # Windows, and somebody else still has it mapped
                    shutil.copyfile(path, aside)
                    give_name(aside, target)
                flush_folder(self.folder)  # a state that names it will be there after a power cut
        self._lost.pop(audio.id, None)  # made anew, from the same seed
        return audio

    def take_in(self, source: Path, reporter: Reporter | None = None) -> Audio:
        """Decode a file of any format into the store; `reporter` hears of samples, and may stop it.

        Raises:
            AudioError: The file cannot be read.
            OutputError: The store cannot be written.
            Cancelled: The reporter said so.
        """
        reporter = reporter or Reporter()
        with open_audio(source, reporter.check) as song:
            return self.write(song.info.rate_hz, song.info.channels, _decoded(song, reporter), reporter)

    def cut(self, source: Path, samples: int) -> Audio:
        """The first samples of a file of the store, faded where they are cut off, as a clip of their own.

        They are written, not copied through a map: where the disk is full, that would end the program.

        Raises:
            AudioError: The file is missing or damaged.
            OutputError: The store cannot be written.
        """
        frames, rate_hz = map_wav(source)
        fade = min(round(FADE_S * rate_hz), samples // 2) if samples < len(frames) else 0  # else it has its own
        falls = samples - fade
        blocks = (frames[start : min(start + _BLOCK_SAMPLES, falls)] for start in range(0, falls, _BLOCK_SAMPLES))
        end = [frames[falls:samples] * rising(fade)[::-1, None]] if fade else []
        return self.write(rate_hz, frames.shape[1], chain(blocks, end))

    def write(self, rate_hz: int, channels: int, blocks: Iterable[Frames], reporter: Reporter | None = None) -> Audio:
        """Samples [samples, channels], block by block, as a clip.

        Raises:
            OutputError: The store cannot be written.
            Cancelled: The reporter said so.
        """
        path = self._new_path()
        with Writer(path, rate_hz, channels) as writer:
            for block in blocks:
                writer.write(block.T)
        return self._adopt_own(path, reporter)

    def silence(self, rate_hz: int, channels: int, samples: int) -> Audio:
        """A clip of silence: slow when it is asked for the first time.

        Raises:
            OutputError: The store cannot be written.
        """
        kind = rate_hz, channels, samples
        if kind not in self._silences:
            self._silences[kind] = self._adopt_own(self.begin(*kind))
        return self._silences[kind]

    def _adopt_own(self, path: Path, reporter: Reporter | None = None) -> Audio:
        """As `adopt`, of what nobody else knows of: a disk that is full would hold it for good."""
        try:
            return self.adopt(path, reporter)
        except BaseException:
            discard(path)
            raise

    def _new_path(self) -> Path:
        return self.folder / f"{secrets.token_hex(8)}{_PART}"

    @staticmethod
    def unfinished(path: Path) -> bool:
        """Whether a file of the store was begun and not adopted."""
        return path.name.endswith(_PART)

    def sweep(self, kept: Set[str] = frozenset()) -> None:
        """Remove what an earlier run began and never finished, but for files `kept`; before anything is begun."""
        discard(*(path for path in self.folder.glob(f"*{_PART}") if path.name not in kept))
        sweep_parts(self.folder)


def _path(folder: Path, audio: Audio) -> Path:
    return folder / f"{audio.id}.wav"


def _held(folder: Path, views: WeakValueDictionary[str, Frames], audio: Audio) -> Frames:
    """A clip's samples that somebody holds, or mapped anew."""
    frames = views.get(audio.id)
    if frames is None:
        frames = views[audio.id] = _mapped(folder, audio)
    return frames


def _mapped(folder: Path, audio: Audio) -> Frames:
    frames, rate_hz = map_wav(_path(folder, audio))
    if frames.shape != (audio.samples, audio.channels) or rate_hz != audio.rate_hz:
        file = _path(folder, audio).name
        raise AudioError("{file} is cut off; bring the project's folder back from a backup.", file=file)
    return frames


def _content(path: Path, reporter: Reporter) -> Audio:
    """What a file holds. Nothing of it is mapped any more when this returns: Windows renames no mapped file."""
    frames, rate_hz = map_wav(path)
    digest = hashlib.sha256(f"{rate_hz} {frames.shape[1]} ".encode())
    for start in range(0, len(frames), _BLOCK_SAMPLES):
        block = np.ascontiguousarray(frames[start : start + _BLOCK_SAMPLES])  # a view, where it is so already
        if not np.isfinite(block).all():
            raise AudioError("{file} holds values that are not numbers.", file=path.name)
        digest.update(block.data)
        reporter.check()
    return Audio(digest.hexdigest(), rate_hz, frames.shape[1], len(frames))


def _decoded(song: AudioReader, reporter: Reporter) -> Iterator[Frames]:
    """A song's samples, block by block; `reporter` hears of those that have been taken."""
    done = 0
    for block in song.blocks(_BLOCK_SAMPLES):
        yield block.T
        done += block.shape[1]
        reporter.report("samples", done, song.info.samples)


def whereabouts(frames: Frames) -> int:
    """Where samples lie in memory. Of two that are held at once only the same share it: a clip of another store, or one
    that came back in place of silence, lies elsewhere.
    """
    return frames.__array_interface__["data"][0]


def rising(samples: int) -> Frames:
    """Sine-squared gains [samples]; with their own reverse they sum to one."""
    return np.square(np.sin(np.pi / 2 * (np.arange(samples) + 0.5) / max(samples, 1))).astype(np.float32)
