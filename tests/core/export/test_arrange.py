"""What projects for all other programs share: places to the sample, and who is heard."""

import math
from dataclasses import replace

import pytest

from mgeldm_app.core.export.arrange import lead_quarters, stretches
from mgeldm_app.core.project import Audio, Lane, Made, Part, Project, SongFile, Span, Take, Tempo
from mgeldm_app.core.timeline import Grid


def nearest(sample):
    return math.floor(sample + 0.5)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("bpm", [128.0, 93.5, 120.0, 174.0])
def test_stems_lie_whole_samples_behind_the_song_wherever_other_programs_round(rate_hz, bpm):
    """At 128 bpm and 44.1 kHz a bar is some samples and a half."""
    song = SongFile(Audio("a", rate_hz, 2, 240 * rate_hz), "A")
    for downbeat in range(1, 2 * rate_hz, 3331):
        project = Project(song, tempo=Tempo(bpm, downbeat / rate_hz))
        lead, beat = lead_quarters(project), Grid.of(project).quarter_samples
        lead_s = lead * 60 / bpm
        assert abs(lead * beat + downbeat - 4 * beat * round((lead * beat + downbeat) / (4 * beat))) < 0.501
        for start in range(7, 230 * rate_hz, 1_234_567):
            assert nearest((lead_s + start / rate_hz) * rate_hz) - nearest(lead_s * rate_hz) == start
            assert nearest((lead + start / beat) * beat) - nearest(lead * beat) == start


@pytest.mark.parametrize(
    ("lanes", "states"),
    [
        (("song", "l1", "rest"), [(True, False), (False, True), (True, False)]),
        (("song", "l3"), [(True, False), (False, True)]),
        (("song",), [(True, False)]),
    ],
)
def test_solo_wins_over_mute_and_the_song_beside_what_it_is_the_sum_of_is_not_heard(kit, tmp_path, lanes, states):
    assert flags(kit, tmp_path, lanes, soloed=("l1", "l2", "l3")) == states


@pytest.mark.parametrize(
    ("lanes", "states"),
    [
        (("song", "l1", "rest"), [(False, True), (True, False), (True, False)]),
        (("song", "l3"), [(False, True), (True, False)]),
        (("l1", "rest"), [(False, True), (True, False)]),
    ],
)
def test_a_soloed_song_is_heard_alone_where_it_is_taken_along(kit, tmp_path, lanes, states):
    assert flags(kit, tmp_path, lanes, soloed=("song", "l1", "l2", "l3")) == states


def flags(kit, tmp_path, lanes, soloed):
    """Who is muted and soloed of lanes all of which are muted in the window."""
    changed = (replace(lane, muted=True, soloed=lane.id in soloed) for lane in kit.project.lanes)
    kit.project = replace(kit.project, lanes=tuple(changed))
    rows = replace(kit.hand_off(tmp_path / "out"), lanes=[kit.project.lane(each) for each in lanes]).rows()
    return [(row.muted, row.soloed) for row in rows]


def test_parts_that_touch_or_lie_in_one_another_are_one_stretch_inside_the_song():
    made, places = Made("extract", "bass"), [(500, 600), (0, 100), (100, 300), (120, 200), (301, 400), (950, 1200)]
    parts = [Part(start, (Take(Audio("a", 8000, 1, stop - start), made),)) for start, stop in places]
    song = Span(0, 1000)
    found = stretches(Lane("l1", "extracted", "Bass", parts=tuple(parts)), song)
    assert found == [Span(0, 300), Span(301, 400), Span(500, 600), Span(950, 1000)]
    assert stretches(Lane("rest", "rest", "Rest"), song) == [song]
