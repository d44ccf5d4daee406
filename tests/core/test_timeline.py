import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mgeldm_app.core.project import Project, Span, Tempo
from mgeldm_app.core.timeline import Grid, place_text, span_text, start_text, tapped

TEMPI = st.builds(
    Tempo, st.floats(20, 400).map(lambda bpm: round(bpm, 2)), st.floats(-5, 30), st.sampled_from([1, 3, 4, 7, 32])
)
GRIDS = st.builds(Grid, TEMPI, st.sampled_from([8000, 44100, 48000, 96000]), st.integers(10**6, 10**9))


@given(GRIDS, st.integers(-2, 5000), st.integers(1, 32))
@example(Grid(Tempo(20.0, 1.055, 1), 44100, 10**6), 0, 1)  # a line between two samples
def test_a_line_of_the_grid_is_where_its_own_bar_and_beat_begin(grid, bar, beat):
    beat = min(beat, grid.tempo.beats_per_bar)
    line = grid.sample_of(bar, beat)
    assert grid.place(line)[:2] == (bar, beat)
    assert grid.place(line - 1)[:2] == ((bar, beat - 1) if beat > 1 else (bar - 1, grid.tempo.beats_per_bar))


@given(GRIDS, st.integers(1, 2000))
def test_the_bar_around_a_line_begins_there(grid, bar):
    start, stop = grid.sample_of(bar), grid.sample_of(bar + 1)
    if stop <= grid.samples:
        assert grid.bar_around(start) == grid.bar_around(stop - 1) == Span(start, stop)


@given(GRIDS, st.integers(1, 9), st.integers(1, 200), st.sampled_from(["bar", "beat"]))
def test_a_region_that_is_nudged_again_and_again_stays_on_the_grid(grid, bar, times, unit):
    span = before = Span(grid.sample_of(bar), grid.sample_of(bar + 2))
    places = [(bar + times, 1), (bar + times + 2, 1)]
    if unit == "beat":
        places = [(bar, 1 + times), (bar + 2, 1 + times)]
    start, stop = (grid.sample_of(*place) for place in places)
    if stop > grid.samples:
        return
    for _ in range(times):
        span = grid.nudge(span, 1, unit)
    assert span == Span(start, stop)
    for _ in range(times):
        span = grid.nudge(span, -1, unit)
    assert span == before


def test_a_bar_of_six_eighths_is_as_long_as_three_quarters():
    metres = ((6, 8), (3, 4))
    eighths, quarters = (Grid(Tempo(90, beats_per_bar=n, beat_unit=unit), 48_000, 480_000) for n, unit in metres)
    assert eighths.bar_samples == quarters.bar_samples == 3 * eighths.quarter_samples == 6 * eighths.beat_samples
    assert eighths.place(eighths.bar_samples + 4.5 * eighths.beat_samples)[:2] == (2, 5)
    assert [beat for _, _, beat in eighths.lines(0, round(eighths.bar_samples), "beat")] == [1, 2, 3, 4, 5, 6]


def test_eighths_that_are_tapped_are_half_as_many_quarters():
    taps_s = [number * 0.25 for number in range(6)]
    assert tapped(taps_s, Tempo(beats_per_bar=6, beat_unit=8)).bpm == 120
    assert tapped(taps_s, Tempo()).bpm == 240


def test_taps_faster_or_slower_than_any_tempo_are_the_nearest_that_there_is():
    fast, slow = ([number * apart_s for number in range(4)] for apart_s in (0.1, 4.0))
    assert (tapped(fast, Tempo()).bpm, tapped(slow, Tempo()).bpm) == (400, 20)


def test_taps_of_one_moment_have_no_tempo():
    assert tapped([1.0, 1.0, 1.0], Tempo()) is None
    assert tapped([1.0, 1.0, 1.5], Tempo()).bpm == 240


def test_the_songs_own_ends_are_lines_too():
    grid = Grid(Tempo(120.0, 0.5), 8000, 50_000)  # bars begin at 4000, 20 000 and 36 000
    assert [grid.snap(each, "bar") for each in (-9, 1000, 3000, 42_500, 43_500, 60_000)] == [
        0, 0, 4000, 36_000, 50_000, 50_000
    ]  # fmt: skip


@pytest.mark.parametrize("unit", ["bar", "beat", "none"])
def test_a_region_beside_the_grid_keeps_its_place_in_the_bar_and_stays_in_the_song(unit):
    grid = Grid(Tempo(127.3), 44100, 44100 * 600)
    span = before = Span(5000, 51000)
    for _ in range(200):
        span = grid.nudge(span, 1, unit)
    step = {"bar": grid.bar_samples, "beat": grid.beat_samples, "none": 441}[unit]
    assert abs(span.start - before.start - 200 * step) < 1.5 and abs(span.samples - before.samples) <= 1
    for steps, edge in ((99_999, "stop"), (-99_999, "start")):
        moved = grid.nudge(span, steps, unit)
        assert moved.samples == span.samples
        assert getattr(moved, edge) == (grid.samples if steps > 0 else 0)
        assert grid.nudge(moved, steps // 99_999, unit) == moved  # however often


@pytest.mark.parametrize(
    ("samples", "known", "text"),
    [
        (2 * 88200, True, "2 bars"), (88200, True, "1 bar"), (2 * 88200, False, "4.0 s"), (54000, True, "1.2 s"),
        (11025, True, "250 ms"), (441, False, "10 ms"), (22, False, "0 ms"),
    ],
)  # fmt: skip
def test_spans_are_told_in_bars_seconds_or_what_is_left_of_one(samples, known, text):
    tempo = Tempo(120.0, source="given" if known else "none")
    assert span_text(Project(tempo=tempo), Span(500, 500 + samples)) == text


def test_a_place_names_its_lane_and_what_is_gone_is_not_the_song():
    project = Project(tempo=Tempo(120.0, source="given"))
    span = Span(0, 2 * project.rate_hz)
    assert place_text(project, span) == "bar 1 of Song"
    assert place_text(project, span, "rest") == "bar 1 of Rest"
    assert place_text(project, span, "L7") == "bar 1 of a lane that is gone"


def test_where_something_begins_is_told_in_bars_or_as_a_time():
    project = Project(tempo=Tempo(120.0, 0.25, source="given"))
    places_s = (0, 0.25, 2.25, 3)
    samples = [round(place_s * project.rate_hz) for place_s in places_s]
    assert [start_text(project, at) for at in samples] == ["the start", "bar 1", "bar 2", "00:03.000"]
    assert start_text(Project(), samples[2]) == "00:02.250"
