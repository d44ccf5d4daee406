"""`python -m mgeldm_app --self-test`: the demo song through everything, offscreen if need be, and one line of result.

Open the song, draft-extract two bars, play them into the silent clock, export, open the project again. Works in a
folder of its own and touches nothing of the user's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, Protocol

from .app import App, build, has_display
from .core.export import export_lanes
from .core.settings import ExportSettings
from .core.timeline import Grid
from .services.devices import DeviceError

TIMEOUT_S = 60.0
PLAYED_S = 0.5
NULL = 1e-6


class SelfTestError(Exception):
    """Something does not work; its text says what."""


class Wait(Protocol):
    """Runs the program until something is so; raises `SelfTestError` with what was awaited if it takes too long."""

    def __call__(self, until: Callable[[], bool], what: str) -> None: ...


class NoDevices:
    """A computer without a sound card (`services.devices.Devices`): the silent clock plays."""

    names: tuple[str, ...] = ()
    missing = "The self-test makes no sound."

    def scan(self) -> None:
        """There is nothing to find."""

    def open(self, name: str, rate_hz: int, latency_s: float, fill: Any) -> NoReturn:
        """There is nothing to open."""
        raise DeviceError(self.missing)


def self_test() -> int:
    """Run it; exit status 0 if all is well."""
    began_s = time.monotonic()
    if not has_display():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    with tempfile.TemporaryDirectory(prefix="mgeldm-self-test-", ignore_cleanup_errors=True) as folder:
        os.environ["MGELDM_HOME"] = folder
        try:
            said = _run(Path(folder), began_s + TIMEOUT_S)
        except Exception as error:
            kind = "" if isinstance(error, SelfTestError) else f"{type(error).__name__}: "
            print(f"self-test: failed after {time.monotonic() - began_s:.1f} s: {kind}{error}", flush=True)
            return 1
    print(f"self-test: passed in {time.monotonic() - began_s:.1f} s: {said}", flush=True)
    return 0


def _run(folder: Path, deadline_s: float) -> str:
    app = build(NoDevices())
    if "torch" in sys.modules:
        raise SelfTestError("the window's process has imported torch")
    told: list[str] = []
    app.controller.session.notice.connect(lambda text, error, *_: told.append(text) if error else None)

    def wait(until: Callable[[], bool], what: str) -> None:
        while not until():
            if time.monotonic() > deadline_s:
                raise SelfTestError(f"{what} took too long")
            failed = [view.message for view in app.controller.session.jobs.values() if view.state == "failed"]
            if told or failed:
                raise SelfTestError(f"{what}: {[*told, *failed][0]}")
            app.qt.processEvents()
            time.sleep(0.005)

    app.window.show()
    try:
        first_s = _extract(app, wait)
        _play(app, wait)
        exported = _export(app, folder)
        lanes = _open_again(app, wait)
    finally:
        app.window.close()
    status = app.controller.session.engine
    return f"{lanes} lanes, first sound after {first_s:.2f} s on {status.device}, {exported} files that null"


def _extract(app: App, wait: Wait) -> float:
    """Two bars of the demo song's drums; seconds until the first of them could be heard."""
    c = app.controller
    c.wants.emit("demo")
    wait(lambda: c.session.project.song is not None, "opening the demo song")
    c.engine.warm_up()
    wait(lambda: c.session.engine.state in ("ready", "failed"), "loading the model")
    grid = Grid.of(c.session.project)
    c.set_region(replace(grid.bar_around(10.0 * grid.rate_hz), stop=round(10.0 * grid.rate_hz + 2 * grid.bar_samples)))
    asked_s = time.monotonic()
    c.submit(replace(c.session.project.prompt, text="drums", task="extract", quality="draft"))
    wait(lambda: any(part.filled for part in c.session.all_growing()) or not c.session.busy, "extracting")
    first_s = time.monotonic() - asked_s
    wait(lambda: not c.session.busy and bool(c.session.project.of_kind("extracted")), "extracting")
    return first_s


def _play(app: App, wait: Wait) -> None:
    c = app.controller
    c.set_looping(True)
    c.toggle_play()
    region = c.session.project.region
    start = region.start if region else 0
    moved = round(PLAYED_S * c.session.project.rate_hz)
    wait(lambda: c.player.playing and c.player.position >= start + moved, "playing")
    c.player.pause()


def _export(app: App, folder: Path) -> int:
    """Every lane as a float file; stems and rest must sum to the song."""
    import numpy as np
    from mgeldm.audio import read

    session = app.controller.session
    assert session.store is not None
    out = folder / "out"
    out.mkdir()
    project, settings = session.project, ExportSettings(format="wav32")
    report = export_lanes(project, session.store.view, project.lanes, out, settings)
    sounds = {file.lane_id: read(file.path).samples for file in report.files}
    song = sounds.pop("song")
    worst = float(np.abs(song - np.sum(list(sounds.values()), 0)).max())
    if worst > NULL:
        raise SelfTestError(f"stems and rest differ from the song by {worst:.1e}")
    return len(report.files)


def _open_again(app: App, wait: Wait) -> int:
    c = app.controller
    assert c.session.folder is not None
    before, folder = c.session.project, c.session.folder.folder
    c.documents.close()
    c.documents.open_project(folder)
    wait(lambda: c.session.project.song is not None, "opening the project again")
    after = c.session.project
    if (after.lanes, after.song, after.region) != (before.lanes, before.song, before.region):
        raise SelfTestError("the project opened again is not the one that was closed")
    return len(after.lanes)
