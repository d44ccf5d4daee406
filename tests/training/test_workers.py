import os
import signal
import subprocess
import sys
import time

import pytest
from mgeldm.errors import MgeldmError
from mgeldm.training.workers import processes

STARTS = """
import os
import time
from mgeldm.training.workers import processes

if __name__ == "__main__":
    with processes(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def test_a_process_that_is_ended_from_outside_is_said():
    said = r"ended from outside, .* run the command again with fewer workers"
    with pytest.raises(MgeldmError, match=said), processes(1) as pool:
        assert pool.submit(abs, -3).result() == 3
        for result in [pool.submit(call, 1) for call in (os._exit, abs, abs)]:
            result.result()


def test_what_waits_is_not_begun_after_an_error():
    began_s = time.monotonic()
    with pytest.raises(ZeroDivisionError), processes(1) as pool:
        waiting = [pool.submit(time.sleep, 0.1) for _ in range(100)]
        raise ZeroDivisionError
    assert time.monotonic() - began_s < 8
    assert waiting[-1].cancelled()


def test_no_process_outlives_the_one_that_started_it(tmp_path):
    (tmp_path / "starts.py").write_text(STARTS)
    command = [sys.executable, str(tmp_path / "starts.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        number = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not _is_running(number):
            return
        time.sleep(0.1)
    os.kill(number, signal.SIGKILL)
    pytest.fail("the process goes on alone")


def _is_running(number):
    """A process that has ended may still be listed until it is fetched."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True, check=False)
    return found.stdout.strip()[:1] not in ("", "Z")
