"""What may go wrong around the window: bad files, a full disk, a second window on the same project, few open files."""

import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mgeldm_app.app import build
from mgeldm_app.core.storage import ProjectFolder
from mgeldm_app.self_test import NoDevices
from tests.fakes.bad_files import BAD, BAD_INSIDE
from tests.fakes.world import FakeEngine, write_song

PATIENCE_MS = 120_000
ROOM_BYTES = 4 << 20


class Desk:
    """A running program, and everything that it said."""

    def __init__(self, app, qtbot):
        self.app, self.c, self.window, self.qtbot = app, app.controller, app.window, qtbot
        self.told = []
        self.c.session.notice.connect(lambda text, *more: self.told.append(text))

    def wait(self, until):
        self.qtbot.waitUntil(lambda: bool(until()), timeout=PATIENCE_MS)

    def heard(self, pattern):
        """Whether something like this was said."""
        return any(re.search(pattern, text) for text in self.told)

    def open(self, path):
        self.c.documents.open_paths([path])
        self.wait(lambda: self.c.documents.opening is None)
        assert self.c.session.folder is not None, self.told

    def at_rest(self):
        """Until everything is saved."""
        documents = self.c.documents
        self.wait(lambda: not self.c.session.busy and not documents._saving and not documents._waiting)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def desk(home, qapp, qtbot, nobody_answers):
    """The program with the model in its process."""
    app = build(NoDevices())
    app.window.show()
    yield Desk(app, qtbot)
    app.window.close()


@pytest.fixture
def small_desk(home, qapp, qtbot, monkeypatch, nobody_answers):
    """The program without a model."""
    monkeypatch.setattr("mgeldm_app.app.Engine", lambda _: FakeEngine())
    app = build(NoDevices())
    app.window.show()
    yield Desk(app, qtbot)
    app.window.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes, with a function that fills it and one that makes room."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can make a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(place)]
    if subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("no small file system can be made here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    """Leave no room."""
    with open(place / "ballast", "wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2


def free(place):
    (place / "ballast").unlink()


# ------------------------------------------------------------------------------------------------------------ bad files


def test_no_bad_file_breaks_the_window(small_desk, tmp_path, home):
    small_desk.open(write_song(tmp_path / "Midnight Ferry.wav"))
    small_desk.at_rest()
    c, window = small_desk.c, small_desk.window
    (tmp_path / "bad").mkdir()
    before = c.session.project.song
    for bad in (*BAD, *BAD_INSIDE):
        small_desk.told.clear()
        path = bad.make(tmp_path / "bad")
        window.lanes.files_dropped.emit([path])
        small_desk.wait(lambda: small_desk.told and c.documents.opening is None)
        assert small_desk.heard(bad.says) and small_desk.heard(re.escape(bad.name)), (bad.name, small_desk.told)
        assert c.session.project.song == before
        assert window.middle.currentWidget() is window.lanes
    assert [path.name for path in (home / "MGE-LDM Projects").iterdir()] == ["Midnight Ferry.mgeldm"]


def test_bad_files_dropped_together_with_a_good_one(small_desk, tmp_path):
    rng = random.Random(1)
    paths = [bad.make(tmp_path) for bad in rng.sample(BAD, 3)]
    song = write_song(tmp_path / "Midnight Ferry.wav")
    small_desk.window.empty.files_dropped.emit([song, *paths])
    small_desk.wait(lambda: small_desk.c.session.project.song is not None)
    assert small_desk.heard("one song at a time can be open. Nor were 2 others.")


# ------------------------------------------------------------------------------------------------------------ full disk


def test_a_disk_that_is_full_while_saving(small_desk, small_disk, tmp_path):
    desk, c = small_desk, small_desk.c
    c.set_settings(replace(c.settings, projects=str(small_disk)))
    desk.open(write_song(tmp_path / "Midnight Ferry.wav", 4.0))
    desk.at_rest()
    folder = c.session.folder.folder
    saved = (folder / "project.json").read_bytes()
    fill(small_disk)
    c.set_lane("song", "name", "A" * 5000)
    desk.wait(lambda: desk.heard("not saved"))
    assert desk.heard("No room for project.json .*; free some disk")
    assert (folder / "project.json").read_bytes() == saved
    assert c.session.project.lane("song").name == "A" * 5000
    free(small_disk)
    c.set_lane("song", "name", "Ferry")
    desk.at_rest()
    project = c.session.project
    c.documents.close()
    opened = ProjectFolder.open(folder)
    assert (opened.project, opened.notice) == (project, "")
    opened.close()


def test_a_song_for_which_there_is_no_room(small_desk, small_disk, tmp_path):
    desk, c = small_desk, small_desk.c
    c.set_settings(replace(c.settings, projects=str(small_disk)))
    fill(small_disk)
    c.documents.open_paths([write_song(tmp_path / "Midnight Ferry.wav")])
    desk.wait(lambda: desk.told and c.documents.opening is None)
    assert desk.heard("[Nn]o (room|space)"), desk.told
    assert c.session.folder is None
    free(small_disk)
    desk.open(tmp_path / "Midnight Ferry.wav")
    assert [path.name for path in small_disk.iterdir()] == ["Midnight Ferry.mgeldm"]


def test_a_disk_that_is_full_while_extracting(desk, small_disk, tmp_path):
    c = desk.c
    c.set_settings(replace(c.settings, projects=str(small_disk)))
    desk.open(write_song(tmp_path / "Midnight Ferry.wav"))
    desk.at_rest()
    project, folder = c.session.project, c.session.folder.folder
    fill(small_disk)
    with open(small_disk / "ballast", "r+b") as ballast:  # room for beginning, not for a stem
        ballast.truncate(os.path.getsize(small_disk / "ballast") - (1 << 16))
    c.submit(replace(project.prompt, text="bass", task="extract", quality="draft"))
    desk.wait(lambda: c.session.jobs and not c.session.busy)
    ((job_id, view),) = c.session.jobs.items()
    assert re.search("No room for .*; free some disk", view.message)
    assert c.session.project.lanes == project.lanes
    free(small_disk)
    c.making.retry(job_id)
    desk.at_rest()
    (bass,) = c.session.project.of_kind("extracted")
    assert bass.parts[0].span.samples == project.samples
    assert not list(folder.rglob("*.part*"))


# ---------------------------------------------------------------------------------------------------------- two windows

OTHER = """
import sys
from pathlib import Path
from mgeldm_app.app import build
from mgeldm_app.self_test import NoDevices
app = build(NoDevices())
app.window.show()
app.controller.documents.open_project(Path(sys.argv[1]))
while app.controller.session.folder is None:
    app.qt.processEvents()
print(app.controller.session.folder.read_only, flush=True)
sys.stdin.readline()
app.window.close()
"""


def test_a_second_window_only_reads_and_says_so(small_desk, tmp_path, home):
    desk, c = small_desk, small_desk.c
    desk.open(write_song(tmp_path / "Midnight Ferry.wav"))
    desk.at_rest()
    folder = c.session.folder.folder
    c.documents.close()
    env = os.environ | {"MGELDM_HOME": str(tmp_path / "other home"), "QT_QPA_PLATFORM": "offscreen"}
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", OTHER, folder], cwd=root, env=env, stdin=pipe, stdout=pipe) as other:
        assert other.stdout.readline().strip() == b"False"
        desk.told.clear()
        desk.open(folder)
        assert c.session.folder.read_only
        assert desk.heard("is open in another window; changes are not saved. Use Save as"), desk.told
        saved = (folder / "project.json").read_bytes()
        c.set_lane("song", "name", "Ferry")
        c.submit(replace(c.session.project.prompt, text="bass", task="extract"))
        assert desk.heard("open elsewhere and cannot be changed here")
        desk.at_rest()
        assert not c.engine.jobs
        c.documents.save_as(tmp_path / "Copy.mgeldm")
        desk.wait(lambda: c.session.folder.folder.name == "Copy.mgeldm")
        assert not c.session.folder.read_only
        assert c.session.project.lane("song").name == "Ferry"
        desk.at_rest()
        assert (folder / "project.json").read_bytes() == saved
        other.communicate(b"\n")
    desk.open(folder)
    assert not c.session.folder.read_only


# ----------------------------------------------------------------------------------------------------------- many files


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_program_may_have_many_clips_open(request):
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        request.getfixturevalue("small_desk")
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
