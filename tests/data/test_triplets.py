import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.data import captions
from mgeldm.data.captions import CAPTIONS, HELD_OUT_CAPTIONS, alike, draw_absent, phrases, unions
from mgeldm.data.songs import Song, Stem, captions_of
from mgeldm.data.triplets import AUDIBLE, Shares, draw, segment, sources

LABELS = st.lists(st.sampled_from([*CAPTIONS, *captions.MORE_CAPTIONS]), unique=True, max_size=8)


def song_of(**levels):
    """A song of noise stems: level by label, or (level, first sample, last sample)."""
    rng, stems = np.random.default_rng(0), []
    for label, level in levels.items():
        level, first, last = level if isinstance(level, tuple) else (level, 0, 40_000)
        audio = np.zeros((2, 40_000), np.float32)
        audio[:, first:last] = rng.normal(0, level, (2, last - first))
        stems.append(Stem(label.replace("_", " "), phrases(label.replace("_", " ")), audio))
    return Song(stems)


def test_a_triplet_sums_at_one_offset():
    song, rng = song_of(bass=0.1, drums=0.2, piano=0.1), np.random.default_rng(1)
    for _ in range(20):
        triplet = draw(song, 5000, rng)
        assert np.allclose(triplet.mixture, triplet.submixture + triplet.source, atol=1e-6)
        assert triplet.parts == (triplet.label,)
        assert {triplet.label, *triplet.others} == {"bass", "drums", "piano"}
        stem = next(s for s in song.stems if s.label == triplet.label)
        at = int(np.flatnonzero(stem.audio[0] == triplet.source[0, 0])[0])
        assert np.array_equal(song.piece(at, at + 5000).mixture, triplet.mixture)


def test_a_sum_of_stems_is_called_only_what_all_of_them_are():
    rng = np.random.default_rng(0)
    said = (["guitar", "clean guitar", "electric"], ["guitar", "distorted guitar", "electric"])
    song = Song([Stem("guitar", phrases, rng.normal(0, 0.1, (2, 9000)).astype(np.float32)) for phrases in said])
    triplet = draw(song, 5000, rng)
    assert triplet.captions == ("guitar", "electric")
    assert captions_of([Stem("bass", ["a"], song.stems[0].audio), Stem("bass", ["b"], song.stems[1].audio)]) == {
        "bass": ["bass"]
    }


def test_a_segment_is_looked_for_ten_times():
    """A stem that sounds in a sixth of the song is found in most draws, as ten tries would; never sounding, in none."""
    song, rng = song_of(bass=(0.1, 30_000, 36_000), drums=0.1), np.random.default_rng(0)
    drawn = [segment(song, 2000, rng) for _ in range(300)]
    found = [28_000 < start < 36_000 for label, start in drawn if label == "bass"]
    assert 100 < len(found) < 200
    assert 0.75 < np.mean(found) < 0.97  # 1 - (1 - 8 / 38) ** 10 = 0.9
    silent = song_of(bass=0.0, drums=0.1)
    assert {t.label if t else None for t in (draw(silent, 2000, rng) for _ in range(50))} == {"drums", None}


def test_a_segment_longer_than_its_song_is_padded():
    triplet = draw(song_of(bass=0.1), 50_000, np.random.default_rng(0))
    assert triplet.source.shape == (2, 50_000)
    assert not triplet.source[:, 40_000:].any()


def test_silent_sources_and_unions_are_drawn_in_their_shares():
    song, rng = song_of(bass=0.1, drums=0.1, piano=0.1, vocals=0.1), np.random.default_rng(0)
    drawn = [draw(song, 1000, rng, CAPTIONS, Shares(absent=0.1, unions=0.1)) for _ in range(600)]
    silent = [t for t in drawn if not t.parts]
    summed = [t for t in drawn if len(t.parts) > 1]
    assert 20 < len(silent) < 100
    assert 20 < len(summed) < 100
    for t in silent:
        assert not t.source.any()
        assert np.array_equal(t.mixture, t.submixture)
        assert not any(alike(t.label, label) for label in t.others)
    for t in summed:
        stems = [s.audio for s in song.stems if s.label in t.parts]
        at = int(np.abs(sum(stems) - t.source[:, :1]).sum(0).argmin())
        assert np.allclose(sum(stems)[:, at : at + 1000], t.source, atol=1e-6)
        assert set(t.parts) | set(t.others) == {"bass", "drums", "piano", "vocals"}


def test_quiet_stems_are_not_heard():
    song = song_of(bass=0.1, piano=0.1 * AUDIBLE / 2)
    drawn = [draw(song, 8000, np.random.default_rng(seed)) for seed in range(20)]
    assert {(t.label, t.others) if t else None for t in drawn} == {("bass", ()), None}


@settings(max_examples=200)
@given(LABELS)
def test_unions_leave_something_out_and_never_ask_for_what_they_leave(labels):
    for kind, found in unions(labels).items():
        for union in found:
            rest = set(labels) - set(union.parts)
            assert rest, kind
            assert len(union.parts) >= 2
            assert union.captions
            if kind == "all but one":
                (left,) = rest
                assert not any(alike(left, part) for part in union.parts)


@settings(max_examples=100)
@given(LABELS, st.integers(0, 1000))
def test_what_may_sound_is_never_asked_for_as_absent(labels, seed):
    found = draw_absent(labels, CAPTIONS, np.random.default_rng(seed))
    if found is not None:
        assert not found.parts
        assert not any(alike(found.label, label) for label in labels)
        assert not set(found.captions) & {phrase for label in labels for phrase in phrases(label)}


def test_what_a_kit_lacks_are_pieces_too_and_no_one_can_say_of_effects():
    pieces, whole = ("kick drum", "snare drum", "bass"), ("drums", "bass")
    drawn = [
        {draw_absent(heard, CAPTIONS, np.random.default_rng(seed)).label for seed in range(300)}
        for heard in (pieces, whole)
    ]
    assert {"hi-hats", "cymbals", "claps"} < drawn[0] and not {"kick drum", "snare drum", "drums"} & drawn[0]
    assert drawn[1].isdisjoint(captions.KIT) and not {"effects", "other"} & (drawn[0] | drawn[1])


@pytest.mark.parametrize(
    ("label", "heard", "asked", "not_asked"),
    [
        ("acoustic guitar", ["electric guitar"], {"acoustic guitar", "nylon guitar"}, {"guitar"}),
        ("electric guitar", ["bass", "acoustic guitar"], {"electric guitar"}, {"guitar", "guitar part", "lead guitar"}),
        ("electric guitar", ["bass"], {"electric guitar", "guitar"}, set()),
        ("lead synth", ["pad synth"], {"lead synth"}, {"synth", "synth melody"}),
        ("lead synth", ["piano"], {"lead synth", "synth"}, set()),
        ("piano", ["organ"], {"piano", "grand piano"}, {"keys", "keyboard"}),
        ("brass", ["reed"], {"trumpets"}, {"horns"}),
    ],
)
def test_an_absent_sources_prompts_mean_nothing_that_is_heard(label, heard, asked, not_asked):
    found = set(captions.unmistakable(label, heard, CAPTIONS))
    assert asked <= found
    assert not not_asked & found


def test_a_songs_own_phrases_count_too():
    known = {"flute": ("flute", "pipe"), "organ": ("organ", "pipe organ")}
    assert captions.unmistakable("flute", ["organ"], known) == ("flute", "pipe")  # no kin
    known = {"piano": ("piano", "upright"), "organ": ("organ", "upright organ")}
    assert captions.unmistakable("piano", ["organ"], known) == ("piano",)


def test_alike_is_symmetric_and_a_guitar_may_be_either_kind():
    known = [*CAPTIONS, *captions.MORE_CAPTIONS]
    assert all(alike(a, b) == alike(b, a) for a in known for b in known)
    assert all(alike(a, a) for a in known)
    assert alike("guitar", "acoustic guitar")
    assert not alike("electric guitar", "acoustic guitar")
    assert not alike("other", "vocals")


def test_a_stem_that_rests_may_be_asked_for_as_absent():
    found = [
        sources({"bass": ["bass"], "vocals": ["singing"]}, ["bass"], {}, Shares(absent=1.0), np.random.default_rng(i))
        for i in range(5)
    ]
    assert all([f.label for f in one] == ["bass", "vocals"] and one[1].parts == () for one in found)


def test_phrases_begin_with_the_label_and_free_text_stands_for_itself():
    assert phrases("bass")[0] == "bass"
    assert "slap bass" in phrases("bass", 36)
    assert phrases("hurdy gurdy") == ["hurdy gurdy", "the hurdy gurdy"]
    held_out = {phrase for group in HELD_OUT_CAPTIONS.values() for phrase in group}
    trained = {p for label in [*CAPTIONS, *captions.MORE_CAPTIONS] for p in phrases(label)}
    trained |= {p for group in captions.GROUPS for p in group.captions}
    assert not held_out & trained


def test_every_label_names_itself_first():
    assert all(phrases(label)[0] == label for label in [*CAPTIONS, *captions.MORE_CAPTIONS] if label != "wind")
