import threading

import pytest

from mgeldm_app.core.project import Tempo
from mgeldm_app.core.storage import ProjectFolder
from mgeldm_app.services.workers import Workers
from mgeldm_app.ui.bridge import Bridge
from tests.fakes.world import World, write_song


@pytest.fixture
def workers(qtbot):
    bridge = Bridge()
    workers = Workers(bridge.post)
    yield workers
    workers.close()


def test_the_result_or_the_error_arrives_once_and_on_the_gui_thread(workers, qtbot):
    seen = []

    def arrive(kind):
        return lambda value: seen.append((kind, value, threading.get_ident()))

    def fail():
        raise KeyError("lost")

    workers.run(threading.get_ident, arrive("done"), arrive("failed"))
    workers.run(fail, arrive("done"), arrive("failed"))
    workers.run(lambda: exec("raise SystemExit(3)"), arrive("done"), arrive("failed"))
    qtbot.waitUntil(lambda: len(seen) == 3)
    workers.close()
    qtbot.wait(1)  # anything posted twice would be here by now
    assert len(seen) == 3
    assert {gui for _, _, gui in seen} == {threading.get_ident()}
    by_type = {type(value): kind for kind, value, _ in seen}
    assert by_type == {int: "done", KeyError: "failed", SystemExit: "failed"}
    assert next(value for _, value, _ in seen if isinstance(value, int)) != threading.get_ident()


def test_closing_waits_for_what_runs_and_drops_what_is_queued(qtbot):
    bridge = Bridge()
    workers, seen, running, go = Workers(bridge.post, threads=1), [], threading.Event(), threading.Event()

    def slow():
        running.set()
        go.wait(10)
        return "ran"

    workers.run(slow, seen.append, seen.append)
    workers.run(lambda: "queued", seen.append, seen.append)
    assert running.wait(10)
    threading.Timer(0.05, go.set).start()
    workers.close()
    assert go.is_set()
    qtbot.waitUntil(lambda: seen == ["ran"])
    bridge.post(lambda: seen.append("last"))
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen == ["ran", "last"]


def test_waiting_is_for_all_that_runs_and_is_queued_one_after_the_other(qtbot):
    bridge = Bridge()
    workers, done, told, go = Workers(bridge.post, threads=1), [], [], threading.Event()
    workers.run(lambda: go.wait(10) and done.append(1), told.append, told.append)
    workers.run(lambda: done.append(2), told.append, told.append)
    threading.Timer(0.05, go.set).start()
    workers.wait()
    assert done == [1, 2] and not told
    qtbot.waitUntil(lambda: len(told) == 2)
    workers.close()


def test_what_was_done_last_is_on_the_disk_once_the_program_has_ended(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "home"))
    bridge, go = Bridge(), threading.Event()
    world = World(saver=Workers(bridge.post, threads=1))
    world.open(write_song(tmp_path / "song.wav", seconds=1))
    qtbot.waitUntil(lambda: not world.c.documents.unsaved)
    world.saver.run(lambda: go.wait(10), lambda _: None, lambda _: None)
    for bpm in (100.0, 77.0):
        world.c.set_tempo(Tempo(bpm))
    threading.Timer(0.05, go.set).start()
    world.c.close()
    assert ProjectFolder.open(world.session.folder.folder).project.tempo.bpm == 77.0
