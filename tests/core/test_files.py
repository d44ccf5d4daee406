"""Small files appear whole or not at all."""

import os

import pytest
from mgeldm.errors import OutputError

from mgeldm_app.core.files import link_or_copy, sweep_parts, write_whole


@pytest.mark.parametrize("flush", [True, False])
def test_a_file_is_replaced_whole(tmp_path, flush):
    path = tmp_path / "a.json"
    for data in (b"first", b"second " * 100_000, b""):
        write_whole(path, data, flush)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


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
