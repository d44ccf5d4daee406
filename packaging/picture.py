"""Makes the README's picture: `python packaging/picture.py [--out FILE] [--theme dark|light] [--size 1440x900]`.

The real window with the embedded model on the demo song, nothing drawn by hand.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WAIT_S = 300.0


def main() -> None:
    """Parse the command line, run the story, save the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "packaging" / "window.png")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--size", default="1440x900", help="in pixels of the layout")
    parser.add_argument("--ratio", type=float, default=1.4, help="device pixels a layout pixel")
    args = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_SCALE_FACTOR"] = str(args.ratio)
    with tempfile.TemporaryDirectory(prefix="mgeldm-picture-", ignore_cleanup_errors=True) as folder:
        os.environ["MGELDM_HOME"] = folder
        width, height = map(int, args.size.split("x"))
        shoot(args.out, args.theme, width, height)
    print(args.out)


def shoot(out: Path, theme: Any, width: int, height: int) -> None:
    """Open the demo song, take it apart, add to it, and save what the window shows."""
    from mgeldm_app.app import build
    from mgeldm_app.core.timeline import Grid
    from mgeldm_app.self_test import NoDevices

    app = build(NoDevices())
    c, window = app.controller, app.window
    c.set_settings(replace(c.settings, theme=theme))
    window.resize(width, height)
    window.show()

    def wait(until: Callable[[], bool]) -> None:
        end_s = time.monotonic() + WAIT_S
        while not until():
            if time.monotonic() > end_s:
                raise SystemExit("What the picture is to show did not come about.")
            app.qt.processEvents()
            time.sleep(0.005)

    def ask(text: str, **changes: Any) -> None:
        c.submit(replace(c.session.project.prompt, text=text, seed=7, **changes))

    c.wants.emit("demo")
    wait(lambda: c.session.project.tempo.source == "found")
    c.engine.warm_up()
    wait(lambda: c.session.engine.speed is not None)
    ask("drums, bass, synth pad", quality="best")
    wait(lambda: not c.session.busy)
    grid = Grid.of(c.session.project)
    c.set_region(replace(grid.bar_around(0), start=grid.sample_of(6), stop=grid.sample_of(10)))
    c.set_looping(True)
    pad = next(lane for lane in c.session.project.lanes if lane.name == "synth pad")
    c.set_lane(pad.id, "view", "spectrogram")
    ask("warm Rhodes", task="impute", takes=4, quality="standard")
    wait(lambda: len(c.session.project.of_kind("added")) > 0 and len(_takes(c)) >= 3)
    wait(lambda: window.lanes.sources.complete is True)
    c.player.seek(grid.sample_of(6, 2))
    if not c.player.playing:  # as a rule it plays: what was asked for in a loop is heard at once
        c.toggle_play()
    wait(lambda: c.player.position >= grid.sample_of(6, 3))
    window.transport.set_output_notice("")  # who looks at it has a sound card, unlike the machine that makes it
    window.grab().save(str(out), "PNG", 0)  # as small as can be
    window.close()


def _takes(c: Any) -> tuple[Any, ...]:
    return c.session.project.of_kind("added")[0].parts[0].takes


if __name__ == "__main__":
    main()
