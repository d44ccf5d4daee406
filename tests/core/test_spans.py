"""Spans of `core.project`, against sets of samples."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mgeldm_app.core.project import Audio, Project, SongFile, Span, joined, without

SPAN = st.builds(lambda start, length: Span(start, start + length), st.integers(0, 60), st.integers(1, 20))
SPANS = st.lists(SPAN, max_size=5)


def samples(spans) -> list[int]:
    return sorted(sample for span in spans for sample in range(span.start, span.stop))


@given(SPANS, SPANS)
def test_without_cuts_exactly_that(spans, others):
    gone = set(samples(others))
    assert samples(without(spans, *others)) == [sample for sample in samples(spans) if sample not in gone]


@given(SPANS)
def test_joined_spans_are_in_order_and_do_not_touch(spans):
    found = joined(spans)
    assert samples(found) == sorted(set(samples(spans)))
    assert all(span.stop < following.start for span, following in pairwise(found))


@given(SPAN, SPAN)
def test_what_lies_within_is_what_both_have(first, second):
    inside = first.within(second)
    assert samples([inside]) == sorted(set(samples([first])) & set(samples([second])))
    assert (inside.samples > 0) == first.meets(second)


def test_a_region_may_lie_beside_the_song():
    song = Project(SongFile(Audio("a", 44100, 2, 1000), "A song"))
    assert song.region_in_song is None and Project(region=Span(0, 5)).region_in_song is None
    for region, inside in ((Span(-5, 7), Span(0, 7)), (Span(3, song.samples + 9), Span(3, song.samples))):
        assert replace(song, region=region).region_in_song == inside
    assert replace(song, region=Span(song.samples, song.samples + 9)).region_in_song is None
