"""What is written aside gets its name, also where something else holds it for a moment."""

import os

import numpy as np
import pytest
from mgeldm import naming
from mgeldm.audio import AudioClip, read, write
from mgeldm.errors import OutputError
from mgeldm.naming import PART, aside_of, give_name
from mgeldm.outputs import place

CLIP = AudioClip(np.full((1, 5000), 0.5, np.float32), 44_100)


@pytest.fixture
def held(monkeypatch):
    """As on Windows, where a virus scanner holds each new file for a while: renaming it is refused three times."""
    refused, real = [], os.replace

    def replace(source, target):
        if refused.count(source) < 3:
            refused.append(source)
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(naming, "_PATIENCE_S", 5.0)
    monkeypatch.setattr(naming, "_PAUSE_S", 0.001)
    return refused


def test_names_aside_are_hidden_and_never_the_same(tmp_path):
    names = {aside_of(tmp_path / "a.wav").name for _ in range(100)}
    assert len(names) == 100 and all(name.startswith(".") and name.endswith(PART) for name in names)


def test_what_is_held_for_a_moment_gets_its_name_all_the_same(tmp_path, held):
    write(tmp_path / "a.wav", CLIP)
    np.testing.assert_array_equal(read(tmp_path / "a.wav").samples, CLIP.samples)
    (tmp_path / "1").write_bytes(b"sound")
    (placed,) = place([tmp_path / "1"], tmp_path, ["bass"], ".wav")
    assert placed.read_bytes() == b"sound"
    assert len(held) == 6 and sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "bass.wav"]


def test_what_stays_held_is_told_of(tmp_path, held, monkeypatch):
    monkeypatch.setattr(naming, "_PATIENCE_S", 0.002)
    monkeypatch.setattr(naming, "_PAUSE_S", 0.01)
    with pytest.raises(OutputError, match="cannot be written to"):
        write(tmp_path / "a.wav", CLIP)
    assert len(held) == 2 and not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="waits")
def test_elsewhere_a_refusal_is_final(tmp_path, held, monkeypatch):
    monkeypatch.undo()
    assert naming._PATIENCE_S == 0
    monkeypatch.setattr(naming.time, "sleep", None)
    (tmp_path / "full").mkdir()
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(OSError, match="directory"):
        give_name(tmp_path / "a", tmp_path / "full")
