"""The engine (`core.ports.Engine`): one thread that owns the queue of jobs and the child process that does them.

The child (`engine_process`) is given one job at a time, and an urgent one on top of one that is not, which it does at
the other's next window or step. If it dies, the jobs it was at fail, and it is started again.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mgeldm.language import say
from PySide6.QtCore import QObject, QProcess, Qt, QThread, QTimer, Signal, Slot

from ..core.events import Event
from ..core.jobs import (
    CancelledJob,
    EngineConfig,
    EngineEvent,
    EngineState,
    EngineStatus,
    Failed,
    Finished,
    Job,
    Started,
)
from .engine_process import Cancel, DidNotStart, Forget, Measure, Unpacker, command, pack
from .workers import Post

END_MS = 1000  # for a child to end by itself
CANCEL_MS = 10_000  # a child that has not stopped by then hangs, and is ended
_TAIL_BYTES = 1 << 14  # of what the child printed


class Engine:
    """Runs jobs one after the other in a process of its own.

    Args:
        post: Calls a function on the GUI thread.
        child: The command that runs `engine_process.main`.
    """

    def __init__(self, post: Post, child: Sequence[str] | None = None) -> None:
        self.events = Event()
        self.status = EngineStatus("off")
        self._thread = QThread()
        self._driver = _Driver(child or command(), lambda event: post(partial(self._arrive, event)))
        self._driver.moveToThread(self._thread)
        self._thread.start()

    def configure(self, config: EngineConfig) -> None:
        """Use another model or device from the next job on."""
        self._ask(partial(self._driver.configure, config))

    def submit(self, job: Job) -> None:
        """Queue a job; urgent ones go before the others."""
        self._ask(partial(self._driver.submit, job))

    def cancel(self, job_id: str) -> None:
        """Stop a job, queued or running; `CancelledJob` tells when it has stopped."""
        self._ask(partial(self._driver.cancel, job_id))

    def warm_up(self) -> None:
        """Load the model now, so that the first job does not wait for it."""
        self._ask(self._driver.warm_up)

    def forget(self) -> None:
        """Let go of the audio of earlier jobs: their project is closed."""
        self._ask(self._driver.forget)

    def close(self) -> None:
        """End the process; unfinished jobs are cancelled."""
        if self._thread.isRunning():
            self._ask(self._driver.close)
            self._thread.wait()

    def _ask(self, function: Callable[[], None]) -> None:
        self._driver.asked.emit(function)

    def _arrive(self, event: EngineEvent) -> None:
        if isinstance(event, EngineStatus):
            self.status = event
        self.events.emit(event)


class _Child(QObject):
    """The process, its pipes, and the end of what it printed. It runs from `begin` on.

    Args:
        command: How to run it.
        config: What it is told first.
    """

    said = Signal(object)
    ended = Signal()

    def __init__(self, command: Sequence[str], config: EngineConfig) -> None:
        super().__init__()
        self._command = command
        self.config, self.is_ready = config, False
        self.stillborn: DidNotStart | None = None
        self._unpacker, self._printed, self._is_over = Unpacker(), bytearray(), False
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read_printed)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail)

    def begin(self) -> None:
        """Start it. One that cannot be started may end before this returns, so listen first."""
        self._process.start(self._command[0], list(self._command[1:]))
        if not self._is_over:
            self.send(self.config)

    def send(self, message: object) -> None:
        """Tell it something."""
        self._process.write(pack(message))

    def end(self) -> None:
        """End it, whatever it does; nothing more is heard of it."""
        self._is_over = True
        self._process.closeWriteChannel()
        if not self._process.waitForFinished(END_MS):
            self.kill()
            self._process.waitForFinished(END_MS)
        self.deleteLater()

    def kill(self) -> None:
        """End it at once; `ended` follows."""
        self._process.kill()

    def why(self) -> str:
        """In which way it ended, in words."""
        if self._process.error() == QProcess.ProcessError.FailedToStart:
            program = self._process.program()
            return say("{program} cannot be run: {why}", program=program, why=self._process.errorString())
        code = self._process.exitCode()
        if self._process.exitStatus() == QProcess.ExitStatus.NormalExit:
            return say("exit status {code}", code=code)
        if code == getattr(signal, "SIGKILL", None):
            return say("stopped by the system or another program, often for want of memory")
        if code == getattr(signal, "SIGBUS", None):
            return say("a file it worked on could not be written or read; perhaps the disk is full")
        return say("crash, code {code}", code=code)

    @property
    def was_starved(self) -> bool:
        """Whether it is likely to have lacked something: it was ended while it ran, or is there and could not start."""
        if self._process.error() == QProcess.ProcessError.FailedToStart:
            return os.access(self._process.program(), os.X_OK)
        return self._process.exitStatus() == QProcess.ExitStatus.CrashExit

    def details(self) -> str:
        """For a report."""
        printed = bytes(self._printed).decode(errors="replace").strip()
        lines = [printed, f"The model's process: {self.why()}"]
        with contextlib.suppress(OSError):  # asking may open files, of which there may be too many
            lines.append(platform.platform())
        return "\n".join(lines).strip()

    @Slot()
    def _read(self) -> None:
        for message in self._unpacker.feed(bytes(self._process.readAllStandardOutput().data())):
            if not self._is_over:
                self.said.emit(message)

    @Slot()
    def _read_printed(self) -> None:
        self._printed += bytes(self._process.readAllStandardError().data())
        del self._printed[:-_TAIL_BYTES]

    @Slot()
    def _finish(self) -> None:
        self._read()
        self._read_printed()
        if not self._is_over:
            self._is_over = True
            self.ended.emit()

    @Slot(QProcess.ProcessError)
    def _fail(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:  # the only one that `finished` does not follow
            self._finish()


class _Driver(QObject):
    """The queue, in the engine's thread.

    Args:
        command: How to run the child.
        tell: Takes events to the GUI thread.
    """

    asked = Signal(object)

    def __init__(self, command: Sequence[str], tell: Callable[[EngineEvent], None]) -> None:
        super().__init__()
        self._command, self._tell = command, tell
        self._config = EngineConfig()
        self._queue: list[Job] = []
        self._sent: list[Job] = []  # to the child: one, and perhaps an urgent one on top
        self._begun: set[str] = set()  # of those sent
        self._cancelled: set[str] = set()  # of those sent
        self._child: _Child | None = None
        self._known = EngineStatus("off")  # what the child last said of itself
        self._told: EngineStatus | None = None
        self._patience = QTimer(self)  # with a cancelled job that the child is at
        self._patience.setSingleShot(True)
        self._patience.timeout.connect(self._lose_patience)
        self.asked.connect(self._do, Qt.ConnectionType.QueuedConnection)

    @Slot(object)
    def _do(self, function: Callable[[], None]) -> None:
        function()

    # ------------------------------------------------------------------------------------------------- what is asked

    def configure(self, config: EngineConfig) -> None:
        """See `Engine`. A child that is there, or was and failed, is followed by another at once."""
        if config == self._config:
            return
        self._config = config
        if self._known.state == "failed" or (self._child is not None and not self._sent):
            self._start()

    def submit(self, job: Job) -> None:
        """See `Engine`."""
        self._queue.append(job)
        self._go_on()

    def cancel(self, job_id: str) -> None:
        """See `Engine`."""
        for job in self._queue:
            if job.id == job_id:
                self._queue.remove(job)
                self._tell(CancelledJob(job_id))
                return
        if self._child is not None and any(job.id == job_id for job in self._sent):
            self._cancelled.add(job_id)
            self._child.send(Cancel(job_id))
            self._be_patient()

    def warm_up(self) -> None:
        """See `Engine`."""
        if self._child is None:
            self._start()

    def forget(self) -> None:
        """See `Engine`."""
        if self._child is not None and self._child.is_ready:
            self._child.send(Forget())
            self._go_on()  # measuring made way for it

    def close(self) -> None:
        """End the child, the jobs and this thread."""
        try:
            if self._child is not None:
                self._child.end()
                self._child = None
            for job in (*self._sent, *self._queue):
                self._tell(CancelledJob(job.id))
            self._sent, self._queue = [], []
            self._patience.stop()
            self._be("off")
        finally:  # the window waits for it
            QThread.currentThread().quit()

    # ------------------------------------------------------------------------------------------------- what follows

    def _start(self) -> None:
        """A new child, in place of the old one."""
        if self._child is not None:
            self._child.end()
        self._child = child = _Child(self._command, self._config)
        child.said.connect(self._hear)
        child.ended.connect(self._mourn)
        self._known = EngineStatus("starting")
        self._be("starting")
        child.begin()

    def _go_on(self) -> None:
        """Give the child its next job, if it can take one."""
        outdated = self._child is not None and self._child.config != self._config
        if not self._sent and (outdated or (self._queue and self._child is None)):
            self._start()
        child = self._child
        if child is None or not child.is_ready or outdated:
            return
        self._be("working" if self._sent else "ready")
        if not self._queue:
            if not self._sent and self._known.speed is None:
                child.send(Measure())
            return
        job = min(self._queue, key=lambda job: not job.urgent)  # the first of the urgent ones, or of all
        top = self._sent[-1] if self._sent else None
        if top is None or (job.urgent and not top.urgent and top.id not in self._cancelled):
            self._queue.remove(job)
            self._sent.append(job)
            child.send(job)
            self._be("working")

    def _be(self, state: EngineState) -> None:
        """Tell the state, if it is news."""
        status = replace(self._known, state=state)
        if status != self._told:
            self._told = status
            self._tell(status)

    @Slot(object)
    def _hear(self, message: Any) -> None:
        """Something the child said."""
        assert self._child is not None
        if isinstance(message, DidNotStart):
            self._child.stillborn = message
        elif isinstance(message, EngineStatus):
            self._known = message
            is_new, self._child.is_ready = not self._child.is_ready, True
            self._be("working" if self._sent else "ready")
            if is_new:
                self._go_on()
        else:
            self._tell(message)
            if isinstance(message, Started):
                self._begun.add(message.job_id)
                self._be_patient(anew=True)
            elif isinstance(message, Finished | Failed | CancelledJob):
                self._sent = [job for job in self._sent if job.id != message.job_id]
                self._begun.discard(message.job_id)
                self._cancelled.discard(message.job_id)
                self._be_patient(anew=True)
                self._go_on()

    @Slot()
    def _mourn(self) -> None:
        """The child has ended by itself."""
        child, lost = self._child, self._sent
        assert child is not None
        self._child, self._sent = None, []
        self._begun.clear()
        self._patience.stop()
        child.deleteLater()
        if not child.is_ready:
            self._give_up(child)
            return
        message = say(
            "The model's process ended ({why}). What was finished is kept, and the process is started again; try once "
            "more.",
            why=child.why(),
        )
        for job in lost:
            stopped = job.id in self._cancelled
            self._tell(CancelledJob(job.id) if stopped else Failed(job.id, message, child.details()))
        self._cancelled.clear()
        if lost or self._queue:
            self._start()
            self._go_on()
        else:  # idle: it may rest until it is needed
            message = say("The model's process ended; the next job starts it again.")
            self._known = EngineStatus("off", message=message)
            self._be("off")

    def _give_up(self, child: _Child) -> None:
        """The child did not get as far as being ready, and another would not either."""
        why = child.why()
        message = say("The model's process did not start ({why}); install the program again.", why=why)
        if child.was_starved:  # most often of memory, which no installation brings
            message = say("The model's process did not start ({why}); close other programs and try again.", why=why)
        said = child.stillborn or DidNotStart(message, child.details())
        self._known = EngineStatus("failed", message=said.message)
        self._be("failed")
        failed, self._queue = self._queue, []
        for job in failed:
            self._tell(Failed(job.id, said.message, said.details))

    def _be_patient(self, anew: bool = False) -> None:
        """Give the job that the child is at some time to stop if it was cancelled; `anew` if it was not at it before.

        That job need not be on top: one that hangs lets no urgent one begin. Under one that has begun it cannot stop.
        """
        at = next((job for job in reversed(self._sent) if job.id in self._begun), next(iter(self._sent), None))
        if at is None or at.id not in self._cancelled:
            self._patience.stop()
        elif anew or not self._patience.isActive():
            self._patience.start(CANCEL_MS)

    @Slot()
    def _lose_patience(self) -> None:
        """The child hangs: it still works on what was cancelled long ago."""
        if self._child is not None:
            self._child.kill()
