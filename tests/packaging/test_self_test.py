import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_SCREEN = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}


def run(*arguments: str) -> subprocess.CompletedProcess:
    paths = os.pathsep.join([str(ROOT / "model"), str(ROOT)])
    env = {**NO_SCREEN, "PYTHONPATH": paths, "QT_QPA_PLATFORM": "offscreen"}
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
    assert run("-c", code).stdout.split() == ["a.flac"]
