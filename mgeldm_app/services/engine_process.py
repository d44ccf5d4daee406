"""The engine's child process, the only one that imports torch: commands come in by its input, events go out.

Audio crosses in mapped files: the child reads the layers of `Job.heard` and fills `Job.outputs` in place, so what it
has finished outlives it. It ends when its input does, and so with its parent. `services.engine` starts it as
`command()`; it takes no arguments: the first message is the `EngineConfig`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import platform
import queue
import signal
import struct
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mgeldm.audio import AudioClip, AudioInfo, Samples, map_wav, resample, reserve
from mgeldm.errors import AudioError, Cancelled, InputError, MgeldmError
from mgeldm.language import say
from mgeldm.progress import Progress, Reporter
from mgeldm.requests import Accompany, Extract, Generate, Impute, Inpaint, Sampling

from ..core.clips import Frames
from ..core.files import let_many_be_open
from ..core.jobs import (
    CancelledJob,
    EngineConfig,
    EngineStatus,
    Failed,
    Filled,
    Finished,
    Job,
    Layer,
    Progressed,
    Started,
)
from ..core.sound import flatten

if TYPE_CHECKING:
    from mgeldm.pipeline import Extraction, Pipeline

KEPT_EXTRACTIONS, KEPT_SONGS = 6, 4
MEASURED_S = 12.0  # of noise
RATED_S = 5.0  # a shorter extraction says little of the speed
UNKNOWN = 0.0  # the speed of what is not measured, or could not be: it is not asked for again
NICENESS = 5
FROZEN_FLAG = "--engine"


def command() -> list[str]:
    """The command that runs `main` in a process of its own; a bundled program takes `FROZEN_FLAG` for it."""
    if getattr(sys, "frozen", False):
        return [sys.executable, FROZEN_FLAG]
    return [sys.executable, "-m", "mgeldm_app.services.engine_process"]


# ----------------------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True)
class Cancel:
    """To the child: stop this job."""

    job_id: str


@dataclass(frozen=True)
class Measure:
    """To the child: find out how fast this computer is, unless something better comes."""


@dataclass(frozen=True)
class Forget:
    """To the child: let go of every song; their project is closed. Windows keeps files locked that anybody maps."""


@dataclass(frozen=True)
class DidNotStart:
    """From the child, before it ends: the model cannot be loaded."""

    message: str
    details: str


_LENGTH = struct.Struct(">I")


def pack(message: object) -> bytes:
    """A message as it crosses the pipe."""
    data = pickle.dumps(message)
    return _LENGTH.pack(len(data)) + data


class Unpacker:
    """Puts messages together again from the pieces in which they come out of a pipe."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The messages that are complete with `data`."""
        self._held += data
        while len(self._held) >= _LENGTH.size:
            stop = _LENGTH.size + _LENGTH.unpack_from(self._held)[0]
            if len(self._held) < stop:
                return
            message = pickle.loads(bytes(self._held[_LENGTH.size : stop]))
            del self._held[:stop]
            yield message


# -------------------------------------------------------------------------------------------------------------- audio


class Heard:
    """The sum of layers, as a `mgeldm.audio.Song`; the first gives rate, channels and length.

    Raises:
        AudioError: A file is missing or damaged, or does not fit the first.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        maps = [map_wav(layer.path) for layer in layers]
        frames, rate_hz = maps[0]
        self.info = AudioInfo(rate_hz, frames.shape[1], len(frames), "float wav")
        lanes: dict[tuple[str, float], list[tuple[int, Frames]]] = {}
        for number, (layer, (frames, layer_hz)) in enumerate(zip(layers, maps, strict=True)):
            if layer_hz != rate_hz or frames.shape[1] not in (1, self.info.channels):
                raise AudioError(
                    "{file} differs in rate or channels from the song; import it again.", file=layer.path.name
                )
            if layer.gain:
                lanes.setdefault((layer.lane or str(number), layer.gain), []).append((layer.start, frames))
        flat = {key: flatten(parts, rate_hz, self.info.samples) for key, parts in lanes.items()}
        self._clips = [(clip, gain) for (_, gain), clips in flat.items() for clip in clips]

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """Samples [channels, stop - start]; silence where no layer lies."""
        stop = self.info.samples if stop is None else stop
        out = np.zeros((max(0, stop - start), self.info.channels), np.float32)
        first, last = max(start, 0), min(stop, self.info.samples)
        for clip, gain in self._clips:
            clip.add_to(out[first - start : max(last, first) - start], first, gain)
        return np.ascontiguousarray(out.T)  # [samples, channels] -> [channels, samples]

    def close(self) -> None:
        """Let go of the files, also where somebody still knows the song, as the pipeline does the last one."""
        self._clips.clear()


class Outputs:
    """The files of a job, mapped; leave the `with` statement before others may rename them (Windows insists).

    Raises:
        AudioError: A file is missing or damaged.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._frames, rates_hz = map(list, zip(*(map_wav(path, writable=True) for path in paths), strict=True))
        self.rate_hz: int = rates_hz[0]
        self.samples, self.channels = self._frames[0].shape
        self._files = [open(path, "r+b") for path in paths]  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.clear()
        for file in self._files:
            file.close()

    def write(self, start: int, parts: Sequence[Samples] | Samples) -> tuple[int, int]:
        """Put parts [channels, n], one a file, at sample `start`; what would lie outside is left out.

        Returns:
            The samples filled, from the first to the one after the last.

        Raises:
            OutputError: The disk is full.
        """
        if len(parts) != len(self._files):
            raise ValueError(f"{len(parts)} parts for {len(self._files)} files")
        first, last = max(start, 0), min(start + parts[0].shape[1], self.samples)
        for frames, file, path, part in zip(self._frames, self._files, self._paths, parts, strict=True):
            if last > first:
                row = frames.shape[1] * frames.itemsize
                reserve(file, frames.offset + first * row, (last - first) * row, path.parent)
                frames[first:last] = part[:, first - start : last - start].T
        return first, max(first, last)


def _fitted(clip: AudioClip, outputs: Outputs) -> Samples:
    """A clip at the rate and in the channels of the outputs."""
    samples = resample(clip.samples, clip.rate_hz, outputs.rate_hz)
    if len(samples) == outputs.channels:
        return samples
    return np.repeat(samples.mean(0, keepdims=True), outputs.channels, 0)


# --------------------------------------------------------------------------------------------------------------- jobs


class _Clock:
    """Seconds of work on a job, and seconds left by the pace since the first report of a stage."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._stage, self._done, self._from_s = "", 0, 0.0

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self._began_s

    def skip(self, seconds: float) -> None:
        """These went into another job."""
        self._began_s += seconds
        self._from_s += seconds

    def left_s(self, progress: Progress) -> float | None:
        now_s = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._done, self._from_s = progress.stage, progress.done, now_s
        done = progress.done - self._done
        return (now_s - self._from_s) / done * (progress.total - progress.done) if done > 0 else None


class Runner:
    """Does jobs with a loaded pipeline, in the child's main thread.

    An urgent job that arrives while another is under way is done at that one's next window or step.

    Args:
        pipeline: The model.
        inbox: Commands that wait.
        cancelled: Ids of jobs to stop.
        tell: Sends an event.
    """

    def __init__(
        self, pipeline: Pipeline, inbox: queue.SimpleQueue[Any], cancelled: set[str], tell: Callable[[object], None]
    ) -> None:
        self.pipeline, self._inbox, self._cancelled, self._tell = pipeline, inbox, cancelled, tell
        self._job: Job | None = None
        self._clock = _Clock()
        self._reporter = Reporter(self._progressed, self._is_unwanted)
        self._songs: OrderedDict[Any, Heard] = OrderedDict()
        self._extractions: OrderedDict[Any, Extraction] = OrderedDict()
        self._forgets = False
        for module in pipeline.compute.modules.modules():  # a step of a large model lasts: asked before every layer
            module.register_forward_pre_hook(lambda *_: self._reporter.check())
        self.status = EngineStatus("ready", pipeline.compute.device.type, model=pipeline.config.name)

    def notice(self, message: str) -> None:
        """Tell people that memory ran out and the work goes on elsewhere."""
        self.status = replace(self.status, device=self.pipeline.compute.device.type, message=message)
        self._tell(self.status)

    def do(self, command: Job | Measure | Forget) -> None:
        """Do what a command says; an error becomes an event. What it is to forget serves a job at hand to its end."""
        if isinstance(command, Measure):
            self._measure()
        elif isinstance(command, Forget):
            self._forgets = True
        else:
            self._do_job(command)
        if self._forgets and self._job is None:
            self._forget()

    def _do_job(self, command: Job) -> None:
        before, clock = self._job, self._clock
        self._job, self._clock = command, _Clock()
        try:
            if before is None:  # a job at a step of another must not move the model from under it
                self._recover()
            self._tell(Started(command.id))
            self._tell(self._run(command))
        except Cancelled:
            self._tell(CancelledJob(command.id))
        except Exception as error:
            self._tell(self._failed(command, error))
        finally:
            clock.skip(self._clock.spent_s)
            self._job, self._clock = before, clock

    def _forget(self) -> None:
        self._forgets = False
        for song in self._songs.values():
            song.close()
        self._songs.clear()
        self._extractions.clear()

    def _recover(self) -> None:
        """Back to where the model ran before memory ran out in an earlier job."""
        compute = self.pipeline.compute
        compute.begin()
        if compute.device.type != self.status.device:
            self.status = replace(self.status, device=compute.device.type, message="")
            self._tell(self.status)

    def _run(self, job: Job) -> Finished:
        """Do a job."""
        with Outputs(job.outputs) as outputs:
            self._reporter.check()
            request, is_new = job.request, True
            if isinstance(request, Extract) and not request.raw:
                is_new = self._extract(job, request, outputs)
            elif isinstance(request, Generate):
                self._fill(job, outputs, 0, [self._music(request, outputs)])
            else:
                clips = [_fitted(clip, outputs) for clip in self._clips(job)]
                self._fill(job, outputs, round(request.region.start_s * outputs.rate_hz) - job.start, clips)
            return Finished(job.id, self._clock.spent_s, outputs.samples / outputs.rate_hz, is_new)

    def _extract(self, job: Job, request: Extract, outputs: Outputs) -> bool:
        """Fill the outputs with stems; whether nothing of them had been estimated before."""
        from mgeldm.refine import refine_region

        song, key = self._song(job.heard), (job.heard, job.example, replace(request, sensitivity=0.0))
        found, is_new = self._extractions.get(key), key not in self._extractions
        if found is None:
            found = self._extractions[key] = self.pipeline.extract(song, request, self._reporter, self._example(job))
        self._extractions.move_to_end(key)
        if len(self._extractions) > KEPT_EXTRACTIONS:
            self._extractions.popitem(last=False)
        span = {"start_s": found.start_s, "end_s": found.end_s}
        try:
            for block in refine_region(song, found.estimates, **span, sensitivity=request.sensitivity):
                self._fill(job, outputs, block.start - job.start, block.stems)
                self._give_way()
        except Cancelled:
            raise  # what was estimated so far serves the next time
        except Exception:
            self._extractions.pop(key, None)
            raise
        one = len(request.prompts) + len(request.examples) == 1 and request.sampling.quality == "standard"
        if is_new and one and found.end_s - found.start_s >= RATED_S:
            self._rate((found.end_s - found.start_s) / self._clock.spent_s)
        return is_new

    def _music(self, request: Generate, outputs: Outputs) -> Samples:
        """Music from nothing, as loud in the channels of its file as the library makes it in one: two sound louder."""
        from mgeldm.pipeline import MADE_LUFS
        from mgeldm.refine import at_loudness

        fitted = _fitted(self.pipeline.generate(request, self._reporter), outputs)
        return at_loudness(AudioClip(fitted, outputs.rate_hz), MADE_LUFS).samples

    def _clips(self, job: Job) -> Sequence[AudioClip]:
        """What the library makes at once beside a song, one clip an output."""
        request, reporter = job.request, self._reporter
        song = self._song(job.heard)
        if isinstance(request, Extract):
            return self.pipeline.extract_raw(song, request, reporter)[:-1]
        if isinstance(request, Impute):
            return self.pipeline.impute(song, request, reporter, self._example(job))
        if isinstance(request, Accompany):
            return [self.pipeline.accompany(song, request, reporter, self._example(job))]
        assert isinstance(request, Inpaint)
        return self.pipeline.inpaint(song, request, reporter, self._example(job))

    def _example(self, job: Job) -> Heard | None:
        return self._song(job.example) if job.example else None

    def _fill(self, job: Job, outputs: Outputs, start: int, parts: Sequence[Samples] | Samples) -> None:
        self._reporter.check()
        first, last = outputs.write(start, parts)
        if last > first:
            self._tell(Filled(job.id, first, last))

    def _song(self, layers: tuple[Layer, ...]) -> Heard:
        """The same object for the same layers: the pipeline knows by it what it has heard already."""
        if layers not in self._songs:
            self._songs[layers] = Heard(layers)
        self._songs.move_to_end(layers)
        if len(self._songs) > KEPT_SONGS:
            self._songs.popitem(last=False)
        return self._songs[layers]

    # ------------------------------------------------------------------------------------------ progress and errors

    def _is_unwanted(self) -> bool:
        return not self._inbox.empty() if self._job is None else self._job.id in self._cancelled

    def _progressed(self, progress: Progress) -> None:
        if self._job is not None:
            left_s = self._clock.left_s(progress)
            self._tell(Progressed(self._job.id, progress.stage, progress.done, progress.total, left_s))
            self._give_way()

    def _give_way(self) -> None:
        """Do an urgent job that waits; while one is under way, nothing else is sent here."""
        with contextlib.suppress(queue.Empty):
            self.do(self._inbox.get_nowait())

    def _failed(self, job: Job, error: Exception) -> Failed:
        from mgeldm.checkpoint import lacks_memory

        if isinstance(error, MgeldmError):
            can_retry = isinstance(error, AudioError) or not isinstance(error, InputError)
            message = str(error)
        elif lacks_memory(error):
            can_retry, message = True, say(
                "The computer ran out of memory. Close other programs or choose a shorter region, then try again."
            )
        else:
            can_retry, message = True, say(
                "The model stopped at an error nobody foresaw ({kind}: {why}). Try again; if it comes back, copy the "
                "diagnostics and send them to the makers of this program.",
                kind=type(error).__name__,
                why=error,
            )
        return Failed(job.id, message, diagnostics(error, f"{job.request}\ndevice {self.status.device}"), can_retry)

    # -------------------------------------------------------------------------------------------------------- speed

    def _measure(self) -> None:
        """Rate the model by an extraction from noise, a large one by its jobs alone; what comes meanwhile goes first.

        Where that fails nobody is told: nobody asked for it, and the next job that fails says what is wrong.
        """
        speed = UNKNOWN
        if self.pipeline.config.is_embedded:
            try:
                speed = self._measured()
            except Cancelled:
                return
            except Exception:
                traceback.print_exc()  # to what a report shows, should the process end
        self._rate(speed or self.status.speed or UNKNOWN)

    def _measured(self) -> float:
        """How fast noise is extracted from, after a draft that warms up.

        Raises:
            Cancelled: Something else waits.
        """
        from mgeldm.pipeline import Pipeline
        from mgeldm.refine import refine

        twin = Pipeline(self.pipeline.model, self.pipeline.conditioner, self.pipeline.compute.device)  # keeps caches
        twin.compute = self.pipeline.compute  # which alone knows where the networks are that both have
        rng, rate_hz = np.random.default_rng(0), 44100
        noise = AudioClip(rng.normal(0, 0.1, (2, round(MEASURED_S * rate_hz))).astype(np.float32), rate_hz)
        for sampling in (Sampling("draft"), Sampling("standard")):
            began_s = time.monotonic()
            refine(noise, twin.extract(noise, Extract(("drums",), sampling=sampling), self._reporter).estimates)
        return MEASURED_S / (time.monotonic() - began_s)

    def _rate(self, speed: float) -> None:
        self.status = replace(self.status, speed=speed)
        self._tell(self.status)


def diagnostics(error: BaseException | None = None, more: str = "") -> str:
    """Everything worth knowing about a failure, for a report."""
    import mgeldm

    lines = traceback.format_exception(error) if error else []
    versions = [f"mgeldm {getattr(mgeldm, '__version__', '')}", f"Python {sys.version.split()[0]}", platform.platform()]
    versions += [f"{name} {sys.modules[name].__version__}" for name in ("torch", "numpy") if name in sys.modules]
    return "\n".join(["".join(lines).rstrip(), more, ", ".join(versions)]).strip()


# --------------------------------------------------------------------------------------------------------- the process


def _listen(pipe: int, inbox: queue.SimpleQueue[Any], cancelled: set[str]) -> None:
    """Take commands in, also while the main thread works; without a parent there is nothing left to do."""
    unpacker = Unpacker()
    while data := os.read(pipe, 1 << 16):
        for message in unpacker.feed(data):
            if isinstance(message, Cancel):
                cancelled.add(message.job_id)
            else:
                if isinstance(message, Job):
                    cancelled.discard(message.id)  # of an earlier try, which ended just before it was cancelled
                inbox.put(message)
    os._exit(0)


def _step_back() -> None:
    """Leave the processor to the window and the sound."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is the parent's to handle
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else NICENESS)


def _runner(config: EngineConfig, inbox: Any, cancelled: set[str], tell: Callable[[object], None]) -> Runner:
    """Load the model.

    Raises:
        MgeldmError: It cannot be loaded.
    """
    from mgeldm.pipeline import Pipeline

    notices: list[str] = []
    pipeline = Pipeline.load(config.model, config.device, config.clap or None, notices.append)
    runner = Runner(pipeline, inbox, cancelled, tell)
    pipeline.compute.on_notice = runner.notice
    runner.status = replace(runner.status, model_sha256=pipeline.model.sha256, message="\n".join(notices))
    return runner


def main() -> None:
    """Serve one parent until it closes the pipe."""
    pipe, out = os.dup(0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # whatever prints must not disturb the pipe
    faulthandler.enable()
    _step_back()
    let_many_be_open()
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    cancelled: set[str] = set()
    threading.Thread(target=_listen, args=(pipe, inbox, cancelled), daemon=True).start()

    def tell(message: object) -> None:
        try:
            out.write(pack(message))
        except OSError:  # the parent is gone
            os._exit(0)

    try:
        runner = _runner(inbox.get(), inbox, cancelled, tell)
    except MgeldmError as error:
        tell(DidNotStart(str(error), diagnostics(error)))
        os._exit(1)
    except Exception as error:
        message = say(
            "The model cannot be started ({kind}: {why}); install the program again.",
            kind=type(error).__name__,
            why=error,
        )
        tell(DidNotStart(message, diagnostics(error)))
        os._exit(1)
    tell(runner.status)
    while True:
        runner.do(inbox.get())


if __name__ == "__main__":
    from mgeldm_app.services import engine_process  # messages are of its classes, not of those of `__main__`

    engine_process.main()
