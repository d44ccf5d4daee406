import shutil
from pathlib import Path

import numpy as np
import pytest
from mgeldm.data import corpus, mma
from mgeldm.data.bank import Bank, midi_file, save_bank, spoken_bank
from mgeldm.data.kits import PIECES
from mgeldm.data.latents import Triplets, save
from mgeldm.data.manifest import Facts
from mgeldm.data.midi import Score
from mgeldm.data.songs import Song, Stem
from mgeldm.data.speech import Speech
from mgeldm.errors import InputError
from mgeldm.evaluation import sets
from mgeldm.evaluation.sets import AUDIBLE, Material, level, mma_songs
from mgeldm.training import encode


@pytest.fixture
def banks(tmp_path) -> list[Path]:
    """Two note banks of no notes."""
    paths = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for path in paths:
        save_bank(Bank(path.stem, *(np.zeros(s, np.int16) for s in ((0, 9), 0, 0, (0, 9), 0, 0))), path)
    return paths


@pytest.fixture
def pool(tmp_path):
    """Makes a folder of one shard that says it was rendered with some banks; without facts where they are None."""

    def made(banks) -> Path:
        facts = Facts() if banks is None else encode.Material(tmp_path, banks=banks).facts("1 songs")
        sounds = [np.zeros((1, 2, 2), np.float16)] * 3
        (tmp_path / "pool").mkdir()
        save(tmp_path / "pool" / "synthetic-00007.npz", [Triplets(*sounds, *[np.array(["bass"])] * 4)], facts)
        return tmp_path / "pool"

    return made


@pytest.mark.parametrize(
    ("there", "given", "advice"),
    [
        ((0, 1), (), "give these with --seen-bank, in this order: one, two"),
        ((0, 1), (1, 0), "in this order: one, two"),
        ((1,), (0,), "in this order: two"),
        ((), (0,), "leave --seen-bank out"),
    ],
)
def test_seen_songs_are_never_rendered_with_other_banks(banks, pool, there, given, advice):
    seen = pool([banks[i] for i in there])
    with pytest.raises(InputError, match=rf"synthetic-00007\.npz were rendered with other note banks .*{advice}"):
        Material(songs=1, seen=seen, seen_banks=tuple(banks[i] for i in given)).sets()


@pytest.mark.parametrize("there", [(), (0,), (0, 1)])
def test_seen_songs_are_rendered_with_their_own_banks(banks, pool, there):
    own = [banks[i] for i in there]
    found = Material(songs=1, seen=pool(own), seen_banks=tuple(own)).sets()
    assert [part.name for part in found] == ["synthetic", "synthetic, seen"]


def test_banks_of_shards_from_before_facts_are_not_known(banks, pool):
    found = Material(songs=1, seen=pool(None), seen_banks=tuple(banks)).sets()
    assert [part.name for part in found] == ["synthetic", "synthetic, seen"]


def test_a_pool_that_is_not_there_is_said_with_a_data_set_alone(tmp_path):
    (tmp_path / "song").mkdir()
    with pytest.raises(InputError, match=r"no folder .*pool; give the one of the shards"):
        Material(seen=tmp_path / "pool", data_sets=(("stems", tmp_path),)).sets()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("moises", r"for tests in .*, where a tenth .* by the songs' names; give a folder of more songs with --set m"),
        ("stems-test", r"for tests in .*, where a tenth .*; score all songs with --set stems:"),
        ("musdb", r"for tests in \S*; give another with --set musdb:DIR"),
        ("stems", r"to score in \S*; give another with --set stems:DIR"),
    ],
)
def test_long_songs_of_another_split_are_not_said_to_be_missing(tmp_path, monkeypatch, name, told):
    monkeypatch.setattr(sets, "open_set", lambda *given, **options: iter(()))
    with pytest.raises(InputError, match=f"no song of 12 s or longer {told}"):
        Material(data_sets=((name, tmp_path),)).sets()


def test_of_drum_kits_the_pieces_are_asked_for_and_all_else_plays_along():
    kits = Material(songs=6).kits
    assert kits.count == 6
    asked = set()
    for excerpt, again in zip(kits.excerpts(), kits.excerpts(), strict=True):
        asked |= {stem.label for stem in excerpt.stems}
        assert np.array_equal(excerpt.mixture.samples, again.mixture.samples)
        drums = np.sum([stem.audio for stem in excerpt.stems], axis=0) if excerpt.stems else 0.0
        assert level(excerpt.mixture.samples - drums) > AUDIBLE
    assert {"kick drum", "snare drum", "hi-hats"} <= asked <= set(PIECES)
    assert Material(data_sets=(("stems", Path()),)).kits is None  # who gives nothing but data sets wants these


def test_rendered_songs_may_begin_anywhere():
    several, later = Material(songs=3), Material(songs=1, first=2)
    for many, one in ((several.sets()[0], later.sets()[0]), (several.kits, later.kits)):
        *_, last = many.excerpts()
        (same,) = one.excerpts()
        assert np.array_equal(last.mixture.samples, same.mixture.samples)
    with pytest.raises(InputError, match="no song -1"):
        Material(first=-1).sets()


def test_the_two_loudest_are_asked_for_by_one_prompt():
    plain, pairs = Material(songs=3).sets()[0], Material(songs=3).pairs
    for song, pair in zip(plain.excerpts(), pairs.excerpts(), strict=True):
        assert np.array_equal(song.mixture.samples, pair.mixture.samples)
        (both,) = pair.stems
        named = [stem for stem in song.stems if stem.label in both.label.split(" and ")]
        assert len(named) == 2
        np.testing.assert_allclose(sum(stem.audio for stem in named), both.audio, atol=1e-6)
        others = [level(stem.audio) for stem in song.accompanied if stem not in named]
        assert min(level(stem.audio) for stem in named) >= max(others)
    assert Material(data_sets=(("stems", Path()),)).pairs is None


@pytest.fixture
def scores(tmp_path) -> Path:
    """A folder of two MIDI songs, one of them held out."""
    names = {Score(f"song {i}", ()).held_out: f"song {i}" for i in range(40)}
    (tmp_path / "scores").mkdir()
    for held_out, name in names.items():
        kick = [(float(at), bytes([0x99, 36, 90 + held_out])) for at in range(13)]
        (tmp_path / "scores" / f"{name}.mid").write_bytes(midi_file([*kick, (13.0, bytes([0x89, 36, 0]))]))
    return tmp_path / "scores"


def test_of_several_banks_plain_songs_play_the_first_and_drum_kits_all_and_scores(banks, scores, monkeypatch):
    played = []

    def render(seed, banks, duration_s, split, scores=(), by_piece=0.0):
        played.append(([bank.name for bank in banks], split, [score.held_out for score in scores]))
        return Song([Stem("bass", ["bass"], np.ones((2, 9), np.float32))])

    monkeypatch.setattr(corpus, "render_song", render)
    monkeypatch.setattr(sets, "render_wide_song", render)
    words = spoken_bank("words", Speech(*(np.zeros(0) for _ in range(6))), "MIT")
    save_bank(words, banks[0].with_name("words.npz"))
    material = Material(banks=(banks[0].with_name("words.npz"), *banks), songs=1, scores=(scores,))
    (plain,) = material.sets()
    for part in (plain, material.kits):
        list(part.excerpts())
    assert played == [(["one", "words"], "test", []), (["words", "one", "two"], "test", [True])]


def test_scores_that_training_may_have_heard_are_said_before_anything_is_scored(scores, tmp_path):
    (held_out,) = Material(scores=(scores,)).held_out_scores
    (scores / f"{held_out.name}.mid").unlink()
    with pytest.raises(InputError, match=r"No song of .*scores is held out .* give more songs with --scores"):
        Material(scores=(scores,)).sets()
    with pytest.raises(InputError, match="holds no MIDI song"):
        Material(scores=(tmp_path / "nowhere",)).sets()


def test_a_groove_that_mma_cannot_play_costs_no_arrangement(monkeypatch, capsys):
    def arrange(rng, names, duration_s):
        if plays.pop(0):
            return names[0], b""
        raise InputError("MMA cannot play it.")

    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(mma, "grooves", lambda: ["Rock"])
    monkeypatch.setattr(mma, "arrange", arrange)
    monkeypatch.setattr(sets, "render_midi", lambda font, midi: np.ones((2, 13 * corpus.RATE_HZ), np.float32))
    songs, plays = mma_songs(2), [True, False, True]
    assert [(song.name, song.mixture.duration_s) for song in songs.excerpts()] == [
        ("Rock 500000", 12.0),
        ("Rock 500002", 12.0),
    ]
    assert not capsys.readouterr().err
    plays += [False] * 8
    assert not list(songs.excerpts())
    assert "0 arrangements by MMA where 2 were asked for: MMA cannot play it." in capsys.readouterr().err


def test_without_mma_its_arrangements_are_left_out_and_it_is_told(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "mma" else name)
    assert mma_songs(2) is None
    assert "left out of FAD, for mma" in (told := capsys.readouterr().err)
    assert "apt install mma fluidsynth timgm6mb-soundfont" in told


def test_arrangements_are_heard_and_the_same_each_time(monkeypatch):
    monkeypatch.setattr(sets, "EXCERPT_S", 4.0)
    if (songs := mma_songs(1)) is None:
        pytest.skip("MMA, fluidsynth or the held-out soundfont is not installed")
    (one,), (again,) = songs.excerpts(), songs.excerpts()
    assert one.mixture.samples.shape == (2, 4 * corpus.RATE_HZ)
    assert level(one.mixture.samples) > AUDIBLE
    assert np.array_equal(one.mixture.samples, again.mixture.samples)
