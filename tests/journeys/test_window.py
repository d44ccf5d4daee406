"""The same story in the real window, with the real engine and the embedded model; only the sound card is missing."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mgeldm.audio import AudioClip, read, write

from mgeldm_app.app import build
from mgeldm_app.core.export import export_lanes
from mgeldm_app.core.project import Span
from mgeldm_app.core.settings import ExportSettings
from mgeldm_app.self_test import NoDevices

DEMO = Path(__file__).parents[2] / "resources" / "demo" / "demo.flac"
SECONDS = 14.0
PATIENCE_MS = 120_000


@pytest.fixture
def song(tmp_path):
    clip = read(DEMO, 4.0, 4.0 + SECONDS)
    write(tmp_path / "Demo cut.flac", AudioClip(clip.samples, clip.rate_hz), "flac")
    return tmp_path / "Demo cut.flac"


@pytest.fixture
def app(tmp_path, monkeypatch, qapp, nobody_answers):
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "home"))
    made = build(NoDevices())
    made.window.show()
    yield made
    made.window.close()


def test_from_a_song_to_stems_in_the_real_window(app, song, qtbot, tmp_path):
    c, window = app.controller, app.window
    errors = []
    c.session.notice.connect(lambda text, error, *_: errors.append(text) if error else None)

    def failed():
        return [view.message for view in c.session.jobs.values() if view.state == "failed"]

    def wait(until):
        qtbot.waitUntil(lambda: bool(until() or errors or failed()), timeout=PATIENCE_MS)
        assert not errors and not failed()

    c.documents.open_paths([song])
    wait(lambda: c.session.project.song is not None)
    wait(lambda: c.session.project.tempo.source == "found")
    assert c.session.project.tempo.bpm == pytest.approx(104, abs=0.2)

    rate_hz = c.session.project.rate_hz
    c.set_region(Span(2 * rate_hz, 8 * rate_hz))
    c.set_looping(True)
    c.toggle_play()
    wait(lambda: c.player.playing and c.player.position > 2 * rate_hz)

    window.prompt.line.setText("drums, bass")
    window.prompt.line.textEdited.emit("drums, bass")
    window.prompt.action.click()
    wait(lambda: bool(c.session.all_growing()))
    wait(lambda: not c.session.busy and len(c.session.project.of_kind("extracted")) == 2)
    assert c.player.playing
    drums = next(lane for lane in c.session.project.lanes if lane.name == "drums")
    made = drums.parts[0].take.made
    assert (made.quality, len(made.model_sha256)) == ("standard", 64)

    c.submit(replace(c.session.project.prompt, text="a warm rhodes part", task="impute", takes=2, quality="draft"))
    wait(lambda: not c.session.busy and bool(c.session.project.of_kind("added")))
    (part,) = c.session.project.of_kind("added")[0].parts
    assert len(part.takes) == 2
    store = c.session.store
    sounds = [np.array(store.view(take.audio)) for take in part.takes]
    assert all(np.abs(sound).max() > 1e-3 for sound in sounds)
    assert np.abs(sounds[0] - sounds[1]).max() > 1e-3

    before = drums.parts[0].take.audio
    c.set_lane(drums.id, "sensitivity", 0.6)
    wait(lambda: not c.session.busy and c.session.project.lane(drums.id).parts[0].take.audio != before)

    c.player.pause()
    (tmp_path / "out").mkdir()
    lanes = [lane for lane in c.session.project.lanes if lane.kind != "added"]
    report = export_lanes(c.session.project, store.view, lanes, tmp_path / "out", ExportSettings(format="wav24"))
    exported = [read(file.path).samples.astype(np.float64) for file in report.files]
    assert np.array_equal(exported[0], np.sum(exported[1:], 0))

    project, folder = c.session.project, c.session.folder.folder
    c.documents.close()
    c.documents.open_project(folder)
    wait(lambda: c.session.project.song is not None)
    assert c.session.project == project


def test_the_model_killed_ten_times_loses_nothing(app, song, qtbot):
    import psutil

    c = app.controller
    c.documents.open_paths([song])
    qtbot.waitUntil(lambda: c.session.project.song is not None, timeout=PATIENCE_MS)
    c.engine.warm_up()
    for number in range(10):
        qtbot.waitUntil(lambda: c.session.engine.state == "ready", timeout=PATIENCE_MS)
        c.submit(replace(c.session.project.prompt, text=f"bass {number}", task="extract"))
        qtbot.waitUntil(
            lambda: any(view.state == "running" for view in c.session.jobs.values()) or not c.session.busy,
            timeout=PATIENCE_MS,
        )
        for child in psutil.Process().children(recursive=True):
            if "engine_process" in " ".join(child.cmdline()):
                child.kill()
        qtbot.waitUntil(lambda: not c.session.busy, timeout=PATIENCE_MS)
        for job_id in [job_id for job_id, view in c.session.jobs.items() if view.state == "failed"]:
            c.making.retry(job_id)
        qtbot.waitUntil(lambda: not c.session.busy, timeout=PATIENCE_MS)
        lane = next(lane for lane in c.session.project.lanes if lane.name == f"bass {number}")
        assert [part.span for part in lane.parts] == [Span(0, c.session.project.samples)]
        assert not c.session.jobs


def test_closing_leaves_no_thread_behind(tmp_path, monkeypatch, qapp, qtbot):
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "home"))
    before = threading.active_count()
    made = build(NoDevices())
    made.window.show()
    qtbot.wait(50)
    made.window.close()
    qtbot.waitUntil(lambda: threading.active_count() <= before, timeout=10_000)
