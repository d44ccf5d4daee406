"""The engine's queue with a scripted child; then the real child, with the embedded model."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from mgeldm.audio import create_wav, map_wav, read
from mgeldm.language import speak
from mgeldm.requests import Extract, Region, Sampling
from PySide6.QtCore import QProcess

from mgeldm_app.core.jobs import (
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
from mgeldm_app.services import engine as engine_module
from mgeldm_app.services.engine import Engine
from mgeldm_app.services.engine_process import command
from mgeldm_app.ui.bridge import Bridge

FAKE = [sys.executable, str(Path(__file__).with_name("fake_engine_process.py"))]
DEMO = Path(__file__).parents[2] / "resources" / "demo" / "demo.flac"
LONG_MS = 120_000  # starting torch may last where other programs are busy
RATE_HZ = 44100


class Watched(Engine):
    """An engine whose events are kept."""

    def __init__(self, child=None):
        self.bridge, self.seen = Bridge(), []
        super().__init__(self.bridge.post, child)
        self.events.connect(self.seen.append)

    def of(self, *kinds):
        return [event for event in self.seen if isinstance(event, kinds)]

    def ends(self):
        return [(type(event).__name__, event.job_id) for event in self.of(Finished, Failed, CancelledJob)]

    def states(self):
        return [event.state for event in self.of(EngineStatus)]


@pytest.fixture
def fake(qtbot):
    engine = Watched(FAKE)
    yield engine
    engine.close()


def asked(job_id, title="", urgent=False):
    return Job(job_id, title, Extract(("bass",)), (), (), urgent=urgent)


def children():
    """Engine processes; other tests may have started others, such as multiprocessing's tracker."""
    return [child for child in psutil.Process().children() if "engine_process" in " ".join(child.cmdline())]


# --------------------------------------------------------------------------------------------------------- the queue


def test_the_process_starts_with_the_first_need(fake, qtbot):
    assert fake.status.state == "off"
    assert children() == []
    fake.submit(asked("a"))
    qtbot.waitUntil(lambda: fake.ends() == [("Finished", "a")], timeout=LONG_MS)
    qtbot.waitUntil(lambda: fake.status.state == "ready", timeout=LONG_MS)
    assert fake.states() == ["starting", "ready", "working", "ready"]
    assert len(children()) == 1


def test_urgent_jobs_go_first_and_the_others_in_turn(fake, qtbot):
    fake.submit(asked("first", "wait"))
    qtbot.waitUntil(lambda: fake.of(Started) != [], timeout=LONG_MS)
    for name in ("b", "c"):
        fake.submit(asked(name))
    fake.submit(asked("urgent", "wait", urgent=True))  # on top of the first, at once
    qtbot.waitUntil(lambda: len(fake.of(Started)) == 2, timeout=LONG_MS)
    fake.submit(asked("second urgent", urgent=True))  # not on top of an urgent one
    fake.cancel("c")
    qtbot.waitUntil(lambda: ("CancelledJob", "c") in fake.ends(), timeout=LONG_MS)
    assert [event.job_id for event in fake.of(Started)] == ["first", "urgent"]
    fake.cancel("urgent")
    qtbot.waitUntil(lambda: ("Finished", "second urgent") in fake.ends(), timeout=LONG_MS)
    fake.cancel("first")
    qtbot.waitUntil(lambda: ("Finished", "b") in fake.ends(), timeout=LONG_MS)
    assert [job_id for _, job_id in fake.ends()] == ["c", "urgent", "second urgent", "first", "b"]


def test_a_death_costs_the_job_at_hand_alone(fake, qtbot):
    fake.submit(asked("a", "die"))
    fake.submit(asked("b"))
    qtbot.waitUntil(lambda: len(fake.ends()) == 2, timeout=LONG_MS)
    assert fake.ends() == [("Failed", "a"), ("Finished", "b")]
    (failed,) = fake.of(Failed)
    assert failed.can_retry
    assert "process ended" in failed.message
    assert "the fake dies" in failed.details
    assert "exit status 9" in failed.details


def test_a_child_that_does_not_start_says_so_until_another_model_is_chosen(fake, qtbot):
    fake.configure(EngineConfig("none"))
    fake.submit(asked("a"))
    fake.submit(asked("b"))
    qtbot.waitUntil(lambda: fake.ends() == [("Failed", "a"), ("Failed", "b")], timeout=LONG_MS)
    assert fake.status.state == "failed"
    assert "did not start (exit status 7); install the program again" in fake.status.message
    assert "the fake does not start" in fake.of(Failed)[0].details
    fake.configure(EngineConfig("other"))
    qtbot.waitUntil(lambda: (fake.status.state, fake.status.model) == ("ready", "other"), timeout=LONG_MS)


def test_a_command_that_is_not_there_is_a_failure_too(qtbot):
    engine = Watched(["/nowhere/python"])
    engine.submit(asked("a"))
    qtbot.waitUntil(lambda: engine.ends() == [("Failed", "a")], timeout=LONG_MS)
    assert "/nowhere/python" in engine.status.message and "install the program again" in engine.status.message
    engine.close()


def test_a_process_that_fails_while_it_is_being_started_is_a_failure_too(fake, qtbot, monkeypatch):
    """As where no more files can be opened: Qt tells so before `start` returns."""

    class Stillborn(QProcess):
        def start(self, *_):
            self.errorOccurred.emit(self.error())

        def error(self):
            return QProcess.ProcessError.FailedToStart

        def program(self):
            return sys.executable

    def crowded():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as starved:
        starved.setattr(engine_module, "QProcess", Stillborn)
        starved.setattr(engine_module.platform, "platform", crowded)
        fake.submit(asked("a"))
        qtbot.waitUntil(lambda: fake.ends() == [("Failed", "a")], timeout=LONG_MS)
        assert fake.states() == ["starting", "failed"]
        assert "close other programs and try again" in fake.status.message
    fake.submit(asked("b"))
    qtbot.waitUntil(lambda: fake.ends() == [("Failed", "a"), ("Finished", "b")], timeout=LONG_MS)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how many files a process may have open")
def test_the_process_may_have_many_files_open(qtbot):
    import resource

    def as_on_macos():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    with subprocess.Popen(command(), stdin=subprocess.PIPE, preexec_fn=as_on_macos) as child:
        try:
            qtbot.waitUntil(lambda: psutil.Process(child.pid).rlimit(psutil.RLIMIT_NOFILE)[0] > 256, timeout=LONG_MS)
        finally:
            child.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_a_process_that_is_killed_while_it_loads_is_no_reason_to_install_anew(qtbot):
    engine = Watched(["/bin/sh", "-c", "kill -9 $$"])
    engine.submit(asked("a"))
    qtbot.waitUntil(lambda: engine.ends() == [("Failed", "a")], timeout=LONG_MS)
    said = engine.status.message
    assert "want of memory" in said and "close other programs and try again" in said and "install" not in said
    engine.submit(asked("b"))  # which is what trying again means
    qtbot.waitUntil(lambda: engine.ends() == [("Failed", "a"), ("Failed", "b")], timeout=LONG_MS)
    assert engine.states() == ["starting", "failed"] * 2
    engine.close()


def test_another_model_waits_for_the_job_at_hand(fake, qtbot):
    fake.configure(EngineConfig("one"))
    fake.submit(asked("a", "wait"))
    qtbot.waitUntil(lambda: fake.of(Started) != [], timeout=LONG_MS)
    fake.configure(EngineConfig("two"))
    fake.submit(asked("b"))
    fake.cancel("a")
    qtbot.waitUntil(lambda: fake.ends() == [("CancelledJob", "a"), ("Finished", "b")], timeout=LONG_MS)
    models = [event.model for event in fake.of(EngineStatus) if event.state == "working"]
    assert models == ["one", "two"]
    assert len(children()) == 1


def test_who_does_not_stop_is_ended(fake, qtbot, monkeypatch):
    monkeypatch.setattr(engine_module, "CANCEL_MS", 50)
    fake.submit(asked("a", "deaf"))
    fake.submit(asked("b"))
    qtbot.waitUntil(lambda: fake.of(Started) != [], timeout=LONG_MS)
    fake.cancel("a")
    qtbot.waitUntil(lambda: fake.ends() == [("CancelledJob", "a"), ("Finished", "b")], timeout=LONG_MS)


def test_who_does_not_stop_once_the_urgent_job_on_top_has_ended_is_ended(fake, qtbot, monkeypatch):
    monkeypatch.setattr(engine_module, "CANCEL_MS", 300)
    fake.submit(asked("a", "stubborn"))
    qtbot.waitUntil(lambda: fake.of(Started) != [], timeout=LONG_MS)
    fake.submit(asked("urgent", "wait", urgent=True))
    qtbot.waitUntil(lambda: len(fake.of(Started)) == 2, timeout=LONG_MS)
    fake.cancel("a")
    qtbot.wait(500)
    assert fake.ends() == []  # it cannot stop while the urgent one is at work, and that one goes on
    fake.cancel("urgent")
    qtbot.waitUntil(lambda: fake.ends() == [("CancelledJob", "urgent"), ("CancelledJob", "a")], timeout=LONG_MS)
    fake.submit(asked("b"))
    qtbot.waitUntil(lambda: ("Finished", "b") in fake.ends(), timeout=LONG_MS)


@pytest.mark.parametrize("when", ["before", "after"])
def test_who_lets_no_urgent_job_begin_is_ended(fake, qtbot, monkeypatch, when):
    """An urgent job that comes after the other was cancelled waits, and is done by the next process."""
    monkeypatch.setattr(engine_module, "CANCEL_MS", 300)
    fake.submit(asked("a", "deaf"))
    qtbot.waitUntil(lambda: fake.of(Started) != [], timeout=LONG_MS)
    if when == "before":
        fake.submit(asked("urgent", urgent=True))
    fake.cancel("a")
    if when == "after":
        fake.submit(asked("urgent", urgent=True))
    end = "Failed" if when == "before" else "Finished"
    qtbot.waitUntil(lambda: fake.ends() == [("CancelledJob", "a"), (end, "urgent")], timeout=LONG_MS)


@pytest.mark.parametrize("how", [[], ["stays"]])
def test_closing_ends_the_process_and_cancels_what_is_left(qtbot, how):
    engine = Watched([*FAKE, *how])
    engine.submit(asked("a", "wait"))
    engine.submit(asked("b"))
    qtbot.waitUntil(lambda: engine.of(Started) != [], timeout=LONG_MS)
    engine.close()
    assert children() == []
    qtbot.waitUntil(lambda: engine.status.state == "off")
    assert engine.ends() == [("CancelledJob", "a"), ("CancelledJob", "b")]
    engine.close()


# --------------------------------------------------------------------------------------------------------- the model


@pytest.fixture
def real(qtbot):
    engine = Watched()
    yield engine
    engine.close()


@pytest.fixture
def extract(tmp_path):
    """Makes jobs on eight seconds of the demo song."""
    song = read(DEMO, 8.0, 16.0).samples

    def wav(name):
        create_wav(tmp_path / name, RATE_HZ, 2, song.shape[1])
        return tmp_path / name

    map_wav(wav("song.wav"), writable=True)[0][:] = song.T

    def make(job_id, quality="draft"):
        request = Extract(("drums",), Region(0.0, 8.0), Sampling(quality))
        return Job(job_id, job_id, request, (Layer(tmp_path / "song.wav"),), (wav(f"{job_id}.wav"),))

    return make


def test_ten_kills_in_a_row(real, qtbot, extract):
    """Each costs one job; what the job had finished stays; the next one is done."""
    for number in range(10):
        job = extract(f"job {number}", "best")
        real.submit(job)
        wanted = Filled if number == 9 else Started  # once late, the other times at once
        qtbot.waitUntil(lambda wanted=wanted: real.of(wanted) != [], timeout=LONG_MS)
        (child,) = children()
        os.kill(child.pid, signal.SIGKILL)
        qtbot.waitUntil(lambda job=job: ("Failed", job.id) in real.ends(), timeout=LONG_MS)
        failed = real.of(Failed)[-1]
        assert failed.can_retry
        assert "stopped by the system" in failed.message
        if wanted is Started:
            real.seen.clear()
    kept = real.of(Filled)
    assert abs(map_wav(job.outputs[0])[0][kept[0].start : kept[0].stop]).max() > 0.01
    real.submit(extract("after"))
    qtbot.waitUntil(lambda: ("Finished", "after") in real.ends(), timeout=LONG_MS)


def test_cancelling_leaves_the_child_warm(real, qtbot, extract):
    real.submit(extract("a", "best"))
    qtbot.waitUntil(lambda: real.of(Progressed) != [], timeout=LONG_MS)
    real.cancel("a")
    qtbot.waitUntil(lambda: real.ends() != [], timeout=LONG_MS)
    assert real.ends() == [("CancelledJob", "a")]
    real.submit(extract("b"))
    qtbot.waitUntil(lambda: ("Finished", "b") in real.ends(), timeout=LONG_MS)
    assert real.states().count("starting") == 1
    assert len(real.status.model_sha256) == 64
    assert (real.status.model, real.status.device != "") == ("embedded", True)
    qtbot.waitUntil(lambda: real.status.speed is not None, timeout=LONG_MS)


def test_a_model_that_is_not_there_is_said(real, qtbot, extract):
    real.configure(EngineConfig("/nowhere/model.safetensors"))
    real.submit(extract("a"))
    qtbot.waitUntil(lambda: real.ends() == [("Failed", "a")], timeout=LONG_MS)
    assert real.status.state == "failed"
    assert "model.safetensors" in real.status.message == real.of(Failed)[0].message
    assert "CheckpointError" in real.of(Failed)[0].details


def test_what_the_process_says_is_said_in_the_language_of_the_window(real, qtbot, extract):
    speak(lambda template: f"⟦{template}⟧")
    try:
        real.configure(EngineConfig("/nowhere/model.safetensors"))
        real.submit(extract("a"))
        qtbot.waitUntil(lambda: real.ends() == [("Failed", "a")], timeout=LONG_MS)
    finally:
        speak(None)
    said = real.of(Failed)[0].message
    assert said.startswith("⟦There is no model file /nowhere/model.safetensors") and said.endswith("⟧")


@pytest.mark.skipif(sys.platform != "linux", reason="which files a process maps is read in /proc")
def test_what_is_closed_is_mapped_no_more(real, qtbot, extract, tmp_path):
    """Windows neither moves nor deletes what any process maps."""

    def mapped():
        (child,) = children()
        return str(tmp_path) in Path(f"/proc/{child.pid}/maps").read_text()

    real.submit(extract("a"))
    qtbot.waitUntil(lambda: real.ends() == [("Finished", "a")], timeout=LONG_MS)
    assert mapped()  # what is asked next of the same song finds it there
    real.forget()
    qtbot.waitUntil(lambda: not mapped(), timeout=LONG_MS)
    real.submit(extract("b"))
    qtbot.waitUntil(lambda: ("Finished", "b") in real.ends(), timeout=LONG_MS)
    qtbot.waitUntil(lambda: real.status.speed is not None, timeout=LONG_MS)  # measuring only made way


def test_nothing_is_forgotten_before_there_is_anybody_to_forget(fake, qtbot):
    fake.forget()
    fake.submit(asked("a"))
    fake.forget()
    qtbot.waitUntil(lambda: fake.ends() == [("Finished", "a")], timeout=LONG_MS)


ALONE = """
import os, signal, sys, psutil
from PySide6.QtCore import QCoreApplication
from mgeldm_app.services.engine import Engine
from mgeldm_app.ui.bridge import Bridge
app, bridge = QCoreApplication([]), Bridge()
engine = Engine(bridge.post)
engine.events.connect(lambda event: event.state == "ready" and app.quit())
engine.warm_up()
app.exec()
(child,) = psutil.Process().children()
print(child.pid, child.nice(), "torch" in sys.modules)
print(*(os.path.basename(m.path) for m in child.memory_maps()), flush=True)
os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
"""


def test_only_the_child_knows_torch_only_the_parent_qt_and_both_end_together():
    run = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=LONG_MS / 1000)
    facts, maps = run.stdout.splitlines()
    pid, nice, torch_in_parent = facts.split()
    assert torch_in_parent == "False"
    assert int(nice) > psutil.Process().nice()
    assert "torch" in maps
    assert "Qt6" not in maps
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid)).wait(timeout=LONG_MS / 1000)
