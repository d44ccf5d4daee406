"""The program ends when the system says so, whatever is open, and everything is saved."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from PySide6.QtCore import QTimer
from mgeldm_app import app

def show(made):
    window, case = made.window, sys.argv[1]
    if case == "dialog":
        QTimer.singleShot(0, window.wishes.settings)
    elif case == "question":
        window.wishes.may_close = window.wishes.ask_to_leave
        QTimer.singleShot(0, window.close)
    QTimer.singleShot(300, lambda: print("ready", flush=True))
    return made

build = app.build
app.WARM_UP_MS = 1 << 20  # the model is not needed
app.build = lambda: show(build())
sys.exit(app.run())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals")
@pytest.mark.parametrize("name, case", [("SIGINT", "nothing"), ("SIGTERM", "dialog"), ("SIGHUP", "question")])
def test_a_signal_closes_the_window_and_asks_nothing(tmp_path, name, case):
    def hears_of_it():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # even where the tests run in the background
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    given = os.environ | {"MGELDM_HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, case],
        cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hears_of_it,
    )  # fmt: skip
    try:
        assert program.stdout.readline() == "ready\n"
        program.send_signal(getattr(signal, name))
        _, said = program.communicate(timeout=20)
    finally:
        program.kill()
    assert program.returncode == 0 and "Traceback" not in said, said
    assert json.loads((tmp_path / "settings.json").read_bytes())["geometry"]
