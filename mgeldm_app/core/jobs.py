"""Work for the engine, and what it tells of it. Plain values that cross from one process to another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mgeldm.requests import Request


@dataclass(frozen=True)
class Layer:
    """A float wav file of the store, laid under the model's ears from sample `start` of the song on, times `gain`.

    Layers of one `lane` in a row hide each other where they overlap, the later ones on top, as when they are played;
    all others sum.
    """

    path: Path
    start: int = 0
    gain: float = 1.0
    lane: str = ""


@dataclass(frozen=True)
class Job:
    """One request to the model.

    Attributes:
        id: Names it in every event.
        title: What the user reads: "Extracting the bass".
        request: What to do, its places in seconds of the song.
        heard: What the model hears, summed; the first layer gives rate, channels and length. Empty for `Generate`.
        example: What the request's examples are regions of, given likewise; empty for what is heard.
        outputs: Float wav files that exist at full length (`ClipStore.begin`), silent, to be filled in place: one a
            prompt and example of an extraction; the new part; the new part and the old one for `Inpaint`.
        start: Sample of the song at which the outputs begin.
        urgent: Goes before what is not: somebody listens.
    """

    id: str
    title: str
    request: Request
    heard: tuple[Layer, ...]
    outputs: tuple[Path, ...]
    start: int = 0
    urgent: bool = False
    example: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Started:
    """The job is being worked on."""

    job_id: str


@dataclass(frozen=True)
class Progressed:
    """`done` of `total` units of `stage` ("windows", "steps"); seconds left if known."""

    job_id: str
    stage: str
    done: int
    total: int
    left_s: float | None


@dataclass(frozen=True)
class Filled:
    """Every output holds its final samples from `start` to `stop` (samples of the output)."""

    job_id: str
    start: int
    stop: int


@dataclass(frozen=True)
class Finished:
    """All outputs are complete. `seconds` of work for `audio_s` of music, which tell the speed only if it `is_new`."""

    job_id: str
    seconds: float
    audio_s: float
    is_new: bool = True


@dataclass(frozen=True)
class Failed:
    """The job ended without a result: what happened, why, what to do; `details` for a report. What is filled stays."""

    job_id: str
    message: str
    details: str
    can_retry: bool = True


@dataclass(frozen=True)
class CancelledJob:
    """The job was stopped as asked."""

    job_id: str


EngineState = Literal["off", "starting", "ready", "working", "failed"]


@dataclass(frozen=True)
class EngineStatus:
    """How the engine is.

    Attributes:
        state: "off" before the first need, "failed" when the process does not start.
        device: "cpu", "cuda", "mps", or "" while unknown.
        speed: Times real time of a standard extraction, measured by the engine; None while unknown, 0 if it cannot be.
        model: Name of the loaded model.
        model_sha256: Its weights.
        message: A notice for people, or "".
    """

    state: EngineState
    device: str = ""
    speed: float | None = None
    model: str = ""
    model_sha256: str = ""
    message: str = ""


JobEvent = Started | Progressed | Filled | Finished | Failed | CancelledJob
EngineEvent = JobEvent | EngineStatus


@dataclass(frozen=True)
class EngineConfig:
    """Which model to load, and where. `model` is "embedded" or a path; `clap` a folder or "" where none is needed."""

    model: str = "embedded"
    device: str = "auto"
    clap: str = ""
