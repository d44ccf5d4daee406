"""The folder for every other program: equal lengths, places, and a tempo track that a MIDI reader agrees with."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mgeldm_app.core.export.folder import tempo_midi, write_folder
from mgeldm_app.core.project import Audio, Project, SongFile, Span, Tempo
from mgeldm_app.core.timeline import Grid


def read_midi(data):
    """(seconds, kind, value) of each event of a format-0 file, timed by its own tempo events."""
    assert data[:4] == b"MThd" and int.from_bytes(data[4:8], "big") == 6
    kind, tracks, division = (int.from_bytes(data[at : at + 2], "big") for at in (8, 10, 12))
    assert (kind, tracks) == (0, 1) and data[14:18] == b"MTrk"
    body = data[22:]
    assert len(body) == int.from_bytes(data[18:22], "big")
    at, seconds, tempo_s, events = 0, 0.0, 0.5, []

    def number():
        nonlocal at
        value = 0
        while True:
            value, more = value << 7 | body[at] & 127, body[at] & 128
            at += 1
            if not more:
                return value

    while at < len(body):
        seconds += number() * tempo_s / division
        assert body[at] == 0xFF
        meta = body[at + 1]
        at += 2
        size = number()
        value = body[at : at + size]
        at += size
        if meta == 0x51:
            tempo_s = int.from_bytes(value, "big") / 1e6
        events.append((seconds, meta, value))
    assert events[-1][1] == 0x2F
    return events


def of_kind(events, kind):
    return [(seconds, value) for seconds, meta, value in events if meta == kind]


def song(tempo, samples=44_100 * 60, region=None):
    return Project(SongFile(Audio("a", 44_100, 2, samples), "A"), tempo=tempo, region=region)


def test_equal_files_from_the_beginning_that_sum_exactly(kit, tmp_path):
    report = write_folder(kit.hand_off(tmp_path / "Song"))
    names = sorted(path.name for path in (tmp_path / "Song").iterdir())
    assert names == [
        "01 Song.wav", "02 Bass low é.wav", "03 Drums.wav", "04 Keys.wav", "05 Rest.wav", "Read me.txt", "Tempo.mid",
    ]  # fmt: skip
    assert [file.path.name for file in report.files] == [*names[:5], "Tempo.mid"]
    steps = []
    for name in names[:5]:
        assert soundfile.info(tmp_path / "Song" / name).subtype == "PCM_24"
        frames, rate_hz = soundfile.read(tmp_path / "Song" / name, dtype="int32")
        assert (frames.shape, rate_hz) == ((kit.project.samples, 2), 44_100)
        steps.append(frames.astype(np.int64) >> 8)
        data = (tmp_path / "Song" / name).read_bytes()
        at = data.index(b"bext") + 8
        assert int.from_bytes(data[at + 338 : at + 346], "little") == 0
    np.testing.assert_array_equal(steps[0], steps[1] + steps[2] + steps[4])


def test_the_mixer_is_written_down(kit, tmp_path):
    write_folder(kit.hand_off(tmp_path / "Song"))
    text = (tmp_path / "Song" / "Read me.txt").read_text(encoding="utf-8")
    assert "123.4 bpm, 3/4, first downbeat at 00:00.250, key: A minor" in text
    assert "Region: 00:00.680 to 00:02.041" in text
    assert "  01 Song.wav: +0.0 dB, pan +0.00, colour #A9B4C2, muted" in text
    assert "  02 Bass low é.wav: -6.0 dB, pan -0.50, colour #00FF80\n" in text
    assert "  04 Keys.wav: +3.0 dB, pan +0.25, colour #ff0000, solo" in text


@pytest.mark.parametrize("key", ["", "A minor"])
def test_a_tempo_that_nobody_knows_is_not_stated(kit, tmp_path, key):
    write_folder(kit.hand_off(tmp_path / "Song", replace(kit.project, tempo=Tempo(key=key))))
    line = next(x for x in (tmp_path / "Song" / "Read me.txt").read_text("utf-8").splitlines() if "Tempo:" in x)
    said = "Tempo: unknown (Tempo.mid needs one, and says 120 bpm)"
    assert line == (f"{said}, key: {key}" if key else said)
    assert of_kind(read_midi((tmp_path / "Song" / "Tempo.mid").read_bytes()), 0x51)[-1][1] == bytes([7, 0xA1, 0x20])


def test_tempo_time_signature_and_markers(kit):
    events = read_midi(tempo_midi(kit.project))
    assert of_kind(events, 0x51)[-1][1] == round(60e6 / 123.4).to_bytes(3, "big")
    assert of_kind(events, 0x58)[-1][1][:2] == bytes([3, 2])
    markers = {value.decode(): seconds for seconds, value in of_kind(events, 0x06)}
    assert markers["Region start"] == pytest.approx(30_000 / 44_100, abs=1e-3)
    assert markers["Region end"] == pytest.approx(90_000 / 44_100, abs=1e-3)


def test_without_a_pickup_there_is_one_tempo():
    events = read_midi(tempo_midi(song(Tempo(120.0, 2.0))))
    assert of_kind(events, 0x51) == [(0.0, (500_000).to_bytes(3, "big"))]
    assert events[-1][0] == pytest.approx(60, abs=1e-3)


@given(st.floats(30, 300), st.floats(0, 20) | st.floats(0, 0.02), st.integers(2, 7), st.sampled_from([4, 8]))
def test_bars_fall_on_downbeats_throughout_the_song(bpm, downbeat_s, beats_per_bar, unit):
    project = song(Tempo(bpm, downbeat_s, beats_per_bar, beat_unit=unit), region=Span(44_100 * 50, 44_100 * 55))
    grid = Grid.of(project)
    events = read_midi(tempo_midi(project))
    first_s, signature = of_kind(events, 0x58)[-1]
    assert signature[:2] == bytes([beats_per_bar, unit.bit_length() - 1])
    assert first_s == pytest.approx(grid.first_bar / 44_100, abs=0.0039)  # shorter pickups than that are left out
    if grid.first_bar > 0.0038 * 44_100:
        assert first_s == pytest.approx(grid.first_bar / 44_100, abs=1e-4)
        pickup = of_kind(events, 0x58)[0][1]
        ticks = pickup[0] * 4 / 2 ** pickup[1]
        pickup_bpm = 60 * ticks / first_s
        assert pickup_bpm < 1000 and (pickup[1] == 2 or pickup[0] <= 4)
    at_s = dict((value, seconds) for seconds, value in of_kind(events, 0x06))[b"Region start"]
    half_a_tick_s, drift_s = 30 / bpm / 960, 0.5e-6 * 50 * bpm / 60  # tempo is whole microseconds a beat
    assert at_s == pytest.approx(50, abs=half_a_tick_s + drift_s + 1e-5 + (0.0038 if first_s == 0 else 0))


def test_no_region_no_marker(kit):
    events = read_midi(tempo_midi(replace(kit.project, region=None)))
    assert [value for _, value in of_kind(events, 0x06)] == [b"Pickup"]


def test_the_song_alone_need_not_be_muted(kit, tmp_path):
    for names, said in (("song", "l3"), False), (("l1", "rest"), False), (("song", "rest"), True):
        hand_off = replace(kit.hand_off(tmp_path / "out"), lanes=[kit.project.lane(name) for name in names])
        folder = write_folder(hand_off).files[0].path.parent
        text = (folder / "Read me.txt").read_text(encoding="utf-8")
        assert ("keep the song itself muted" in text) is said and ("muted" in text) is said
    kit.project = kit.project.with_lane(replace(kit.project.lane("song"), soloed=True))
    folder = write_folder(kit.hand_off(tmp_path / "out")).files[0].path.parent
    assert "keep the song itself muted" not in (folder / "Read me.txt").read_text(encoding="utf-8")


def test_what_is_soloed_and_muted_is_heard_but_for_the_song_beside_its_stems(kit, tmp_path):
    lanes = tuple(replace(lane, muted=True, soloed=lane.id != "song") for lane in kit.project.lanes)
    write_folder(kit.hand_off(tmp_path / "Song", replace(kit.project, lanes=lanes)))
    lines = (tmp_path / "Song" / "Read me.txt").read_text(encoding="utf-8").splitlines()
    assert [line.rsplit("#", 1)[1][6:] for line in lines if " dB, pan " in line] == [", muted"] + 4 * [", solo"]


@pytest.mark.parametrize("bpm", [20.0, 93.5, 127.3, 174.0, 399.7])
@pytest.mark.parametrize("downbeat_s", [0.0, 0.7])
def test_three_hours_on_the_bars_are_still_where_they_are_heard(bpm, downbeat_s):
    samples = 3 * 3600 * 44_100
    for start in (samples // 5, samples // 2, samples - 44_100):
        project = song(Tempo(bpm, downbeat_s), samples, Span(start, samples))
        markers = {value: seconds for seconds, value in of_kind(read_midi(tempo_midi(project)), 0x06)}
        half_a_tick_s = 30 / bpm / 960
        assert markers[b"Region start"] == pytest.approx(start / 44_100, abs=half_a_tick_s + 0.001)
