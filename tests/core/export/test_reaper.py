"""Reaper projects, read back by a parser of their nested lines."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from mgeldm import audio

from mgeldm_app.core.export import export
from mgeldm_app.core.export.reaper import quoted, write_reaper
from mgeldm_app.core.project import Lane, Project, SongFile, Tempo
from mgeldm_app.core.settings import ExportSettings
from mgeldm_app.core.sound import read_lane
from tests.core.export.conftest import COLOURS, noise

LEAD_S = round((3 * 60 / 123.4 - 0.25) * 44_100) / 44_100  # of the song, whose downbeat then begins the second bar


@dataclass
class Node:
    """A block `<TAG values ... >` of lines and blocks."""

    values: list[str]
    lines: dict[str, list[list[str]]] = field(default_factory=dict)
    blocks: list["Node"] = field(default_factory=list)

    def all(self, tag):
        return [block for block in self.blocks if block.values[0] == tag]

    def numbers(self, tag):
        (line,) = self.lines[tag]
        return [float(value) for value in line]


def words(line):
    """As Reaper splits a line: quotes of three kinds, no escapes."""
    out, rest = [], line.strip()
    while rest:
        if rest[0] in "\"'`":
            end = rest.index(rest[0], 1)
            out.append(rest[1:end])
        else:
            end = rest.index(" ") if " " in rest else len(rest)
            out.append(rest[:end])
        rest = rest[end + 1 :].strip()
    return out


def parse(text):
    stack = [Node(["FILE"])]
    for line in text.splitlines():
        line = line.strip()
        if line == ">":
            done = stack.pop()
            stack[-1].blocks.append(done)
        elif line.startswith("<"):
            stack.append(Node(words(line[1:])))
        else:
            tag, *values = words(line)
            stack[-1].lines.setdefault(tag, []).append(values)
    assert len(stack) == 1
    (project,) = stack[0].blocks
    assert project.values[0] == "REAPER_PROJECT"
    return project


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "Söng"


def written(kit, path):
    report = write_reaper(kit.hand_off(path))
    (file,) = report.files
    assert file.path == path / "Söng.rpp"
    return parse(file.path.read_text(encoding="utf-8"))


def test_a_file_is_named_as_it_is_on_the_disk(kit, path):
    kit.project = replace(kit.project, lanes=tuple(replace(x, name=f"👩\u200d🎤 {x.kind}") for x in kit.project.lanes))
    files = [source.lines["FILE"][0][0] for track in written(kit, path).all("TRACK") for item in track.all("ITEM")
             for source in item.all("SOURCE")]  # fmt: skip
    assert files and all((path / file).is_file() for file in files)


def test_it_plays_what_the_window_plays(kit, path):
    project = written(kit, path)
    sums = {}
    for track, lane in zip(project.all("TRACK"), kit.project.lanes, strict=True):
        heard = np.zeros((kit.project.samples, 2), np.float32)
        for item in track.all("ITEM"):
            (source,) = item.all("SOURCE")
            clip = audio.read(path / source.lines["FILE"][0][0])
            start = (item.numbers("POSITION")[0] - LEAD_S) * clip.rate_hz
            assert start == pytest.approx(round(start), abs=1e-4)
            assert item.numbers("LENGTH")[0] * clip.rate_hz == pytest.approx(clip.samples.shape[1], abs=1e-6)
            assert item.numbers("FADEIN")[1] == item.numbers("FADEOUT")[1] == item.numbers("SOFFS")[0] == 0
            heard[round(start) : round(start) + clip.samples.shape[1]] += clip.samples.T
        np.testing.assert_array_equal(heard, read_lane(kit.project, lane, kit.view, 0, kit.project.samples))
        sums[lane.kind] = sums.get(lane.kind, 0) + heard
    np.testing.assert_allclose(sums["song"], sums["extracted"] + sums["rest"], atol=1e-6)
    assert [len(track.all("ITEM")) for track in project.all("TRACK")] == [1, 2, 1, 1, 1]


def test_a_metre_of_eighths_is_carried(kit, path):
    kit.project = replace(kit.project, tempo=replace(kit.project.tempo, beats_per_bar=6, beat_unit=8))
    assert written(kit, path).numbers("TEMPO") == [123.4, 6, 8]


def test_tempo_names_colours_faders_and_region_are_carried(kit, path):
    project = written(kit, path)
    tracks = project.all("TRACK")
    assert project.numbers("TEMPO") == [123.4, 3, 4]
    assert project.numbers("SAMPLERATE")[:2] == [44_100, 1]
    assert project.numbers("LOOP") == [1]
    region = [LEAD_S + 30_000 / 44_100, LEAD_S + 90_000 / 44_100]
    np.testing.assert_allclose(project.numbers("SELECTION"), region, atol=1e-9)
    begin, end = project.lines["MARKER"]
    assert begin[0] == end[0] and begin[2:4] == ["Region", "1"] and end[2:] == ["", "1"]
    np.testing.assert_allclose([float(begin[1]), float(end[1])], region, atol=1e-9)
    assert [track.lines["NAME"][0][0] for track in tracks] == [lane.name for lane in kit.project.lanes]
    colours = [int(track.numbers("PEAKCOL")[0]) for track in tracks]
    assert [c >> 24 for c in colours] == [1] * 5
    rgb = [((c & 255), (c >> 8) & 255, (c >> 16) & 255) for c in colours]
    assert rgb == [(169, 180, 194), (0, 255, 128), (0, 0, 255), (255, 0, 0), (111, 122, 136)]
    gains = [20 * np.log10(track.numbers("VOLPAN")[0]) for track in tracks]
    np.testing.assert_allclose(gains, [0, -6, 0, 3, 0], atol=1e-5)
    assert [track.numbers("VOLPAN")[1] for track in tracks] == [0, -0.5, 0, 0.25, 0]
    assert [track.numbers("MUTESOLO")[:2] for track in tracks] == [[1, 0], [0, 0], [1, 0], [0, 1], [0, 0]]
    guids = [track.values[1] for track in tracks]
    assert len(set(guids)) == 5 and all(len(guid) == 38 for guid in guids)


def test_a_loop_that_is_off_stays_off_and_pans_turn_one_side_down_as_in_the_window(kit, path):
    kit.project = replace(kit.project, looping=False)
    project = written(kit, path)
    assert project.numbers("LOOP") == [0]
    assert project.numbers("PANLAW") == [1]  # 0 dB in the middle


def test_downbeats_begin_bars(kit, path):
    kit.project = replace(kit.project, tempo=Tempo(100.0, 0.0))
    project = written(kit, path)
    assert project.all("TRACK")[0].all("ITEM")[0].numbers("POSITION") == [0]
    assert "PROJOFFS" not in project.lines


def test_bars_are_counted_as_in_the_window(kit, path):
    """What lies before the first downbeat is in bar 0, which Reaper's first one is then."""
    project = written(kit, path)
    assert LEAD_S > 0 and project.numbers("PROJOFFS") == [0, -1, 0]


@pytest.mark.parametrize("name", ["plain", 'say "hi"', 'it\'s "both"', "`all' \"three", "", "line\nbreak"])
def test_any_name_stays_one_word(name):
    (word,) = words(quoted(name))
    assert word == name.replace("\n", "").replace("`", "'" if all(q in name for q in "\"'`") else "`")


def test_a_folder_that_is_there_is_not_touched(kit, path):
    path.mkdir()
    (path / "mine.txt").write_text("precious")
    report = write_reaper(kit.hand_off(path))
    assert [p.name for p in path.iterdir()] == ["mine.txt"]
    assert [file.path for file in report.files] == [path.parent / "Söng 2" / "Söng 2.rpp"]


def test_the_song_alone_is_heard_and_beside_what_it_is_the_sum_of_it_is_muted(kit, path):
    def muted(*lane_ids):
        hand_off = replace(kit.hand_off(path), lanes=[kit.project.lane(each) for each in lane_ids])
        tracks = parse(write_reaper(hand_off).files[0].path.read_text(encoding="utf-8")).all("TRACK")
        return [track.numbers("MUTESOLO")[0] for track in tracks]

    assert muted("song") == [0] and muted("song", "l3") == [0, 0]
    assert muted("song", "l1") == [1, 0] and muted("song", "rest") == [1, 0]


def test_a_lane_without_sound_is_a_track_without_items(kit, path):
    kit.project = kit.project.with_lane(Lane("l9", "added", "Empty"))
    assert written(kit, path).all("TRACK")[-2].all("ITEM") == []


def test_what_is_soloed_and_muted_is_heard_but_for_the_song_beside_its_stems(kit, path):
    lanes = tuple(replace(lane, muted=True, soloed=lane.id != "song") for lane in kit.project.lanes)
    kit.project = replace(kit.project, lanes=lanes)
    states = [track.numbers("MUTESOLO")[:2] for track in written(kit, path).all("TRACK")]
    assert states == [[1, 0]] + 4 * [[0, 1]]


def test_a_soloed_song_is_heard_alone(kit, path):
    kit.project = kit.project.with_lane(replace(kit.project.lane("song"), soloed=True))
    states = [track.numbers("MUTESOLO")[:2] for track in written(kit, path).all("TRACK")]
    assert states == [[0, 1]] + 4 * [[1, 0]]


@pytest.mark.parametrize("letter", ["n", "é", "🎸"])
def test_the_longest_name_that_a_folder_can_have_is_shortened_for_the_file_in_it(kit, tmp_path, letter):
    kit.project = replace(kit.project, song=replace(kit.project.song, name=f"{letter * 255}.wav"))
    options = ExportSettings(format="reaper")
    for _ in range(2):
        (file,) = export(kit.project, kit.view, kit.project.lanes, tmp_path, options, COLOURS).files
        assert file.path.is_file() and file.path.suffix == ".rpp" and file.path.parent.name.startswith(letter * 60)


@pytest.mark.parametrize("channels, pairs", [(1, 2), (2, 2), (5, 6), (6, 6)])
def test_all_channels_of_a_surround_song_reach_the_master_track(kit, path, channels, pairs):
    kit.project = Project(SongFile(kit.clip(noise(0, 5000, channels=channels)), "Film"))
    project = written(kit, path)
    assert project.numbers("MASTER_NCH") == [pairs, 2]
    assert [track.numbers("NCHAN") for track in project.all("TRACK")] == [[pairs]] * 2
