"""Lanes flattened to clips: later parts hide earlier ones, and fades add up to one."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mgeldm.refine import edge_gains

from mgeldm_app.core.project import Audio, Lane, Made, Part, Project, SongFile, Span, Take
from mgeldm_app.core.sound import FADE_S, flatten, lane_clips, read_clips, read_lane

RATE_HZ, SONG = 1000, 400  # a fade is ten samples
FADE = round(FADE_S * RATE_HZ)
MADE = Made("extract", "bass")


def faded_as_extracted(start: int, samples: int) -> np.ndarray:
    """A constant one, with the edges that `mgeldm.refine` gives a region."""
    if not samples:
        return np.zeros((0, 2), np.float32)
    gains = edge_gains(start, samples, start, start + samples, SONG, RATE_HZ)
    return np.ones((samples, 2), np.float32) if gains is None else np.stack([gains, gains], 1)


def laid_by_definition(parts: list[tuple[int, int]]) -> np.ndarray:
    """Each part over what is below it: sound + (1 - its own gain) * below; without what a later part hides wholly."""
    out = np.zeros(SONG)
    for number, (start, samples) in enumerate(parts):
        if any(s <= start and start + samples <= s + n for s, n in parts[number + 1 :]) or not samples:
            continue
        gain = faded_as_extracted(start, samples)[:, 0].astype(np.float64)
        out[start : start + samples] = gain + (1 - gain) * out[start : start + samples]
    return out


regions = st.tuples(st.integers(0, SONG - 1), st.integers(0, 150)).map(lambda r: (r[0], min(r[1], SONG - r[0])))


@settings(max_examples=400)
@given(st.lists(regions, max_size=6))
@example([(0, 200), (100, 300)])
@example([(300, 100), (250, 150), (350, 50)])
@example([(50, 100), (40, 15), (55, 4)])
def test_fades_add_up_to_one(parts):
    clips = flatten([(start, faded_as_extracted(start, n)) for start, n in parts], RATE_HZ, SONG)
    heard = read_clips(clips, 0, SONG, 2)[:, 0]
    assert np.abs(heard - laid_by_definition(parts)).max() < 1e-6
    for number, (start, samples) in enumerate(parts):
        hidden = any(s <= start and start + samples <= s + n for s, n in parts[number + 1 :])
        inside = slice(start + FADE if start else 0, start + samples - (FADE if start + samples < SONG else 0))
        if not hidden and samples >= 2 * FADE:
            assert np.abs(heard[inside] - 1).max(initial=0) < 1e-6


@settings(max_examples=200)
@given(st.lists(regions, min_size=1, max_size=5), st.integers(0, SONG), st.integers(0, 60))
def test_any_stretch_reads_the_same(parts, start, samples):
    random = np.random.default_rng(5)
    clips = flatten([(s, random.standard_normal((n, 2)).astype(np.float32)) for s, n in parts], RATE_HZ, SONG)
    whole = read_clips(clips, 0, SONG + 60, 2)
    assert np.array_equal(read_clips(clips, start, start + samples, 2), whole[start : start + samples])


def test_the_later_part_is_heard():
    first, second = np.full((200, 1), 0.25, np.float32), np.full((100, 1), -1, np.float32)
    heard = read_clips(flatten([(0, first), (50, second)], RATE_HZ, SONG), 0, 200, 1)[:, 0]
    assert np.all(heard[:50] == 0.25) and np.all(heard[60:140] == -1) and np.all(heard[150:] == 0.25)


def part(start: int, samples: int, name: str) -> Part:
    return Part(start, (Take(Audio(name, RATE_HZ, 2, samples), MADE),))


@settings(max_examples=200)
@given(regions, st.lists(st.tuples(st.integers(0, 149), st.integers(0, 149)), max_size=3))
def test_a_better_take_grows_over_a_draft(better, stretches):
    start, samples = better
    lane = Lane("bass", "extracted", "Bass", parts=(part(50, 300, "draft"),))
    filled: list[Span] = []
    for first, n in sorted(stretches):
        if first < samples and (not filled or first > filled[-1].stop):
            filled.append(Span(first, min(first + n, samples)))
    growing = [(start, faded_as_extracted(start, samples), tuple(filled))]
    clips = lane_clips(lane, lambda _: faded_as_extracted(50, 300), RATE_HZ, SONG, growing)
    heard = read_clips(clips, 0, SONG, 2)[:, 0]
    assert np.abs(heard[50 + FADE : 350 - FADE] - 1).max() < 1e-6
    assert heard.min() >= -1e-6 and heard.max() <= 1 + 1e-6


def test_what_is_not_final_is_silent():
    lane = Lane("bass", "extracted", "Bass")
    growing = [(100, np.ones((200, 2), np.float32), (Span(40, 120),))]
    heard = read_clips(lane_clips(lane, lambda _: np.zeros((0, 2), np.float32), RATE_HZ, SONG, growing), 0, SONG, 2)
    assert not heard[:140].any() and not heard[220:].any()
    assert np.all(heard[150:210] == 1)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_stems_and_rest_are_the_song(channels):
    random = np.random.default_rng(3)
    lengths = {"song": SONG, "a": 200, "b": 90}
    sounds = {name: random.standard_normal((n, channels)).astype(np.float32) for name, n in lengths.items()}
    audios = {name: Audio(name, RATE_HZ, channels, len(frames)) for name, frames in sounds.items()}
    project = Project(SongFile(audios["song"], "song"))
    for name, start in (("a", 20), ("b", 200)):
        part = Part(start, (Take(audios[name], MADE),))
        project = project.with_lane(Lane(name, "extracted", name, parts=(part,)))
    read = [read_lane(project, lane, lambda audio: sounds[audio.id], 0, SONG) for lane in project.lanes]
    assert np.array_equal(read[0], sounds["song"])
    assert np.abs(sum(x.astype(np.float64) for x in read[1:]) - read[0]).max() < 1e-6
