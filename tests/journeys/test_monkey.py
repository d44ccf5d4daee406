"""A short run of `packaging/monkey.py`, which says what must hold."""

import importlib.util
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mgeldm_app.core.project import Audio, Lane, Made, Part, Take

PATH = Path(__file__).parents[2] / "packaging" / "monkey.py"
SECONDS = 12.0
LOST = Lane("L1", "added", "lost", parts=(Part(0, (Take(Audio("0" * 64, 8000, 2, 100), Made("impute", "bass")),)),))


@pytest.fixture
def monkey(monkeypatch):
    spec = importlib.util.spec_from_file_location("monkey", PATH)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "monkey", module)
    spec.loader.exec_module(module)
    return module


def test_random_actions_break_nothing(monkey, qapp):
    ran = monkey.run(SECONDS, seed=5)
    assert ran["actions"] > 20


def test_what_breaks_is_seen(monkey, qapp, tmp_path):
    with monkey.running(tmp_path, random.Random(1), real=False) as (watch, hands):
        hands.window.empty.files_dropped.emit(hands.songs[:1])
        watch.rest()
        watch.look()
        folder, session = watch.c.session.folder, watch.c.session

        def broken(says):
            return pytest.raises(monkey.Broken, match=says)

        left = folder.store.folder / "0.part.wav"
        left.touch()
        with broken("left over"):
            watch.look()
        left.unlink()

        saved = (folder.folder / "project.json").read_bytes()
        (folder.folder / "project.json").write_bytes(saved.replace(b'"Song"', b'"Ferry"'))
        with broken("the disk has"):
            watch.look()
        (folder.folder / "project.json").write_bytes(saved)

        project = session.project
        session.history.amend(lambda _: replace(project, lanes=(project.lanes[0], LOST, project.lanes[1])))
        with broken("is not in the store"):
            watch.glance()
        session.history.amend(lambda _: project)

        session.notice.connect(lambda *_: 1 / 0)
        session.tell("something")
        with broken("ZeroDivisionError"):
            watch.rest()
        watch.faults.clear()
