"""Files that get their names together, in a folder where others may be at work."""

import os

import pytest
from mgeldm import outputs
from mgeldm.errors import OutputError
from mgeldm.outputs import aside, aside_of, place, sweep_old_parts


def made(folder, *names):
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(b"sound")
    return paths


def test_all_files_are_numbered_where_one_is_there(tmp_path):
    (tmp_path / "song - bass.wav").write_bytes(b"mine")
    with aside(tmp_path) as folder:
        files = made(folder, "1", "2")
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".wav"] == ["song - bass.wav"]
        placed = place(files, tmp_path, ["bass", "rest"], ".wav", "song - ")
    assert [path.name for path in placed] == ["song - bass 2.wav", "song - rest 2.wav"]
    assert {*tmp_path.iterdir()} == {*placed, tmp_path / "song - bass.wav"}
    assert (tmp_path / "song - bass.wav").read_bytes() == b"mine"


def test_a_name_that_is_taken_meanwhile_is_left_to_whoever_took_it(tmp_path, monkeypatch):
    """Also where the folder's listing writes it otherwise, as that of a Mac may."""
    taken = tmp_path / "bass.wav"
    taken.write_bytes(b"theirs")
    monkeypatch.setattr(outputs, "names_beside", hiding(outputs.names_beside, "bass.wav"))
    with aside(tmp_path) as folder:
        placed = place(made(folder, "1", "2"), tmp_path, ["bass", "rest"], ".wav")
    assert [path.name for path in placed] == ["bass 2.wav", "rest 2.wav"]
    assert taken.read_bytes() == b"theirs"


def hiding(names_beside, name):
    """The listing lacks a name the first time that it is looked at."""
    hidden = [name]

    def found(taken, *rest):
        hide = hidden.pop() if hidden else ""
        return names_beside([each for each in taken if each != hide], *rest)

    return found


def test_all_are_placed_or_none(tmp_path):
    with aside(tmp_path) as folder, pytest.raises(OutputError):
        place([*made(folder, "1"), folder / "missing"], tmp_path, ["bass", "rest"], ".wav")
    assert not list(tmp_path.iterdir())


def test_what_goes_wrong_names_the_folder_that_was_chosen(tmp_path):
    with pytest.raises(OutputError, match="No room") as caught, aside(tmp_path) as folder:
        raise OutputError("No room in {folder}.", folder=folder)
    assert str(caught.value) == f"No room in {tmp_path}."
    with pytest.raises(OutputError), aside(tmp_path / "missing"):
        pass


def test_what_an_export_left_is_swept_a_day_later(tmp_path):
    ours, folder, others = aside_of(tmp_path / "a.wav"), aside_of(tmp_path / "b"), tmp_path / ".download.part"
    folder.mkdir()
    for path in (ours, folder / "c.wav", others, fresh := aside_of(tmp_path / "d.wav")):
        path.write_bytes(b"x")
    for path in (ours, folder, others):
        os.utime(path, (0, 0))
    sweep_old_parts(tmp_path)
    sweep_old_parts(tmp_path / "missing")
    assert sorted(tmp_path.iterdir()) == sorted([others, fresh])
