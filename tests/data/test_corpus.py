from dataclasses import replace

import numpy as np
import pytest
import soundfile
from mgeldm.data import corpus, events, synth
from mgeldm.data.bank import MIXED, Bank, load_bank, midi_file, spoken_bank
from mgeldm.data.captions import CAPTIONS, HELD_OUT_CAPTIONS
from mgeldm.data.speech import Speech


@pytest.fixture(scope="module")
def bank() -> Bank:
    """A bank of three programs and one kit, made of sines."""
    time = np.arange(44100) / 44100
    pitches = np.tile(np.arange(30, 90, 12, dtype=np.int16), 3)
    programs = np.repeat(np.array([0, 33, 81], np.int16), 5)
    notes = np.stack([np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * time) * 20000 for p in pitches]).astype(np.int16)
    hits = np.random.default_rng(0).normal(0, 5000, (4, 20000)).astype(np.int16)
    return Bank("fake", notes, programs, pitches, hits, np.zeros(4, np.int16), np.array([36, 38, 42, 46], np.int16))


@pytest.mark.parametrize("with_bank", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_songs_repeat_and_sum(seed, with_bank, bank):
    banks = [bank] if with_bank else []
    song, again = (corpus.render_song(seed, banks, 6.0) for _ in range(2))
    assert [s.label for s in song.stems] == [s.label for s in again.stems]
    for stem, other in zip(song.stems, again.stems, strict=True):
        assert stem.audio.shape == (2, 6 * 44100)
        assert np.isfinite(stem.audio).all()
        assert np.array_equal(stem.audio, other.audio)
        assert stem.captions
    assert np.allclose(song.mixture, sum(s.audio for s in song.stems), atol=1e-6)
    assert 0.1 < float(np.abs(song.mixture).max()) <= 1


def test_no_seed_makes_sounds_that_are_not_numbers():
    for seed in range(100, 125):
        assert all(np.isfinite(stem.audio).all() for stem in corpus.render_song(seed, [], 1.5).stems)


def test_splits_share_no_groove_no_style_and_no_phrase():
    rng = np.random.default_rng(0)
    for table in (events.GROOVES, events.BASS_STYLES, events.CHORD_STYLES, events.LEAD_STYLES):
        drawn = {split: {events.choose(rng, table, split).name for _ in range(500)} for split in ("train", "test")}
        assert drawn["train"]
        assert drawn["test"]
        assert not drawn["train"] & drawn["test"]
    for label, phrases in CAPTIONS.items():
        assert not set(phrases) & set(HELD_OUT_CAPTIONS[label])


@pytest.mark.parametrize(("number", "never"), [(0, {"machine", "electronic"}), (25, {"acoustic"})])
def test_kits_are_called_what_they_are(number, never, bank, monkeypatch):
    kit = replace(bank, kits=np.full(4, number, np.int16))
    monkeypatch.setattr(corpus, "choose_labels", lambda rng: ["drums"])
    monkeypatch.setattr(synth, "drum_kit", lambda rng: kit.kit(number))
    monkeypatch.setattr(synth, "KIT_TAGS", kit.kit_tags(number))
    for seed in range(4):
        (stem,) = corpus.render_song(seed, [kit], 1.0).stems
        assert stem.captions[0] == "drums"
        assert not {word for phrase in stem.captions for word in phrase.split()} & never


def test_a_synthesised_kit_is_electronic_and_one_shots_say_nothing(bank, monkeypatch):
    monkeypatch.setattr(corpus, "choose_labels", lambda rng: ["drums"])
    (stem,) = corpus.render_song(0, [], 1.0).stems
    assert {"drum machine", "electronic drums"} <= set(stem.captions)
    assert "acoustic drums" not in stem.captions
    assert replace(bank, notes=np.zeros((0, 1), np.int16)).kit_tags(25) == MIXED


def test_a_plain_song_names_the_program_and_never_contradicts_it(bank, monkeypatch):
    monkeypatch.setattr(corpus, "choose_labels", lambda rng: ["bass"])
    for seed in range(8):
        (stem,) = corpus.render_song(seed, [bank], 1.0).stems
        words = {word for phrase in stem.captions for word in phrase.split()}
        assert ("fingered" in words) != bool(words & {"electronic", "plucked"})
        assert not ("electronic" in words and "electric" in words)


def test_songs_that_figures_are_measured_on_stay_what_they_were(monkeypatch):
    """Those to train on are sung; test songs keep the voices that they had when there was no singer."""
    asked = []
    monkeypatch.setattr(corpus, "choose_labels", lambda rng: ["vocals"])
    monkeypatch.setattr(corpus, "sung", lambda notes, n, *_: asked.append(1) or (np.zeros(n, np.float32), ()))
    for seed in range(8):
        corpus.render_song(seed, [], 2.0, "test")
    assert not asked
    for seed in range(8):
        corpus.render_song(seed, [], 2.0)
    assert 2 < len(asked) < 8


def test_where_there_are_words_test_songs_are_sung_too(monkeypatch):
    asked = []
    monkeypatch.setattr(corpus, "choose_labels", lambda rng: ["vocals"])
    monkeypatch.setattr(corpus, "sung", lambda notes, n, _, given: asked.append(given) or (np.zeros(n, np.float32), ()))
    words = Speech(*(np.zeros(0) for _ in range(6)))
    for seed in range(20):
        corpus.render_song(seed, [spoken_bank("voices", words, "MIT")], 2.0, "test")
    assert 8 < len(asked) < 20
    assert all(len(given) == 1 and given[0] is words for given in asked)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="split"):
        corpus.render_song(0, [], 1.0, "validation")


def test_a_real_song_reads_pieces_of_equal_length(tmp_path):
    soundfile.write(tmp_path / "lead_synth.wav", np.ones((44100, 2)) * 0.1, 44100)
    soundfile.write(tmp_path / "bass.flac", np.ones(22050) * 0.2, 44100)
    song = corpus.read_real_song(tmp_path)
    piece = song.read(0.25, 1.0)
    assert sorted(s.label for s in piece.stems) == ["bass", "lead synth"]
    assert all(s.audio.shape == (2, 44100) for s in piece.stems)
    bass = next(s for s in piece.stems if s.label == "bass")
    assert np.allclose(bass.audio[:, : 44100 // 4 - 10], 0.2, atol=1e-3)
    assert not bass.audio[:, 44100 // 2 :].any()


def test_a_bank_round_trips(tmp_path, bank):
    arrays = {key: getattr(bank, key) for key in ("notes", "programs", "pitches", "hits", "kits", "keys")}
    np.savez(tmp_path / "fake.npz", **arrays)
    loaded = load_bank(tmp_path / "fake.npz")
    assert np.array_equal(loaded.program(33)[1], bank.program(33)[1])
    assert set(loaded.kit(0)) == {36, 38, 42, 46}


def test_midi_bytes_hold_times_as_milliseconds():
    content = midi_file([(0.2, b"\x80\x3c\x00"), (0.0, b"\x90\x3c\x64")])
    assert content.startswith(b"MThd")
    assert content.index(b"\x90\x3c\x64") < content.index(b"\x81\x48\x80\x3c\x00")  # 200 ms later
