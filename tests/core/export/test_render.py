"""Exported lanes sum exactly, keep their place and length, and appear all together or not at all."""

import itertools
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from mgeldm import audio
from mgeldm.audio import map_wav
from mgeldm.errors import AudioError, Cancelled, InputError, OutputError
from mgeldm.progress import Reporter

from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.export import ExportReport, export, export_lanes, formats, names_of, render
from mgeldm_app.core.mixer import Mixer, Order
from mgeldm_app.core.project import Lane, Project, SongFile, Span, Tempo
from mgeldm_app.core.settings import ExportSettings
from mgeldm_app.core.sound import read_lane
from mgeldm_app.core.voices import fold_down, make_plan
from tests.core.export.conftest import COLOURS, noise


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def exported(kit, folder, lanes=None, reporter=None, **options):
    lanes = kit.project.lanes if lanes is None else lanes
    return export_lanes(kit.project, kit.view, lanes, folder, ExportSettings(**options), reporter)


def steps_of(report, bits):
    """Samples of each file in whole steps, by lane."""
    return {
        file.lane_id: soundfile.read(file.path, dtype="int32", always_2d=True)[0].astype(np.int64) >> (32 - bits)
        for file in report.files
    }


@pytest.mark.parametrize("format, bits", audio.BITS.items())
@pytest.mark.parametrize("region_only", [False, True])
def test_the_song_is_its_stems_and_the_rest_to_the_last_bit(kit, out, format, bits, region_only):
    report = exported(kit, out, format=format, region_only=region_only)
    steps = steps_of(report, bits)
    assert report.gain == 1
    np.testing.assert_array_equal(steps["song"], steps["l1"] + steps["l2"] + steps["rest"])
    span = kit.project.region if region_only else Span(0, kit.project.samples)
    for lane in kit.project.lanes:
        wanted = read_lane(kit.project, lane, kit.view, span.start, span.stop)
        assert len(steps[lane.id]) == span.samples
        assert np.abs(steps[lane.id] / 2 ** (bits - 1) - wanted).max() <= 2.0 ** (1 - bits) * 2
        assert np.abs(wanted).max() > 0.1


def test_floats_are_what_is_heard_and_sum_within_rounding(kit, out):
    report = exported(kit, out, format="wav32")
    heard = {file.lane_id: audio.read(file.path).samples.T for file in report.files}
    for lane in kit.project.lanes:
        np.testing.assert_array_equal(heard[lane.id], read_lane(kit.project, lane, kit.view, 0, kit.project.samples))
    error = heard["song"] - (heard["l1"].astype(np.float64) + heard["l2"] + heard["rest"])
    assert np.abs(error).max() < 1e-6
    assert [file.lane_id for file in report.files] == [lane.id for lane in kit.project.lanes]


def louder(kit):
    """The kit's project with a song that peaks at 1.5."""
    song = kit.project.song
    return replace(kit.project, song=replace(song, audio=kit.clip(np.array(kit.view(song.audio)) * 5)))


@pytest.mark.parametrize("format", ["wav16", "wav24", "flac", "mp3", "ogg"])
def test_what_would_clip_shares_one_gain_and_the_report_says_so(kit, out, format):
    kit.project = louder(kit)
    report = exported(kit, out, format=format)
    assert 0.5 < report.gain < 0.7
    assert f"turned down by {-20 * math.log10(report.gain):.2f} dB, so that" in report.text
    if format in audio.BITS:
        bits = audio.BITS[format]
        steps = steps_of(report, bits)
        np.testing.assert_array_equal(steps["song"], steps["l1"] + steps["l2"] + steps["rest"])
        wanted = np.rint(kit.view(kit.project.song.audio).astype(np.float64) * (report.gain * 2.0 ** (bits - 1)))
        np.testing.assert_array_equal(steps["song"], wanted)
        top = max(np.abs(each).max() for each in steps.values())
        assert 0.99 * 2 ** (bits - 1) < top < 2 ** (bits - 1)


@pytest.mark.parametrize("format, bits", audio.BITS.items())
def test_what_is_exported_alone_later_nulls_against_the_set_exported_before(kit, out, format, bits):
    kit.project = louder(kit)
    whole = exported(kit, out, format=format)
    before, region = steps_of(whole, bits), kit.project.region
    for lane in kit.project.lanes:
        for region_only in (False, True):
            alone = exported(kit, out, [lane], format=format, region_only=region_only)
            wanted = before[lane.id][region.start : region.stop] if region_only else before[lane.id]
            assert alone.gain == whole.gain < 1
            np.testing.assert_array_equal(steps_of(alone, bits)[lane.id], wanted)


def test_an_added_part_turns_down_only_what_it_is_exported_with(kit, out):
    loud = Lane("l9", "added", "Bells", parts=(kit.part(0, noise(9, 5000, 1.5)),))
    kit.project = kit.project.with_lane(loud)
    assert exported(kit, out, kit.project.lanes[:1], format="wav24").gain == 1
    assert exported(kit, out, [kit.project.lanes[0], kit.project.lane("l9")], format="wav24").gain < 1


def test_a_lane_that_does_not_add_to_the_peak_changes_no_gain(kit, out):
    kit.project = louder(kit)
    before = exported(kit, out, format="wav24")
    kit.project = kit.project.with_lane(Lane("l9", "added", "Bells", parts=(kit.part(0, noise(9, 5000, 0.1)),)))
    assert exported(kit, out, format="wav24").gain == before.gain


def test_what_is_missing_and_not_asked_for_holds_nothing_up(kit, out, monkeypatch):
    monkeypatch.setattr(render, "_reaches", {})
    kit.project = louder(kit)
    kit.store.path(kit.project.lane("l2").parts[0].take.audio).unlink()
    map_wav(kit.store.path(kit.project.lane("l3").parts[0].take.audio), writable=True)[0][5000] = np.nan
    kit.store = ClipStore(kit.store.folder)
    report = exported(kit, out, [kit.project.lane(each) for each in ("song", "l1")], format="wav24")
    assert 0.6 < report.gain < 0.7 and len(report.files) == 2


def test_with_faders_what_is_exported_has_a_gain_of_its_own(kit, out):
    kit.project = louder(kit)
    report = exported(kit, out, [kit.project.lane("l2")], format="wav24", faders=True)
    assert report.gain == 1
    mix = exported(kit, out, kit.project.lanes[:1], format="wav24", as_mix=True)
    assert 0.6 < mix.gain < 0.7 and "; all turned down by" in mix.text


def test_every_lane_is_measured_once_and_the_progress_has_it(kit, out, monkeypatch):
    monkeypatch.setattr(render, "_reaches", {})
    samples, lane = kit.project.samples, kit.project.lanes[:1]
    for measured in (4, 0):  # the song, two stems and the rest
        seen = []
        exported(kit, out, lane, format="wav24", reporter=Reporter(on_progress=seen.append))
        assert [p.done for p in seen] == sorted(p.done for p in seen)
        assert {p.total for p in seen} == {seen[-1].done} == {(measured + 1) * samples}
    kit.project = kit.project.with_lane(replace(kit.project.lane("l1"), parts=kit.project.lane("l1").parts[:1]))
    exported(kit, out, lane, format="wav24", reporter=Reporter(on_progress=seen.append))
    assert seen[-1].total == 3 * samples  # that stem and the rest anew


def test_a_song_at_full_scale_keeps_every_bit(kit, out):
    """Peaks of exactly one step under 1 and of -1 fit, so nothing is turned down."""
    top = np.array([[32767, -32768]] * 2000 + [[0, 5]] * 3000, np.float32) / 32768
    kit.project = Project(SongFile(kit.clip(top), "Loud"))
    report = exported(kit, out, kit.project.lanes[:1], format="wav16")
    assert report.gain == 1 and "turned down" not in report.text
    np.testing.assert_array_equal(steps_of(report, 16)["song"], top * 32768)


def test_floats_beyond_full_scale_stay(kit, out):
    song = kit.project.song
    kit.project = replace(kit.project, song=replace(song, audio=kit.clip(kit.view(song.audio) * 9)))
    report = exported(kit, out, format="wav32")
    assert report.gain == 1
    assert np.abs(audio.read(report.files[0].path).samples).max() > 2


def test_the_mix_goes_through_the_faders_and_lanes_do_where_asked(kit, out):
    kit.project = kit.project.with_lane(replace(kit.project.lane("l3"), soloed=False))
    lanes = [kit.project.lane(name) for name in ("l1", "l3", "rest")]
    mix = exported(kit, out, lanes, format="wav32", as_mix=True)
    apart = exported(kit, out, lanes, format="wav32", faders=True)
    assert [file.lane_id for file in mix.files] == [""]
    assert mix.files[0].path.name == "Söng & Dance - Mix.wav"
    heard = [audio.read(file.path).samples.T for file in apart.files]
    np.testing.assert_allclose(audio.read(mix.files[0].path).samples.T, np.sum(heard, 0), atol=1e-6)
    bass = read_lane(kit.project, lanes[0], kit.view, 0, kit.project.samples)
    gain = 10 ** (-6 / 20)
    np.testing.assert_allclose(heard[0], bass * [gain, gain * 0.5], atol=1e-6)  # panned to the left by a half
    keys = read_lane(kit.project, lanes[1], kit.view, 0, kit.project.samples)
    gain = 10 ** (3 / 20)
    np.testing.assert_allclose(heard[1], keys * [gain * 0.75, gain], atol=1e-6)


def heard(kit):
    """What the mixer plays [samples, 2]."""
    mixer, out = Mixer(kit.project.rate_hz), np.zeros((kit.project.samples, 2), np.float32)
    mixer.order = Order(make_plan(replace(kit.project, looping=False), kit.view), playing=True)
    mixer.render(out)
    return out


@pytest.mark.parametrize("soloed", [("l3",), (), ("l1", "rest"), ("song",), ("song", "l3")])
@pytest.mark.parametrize("muted", [("l2",), (), ("l1", "song"), ("rest",)])
def test_a_mix_of_all_lanes_is_what_is_heard(kit, out, muted, soloed):
    lanes = (replace(each, muted=each.id in muted, soloed=each.id in soloed) for each in kit.project.lanes)
    kit.project = replace(kit.project, lanes=tuple(lanes))
    (file,) = exported(kit, out, format="wav32", as_mix=True).files
    np.testing.assert_allclose(audio.read(file.path).samples.T, heard(kit), atol=1e-6)


def test_a_mix_has_of_the_chosen_lanes_those_that_are_heard(kit, out):
    def mix(*lane_ids):
        (file,) = exported(kit, out, [kit.project.lane(each) for each in lane_ids], format="wav32", as_mix=True).files
        return audio.read(file.path).samples.T

    song = kit.view(kit.project.song.audio)
    np.testing.assert_array_equal(mix("song"), song)
    np.testing.assert_array_equal(mix("song", "l2", "l3"), mix("l3"))  # which is soloed
    with pytest.raises(InputError, match="None of the chosen lanes is heard"):
        mix("song", "l1")


def test_a_mix_of_the_song_and_what_was_added_has_both(kit, out):
    def mix(*lane_ids):
        (file,) = exported(kit, out, [kit.project.lane(each) for each in lane_ids], format="wav32", as_mix=True).files
        return audio.read(file.path).samples.T

    def change(lane_id, **states):
        kit.project = kit.project.with_lane(replace(kit.project.lane(lane_id), **states))

    song, keys = mix("song"), mix("l3")
    np.testing.assert_array_equal(mix("song", "l3"), keys)  # which are soloed
    change("l3", soloed=False)
    np.testing.assert_allclose(mix("song", "l3"), song + keys, atol=1e-6)
    change("song", muted=True)
    np.testing.assert_array_equal(mix("song", "l3"), keys)
    change("song", soloed=True)
    np.testing.assert_array_equal(mix("song", "l3"), song)
    with pytest.raises(InputError, match="None of the chosen lanes is heard"):
        mix("l3")


@pytest.mark.parametrize("pan", [0.0, 0.4])
def test_a_mono_song_is_mixed_in_stereo_where_a_lane_that_is_heard_is_panned(kit, out, pan):
    part = kit.part(0, noise(7, 50_000, channels=1))
    kit.project = Project(SongFile(kit.clip(noise(0, 60_000, channels=1)), "Mono"))
    for lane in (
        Lane("l1", "extracted", "Bass", parts=(part,), gain_db=-3.0, pan=pan),
        Lane("l2", "added", "Muted", parts=(part,), pan=-1.0, muted=True),
    ):
        kit.project = kit.project.with_lane(lane)
    (file,) = exported(kit, out, format="wav32", as_mix=True).files
    mix = audio.read(file.path).samples.T
    assert mix.shape == (60_000, 2 if pan else 1)
    np.testing.assert_allclose(np.broadcast_to(mix, (60_000, 2)), heard(kit), atol=1e-6)


@pytest.mark.parametrize("channels", range(3, 9))
@pytest.mark.parametrize("pans", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (-1.0, 0.3, -0.4), (0.0, -0.5, 0.0)])
def test_a_mix_of_more_than_two_channels_is_folded_down_to_what_is_heard(kit, out, channels, pans):
    kit.project = Project(SongFile(kit.clip(noise(0, 20_000, channels=channels)), "Round"))
    part = kit.part(0, noise(7, 20_000, channels=channels))
    for lane in (
        Lane("l1", "extracted", "Bass", parts=(part,), gain_db=-3.0, pan=pans[0]),
        Lane("l2", "added", "Keys", parts=(part,), pan=pans[1]),
        replace(kit.project.lane("rest"), pan=pans[2]),
    ):
        kit.project = kit.project.with_lane(lane)
    (file,) = exported(kit, out, format="wav32", as_mix=True).files
    mix = audio.read(file.path).samples.T
    assert mix.shape == (20_000, channels)
    folded = [sum(mix[:, n] * weight for n, weight in side) for side in fold_down(channels)]
    np.testing.assert_allclose(np.stack(folded, 1), heard(kit), atol=1e-6)
    if pans == (1.0, 1.0, 1.0):
        assert not mix[:, [n for n, _ in fold_down(channels)[0]]].any()  # each channel keeps its own sound
    if channels == 6:
        assert mix[:, 3].any()  # low effects, which the mixer leaves out, are not taken away


def test_a_fader_at_the_bottom_is_silence(kit, out):
    lane = replace(kit.project.lane("l2"), gain_db=-60.0)
    report = exported(kit, out, [lane], format="wav16", faders=True)
    assert not steps_of(report, 16)["l2"].any()


@pytest.mark.parametrize("format", audio.LOSSY)
def test_lossy_files_keep_length_and_level(kit, out, format):
    tone = np.sin(2 * np.pi * 440 * np.arange(60_000) / 44_100).astype(np.float32)[:, None] * [0.5, 0.25]
    kit.project = Project(SongFile(kit.clip(tone), "Tone"))
    report = exported(kit, out, kit.project.lanes[:1], format=format)
    back = audio.read(report.files[0].path).samples.T
    assert back.shape == tone.shape
    assert np.square(back - tone).mean() < 1e-3 * np.square(tone).mean()


# -------------------------------------------------------------------------------------------------------------- places


def bext(path):
    """Fields of the Broadcast Wave chunk, read from the standard's table; the chunk must precede the samples."""
    data = path.read_bytes()
    at, chunks = 12, []
    while at < len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((name, data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    assert at == len(data)
    order = [name for name, _ in chunks]
    assert order.index(b"bext") < order.index(b"data")
    body = dict(chunks)[b"bext"]
    ends = (0, 256, 288, 320, 330, 338)
    text = [body[a:b].rstrip(b"\0").decode("ascii") for a, b in itertools.pairwise(ends)]
    assert len(body) >= 602 and not any(body[348:602])
    return {
        "description": text[0],
        "originator": text[1],
        "date": text[3] + " " + text[4],
        "start": int.from_bytes(body[338:346], "little"),
        "version": int.from_bytes(body[346:348], "little"),
        "history": body[602:].rstrip(b"\0").decode("ascii"),
    }


@pytest.mark.parametrize("format, bits", [("wav16", 16), ("wav24", 24), ("wav32", 32)])
@pytest.mark.parametrize("region_only, start", [(False, 0), (True, 30_000)])
def test_broadcast_files_say_where_they_begin(kit, out, format, bits, region_only, start):
    report = exported(kit, out, format=format, region_only=region_only)
    for file, lane in zip(report.files, kit.project.lanes, strict=True):
        fields = bext(file.path)
        assert (fields["start"], fields["version"], fields["originator"]) == (start, 1, "MGE-LDM Desktop")
        assert fields["description"].endswith(": " + lane.name.replace("é", "?"))
        assert fields["history"] == f"A=PCM,F=44100,W={bits},M=stereo,T=MGE-LDM Desktop\r\n"
        assert len(fields["date"]) == len("2026-01-01 12:00:00")


def test_a_broadcast_file_says_how_far_it_was_turned_down(kit, out):
    kit.project = louder(kit)
    report = exported(kit, out, format="wav24", region_only=True)
    for file, lane in zip(report.files, kit.project.lanes, strict=True):
        description = bext(file.path)["description"]
        assert description.startswith(f"Gain {report.gain:.6f}. S?ng")
        assert description.endswith(": " + lane.name.replace("é", "?"))


def test_a_region_that_reaches_beyond_the_song_is_cut_and_none_is_an_error(kit, out):
    kit.project = replace(kit.project, region=Span(kit.project.samples - 100, kit.project.samples + 500))
    report = exported(kit, out, kit.project.lanes[:1], format="wav16", region_only=True)
    assert soundfile.info(report.files[0].path).frames == 100
    for region in (None, Span(kit.project.samples, kit.project.samples + 5)):
        kit.project = replace(kit.project, region=region)
        with pytest.raises(InputError, match="drag over the song"):
            exported(kit, out, format="wav16", region_only=True)


def test_nothing_to_export_says_so(kit, out):
    with pytest.raises(InputError, match="choose at least one"):
        exported(kit, out, [])
    with pytest.raises(InputError, match="open a song first"):
        export_lanes(Project(), kit.view, Project().lanes, out, ExportSettings())
    assert names(out) == []


# --------------------------------------------------------------------------------------------------------------- names


def test_names_by_pattern(kit, out):
    lanes = [kit.project.lane(name) for name in ("l1", "l2", "rest")]
    report = exported(kit, out, lanes, pattern="{number} {song} {bpm} {key} {lane} ({prompt})")
    assert [file.path.name for file in report.files] == [
        "01 Söng & Dance 123.4 A minor Bass low é (the bass).wav",
        "02 Söng & Dance 123.4 A minor Drums (drums).wav",
        "03 Söng & Dance 123.4 A minor Rest (Rest).wav",
    ]


@pytest.mark.parametrize("key", [form.key for form in formats()])
def test_only_the_name_of_a_file_has_an_ending_to_be_left_out(kit, key):
    def name(song, source):
        project = replace(kit.project, song=replace(kit.project.song, name=song, source=source))
        return names_of(project, project.lanes[:1], ExportSettings(pattern="{song}", format=key))[0]

    suffix = next(form.suffix for form in formats() if form.key == key).replace(".rpp", "")  # a folder with such a file
    generated = "slow drums, 120.5 bpm, 4/4 jazz trio"
    assert name(generated, "") == "slow drums, 120.5 bpm, 4 4 jazz trio" + suffix
    assert name("v1.2 mix.final.wav", "/music/v1.2 mix.final.wav") == "v1.2 mix.final" + suffix


def test_unknown_values_leave_no_gap_and_unknown_fields_are_told(kit, out):
    kit.project = replace(kit.project, tempo=Tempo())
    report = exported(kit, out, kit.project.lanes[:1], pattern="{song} - {bpm} - {key} - {lane}")
    assert report.files[0].path.name == "Söng & Dance - Song.wav"
    with pytest.raises(InputError, match=r"has \{tempo\}; it may have \{song\}, \{lane\}"):
        exported(kit, out, pattern="{lane} {tempo}")


@pytest.mark.parametrize(
    "song, name",
    [
        ("A_-_B -- C__D_", "A_-_B -- C__D_ - Drums.wav"),
        ("-rf", "-rf - Drums.wav"),
        ("...", "Drums.wav"),
        ("あ" * 84, "あ" * 40 + " - Drums.wav"),
    ],
)
def test_a_song_keeps_its_own_name(kit, out, song, name):
    kit.project = replace(kit.project, song=replace(kit.project.song, name=song, source=""))
    lanes = [kit.project.lane("l2"), replace(kit.project.lane("l3"), name="x" * 100)]
    files = exported(kit, out, lanes).files
    assert [file.path.name for file in files] == [name, name.replace("Drums", "x" * 100)]


@pytest.mark.parametrize(
    "pattern, name",
    [
        ("{bpm}_{key} - {lane}", "Drums.wav"),
        ("{lane}_{bpm}", "Drums.wav"),
        ("{lane}_{bpm}_{number}", "Drums_01.wav"),
        ("{lane}_{bpm} - {key} {number}", "Drums_01.wav"),
        ("{lane} {key} - {number}", "Drums - 01.wav"),
        ("- {lane}__{number} -", "- Drums__01 -.wav"),
        ("{bpm}", "untitled.wav"),
    ],
)
def test_only_separators_beside_unknown_values_go(kit, pattern, name):
    project = replace(kit.project, tempo=Tempo())
    assert names_of(project, [project.lane("l2")], ExportSettings(pattern=pattern)) == [name]


def test_equal_names_are_numbered_and_files_that_are_there_stay(kit, out):
    (out / "Drums.wav").write_bytes(b"precious")
    (out / "drums 2.wav").write_bytes(b"too")
    lanes = [kit.project.lane("l2"), replace(kit.project.lane("l3"), name="DRUMS")]
    report = exported(kit, out, lanes, pattern="{lane}")
    assert [file.path.name for file in report.files] == ["Drums 3.wav", "DRUMS 2 3.wav"]
    assert names_of(kit.project, lanes, ExportSettings(pattern="{lane}")) == ["Drums.wav", "DRUMS 2.wav"]
    assert (out / "Drums.wav").read_bytes() == b"precious"
    again = exported(kit, out, lanes, pattern="same")
    assert [file.path.name for file in again.files] == ["same.wav", "same 2.wav"]


def test_names_that_differ_only_in_case_are_taken(kit, out):
    (out / "DRUMS.WAV").write_bytes(b"on Windows and macOS it is the same file")
    report = exported(kit, out, [kit.project.lane("l2")], pattern="{lane}")
    assert [file.path.name for file in report.files] == ["Drums 2.wav"]


@pytest.mark.parametrize("key", [form.key for form in formats()])
def test_what_came_while_it_was_written_stays(kit, out, key):
    """Two exports at once choose the same names: the one that is ready first has them, the other the next ones."""
    lanes, options = [kit.project.lane(each) for each in ("l2", "rest")], ExportSettings(format=key)
    reports, before = [], {}

    def write(reporter=None):
        reports.append(export(kit.project, kit.view, lanes, out, options, COLOURS, reporter))

    def other(_):
        if not reports:
            write()
            before.update((file.path, file.path.read_bytes()) for file in reports[0].files)

    write(Reporter(on_progress=other))
    files = [file.path for report in reports for file in report.files]
    assert len(set(files)) == 2 * len(before) and all(path.stat().st_size for path in files)
    assert {path: path.read_bytes() for path in before} == before
    assert len(names(out)) == len({path.relative_to(out).parts[0] for path in files})


@hypothesis_settings(max_examples=40)
@given(st.lists(st.text(max_size=300), min_size=1, max_size=4), st.text(max_size=300))
def test_any_names_give_different_files_inside_the_folder(tmp_path_factory, lane_names, song):
    folder = tmp_path_factory.mktemp("out")
    store = ClipStore(folder / "audio")
    audio_clip = store.adopt(store.begin(8000, 1, 10))
    project = Project(SongFile(audio_clip, song))
    lanes = [Lane(f"l{number}", "added", name) for number, name in enumerate(lane_names)]
    report = export_lanes(project, store.view, lanes, folder, ExportSettings(format="wav16"))
    assert len({file.path.name.casefold() for file in report.files}) == len(lanes)
    assert all(file.path.is_file() and file.path.parent == folder for file in report.files)


# ------------------------------------------------------------------------------------------------------- all or nothing


@pytest.mark.parametrize("format", [form.key for form in formats() if form.kind == "audio"])
@pytest.mark.parametrize("at", [1, 4, 9])
def test_cancelling_leaves_nothing(kit, out, monkeypatch, format, at):
    monkeypatch.setattr(render, "_BLOCK_SAMPLES", 40_000)
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) == at

    with pytest.raises(Cancelled):
        exported(kit, out, format=format, reporter=Reporter(cancelled=cancelled))
    assert names(out) == [] and len(asked) == at


def test_progress_goes_from_nothing_to_all(kit, out):
    seen = []
    exported(kit, out, format="wav32", reporter=Reporter(on_progress=seen.append))
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert seen[-1].done == seen[-1].total == 5 * kit.project.samples


def test_a_failure_in_the_last_file_leaves_none(kit, out, monkeypatch):
    commits = []
    real = audio.Writer.commit

    def commit(writer):
        commits.append(writer)
        if len(commits) == 3:
            raise OutputError("No room")
        real(writer)

    monkeypatch.setattr(audio.Writer, "commit", commit)
    with pytest.raises(OutputError):
        exported(kit, out, format="wav16")
    assert names(out) == []


@pytest.mark.parametrize("key", [form.key for form in formats()])
@pytest.mark.parametrize("lane_id", ["l3", "l2"])
def test_a_damaged_clip_leaves_nothing_and_its_lane_is_named(kit, out, key, lane_id):
    lane = kit.project.lane(lane_id)
    kit.store.path(lane.parts[0].take.audio).unlink()
    fresh = ClipStore(kit.store.folder)
    fresh.stand_in(lane.parts[0].take.audio)
    options = ExportSettings(format=key)
    with pytest.raises(AudioError, match=f"Audio of {lane.name} is missing .* bring .* or make these parts anew"):
        export(kit.project, fresh.real, kit.project.lanes, out, options, COLOURS)
    assert names(out) == []
    rest = kit.project.lanes[-1:]
    if lane.kind == "extracted":  # the rest is what they leave of the song
        with pytest.raises(AudioError, match=f"Audio of {lane.name} is missing"):
            export(kit.project, fresh.real, rest, out, options, COLOURS)
    else:
        export(kit.project, fresh.real, rest, out, options, COLOURS)


@pytest.mark.parametrize("lane_id", ["song", "rest"])
def test_without_the_songs_audio_neither_it_nor_the_rest_is_written_and_the_song_is_named(kit, out, lane_id):
    kit.store.path(kit.project.song.audio).unlink()
    fresh = ClipStore(kit.store.folder)
    fresh.stand_in(kit.project.song.audio)
    with pytest.raises(AudioError, match=r"Audio of Song is missing .* bring .* or make these parts anew"):
        export_lanes(kit.project, fresh.real, [kit.project.lane(lane_id)], out, ExportSettings())
    assert names(out) == []


@pytest.mark.parametrize("key", [form.key for form in formats()])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_leaves_nothing_and_its_lane_is_named(kit, out, key, value):
    """No gain brings it under full scale."""
    map_wav(kit.store.path(kit.project.lane("l3").parts[0].take.audio), writable=True)[0][5000] = value
    with pytest.raises(AudioError, match=r"Audio of Keys is missing or damaged"):
        export(kit.project, kit.view, kit.project.lanes, out, ExportSettings(format=key), COLOURS)
    assert names(out) == []


def test_memory_is_bounded_by_the_block_not_by_the_song(kit, out, monkeypatch):
    long = Project(SongFile(kit.clip(np.zeros((3_000_000, 2), np.float32)), "Long"))
    monkeypatch.setattr(render, "_BLOCK_SAMPLES", 10_000)
    tracemalloc.start()
    export_lanes(long, kit.view, long.lanes, out, ExportSettings(format="wav24"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000 * 2 * 4 / 4  # a quarter of one file's samples


def test_a_report_of_one_file_names_it(tmp_path):
    one = ExportReport((render.Exported(tmp_path / "a.wav", "l1"),))
    assert one.text == f"Exported a.wav to {tmp_path}."
    assert replace(one, gain=0.9999).text == one.text  # by 0.00 dB
    assert "all turned down by 0.09 dB, so that" in replace(one, gain=0.99).text


def test_the_table_of_formats_is_complete():
    table = formats()
    assert len({form.key for form in table}) == len(table)
    assert {form.key for form in table if form.kind == "audio"} == set(audio.FORMATS | audio.LOSSY)
    for form in table:
        assert form.title and form.purpose.endswith(".")
        if form.kind == "audio":
            assert form.suffix == (audio.FORMATS | audio.LOSSY)[form.key]
