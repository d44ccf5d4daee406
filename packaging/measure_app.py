"""What the README says of the app's speed: `python packaging/measure_app.py [NAME ...]`.

Needs nothing but the environment; draws offscreen unless there is a display, and plays through the default device or
the silent clock. Figures are of this computer, at this moment: close other programs first.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 48000
WAIT_S = 600.0
LOOK_MS = 10  # between two looks at the program


def long_song(path: Path, seconds: float) -> Path:
    """A stereo flac made of the demo song, again and again, at 48 kHz."""
    from mgeldm.audio import AudioClip, read, resample, write

    demo = read(ROOT / "resources" / "demo" / "demo.flac")
    once = resample(demo.samples, demo.rate_hz, RATE_HZ)
    times = int(np.ceil(seconds * RATE_HZ / once.shape[1]))
    samples = np.tile(once, (1, times))[:, : round(seconds * RATE_HZ)]
    write(path, AudioClip(np.ascontiguousarray(samples), RATE_HZ), "flac")
    return path


class Bench:
    """A running program, driven from here."""

    def __init__(self, app: Any) -> None:
        self.app, self.c = app, app.controller

    def wait(self, until: Callable[[], bool], each: Callable[[], None] = lambda: None) -> float:
        """Run the program until something is so; seconds that it took."""
        began_s = time.perf_counter()
        while not until():
            if time.perf_counter() - began_s > WAIT_S:
                raise TimeoutError("waited in vain")
            each()
            self._loop()
        return time.perf_counter() - began_s

    def _loop(self) -> None:
        """The program's own event loop for a moment: asking it again and again would take a tenth of a core from it."""
        from PySide6.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(LOOK_MS, loop.quit)
        loop.exec()

    def pause(self, seconds: float) -> None:
        """Let the program run for a while."""
        end_s = time.perf_counter() + seconds
        self.wait(lambda: time.perf_counter() >= end_s)

    def open(self, song: Path) -> float:
        """Open a song; seconds until it is shown."""
        self.c.documents.open_song(song)
        return self.wait(lambda: self.c.session.project.song is not None)

    def ready(self) -> None:
        """Have the model loaded and measured."""
        self.c.engine.warm_up()
        self.wait(lambda: self.c.session.engine.state == "ready" and self.c.session.engine.speed is not None)

    def ask(self, text: str, **changes: Any) -> None:
        """Submit a prompt."""
        self.c.submit(replace(self.c.session.project.prompt, text=text, **changes))

    def added(self, count: int) -> float:
        """Until there are so many new parts."""
        return self.wait(lambda: len(self.c.session.project.of_kind("added")) >= count)

    def idle(self) -> float:
        """Until all jobs are done."""
        return self.wait(lambda: not self.c.session.busy)


@contextmanager
def null_sink() -> Iterator[str]:
    """A sound card in memory: PulseAudio's null sink, where that is installed; gives the name of the device to play to.

    Else "", the computer's own device.
    """
    if not sys.platform.startswith("linux") or not all(shutil.which(name) for name in ("pulseaudio", "pactl")):
        yield ""
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        socket = f"{folder}/pulse.sock"
        env = {"XDG_RUNTIME_DIR": folder, "PULSE_SERVER": f"unix:{socket}", "PULSE_COOKIE": f"{folder}/cookie"}
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes", "--use-pid-file=no"]
        sink = f"module-null-sink sink_name=null0 format=float32le rate={RATE_HZ} channels=2"
        loads = ["-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1", "-L", sink]
        with mock.patch.dict(os.environ, env):
            daemon = subprocess.Popen(["pulseaudio", *options, *loads], stderr=subprocess.DEVNULL)
            try:
                while not os.path.exists(socket) and daemon.poll() is None:
                    time.sleep(0.05)
                yield "pulse"
            finally:
                daemon.terminate()
                daemon.wait()


@contextmanager
def running() -> Iterator[Bench]:
    """The program with its window, in a folder of its own."""
    from mgeldm_app.app import build

    with tempfile.TemporaryDirectory(prefix="mgeldm-bench-", ignore_cleanup_errors=True) as folder:
        os.environ["MGELDM_HOME"] = folder
        app = build()
        app.window.show()
        bench = Bench(app)
        try:
            yield bench
        finally:
            app.window.close()
            bench.pause(0.1)
            gc.collect()


def start() -> dict[str, Any]:
    """From the start of a process to its window on the screen, the best of three; nothing of torch may be loaded."""
    code = (
        "import time, sys; began = time.time() - time.process_time()\n"
        "from mgeldm_app.app import build\n"
        "app = build(); app.window.show(); app.qt.processEvents()\n"
        "shown = time.time()\n"
        "print(shown, 'torch' in sys.modules, flush=True)\n"
        "app.window.close()\n"
    )
    found = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            began = time.time()
            env = os.environ | {"MGELDM_HOME": folder}
            ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
            shown, torch = ran.stdout.split()
            found.append(float(shown) - began)
    return {"window_s": round(min(found), 2), "torch_imported": torch == "True", "aim_s": 1.5}


def drawing() -> dict[str, Any]:
    """A 10-minute file, dropped: until its overview is drawn, and until every waveform is complete."""
    with tempfile.TemporaryDirectory() as folder, running() as bench:
        song = long_song(Path(folder) / "ten minutes.flac", 600)
        opened_s = bench.open(song)
        lanes = bench.app.window.lanes
        drawn_s = bench.wait(lambda: lanes.sources.complete is not None)
        complete_s = bench.wait(lambda: lanes.sources.complete is True)
    return {
        "decoded_s": round(opened_s, 2),
        "overview_s": round(drawn_s, 2),
        "complete_s": round(drawn_s + complete_s, 2),
        "aims": "overview 0.3 s, complete 2 s",
    }


def frames() -> dict[str, Any]:
    """Twelve lanes, scrolled while they play."""
    from mgeldm_app.ui.lanes import frame_times

    with tempfile.TemporaryDirectory() as folder, running() as bench:
        _twelve_lanes(bench, long_song(Path(folder) / "song.flac", 180))
        bench.c.toggle_play()
        lanes = bench.app.window.lanes
        lanes.zoom(4)
        bench.wait(lambda: lanes.sources.complete is True)
        times = np.array(frame_times(lanes, 10.0)) * 1000
        bench.c.player.pause()
    return {
        "frame_ms_p95": round(float(np.percentile(times, 95)), 1),
        "median": round(float(np.median(times)), 1),
        "aim": 16,
    }


def heartbeat() -> dict[str, Any]:
    """How long the GUI thread leaves a timer waiting, and how often sound is interrupted, in 60 s of both.

    Plays to PulseAudio's null sink where that is installed, at safe latency, the default.
    """
    from PySide6.QtCore import QElapsedTimer, Qt, QTimer

    with tempfile.TemporaryDirectory() as folder, null_sink() as device, running() as bench:
        bench.c.player.set_device(device, "safe")
        bench.open(long_song(Path(folder) / "song.flac", 180))
        bench.ready()
        late: list[float] = []
        clock, timer = QElapsedTimer(), QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(lambda: late.append(clock.restart() - 5))
        bench.c.toggle_play()
        bench.pause(1.0)
        before = bench.c.player.underruns
        clock.start()
        timer.start(5)
        end_s, names = (
            time.perf_counter() + 60,
            iter(f"{name} {n}" for n in range(99) for name in ("bass", "drums", "piano")),
        )
        while time.perf_counter() < end_s:
            bench.ask(next(names), quality="best")
            bench.idle()
        timer.stop()
        underruns, status, load = bench.c.player.underruns - before, bench.c.player.status, os.getloadavg()[0]
    worst = {f"p{p}": round(float(np.percentile(late, p)), 1) for p in (50, 99, 99.9)}
    return {
        "late_ms": worst,
        "worst_ms": round(max(late), 1),
        "aim_p99.9": 50,
        "underruns": underruns,
        "device": status.device,
        "latency_ms": round(status.latency_s * 1000),
        "load": round(load, 1),
    }


def first_sound() -> dict[str, Any]:
    """From Enter to the first audible bars of a stem, and to the whole of a 3-minute song's; the model is warm."""
    with tempfile.TemporaryDirectory() as folder, running() as bench:
        bench.open(long_song(Path(folder) / "song.flac", 180))
        bench.ready()
        _loop(bench)
        found = []
        for name in ("bass", "drums", "vocals"):
            bench.ask(name, quality="standard")
            found.append(bench.wait(lambda: any(part.filled for part in bench.c.session.all_growing())))
            bench.idle()
        bench.c.set_looping(False)
        bench.c.set_region(None)
        bench.ask("lead synth", quality="standard")
        whole_s = bench.idle()
    return {
        "first_bars_s": [round(x, 2) for x in found],
        "aim_s": 1.0,
        "stem_of_3_minutes_s": round(whole_s, 1),
        "aim_stem_s": 12,
    }


def new_part() -> dict[str, Any]:
    """From Enter to the draft of a new part in a loop of 15 s, to its better version, and to four of them."""
    with tempfile.TemporaryDirectory() as folder, running() as bench:
        bench.open(long_song(Path(folder) / "song.flac", 180))
        bench.ready()
        _loop(bench)
        draft_s, whole_s = [], []
        for number, name in enumerate(("Rhodes", "strings", "bass")):
            bench.ask(name, task="impute", takes=1, quality="standard")
            draft_s.append(bench.added(number + 1))
            whole_s.append(draft_s[-1] + bench.idle())
        bench.ask("organ", task="impute", takes=4, quality="standard")
        four_s = bench.idle()
    return {
        "draft_s": [round(x, 1) for x in draft_s],
        "better_s": [round(x, 1) for x in whole_s],
        "four_takes_s": round(four_s, 1),
    }


def memory() -> dict[str, Any]:
    """Private memory of the window's process with a 10-minute song and eight stems; the model has its own process."""
    with tempfile.TemporaryDirectory() as folder, running() as bench:
        bench.open(long_song(Path(folder) / "ten minutes.flac", 600))
        bench.ask("bass, drums, vocals, piano, strings, brass, lead synth, electric guitar", quality="draft")
        bench.idle()
        bench.wait(lambda: bench.app.window.lanes.sources.complete is True)
        bench.c.toggle_play()
        bench.pause(5.0)
        used, mapped = _memory_bytes()
    return {"private_mb": round(used / 1e6), "mapped_audio_mb": round(mapped / 1e6), "aim_mb": 600}


def _memory_bytes() -> tuple[int, int]:
    """Memory of this process that is its own, and pages of files that it maps, which the system takes back at will."""
    import psutil

    status = Path("/proc/self/status")
    if not status.exists():
        return psutil.Process().memory_full_info().uss, 0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return tuple(int(lines[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile"))  # type: ignore[return-value]


def _loop(bench: Bench) -> None:
    """Loop 15 s of the song."""
    from mgeldm_app.core.project import Span

    bench.c.set_region(Span(30 * RATE_HZ, 45 * RATE_HZ))
    bench.c.set_looping(True)


def _twelve_lanes(bench: Bench, song: Path) -> None:
    """Song, ten stems, rest; every other stem as a spectrogram."""
    bench.open(song)
    names = "bass, drums, vocals, piano, strings, brass, lead synth, electric guitar, organ, flute"
    bench.ask(names, quality="draft")
    bench.idle()
    for lane in bench.c.session.project.lanes[1:-1:2]:
        bench.c.set_lane(lane.id, "view", "spectrogram")


MEASURES = {m.__name__: m for m in (start, drawing, frames, first_sound, new_part, heartbeat, memory)}


def main() -> None:
    """Measure what is named, or everything, and print a JSON object a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*MEASURES, []], metavar="NAME", help=", ".join(MEASURES))
    for name in parser.parse_args().names or MEASURES:
        print(json.dumps({name: MEASURES[name]()}), flush=True)


if __name__ == "__main__":
    from mgeldm_app.app import has_display

    if not has_display():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    main()
