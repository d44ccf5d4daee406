"""Small files appear whole or not at all."""

import errno
import json
import os
import stat
import sys
from pathlib import Path

import pytest
from mgeldm import naming
from mgeldm.errors import OutputError

from mgeldm_app.core.export.arrange import put_folder
from mgeldm_app.core.files import (
    MANY_FILES,
    can_write,
    let_many_be_open,
    link_or_copy,
    may_be_open,
    sweep_parts,
    write_whole,
)
from mgeldm_app.core.project import Project, Tempo
from mgeldm_app.core.storage import ProjectFolder


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(("most", "allowed"), [(None, MANY_FILES), (300, 300), (100_000, MANY_FILES)])
def test_many_files_may_be_open_as_far_as_the_system_allows(monkeypatch, most, allowed):
    import resource

    asked, hard = [], resource.RLIM_INFINITY if most is None else most
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *of: asked.append(of))
    let_many_be_open()
    assert asked == [(resource.RLIMIT_NOFILE, (allowed, hard))]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (MANY_FILES + 1, resource.RLIM_INFINITY))
    let_many_be_open()  # never fewer than there may be
    assert len(asked) == 1 and may_be_open() == MANY_FILES
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    assert may_be_open() == 256


@pytest.mark.parametrize("flush", [True, False])
def test_a_file_is_replaced_whole(tmp_path, flush):
    path = tmp_path / "a.json"
    for data in (b"first", b"second " * 100_000, b""):
        write_whole(path, data, flush)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes folders by itself")
def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path, monkeypatch):
    """Some file systems of networks refuse it."""
    fsync = os.fsync

    def refuses(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuses)
    write_whole(tmp_path / "a.json", b"precious")
    assert (tmp_path / "a.json").read_bytes() == b"precious"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_any_step_leaves_what_was_there(tmp_path, monkeypatch, error, step):
    path = tmp_path / "a.json"
    write_whole(path, b"precious")

    def fails(*_):
        raise error

    monkeypatch.setattr(os, step, fails)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_whole(path, b"other")
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_name_or_a_copy(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"clip")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").stat().st_ino == (tmp_path / "a").stat().st_ino

    def no_links(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", no_links)
    link_or_copy(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"clip"
    assert (tmp_path / "c").stat().st_ino != (tmp_path / "a").stat().st_ino
    with pytest.raises(OSError, match="missing"):
        link_or_copy(tmp_path / "missing", tmp_path / "d")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_only_files_begun_aside_are_swept(tmp_path):
    for name in (".abc.part", "song.part", ".hidden", "a.wav"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".folder.part").mkdir()
    sweep_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".folder.part", ".hidden", "a.wav", "song.part"]


@pytest.mark.parametrize(("code", "says"), [(errno.EACCES, False), (errno.EROFS, False), (errno.ENOSPC, True)])
def test_whether_files_can_be_made_is_found_by_making_one(tmp_path, monkeypatch, code, says):
    assert can_write(tmp_path) and not can_write(tmp_path / "missing")
    assert not list(tmp_path.iterdir())

    def refused(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "touch", refused)
    assert can_write(tmp_path) == says


def copied(folder):
    made = ProjectFolder.create(folder / "Song.mgeldm")
    copy = made.copy_to(folder / "Copy.mgeldm", Project(tempo=Tempo(77)))
    made.save(copy.project)
    made.close()
    copy.close()
    assert json.loads((folder / "Copy.mgeldm" / "project.json").read_bytes())["project"]["tempo"]["bpm"] == 77
    assert (folder / "Song.mgeldm" / "project.1.json").exists()


def put(folder):
    (folder / "files").mkdir()
    (folder / "files" / "a.wav").write_bytes(b"x")
    put_folder(folder / "files", folder / "Song")
    assert (folder / "Song" / "a.wav").exists()


def written(folder):
    write_whole(folder / "a.json", b"whole")
    assert (folder / "a.json").read_bytes() == b"whole"


@pytest.mark.parametrize("work", [copied, put, written])
def test_what_a_virus_scanner_holds_for_a_moment_gets_its_name(tmp_path, monkeypatch, work):
    """As on Windows, where what somebody else has open cannot be renamed."""
    refused, real = set(), os.replace

    def replace(source, target):
        if source not in refused:
            refused.add(source)
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(naming, "_PATIENCE_S", 5.0)
    work(tmp_path)
    assert refused
