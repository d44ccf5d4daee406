"""A kill -9 at any moment loses at most the action under way, and leaves nothing in the way of the next run."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from mgeldm_app.core.storage import ProjectFolder

# One interpreter that forks a worker for each round: a new one each would spend the test's time on imports.
WORKERS = """
import os, signal, sys
from pathlib import Path
import numpy as np
from mgeldm.audio import map_wav
from mgeldm_app.core.project import Lane, Made, Part, Prompt, Take
from mgeldm_app.core.storage import ProjectFolder
from dataclasses import replace

def act(folder, project, number):
    "One action of a user: a new part with its audio, a renamed lane, or a typed prompt."
    if number % 3 == 0:
        path = folder.store.begin(8000, 1, 5000)
        frames, _ = map_wav(path, writable=True)
        frames[:] = number
        part = Part(number, (Take(folder.store.adopt(path), Made("extract", "bass", number)),))
        project = project.with_lane(Lane(f"lane{number % 5}", "extracted", f"Lane {number}", parts=(part,)))
    elif number % 3 == 1:
        project = project.with_lane(replace(project.lanes[0], gain_db=number / 100))
    return replace(project, prompt=Prompt(str(number)))

def die_before_step(wanted):
    "Kill this process before the so many-th change to the disk."
    steps = 0
    def counted(function):
        def run(*arguments, **more):
            nonlocal steps
            steps += 1
            if steps == wanted:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)
        return run
    for name in ("fsync", "replace", "rename", "link", "unlink", "mkdir", "open"):
        setattr(os, name, counted(getattr(os, name)))

def work(path, step):
    folder = ProjectFolder.open(path)
    project, number = folder.project, int(folder.project.prompt.text or 0)
    assert not folder.read_only and not folder.notice
    while True:
        if step is not None and number % 3 == 2:
            die_before_step(step)
        number += 1
        project = act(folder, project, number)
        folder.save(project)
        os.write(1, f"{number}\\n".encode())
        if step is not None and number % 3 == 0:
            os._exit(0)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        work(Path(sys.argv[1]), int(line) or None)
    print(f"pid {child}", flush=True)
    status = os.waitpid(child, 0)[1]
    print("killed" if os.WIFSIGNALED(status) else "finished", flush=True)
"""


@contextlib.contextmanager
def workers_on(path):
    ProjectFolder.create(path).close()
    command = [sys.executable, "-c", WORKERS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as workers:
        yield workers
        workers.stdin.close()


def check(path, last):
    """The project is what it was after action `last`, or the one under way, and nothing else is in its folder."""
    folder = ProjectFolder.open(path)
    assert not folder.read_only and folder.notice == ""  # not locked out, nothing damaged, no audio missing
    number = int(folder.project.prompt.text or 0)
    assert number in (last, last + 1)
    for audio in folder.project.audios():
        assert folder.store.view(audio)[0] == folder.store.view(audio)[-1] != 0
    assert not any(".part" in name for _, _, names in os.walk(path) for name in names)
    folder.close()
    return number


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_fifty_kills_at_random_moments(tmp_path):
    path, chance, last = tmp_path / "Song.mgeldm", random.Random(0), 0
    with workers_on(path) as workers:
        for _ in range(50):
            workers.stdin.write("0\n")
            child, wanted = 0, chance.randint(1, 8)  # then somewhere within the next actions
            while wanted > 0 or not child:
                word = workers.stdout.readline().split()
                if word[0] == "pid":
                    child = int(word[1])
                else:
                    last, wanted = int(word[0]), wanted - 1
            time.sleep(chance.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            while (word := workers.stdout.readline().strip()) != "killed":
                last = int(word)
            last = check(path, last)
    assert last >= 50


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_kill_before_every_single_change_to_the_disk(tmp_path):
    path, last, ends = tmp_path / "Song.mgeldm", 0, []
    with workers_on(path) as workers:
        while "finished" not in ends:
            workers.stdin.write(f"{len(ends) + 1}\n")
            while (word := workers.stdout.readline().split()) not in (["killed"], ["finished"]):
                last = last if word[0] == "pid" else int(word[0])
            ends += word
            last = check(path, last)
    assert len(ends) > 8  # opening, flushing, linking, renaming: for the clip, the state and the ones before it
