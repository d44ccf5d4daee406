import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
NO_SCREEN = {name: value for name, value in os.environ.items() if name not in SCREENS}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess:
    env = {**NO_SCREEN, "PYTHONPATH": os.pathsep.join([str(ROOT / "model"), str(ROOT)]), **more}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True)


def test_the_program_checks_itself():
    result = run("-m", "mgeldm_app", "--self-test")
    assert result.returncode == 0, result.stdout + result.stderr
    (line,) = result.stdout.splitlines()
    assert line.startswith("self-test: passed in ")
    assert "3 files that null" in line


def test_a_self_test_that_fails_says_why(tmp_path):
    """The demo song is not where it should be."""
    code = (
        "import sys; from pathlib import Path; from mgeldm_app.ui import wishes; from mgeldm_app.__main__ import main;"
        "wishes.DEMO_SONG = Path('nowhere.flac'); sys.exit(main(['--self-test']))"
    )
    result = run("-c", code)
    assert result.returncode == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith("self-test: failed after ") and "nowhere.flac" in line


def test_files_that_the_system_hands_over_are_heard_of():
    code = (
        "from mgeldm_app.app import qt_application; from PySide6.QtGui import QFileOpenEvent;"
        "app = qt_application(); app.handed.connect(lambda path: print(path.name));"
        "app.sendEvent(app, QFileOpenEvent('/songs/a.flac'))"
    )
    assert run("-c", code, QT_QPA_PLATFORM="offscreen").stdout.split() == ["a.flac"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_without_a_display_the_program_says_so_and_ends():
    result = run("-m", "mgeldm_app", "--demo")
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "There is no display" in line and "QT_QPA_PLATFORM=offscreen" in line


def test_who_says_where_to_draw_is_obeyed(tmp_path):
    """The program runs until its window is closed."""
    code = (
        "from PySide6.QtCore import QTimer; from mgeldm_app import app; build = app.build\n"
        "def closing():\n    made = build(); QTimer.singleShot(0, made.window.close); return made\n"
        "app.build = closing; print(app.run())"
    )
    result = run("-c", code, QT_QPA_PLATFORM="offscreen", MGELDM_HOME=str(tmp_path))
    assert (result.returncode, result.stdout) == (0, "0\n"), result.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the system for anonymous memory")
def test_a_thread_does_not_keep_the_memory_that_it_freed(tmp_path):
    code = (
        "import re, threading; from pathlib import Path; import numpy as np; from mgeldm_app import app\n"
        "def used_mb(): return int(re.search(r'RssAnon:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024\n"
        "def work():\n"
        "    np.ones(3 << 20)\n"  # 24 MB: from then on glibc would serve what is smaller from the thread's own heap
        "    before_mb = used_mb()\n"
        "    blocks = [np.ones(1 << 18) for _ in range(25)]\n"
        "    held_mb = used_mb() - before_mb\n"
        "    del blocks\n"
        "    print(held_mb > 45, used_mb() - before_mb < 10)\n"
        "made = app.build(); thread = threading.Thread(target=work); thread.start(); thread.join(); made.window.close()"
    )
    result = run("-c", code, QT_QPA_PLATFORM="offscreen", MGELDM_HOME=str(tmp_path))
    assert result.stdout == "True True\n", result.stdout + result.stderr
