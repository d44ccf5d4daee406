"""Files to drag: real, exact, the same for the same content, and never touched again."""

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mgeldm import audio
from mgeldm.errors import InputError, OutputError

from mgeldm_app.core.export import drag, prepare
from mgeldm_app.core.project import Span
from mgeldm_app.core.sound import read_lane


@pytest.fixture
def exports(tmp_path):
    folder = tmp_path / "project" / "exports"
    folder.mkdir(parents=True)
    return folder


def test_full_length_from_the_beginning_or_the_region(kit, exports):
    for region_only, span in ((False, Span(0, kit.project.samples)), (True, kit.project.region)):
        paths = prepare(kit.project, kit.view, kit.project.lanes, exports, region_only)
        for path, lane in zip(paths, kit.project.lanes, strict=True):
            clip = audio.read(path)
            assert clip.rate_hz == kit.project.rate_hz and path.parent == exports
            np.testing.assert_array_equal(clip.samples.T, read_lane(kit.project, lane, kit.view, span.start, span.stop))
    assert len(list(exports.glob("*.wav"))) == 10


def test_names_are_for_people(kit, exports):
    lanes = [kit.project.lane(name) for name in ("l2", "rest")]
    whole, _ = prepare(kit.project, kit.view, lanes, exports, False)
    part, _ = prepare(kit.project, kit.view, lanes, exports, True)
    assert whole.name.startswith("Söng & Dance - Drums ") and whole.suffix == ".wav"
    assert part.name.startswith("Söng & Dance - Drums (region) ")


def test_the_same_content_is_the_same_file_and_is_not_written_again(kit, exports):
    first = prepare(kit.project, kit.view, kit.project.lanes, exports, False)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in first}
    drums = replace(kit.project.lane("l2"), gain_db=-3.0, pan=1.0, muted=False, colour=9)  # none of this is in the file
    project = kit.project.with_lane(drums)
    assert prepare(project, kit.view, project.lanes, exports, False) == first
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in first} == before


def test_other_content_is_another_file_and_the_old_one_stays(kit, exports):
    lanes = [kit.project.lane(name) for name in ("song", "l1", "l2", "rest")]
    first = prepare(kit.project, kit.view, lanes, exports, False)
    before = [path.read_bytes() for path in first]
    bass = kit.project.lane("l1")
    moved = replace(bass.parts[0], start=bass.parts[0].start + 1)
    project = kit.project.with_lane(replace(bass, parts=(moved, *bass.parts[1:])))
    lanes = [project.lane(name) for name in ("song", "l1", "l2", "rest")]
    second = prepare(project, kit.view, lanes, exports, False)
    changed = [one != other for one, other in zip(first, second, strict=True)]
    assert changed == [False, True, False, True]  # the bass, and so the rest
    assert [path.read_bytes() for path in first] == before


def test_two_drags_at_once_keep_what_each_other_wrote(kit, exports, monkeypatch):
    bass, drums = ([kit.project.lane(name)] for name in ("l1", "l2"))
    real, others = drag.write_tracks, []

    def write_tracks(*arguments):
        if not others:
            others.append([])
            others[0] = prepare(kit.project, kit.view, drums, exports, False)
        return real(*arguments)

    monkeypatch.setattr(drag, "write_tracks", write_tracks)
    first = prepare(kit.project, kit.view, bass, exports, False)
    assert prepare(kit.project, kit.view, bass, exports, False) == first
    assert prepare(kit.project, kit.view, drums, exports, False) == others[0]
    assert len(list(exports.glob("*.wav"))) == 2


def test_the_order_of_overlapping_parts_is_content(kit, exports):
    bass = kit.project.lane("l1")
    first = prepare(kit.project, kit.view, [bass], exports, False)
    turned = replace(bass, parts=(bass.parts[1], bass.parts[0], bass.parts[2]))
    second = prepare(kit.project.with_lane(turned), kit.view, [turned], exports, False)
    assert first != second
    assert not np.array_equal(audio.read(first[0]).samples, audio.read(second[0]).samples)


def test_without_a_region_there_is_nothing_to_drag(kit, exports):
    with pytest.raises(InputError, match="No region is selected"):
        prepare(replace(kit.project, region=None), kit.view, kit.project.lanes, exports, True)
    assert list(exports.iterdir()) == []


def test_a_prompt_with_a_dot_is_whole_in_the_name(kit, exports):
    project = replace(kit.project, song=replace(kit.project.song, name="drums, 120.5 bpm, 4/4 trio", source=""))
    (path,) = prepare(project, kit.view, [project.lane("l2")], exports, False)
    assert path.name.startswith("drums, 120.5 bpm, 4 4 trio - Drums ")


@pytest.mark.parametrize("change", [b"RIFF", None])
def test_what_somebody_changed_or_removed_is_not_handed_out(kit, exports, change):
    lanes = [kit.project.lane("l2")]
    (first,) = prepare(kit.project, kit.view, lanes, exports, False)
    sound = first.read_bytes()
    first.write_bytes(change) if change else first.unlink()
    (second,) = prepare(kit.project, kit.view, lanes, exports, False)
    assert second.read_bytes() == sound and (second == first) == (change is None)
    assert change is None or first.read_bytes() == change  # it may be what a DAW made of it
    assert prepare(kit.project, kit.view, lanes, exports, False) == [second]


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_cannot_be_written_to_is_not_the_users_to_choose(kit, tmp_path, monkeypatch, there):
    """Rights do not bind an administrator, who may run this test, so the system's answer is imitated."""
    folder = tmp_path / "exports"
    lanes = [kit.project.lane("l2")]
    if there:
        folder.mkdir()
        kept = prepare(kit.project, kit.view, lanes, folder, True)

    def refused(*_):
        raise OutputError("choose another folder")

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", denied)  # Windows says of every folder that it lets files be made
    monkeypatch.setattr(drag, "write_tracks", refused)
    with pytest.raises(OutputError, match=r"export the lanes to another folder, or save the project under another"):
        prepare(kit.project, kit.view, lanes, folder, False)
    if there:
        assert prepare(kit.project, kit.view, lanes, folder, True) == kept
