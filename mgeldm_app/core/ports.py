"""What the core asks of the world around it; `services` answers, tests use fakes. Events arrive on the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from .events import Event
from .jobs import EngineConfig, EngineStatus, Job
from .project import Project, Span


class Engine(Protocol):
    """Runs jobs one after the other in a process of its own. Methods return at once."""

    events: Event  # of one `jobs.EngineEvent`
    status: EngineStatus

    def configure(self, config: EngineConfig) -> None:
        """Use another model or device from the next job on."""

    def submit(self, job: Job) -> None:
        """Queue a job; urgent ones go before the others."""

    def cancel(self, job_id: str) -> None:
        """Stop a job, queued or running; `CancelledJob` tells when it has stopped."""

    def warm_up(self) -> None:
        """Load the model now, so that the first job does not wait for it."""

    def forget(self) -> None:
        """Let go of the audio of earlier jobs: their project is closed, and its files may be moved."""

    def close(self) -> None:
        """End the process; unfinished jobs are cancelled."""


@dataclass(frozen=True)
class Growing:
    """A part still being made, heard and drawn already: the file of an output, and which of its samples are final.

    Attributes:
        lane_id: The lane it will belong to.
        path: A float wav file being filled.
        start: Sample of the song at which it begins.
        filled: Final stretches, in samples of the file.
        kind: Kind of the lane.
    """

    lane_id: str
    path: Path
    start: int
    filled: tuple[Span, ...]
    kind: Literal["extracted", "added"]




@dataclass(frozen=True)
class OutputStatus:
    """How the sound card is: `device` that plays ("" for the silent clock), its rate, latency, a notice for people."""

    device: str
    rate_hz: int
    latency_s: float
    message: str = ""


@dataclass(frozen=True)
class Levels:
    """Peak of each channel since the last look, linear; and of song - (stems + rest), before faders."""

    left: float
    right: float
    null: float


class Player(Protocol):
    """Plays a project. Methods return at once; places are samples of the song."""

    changed: Event  # of nothing: playing, status or position jumped

    @property
    def playing(self) -> bool: ...

    @property
    def position(self) -> int:
        """The sample that is heard now."""

    @property
    def status(self) -> OutputStatus: ...

    def show(self, project: Project, growing: tuple[Growing, ...] = ()) -> None:
        """What to play from now on, without a click or a gap. Called after every change."""

    def play(self) -> None: ...

    def pause(self) -> None: ...

    def seek(self, sample: int) -> None: ...

    def listen_to(self, what: Literal["song", "stems"]) -> None:
        """The original, or stems and rest: never both."""

    def set_click(self, on: bool) -> None: ...

    def set_device(self, name: str, latency: Literal["low", "safe"]) -> None:
        """ "" takes the system's default."""

    def devices(self) -> list[str]: ...

    def levels(self) -> Levels: ...

    def close(self) -> None: ...


class Workers(Protocol):
    """Runs slow functions (files, peaks, analysis) beside the GUI thread."""

    def run(
        self,
        function: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Run `function` on a worker; exactly one of `done` and `failed` is called on the GUI thread."""

    def wait(self) -> None:
        """Wait for what runs and what is queued; `done` and `failed` of it are called later, as ever."""

    def close(self) -> None:
        """Wait for what runs; what is queued is dropped."""
