"""DAWproject files, held to the published schema by a reader of our own."""

import errno
import io
import os
import re
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from mgeldm.errors import Cancelled, InputError, OutputError
from mgeldm.progress import Reporter

from mgeldm_app.core.export import Colours, export, names_of
from mgeldm_app.core.export.dawproject import write_dawproject
from mgeldm_app.core.project import Lane, Project, SongFile, Tempo
from mgeldm_app.core.settings import ExportSettings
from mgeldm_app.core.sound import read_lane
from tests.fakes.away import take_away

COLOURS = Colours(("#ff0000", "#00FF80", "#0000ff"), "#A9B4C2", "#6F7A88")

# For each element: what it must have, what it may have, and its children in their order with how often each comes.
NAMED = {"name", "color", "comment"}
PLACED = {*NAMED, "id", "timeUnit", "track"}
REAL = ({"unit"}, {*NAMED, "id", "parameterID", "max", "min", "value"}, [])
CLIP = {
    "contentTimeUnit", "playStart", "playStop", "loopStart", "loopEnd", "fadeTimeUnit", "fadeInTime", "fadeOutTime",
    "duration", "enable", "reference",
}  # fmt: skip
SCHEMA = {
    "Project": (
        {"version"},
        set(),
        [("Application", 1, 1), ("Transport", 0, 1), ("Structure", 0, 1), ("Arrangement", 0, 1), ("Scenes", 0, 1)],
    ),
    "Application": ({"name", "version"}, set(), []),
    "Transport": (set(), set(), [("Tempo", 0, 1), ("TimeSignature", 0, 1)]),
    "Tempo": REAL,
    "TimeSignature": ({"numerator", "denominator"}, {*NAMED, "id", "parameterID"}, []),
    "Structure": (set(), set(), [("Track", 0, 99)]),
    "Track": (set(), {*NAMED, "id", "contentType", "loaded"}, [("Channel", 0, 1), ("Track", 0, 99)]),
    "Channel": (
        set(),
        {*NAMED, "id", "audioChannels", "destination", "role", "solo"},
        [("Devices", 0, 1), ("Mute", 0, 1), ("Pan", 0, 1), ("Sends", 0, 1), ("Volume", 0, 1)],
    ),
    "Mute": (set(), {*NAMED, "id", "parameterID", "value"}, []),
    "Pan": REAL,
    "Volume": REAL,
    "Arrangement": (set(), {*NAMED, "id"}, [("Lanes", 0, 1), ("Markers", 0, 1)]),
    "Lanes": (set(), PLACED, [("Lanes", 0, 99), ("Clips", 0, 99)]),
    "Clips": (set(), PLACED, [("Clip", 0, 99)]),
    "Clip": ({"time"}, {*NAMED, *CLIP}, [("Audio", 0, 1)]),
    "Audio": ({"channels", "sampleRate", "duration"}, {*PLACED, "algorithm"}, [("File", 1, 1)]),
    "File": ({"path"}, {"external"}, []),
    "Markers": (set(), PLACED, [("Marker", 1, 99)]),
    "Marker": ({"time"}, NAMED, []),
    "Scenes": (set(), set(), []),
}
NUMBERS = {
    "time", "duration", "playStart", "playStop", "fadeInTime", "fadeOutTime", "value", "min", "max", "channels",
    "sampleRate", "numerator", "denominator", "audioChannels",
}  # fmt: skip
CHOICES = {
    "timeUnit": {"beats", "seconds"},
    "contentTimeUnit": {"beats", "seconds"},
    "fadeTimeUnit": {"beats", "seconds"},
    "unit": {"linear", "normalized", "percent", "decibel", "hertz", "semitones", "seconds", "beats", "bpm"},
    "role": {"regular", "master", "effect", "submix", "vca"},
    "contentType": {"audio", "automation", "notes", "video", "markers", "tracks"},
    "solo": {"true", "false"},
    "loaded": {"true", "false"},
}


def check(element):
    """Hold an element and all in it to the schema."""
    required, allowed, children = SCHEMA[element.tag]
    assert required <= set(element.attrib) <= required | allowed, element.tag
    for name, value in element.attrib.items():
        if name in NUMBERS and not (element.tag == "Mute" and name == "value"):
            assert np.isfinite(float(value)), (element.tag, name)
        assert value in CHOICES.get(name, {value}), (element.tag, name)
    order = [tag for tag, _, _ in children]
    tags = [child.tag for child in element]
    assert tags == sorted(tags, key=order.index), element.tag
    for tag, least, most in children:
        assert least <= tags.count(tag) <= most, (element.tag, tag)
    for child in element:
        check(child)


def opened(path):
    """The document and the samples of each file of a DAWproject, checked."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[:2] == ["metadata.xml", "project.xml"] and len(set(names)) == len(names)
        files = {
            name: soundfile.read(io.BytesIO(archive.read(name)), always_2d=True, dtype="float32") for name in names[2:]
        }
        root = ElementTree.fromstring(archive.read("project.xml"))
        meta = ElementTree.fromstring(archive.read("metadata.xml"))
    check(root)
    assert root.attrib["version"] == "1.0" and meta.tag == "MetaData"
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids) and all(each[0].isalpha() for each in ids)
    for element in root.iter():
        for reference in ("track", "destination"):
            assert element.attrib.get(reference, ids[0]) in ids
    assert {element.attrib["path"] for element in root.iter("File")} == set(files)
    return root, meta, files


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "Song.dawproject"


def played(root, files, track, project):
    """What a program that follows the document plays on a track: samples [samples, channels] from its first beat on."""
    tempo = float(root.find("Transport/Tempo").attrib["value"])
    lane = next(each for each in root.iterfind("Arrangement/Lanes/Lanes") if each.attrib["track"] == track)
    assert root.find("Arrangement/Lanes").attrib["timeUnit"] == "beats"
    out = np.zeros((project.samples * 3, 2), np.float32)
    for clip in lane.iterfind("Clips/Clip"):
        frames, rate_hz = files[clip.find("Audio/File").attrib["path"]]
        audio = clip.find("Audio").attrib
        assert (audio["algorithm"], audio["timeUnit"], clip.attrib["contentTimeUnit"]) == ("raw", "seconds", "seconds")
        assert int(audio["sampleRate"]) == rate_hz and int(audio["channels"]) == frames.shape[1]
        assert audio["duration"] == clip.attrib["playStop"]
        assert float(audio["duration"]) * rate_hz == pytest.approx(len(frames), abs=1e-6)
        assert float(clip.attrib["duration"]) * 60 / tempo * rate_hz == pytest.approx(len(frames), abs=1e-3)
        start = float(clip.attrib["time"]) * 60 / tempo * rate_hz
        assert start == pytest.approx(round(start), abs=1e-3) and float(clip.attrib["playStart"]) == 0
        out[round(start) : round(start) + len(frames)] += frames
    return out


def lead_samples(project):
    """By how much the song is late, so that its first downbeat begins the second bar, to the nearest sample."""
    beat = project.rate_hz * 60 / project.tempo.bpm
    return round(beat * project.tempo.beats_per_bar - project.tempo.downbeat_s * project.rate_hz)


def test_it_plays_what_the_window_plays(kit, path):
    beats = 3 * 60 / 123.4
    kit.project = replace(kit.project, tempo=replace(kit.project.tempo, downbeat_s=beats - 20_000 / 44_100))
    write_dawproject(kit.hand_off(path))
    root, _, files = opened(path)
    late = lead_samples(kit.project)
    tracks = root.findall("Structure/Track")
    assert late == 20_000
    total = 0
    for track, lane in zip(tracks, kit.project.lanes, strict=False):
        heard = played(root, files, track.attrib["id"], kit.project)
        wanted = read_lane(kit.project, lane, kit.view, 0, kit.project.samples)
        np.testing.assert_array_equal(heard[late : late + len(wanted)], wanted)
        assert not heard[:late].any() and not heard[late + len(wanted) :].any()
        total = total + (heard if lane.kind in ("extracted", "rest") else 0)
    song = played(root, files, tracks[0].attrib["id"], kit.project)
    np.testing.assert_allclose(total, song, atol=1e-6)


def test_six_eighths_are_three_quarters(kit, path):
    eighths = replace(kit.project, tempo=replace(kit.project.tempo, beats_per_bar=6, beat_unit=8))
    times = []
    for project in (kit.project, eighths):  # of three quarters to a bar
        write_dawproject(kit.hand_off(path, project))
        root, _, _ = opened(path)
        times.append([clip.attrib["time"] for clip in root.iterfind("Arrangement/Lanes/Lanes/Clips/Clip")])
        path.unlink()
    assert times[0] == times[1] and root.find("Transport/TimeSignature").attrib["denominator"] == "8"


def test_downbeats_begin_bars(kit, path):
    write_dawproject(kit.hand_off(path))
    root, _, _ = opened(path)
    song = next(root.iterfind("Arrangement/Lanes/Lanes/Clips/Clip"))
    downbeat = float(song.attrib["time"]) + kit.project.tempo.downbeat_s * 123.4 / 60
    half_a_sample = 0.5 / 44_100 * 123.4 / 60
    assert downbeat == pytest.approx(3, abs=half_a_sample + 1e-9)  # three beats to a bar
    assert root.find("Transport/Tempo").attrib["value"] == "123.4"
    assert root.find("Transport/TimeSignature").attrib["numerator"] == "3"
    project = replace(kit.project, tempo=Tempo())
    write_dawproject(kit.hand_off(path.with_name("b.dawproject"), project))
    root, _, _ = opened(path.with_name("b.dawproject"))
    assert float(next(root.iterfind("Arrangement/Lanes/Lanes/Clips/Clip")).attrib["time"]) == 0


def test_names_colours_faders_and_markers_are_carried(kit, path):
    write_dawproject(kit.hand_off(path))
    root, meta, _ = opened(path)
    *tracks, master = root.findall("Structure/Track")
    assert [track.attrib["name"] for track in tracks] == ["Song", 'Bass "low" <é>', "Drums", "Keys", "Rest"]
    assert [track.attrib["color"] for track in tracks] == ["#A9B4C2", "#00FF80", "#0000ff", "#ff0000", "#6F7A88"]
    channels = [track.find("Channel") for track in tracks]
    assert [c.find("Mute").attrib["value"] for c in channels] == ["true", "false", "true", "false", "false"]
    assert [c.attrib["solo"] for c in channels] == ["false", "false", "false", "true", "false"]
    assert [float(c.find("Pan").attrib["value"]) for c in channels] == [0.5, 0.25, 0.5, 0.625, 0.5]
    volumes = [20 * np.log10(float(c.find("Volume").attrib["value"])) for c in channels]
    np.testing.assert_allclose(volumes, [0, -6, 0, 3, 0], atol=1e-5)
    assert {c.find("Volume").attrib["unit"] for c in channels} == {"linear"}
    out = master.find("Channel")
    assert out.attrib["role"] == "master"
    assert {c.attrib["destination"] for c in channels} == {out.attrib["id"]}
    assert [len(lane.findall("Clips/Clip")) for lane in root.iterfind("Arrangement/Lanes/Lanes")] == [1, 2, 1, 1, 1]
    markers = {m.attrib["name"]: float(m.attrib["time"]) for m in root.iterfind("Arrangement/Markers/Marker")}
    beat, lead = 44_100 * 60 / 123.4, lead_samples(kit.project)
    assert markers["Region start"] * beat == pytest.approx(lead + 30_000, abs=1e-3)
    assert markers["Region end"] * beat == pytest.approx(lead + 90_000, abs=1e-3)
    assert meta.find("Title").text == "Söng & Dance" and "A minor" in meta.find("Comment").text


def test_a_name_that_xml_cannot_hold_and_a_lane_without_sound(kit, path):
    project = kit.project.with_lane(Lane("l9", "extracted", "bad\x00\x1b]\ud800&<name", gain_db=-60.0))
    report = write_dawproject(kit.hand_off(path, project))
    root, _, _ = opened(path)
    track = root.findall("Structure/Track")[-3]
    assert track.attrib["name"] == "bad]&<name"
    assert float(track.find("Channel/Volume").attrib["value"]) == 0
    assert [file.path for file in report.files] == [path]


@pytest.mark.parametrize("code", [0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF, 0xFDD0, 0xFDEF])
def test_a_name_with_what_never_is_a_character_is_one_without(kit, path, code):
    lanes = [replace(lane, name=f"B{chr(code)}ass 🩷") if lane.id == "l1" else lane for lane in kit.project.lanes]
    write_dawproject(kit.hand_off(path, replace(kit.project, lanes=tuple(lanes))))
    _, _, files = opened(path)
    assert "audio/Bass 🩷 1.wav" in files  # newer than this Python's tables may be, and stays


def test_mono_songs(kit, path):
    frames = np.random.default_rng(9).uniform(-1, 1, (5000, 1)).astype(np.float32)
    project = Project(SongFile(kit.clip(frames, 48_000), "Mono"))
    write_dawproject(kit.hand_off(path, project))
    root, _, files = opened(path)
    assert {c.attrib.get("audioChannels") for c in root.iterfind("Structure/Track/Channel")} == {"1", "2"}
    np.testing.assert_array_equal(files["audio/Song.wav"][0], frames)


def test_cancelling_leaves_nothing(kit, path):
    for at in (1, 3, 7, 9):
        asked = []
        reporter = Reporter(cancelled=lambda asked=asked, at=at: asked.append(1) or len(asked) == at)
        with pytest.raises(Cancelled):
            write_dawproject(kit.hand_off(path, reporter=reporter))
        assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("key", ["dawproject", "reaper", "folder"])
def test_a_full_disk_names_the_place_the_user_chose_and_leaves_nothing(kit, tmp_path, monkeypatch, key):
    out = tmp_path / "out"
    out.mkdir()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=f"No room for .* in {re.escape(str(out))}") as caught:
        export(kit.project, kit.view, kit.project.lanes, out, ExportSettings(format=key), COLOURS)
    assert ".part" not in str(caught.value)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("key", ["dawproject", "reaper", "folder", "wav24"])
def test_a_folder_that_is_not_there_is_named(kit, tmp_path, key):
    gone = tmp_path / "gone"
    with pytest.raises(OutputError, match=f"{re.escape(str(gone))} is not a folder; create it or choose another"):
        export(kit.project, kit.view, kit.project.lanes, gone, ExportSettings(format=key), COLOURS)
    assert not gone.exists()


@pytest.mark.parametrize("key, suffix", [("dawproject", ".dawproject"), ("reaper", ""), ("folder", "")])
def test_export_by_key_takes_a_free_name(kit, tmp_path, key, suffix):
    made, names = f"Söng & Dance{suffix}", []
    for wanted in (made, made.replace("Dance", "Dance 2")):
        assert names_of(kit.project, kit.project.lanes, ExportSettings(format=key), tmp_path) == [wanted]
        report = export(kit.project, kit.view, kit.project.lanes, tmp_path, ExportSettings(format=key), COLOURS)
        assert all(file.path.is_file() for file in report.files) and report.text
        names.append(report.files[0].path.relative_to(tmp_path).parts[0])
    assert names == [made, made.replace("Dance", "Dance 2")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "project"])
    with pytest.raises(InputError, match="choose at least one"):
        export(kit.project, kit.view, [], tmp_path, ExportSettings(format=key), COLOURS)


@pytest.mark.parametrize("key", ["dawproject", "reaper", "folder", "wav24"])
def test_names_are_shown_where_the_folder_cannot_be_looked_at(kit, tmp_path, monkeypatch, key):
    """The dialog asks for them at every keystroke; what is wrong with the folder, the export says."""
    options = ExportSettings(format=key)
    wanted = names_of(kit.project, kit.project.lanes, options, tmp_path)
    take_away(monkeypatch, tmp_path)
    assert names_of(kit.project, kit.project.lanes, options, tmp_path) == wanted
    assert names_of(kit.project, kit.project.lanes, options, tmp_path / ("a" * 300)) == wanted


def test_an_unknown_format_says_which_there_are(kit, tmp_path):
    with pytest.raises(InputError, match="choose one of wav24, wav16"):
        export(kit.project, kit.view, kit.project.lanes, tmp_path, ExportSettings(format="aup3"), COLOURS)


def test_what_is_soloed_and_muted_is_heard_but_for_the_song_beside_its_stems(kit, path):
    lanes = tuple(replace(lane, muted=True, soloed=lane.id != "song") for lane in kit.project.lanes)
    write_dawproject(kit.hand_off(path, replace(kit.project, lanes=lanes)))
    channels = [track.find("Channel") for track in opened(path)[0].findall("Structure/Track")[:-1]]
    states = [(channel.find("Mute").attrib["value"], channel.attrib["solo"]) for channel in channels]
    assert states == [("true", "false")] + 4 * [("false", "true")]


def test_a_generated_song_has_its_prompt_for_a_title(kit, path):
    song = replace(kit.project.song, name="slow drums, 120.5 bpm, 4/4 jazz trio", source="")
    write_dawproject(kit.hand_off(path, replace(kit.project, song=song)))
    assert opened(path)[1].find("Title").text == song.name


def test_all_channels_of_a_surround_song_reach_the_master_track(kit, path):
    frames = np.random.default_rng(9).uniform(-1, 1, (5000, 6)).astype(np.float32)
    write_dawproject(kit.hand_off(path, Project(SongFile(kit.clip(frames, 48_000), "Film"))))
    root, _, files = opened(path)
    assert [c.attrib["audioChannels"] for c in root.iterfind("Structure/Track/Channel")] == ["6"] * 3
    np.testing.assert_array_equal(files["audio/Song.wav"][0], frames)
