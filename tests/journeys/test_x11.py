"""The journey once more as a user's hands make it: a process of its own on a real X server, keys by xdotool."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mgeldm.audio import AudioClip, read, write
from PySide6.QtGui import QImage

ROOT = Path(__file__).parents[2]
TOOLS = ("Xvfb", "xdotool", "import")
PATIENCE_S = 120.0

pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in TOOLS), reason=f"needs {', '.join(TOOLS)} (xvfb, xdotool, imagemagick)"
)


def patiently(until, process=None):
    """The first true answer, within reason."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        if answer := until():
            return answer
        assert process is None or process.poll() is None, "the program ended"
        time.sleep(0.1)
    raise AssertionError("waited in vain")


@pytest.fixture
def display():
    """An X server of 1280x800; its environment."""
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    env = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    yield env | {"DISPLAY": f":{number}"}
    server.terminate()
    server.wait()


class Hands:
    """Presses keys on a display."""

    def __init__(self, env):
        self.env = env

    def __call__(self, *words):
        done = subprocess.run(["xdotool", *words], env=self.env, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def picture(self, path):
        subprocess.run(["import", "-window", "root", str(path)], env=self.env, check=True)
        image = QImage(str(path))
        colours = {image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}
        return image, colours


def test_a_song_a_sentence_a_stem(display, tmp_path):
    clip = read(ROOT / "resources" / "demo" / "demo.flac", 4.0, 16.0)
    song = tmp_path / "Demo cut.flac"
    write(song, AudioClip(clip.samples, clip.rate_hz), "flac")
    home, hands = tmp_path / "home", Hands(display)
    env = display | {"MGELDM_HOME": str(home)}
    program = subprocess.Popen([sys.executable, "-m", "mgeldm_app", str(song)], cwd=ROOT, env=env)
    state = home / "MGE-LDM Projects" / "Demo cut.mgeldm" / "project.json"

    def lanes():
        try:
            return [lane["name"] for lane in json.loads(state.read_text())["project"]["lanes"]]
        except (OSError, ValueError):
            return []

    try:
        window = patiently(lambda: hands("search", "--onlyvisible", "--name", "Demo cut"), program).split()[0]
        hands("windowfocus", "--sync", window)
        hands("key", "ctrl+p")
        hands("type", "--delay", "20", "the drums")
        hands("key", "Return")
        patiently(lambda: lanes() == ["Song", "drums", "Rest"], program)
        hands("key", "Escape")
        hands("key", "space")
        time.sleep(1.5)  # a second of music, for the picture
        image, colours = hands.picture(tmp_path / "playing.png")
        assert (image.width(), image.height()) == (1280, 800)
        assert len(colours) > 50
        hands("key", "space")
        hands("key", "ctrl+z")
        patiently(lambda: lanes() == ["Song", "Rest"], program)
        hands("key", "ctrl+shift+z")
        patiently(lambda: lanes() == ["Song", "drums", "Rest"], program)
        hands("key", "ctrl+k")
        patiently(lambda: len(hands("search", "--onlyvisible", "--pid", str(program.pid)).split()) > 1, program)
        hands.picture(tmp_path / "palette.png")
        hands("key", "Escape")
        hands("key", "ctrl+q")
        assert program.wait(30) == 0
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()
