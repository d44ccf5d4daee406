"""The player through a real PortAudio stream into PulseAudio's null sink, recorded from its monitor.

Needs PulseAudio and the ALSA plugin that leads to it (Debian: libportaudio2 libasound2-plugins pulseaudio
pulseaudio-utils). The daemon is one of the test's own, in a folder of its own.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO

import numpy as np
import pytest
from mgeldm.audio import map_wav

from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.mixer import Mixer, Order
from mgeldm_app.core.ports import Growing
from mgeldm_app.core.project import Audio, Lane, Made, Part, Project, SongFile, Span, Take
from mgeldm_app.core.voices import make_plan
from mgeldm_app.services.playback import SoundPlayer

MISSING = [program for program in ("pulseaudio", "pactl", "parec") if shutil.which(program) is None]
UNTESTED = "so sound is not tested through a real stream"
pytestmark = pytest.mark.skipif(
    bool(MISSING) or sys.platform != "linux", reason=f"{', '.join(MISSING) or 'Linux'} is missing, {UNTESTED}"
)

RATE_HZ, SONG = 44100, 66150
MADE = Made("extract", "bass")
SINK = ("module-null-sink", "sink_name=null0", "format=float32le", f"rate={RATE_HZ}", "channels=2")


def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait for another thread or process to bring something about."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.005)


class Sink:
    """A null sink that can be unplugged, and a recording of all that reaches it."""

    def __init__(self) -> None:
        self._module = ""
        self._recorder: subprocess.Popen[bytes] | None = None

    def plug_in(self) -> None:
        command = ["pactl", "load-module", *SINK]
        self._module = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def unplug(self) -> None:
        self.stop()
        subprocess.run(["pactl", "unload-module", self._module.strip()], check=True)

    def record(self) -> None:
        command = ["parec", "--raw", "-d", "null0.monitor", "--format=float32le", f"--rate={RATE_HZ}"]
        recorder = subprocess.Popen([*command, "--channels=2", "--latency-msec=20"], stdout=subprocess.PIPE)
        self._recorder, self._bytes = recorder, bytearray()
        threading.Thread(target=self._read, args=(recorder.stdout,), daemon=True).start()
        until(lambda: len(self._bytes) > 8 * RATE_HZ // 5)

    def _read(self, stream: IO[bytes]) -> None:
        while more := stream.read(4096):
            self._bytes += more

    @property
    def heard(self) -> np.ndarray:
        """Samples [n, 2] so far."""
        taken = bytes(self._bytes)
        return np.frombuffer(taken[: len(taken) // 8 * 8], np.float32).reshape(-1, 2)

    def stop(self) -> None:
        if self._recorder is not None:
            self._recorder.terminate()
            self._recorder.wait()
            self._recorder = None


@pytest.fixture(scope="module")
def daemon(tmp_path_factory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("pulse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        patch.setenv("PULSE_SERVER", f"unix:{folder}/pulse.sock")
        patch.setenv("PULSE_COOKIE", str(folder / "cookie"))
        socket = f"module-native-protocol-unix socket={folder}/pulse.sock auth-anonymous=1"
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes", "--use-pid-file=no"]
        process = subprocess.Popen(["pulseaudio", *options, "-L", socket], stderr=subprocess.DEVNULL)
        try:
            until(lambda: os.path.exists(f"{folder}/pulse.sock"))
            yield
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def sink(daemon) -> Iterator[Sink]:
    sink = Sink()
    sink.plug_in()
    sink.record()
    yield sink
    sink.unplug()


@pytest.fixture
def store(tmp_path) -> ClipStore:
    return ClipStore(tmp_path)


@pytest.fixture
def player(sink, store) -> Iterator[SoundPlayer]:
    player = SoundPlayer(store.view, lambda function: function())
    end_s = time.monotonic() + 20.0
    while not player._keeper.names and time.monotonic() < end_s:  # the first look may be over, and told, by now
        time.sleep(0.005)
    if "pulse" not in player.devices():
        player.close()
        pytest.skip(f"ALSA's plugin for PulseAudio, or PortAudio, is missing, {UNTESTED}")
    player.set_device("pulse", "safe")
    yield player
    player.close()


def clip(store: ClipStore, frames: np.ndarray) -> Audio:
    path = store.begin(RATE_HZ, 2, len(frames))
    map_wav(path, writable=True)[0][:] = frames
    return store.adopt(path)


def noise(samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (samples, 2)).astype(np.float32)


def hum(samples: int, hz: float) -> np.ndarray:
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(samples) / RATE_HZ)
    return np.stack([tone, tone], 1).astype(np.float32)


def with_stem(store: ClipStore, song: np.ndarray, stem: np.ndarray, start: int) -> Project:
    part = Part(start, (Take(clip(store, stem), MADE),))
    project = Project(SongFile(clip(store, song), "song"))
    return project.with_lane(Lane("bass", "extracted", "Bass", parts=(part,)))


def on_air(player: SoundPlayer, project: Project) -> None:
    player.show(project)
    until(lambda: player.status.device == "pulse")


def found(heard: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether `wanted` [n, 2] was heard, bit for bit and without a gap."""
    places = np.flatnonzero(heard[:, 0] == wanted[len(wanted) // 2, 0]) - len(wanted) // 2
    return any(
        p >= 0 and p + len(wanted) <= len(heard) and np.array_equal(heard[p : p + len(wanted)], wanted) for p in places
    )


def is_heard(act: Callable[[], None], right: Callable[[], bool]) -> bool:
    """Whether it is right after acting; tried again, since on a busy computer player or recorder may come too late.

    What the player itself does is the same each time, so what is wrong with it is wrong each time.
    """
    for _ in range(5):
        act()
        if right():
            return True
    return False


def test_what_is_heard_is_the_song_bit_for_bit(player, sink, store):
    song = noise(SONG)
    on_air(player, with_stem(store, song, noise(30000, 2) / 2, 20000))
    assert player.status.rate_hz == RATE_HZ and 0 < player.status.latency_s < 0.5

    def play() -> None:
        end = len(sink.heard) + 2 * SONG
        player.play()
        until(lambda: found(sink.heard, song) or len(sink.heard) > end)

    assert is_heard(play, lambda: found(sink.heard, song))
    assert player.levels().null < 2**-23


def test_a_loop_has_no_seam(player, sink, store):
    """Bit for bit what the mixer gives across two seams, and nowhere a step that a click would be."""
    project = with_stem(store, hum(SONG, 150), hum(20000, 90), 15000)
    project = replace(project, region=Span(20000, 31000), looping=True)
    on_air(player, project)
    mixer, expected = Mixer(RATE_HZ), np.zeros((30000, 2), np.float32)
    mixer.order = Order(make_plan(project, store.view), playing=True, jump=1, place=20000)
    mixer.render(expected)
    since = [0]

    def play() -> None:
        player.pause()
        since[0] = len(sink.heard)
        player.seek(20000)
        player.play()
        until(lambda: len(sink.heard) > since[0] + 50000)

    def right() -> bool:
        heard = sink.heard[since[0] :]
        return found(heard, expected) and np.abs(np.diff(heard, axis=0)).max() < 0.02

    assert is_heard(play, right)


def test_a_growing_stem_joins_a_running_loop(player, sink, store):
    """Three times the plan is swapped while the loop runs: what is new is heard, and no swap makes a step."""
    song, keys = hum(SONG, 150), hum(30000, 120)
    project = replace(with_stem(store, song, hum(20000, 90), 15000), region=Span(15000, 31000), looping=True)
    solo = project.with_lane(Lane("keys", "extracted", "Keys", soloed=True))
    on_air(player, solo)
    since = [0]

    def grow() -> None:
        path = store.begin(RATE_HZ, 2, 30000)
        frames, _ = map_wav(path, writable=True)
        player.seek(15000)
        player.play()
        since[0] = len(sink.heard)
        for stop in (6000, 14000, 30000):
            frames[:stop] = keys[:stop]
            player.show(solo, (Growing("keys", path, 15000, (Span(0, stop),), "extracted"),))
            now = len(sink.heard)
            until(lambda start=now: len(sink.heard) > start + 20000)

    def right() -> bool:
        heard = sink.heard[since[0] + RATE_HZ // 4 :]  # after the delay of what was sent before
        return found(heard, keys[1000:14000]) and np.abs(np.diff(heard, axis=0)).max() < 0.02

    assert is_heard(grow, right)


def test_a_rate_that_no_device_takes_is_resampled(player, sink, store):
    high_hz, hz = 705600, 440
    path = store.begin(high_hz, 2, 2 * high_hz)
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(2 * high_hz) / high_hz)
    map_wav(path, writable=True)[0][:] = tone[:, None]
    on_air(player, Project(SongFile(store.adopt(path), "tone")))
    assert player.status.rate_hz == RATE_HZ
    since = [0]

    def play() -> None:
        player.seek(0)
        since[0] = len(sink.heard)
        player.play()
        until(lambda: len(sink.heard) > since[0] + 3 * RATE_HZ)

    def right() -> bool:
        heard = sink.heard[since[0] :, 0]
        first = int(np.argmax(np.abs(heard) > 0.01))
        middle = heard[first + 8000 : first + 78000]
        phase = 2 * np.pi * hz * np.arange(len(middle)) / RATE_HZ
        waves = np.stack([np.sin(phase), np.cos(phase)])
        level = 2 * waves @ middle / len(middle)
        return abs(np.hypot(*level) - 0.3) < 3e-4 and np.abs(middle - level @ waves).max() < 1e-3

    assert is_heard(play, right)


def test_a_sink_that_vanishes_and_comes_back(player, sink, store):
    song = noise(20 * RATE_HZ)
    on_air(player, Project(SongFile(clip(store, song), "song")))
    player.play()
    until(lambda: player.position > 4000)
    sink.unplug()
    until(lambda: player.status.device == "")
    assert "“pulse” is gone" in player.status.message
    at = player.position
    until(lambda: player.position > at + 8000)
    player.levels()
    until(lambda: player.levels().left > 0.5)
    assert player.playing
    sink.plug_in()
    sink.record()
    until(lambda: player.status.device == "pulse")
    assert player.status.message == ""
    until(lambda: np.abs(sink.heard).max() > 0.5)
    first = int(np.argmax(np.abs(sink.heard[:, 0]) > 0))
    until(lambda: len(sink.heard) > first + 20000)
    place = np.flatnonzero(song[:, 0] == sink.heard[first + 2000, 0])[0] - 2000
    assert place > at  # it goes on where the clock had come to, not where it was cut off
