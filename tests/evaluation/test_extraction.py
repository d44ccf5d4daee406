import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mgeldm import cli
from mgeldm.audio import AudioClip, read, write
from mgeldm.data import corpus
from mgeldm.data.readers import in_split
from mgeldm.data.songs import Song, Stem
from mgeldm.errors import InputError
from mgeldm.evaluation import extraction, sets
from mgeldm.evaluation.evaluate import Plan, evaluate
from mgeldm.evaluation.extraction import IDEAL, LIMIT, METRICS, OURS, PEER, Scores
from mgeldm.evaluation.open_unmix import Training, train
from mgeldm.evaluation.sets import Excerpt, ExcerptSet, Material

RATE_HZ = 44100


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two short real songs of two stems, one of them the held-out one."""
    stems = tmp_path_factory.mktemp("stems")
    for number, name in enumerate(("other song", corpus.HELD_OUT_SONG)):
        (stems / name).mkdir()
        for stem in corpus.render_song(20 + number, [], 12.5).stems[:2]:
            write(stems / name / f"{stem.label.replace(' ', '_')}.wav", AudioClip(stem.audio, RATE_HZ))
    return stems


@pytest.fixture(scope="module")
def excerpt() -> Excerpt:
    song = corpus.render_song(500_000, [], 4.0, "test")
    return Excerpt.of("a song", Song(song.stems[:2], song.rate_hz))


@pytest.fixture(scope="module")
def scored(pipeline, excerpt, tmp_path_factory):
    """Classes of one excerpt with a peer that knows the truth of drums alone, and the folder of pictures."""
    pictures = tmp_path_factory.mktemp("pictures")
    drums = next(stem.audio for stem in excerpt.stems if stem.label == "drums")
    songs = ExcerptSet("one", "one", False, 1, lambda: iter([excerpt]))
    return extraction.score(pipeline, songs, peer=lambda _: {"drums": drums}, pictures=pictures), pictures


def test_every_method_is_scored_in_every_metric(scored, excerpt):
    classes, _ = scored
    assert sorted(classes) == sorted(stem.label for stem in excerpt.stems)
    for label, scores in classes.items():
        assert scores.mean("sdr_db", "silence") == pytest.approx(0, abs=1e-6)
        assert scores.mean("sdr_db", LIMIT) > scores.mean("sdr_db", "mixture")
        assert np.isfinite(scores.mean("log_mel_l1", OURS))
        assert np.isfinite(scores.mean("si_sdr_db", "decoder"))
        assert (PEER in scores.values["sdr_db"]) == (label == "drums")
    assert classes["drums"].mean("sdr_db", PEER) > 90
    assert classes["drums"].mean("log_mel_l1", PEER) == 0


def test_the_table_has_a_line_for_every_class_and_a_hole_where_nothing_was_tried(scored):
    classes, _ = scored
    lines = extraction.table("one", classes).splitlines()
    heads = lines[1].split(" | ")
    assert {line.split(" | ")[0].strip("| ") for line in lines[3:]} == {*classes, "mean of classes"}
    for line in lines[3:]:
        assert line.count("|") == len(heads) + 1
    other = next(label for label in classes if label != "drums")
    row = next(line for line in lines if line.startswith(f"| {other}")).strip("|").split("|")
    assert not row[[head.strip("| ") for head in heads].index(PEER)].strip()


def test_the_object_has_every_metric_of_baselines_and_oracles(scored):
    classes, _ = scored
    for label, row in json.loads(json.dumps(extraction.plain(classes), allow_nan=False)).items():
        assert set(METRICS) == {"sdr_db", "si_sdr_db", "log_mel_l1", "log_mel_l1_unscaled"}
        for metric in METRICS:
            assert {OURS, "decoder", "mixture", "percussive", "low-pass", LIMIT, IDEAL} <= set(row[metric])
        shown = cells({label: classes[label]})[label]
        for metric, head in (("log_mel_l1", "log-mel L1"), ("log_mel_l1_unscaled", "log-mel L1 unscaled")):
            ours, decoder = (classes[label].mean(metric, name) for name in (OURS, "decoder"))
            assert [row[metric][OURS], row[metric]["decoder"]] == pytest.approx([ours, decoder], abs=6e-4)
            assert shown[f"{head} (decoder)"] == f"{ours:.2f} ({decoder:.2f})"


def scores(**values) -> Scores:
    """One excerpt in which each method scored so in SDR and SI-SDR."""
    return Scores({metric: {method: [value] for method, value in values.items()} for metric in METRICS}, ["a song"])


def cells(classes: dict[str, Scores]) -> dict[str, dict[str, str]]:
    """A table's cells by class and head."""
    lines = extraction.table("x", classes).splitlines()[1:]
    heads, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    return {row[0]: dict(zip(heads, row, strict=True)) for row in rows}


def test_a_method_that_lacks_classes_has_no_mean():
    """The peer's mean over the easy classes stood beside ours over all."""
    classes = {"bass": scores(ours=5.0, decoder=1.0, peer=2.0), "flute": scores(ours=-5.0, decoder=1.0)}
    mean = cells(classes)["mean of classes"]
    assert mean["ours (95 %)"] == "**0.0**"
    assert mean["decoder"] == "1.0"
    assert mean["peer"] == ""
    classes["flute"] = scores(ours=-5.0, decoder=1.0, peer=1.0)
    assert cells(classes)["mean of classes"]["peer"] == "1.5"


def test_exact_silence_is_counted_and_in_no_mean_of_si_sdr():
    some, none, source = Scores(), Scores(), np.random.default_rng(0).normal(0, 0.1, (2, 16000))
    for estimate, classes in ((source * 0.5, [some]), (source * 0, [some, none])):
        for each in classes:
            each.songs.append("a song")
            for method in (OURS, "decoder"):
                each.add(method, source, estimate, 16000)
    table = cells({"bass": some, "flute": none})
    assert float(table["bass"]["SI-SDR"].removesuffix(" (1 silent)")) > 60
    assert table["flute"]["SI-SDR"] == "(1 silent)"
    assert table["mean of classes"]["SI-SDR"] == "(2 silent)"
    found = json.loads(json.dumps(extraction.plain({"bass": some, "flute": none}), allow_nan=False))
    assert found["bass"]["si_sdr_db"][OURS] > 60
    assert found["bass"]["silent"] == {OURS: 1, "decoder": 1}
    assert OURS not in found["flute"]["si_sdr_db"]
    assert found["bass"]["si_sdr_db_95"][0] > 60
    assert "si_sdr_db_95" not in found["flute"]
    assert found["flute"]["sdr_db"][OURS] == 0


def test_a_set_in_which_nothing_plays_beside_others_costs_the_others_nothing(pipeline, scored, tmp_path, monkeypatch):
    classes, _ = scored
    found = {"synthetic": classes, "lonely": {}}
    monkeypatch.setattr(extraction, "score", lambda _, part, *more: found[part.name])
    parts = [ExcerptSet(name, name, False, 1, partial(iter, ())) for name in found]
    monkeypatch.setattr(Material, "sets", lambda _: parts)
    monkeypatch.setattr(Material, "kits", None)
    monkeypatch.setattr(Material, "pairs", None)
    result = evaluate(pipeline, Plan(parts=("extraction",), plots=tmp_path))
    assert set(result["below_silence"]) == {"synthetic"}
    assert set(result["sets"]["synthetic"]) == set(classes) and result["sets"]["lonely"] == {}
    assert "lonely: nothing to separate" in result["text"]
    assert [path.name for path in tmp_path.iterdir()] == ["SDR - synthetic.png"]


def test_pictures_are_drawn(scored):
    classes, pictures = scored
    extraction.chart(pictures, "one", classes)
    names = {path.name for path in pictures.iterdir()}
    assert names == {"SDR - one.png", *(f"one - {label}.png" for label in classes)}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures.iterdir())


def test_worse_than_silence_is_a_share():
    scores, source = Scores(), np.ones((2, 2000))
    for gain in (0.9, 0.5, 2.5, -1.0):
        scores.add(OURS, source, source * gain, 16000)
    assert scores.below_silence == 0.5
    better = Scores({"sdr_db": {OURS: [1.0] * 6}})
    assert extraction.below_silence({"bass": scores, "drums": better}) == 0.2


def test_a_lone_stem_is_nothing_to_separate(excerpt):
    quiet = Stem("bass", ["bass"], excerpt.stems[0].audio * 1e-6)
    alone = Excerpt.of("alone", Song([excerpt.stems[0], quiet]))
    assert [stem.label for stem in alone.audible] == [excerpt.stems[0].label]
    assert not alone.accompanied
    assert len(excerpt.accompanied) == 2


def test_stems_of_one_label_are_one_source():
    """Of two guitars "guitar" asks for both, as it does in training."""
    audio = np.random.default_rng(0).normal(0, 0.1, (3, 2, 4000)).astype(np.float32)
    named = (("guitar", "clean guitar"), ("bass", "bass"), ("guitar", "distorted guitar"))
    stems = [Stem(label, [label, said], sound) for (label, said), sound in zip(named, audio, strict=True)]
    found = Excerpt.of("a song", Song(stems))
    assert [stem.label for stem in found.accompanied] == ["guitar", "bass"]
    assert np.array_equal(found.stems[0].audio, audio[0] + audio[2])
    assert found.stems[0].captions == ["guitar"]
    assert np.allclose(found.mixture.samples, audio.sum(0), atol=1e-6)
    assert np.array_equal(stems[0].audio, audio[0])  # the song is as it was


def test_gaps_compare_the_classes_that_seen_and_unseen_share():
    def classes(**sdr_db):
        return {label: Scores({"sdr_db": {OURS: [x], LIMIT: [10.0]}}) for label, x in sdr_db.items()}

    pair = [ExcerptSet(n, "real", s, 1, partial(iter, ())) for n, s in (("new", False), ("old", True))]
    found = {"new": classes(bass=1.0, flute=-3.0), "old": classes(bass=7.0, drums=9.0)}
    gaps = extraction.gaps(pair, found)
    assert gaps["real"]["classes"] == 1
    assert gaps["real"]["seen under its limit"] == 3.0
    assert gaps["real"]["unseen under seen"] == 6.0
    assert "| real | 1 |" in extraction.gaps_text(gaps)
    assert not extraction.gaps(pair[:1], found)


def test_sets_are_seen_and_unseen_songs(folder, tmp_path):
    pool = tmp_path / "pool"
    with pytest.raises(InputError, match="There is no folder"):
        Material(folder, songs=2, seen=pool).sets()
    pool.mkdir()
    left = "synthetic-00003.tmp.npz"  # by an encoding that was killed
    for name in (left, "synthetic-00007.npz", "synthetic-00012.npz", "synthetic-00013.npz", "wide-00001.npz"):
        np.savez(pool / name, **dict.fromkeys(("mixtures", "rests", "sources", "labels", "captions", "others"), ()))
    found = Material(folder, songs=2, seen=pool).sets()
    assert [(part.name, part.kind, part.seen) for part in found] == [
        ("synthetic", "synthetic", False),
        ("real", "real", False),
        ("synthetic, seen", "synthetic", True),
        ("real, seen", "real", True),
    ]
    names = [[excerpt.name for excerpt in part.excerpts()] for part in found]
    assert [part.count for part in found] == list(map(len, names))
    assert names == [["test 0", "test 1"], [corpus.HELD_OUT_SONG], ["train 0", "train 1"], ["other song"]]
    seen = next(iter(found[2].excerpts()))
    trained = corpus.render_song(corpus.seed_of(7, 0), [], 24.0)
    assert np.array_equal(seen.stems[0].audio, trained.stems[0].audio[:, : 12 * RATE_HZ])


def test_data_sets_bring_their_own_splits(folder, tmp_path):
    for split in ("train", "test"):
        for name in ("vocals", "drums", "bass", "other"):
            path = tmp_path / split / f"a {split} song" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, AudioClip(np.full((2, 13 * RATE_HZ), 0.01, np.float32), RATE_HZ))
    data_sets = (("musdb", tmp_path), ("stems", folder))
    found = {part.name: part for part in Material(songs=3, seen=tmp_path, data_sets=data_sets).sets()}
    assert set(found) == {"musdb", "musdb, seen", "stems"}
    assert [excerpt.name for excerpt in found["musdb"].excerpts()] == ["a test song"]
    assert [excerpt.name for excerpt in found["musdb, seen"].excerpts()] == ["a train song"]
    assert {excerpt.name for excerpt in found["stems"].excerpts()} == {"other song", corpus.HELD_OUT_SONG}
    assert {stem.label for stem in next(found["musdb"].excerpts()).audible} == {"vocals", "drums", "bass", "other"}


def silent_song(folder, seconds) -> Path:
    for name in ("bass", "drums"):
        (folder / "song").mkdir(parents=True, exist_ok=True)
        write(folder / "song" / f"{name}.wav", AudioClip(np.zeros((1, int(seconds * 8000)), np.float32), 8000))
    return folder


def test_excerpts_of_a_song_follow_each_other_to_its_end(tmp_path):
    for seconds, count in ((36, 3), (35, 2), (12, 1)):
        folder = silent_song(tmp_path / str(seconds), seconds)
        (part,) = Material(data_sets=(("stems", folder),)).sets()
        assert [excerpt.mixture.duration_s for excerpt in part.excerpts()] == [12.0] * count


def test_a_given_data_set_is_scored_alone_unless_rendered_songs_are_asked_for(folder, tmp_path):
    own = (("stems", silent_song(tmp_path, 13)),)
    assert [part.name for part in Material(data_sets=own).sets()] == ["stems"]
    assert [part.name for part in Material(folder, data_sets=own).sets()] == ["synthetic", "real", "stems"]
    assert [part.name for part in Material().sets()] == ["synthetic"]


def test_the_split_that_training_leaves_out_can_be_scored(tmp_path):
    """`encode --data stems --split train` has heard the others."""
    long = silent_song(tmp_path, 13) / "song"
    names = {is_test: next(n for i in range(99) if in_split(n := f"s{i}", "test") == is_test) for is_test in (0, 1)}
    long.rename(tmp_path / names[0])
    with pytest.raises(InputError, match=r"for tests in .*; score all songs with --set stems:"):
        Material(data_sets=(("stems-test", tmp_path),)).sets()
    silent_song(tmp_path, 13)
    long.rename(tmp_path / names[1])

    def songs(name, seen=None):
        found = Material(seen=seen, data_sets=((name, tmp_path),)).sets()
        return {(part.seen, excerpt.name) for part in found for excerpt in part.excerpts()}

    assert songs("stems") == {(False, names[0]), (False, names[1])}
    assert songs("stems-test") == {(False, names[1])}
    assert songs("stems-test", tmp_path) == {(False, names[1]), (True, names[0])}


def test_subsets_of_slakh_can_be_scored(monkeypatch):
    asked = []

    def open_set(*names, **options):
        asked.append((*names, options))
        yield Song([Stem("bass", ["bass"], np.zeros((2, 13 * RATE_HZ), np.float32))], name="a song")

    monkeypatch.setattr(sets, "open_set", open_set)
    found = Material(data_sets=tuple((name, Path("S")) for name in ("slakh-a", "slakh-b"))).sets()
    assert [part.name for part in found] == ["slakh-a", "slakh-b"]
    assert asked == [("slakh", Path("S"), {"subset": letter, "split": "test"}) for letter in ("A", "B")]


def test_a_damaged_song_and_a_name_that_says_nothing_cost_the_others_nothing(tmp_path, capsys):
    """The song is whole where it is probed, and its excerpts are the same each time."""
    for name in ("bad", "good"):
        (silent_song(tmp_path, 25) / "song").rename(tmp_path / name)
    (tmp_path / "good" / "drums.wav").rename(tmp_path / "good" / "_.wav")
    noise = AudioClip(np.random.default_rng(0).normal(0, 0.1, (1, 25 * 8000)).astype(np.float32), 8000)
    write(tmp_path / "bad" / "bass.flac", noise, "flac")
    (tmp_path / "bad" / "bass.wav").unlink()
    path = tmp_path / "bad" / "bass.flac"
    content = bytearray(path.read_bytes())
    content[len(content) * 6 // 10 : len(content) * 9 // 10] = bytes(len(content) * 9 // 10 - len(content) * 6 // 10)
    path.write_bytes(content)
    (part,) = Material(data_sets=(("stems", tmp_path),)).sets()
    passes = [[excerpt.name for excerpt in part.excerpts()] for _ in range(2)]
    assert passes[0] == passes[1] == ["bad", "good", "good"]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "The stem ' ' of good is not asked for" in told[0]
    assert told[1].startswith("bad is left out from 12 to 24 s: ")
    good = list(part.excerpts())[-1]
    assert [stem.label for stem in good.stems] == ["bass"]


def test_a_stem_that_is_not_asked_for_is_still_heard():
    sound = np.full((2, 4000), 0.1, np.float32)
    found = Excerpt.of("a song", Song([Stem(" ", [" "], sound), Stem("bass", ["bass"], sound)]))
    assert [stem.label for stem in found.accompanied] == ["bass"]
    assert np.allclose(found.mixture.samples, 0.2)


def test_what_is_no_bank_is_said_before_anything_is_scored(tmp_path):
    write(tmp_path / "some.wav", AudioClip(np.zeros((1, 800), np.float32), 8000))
    for material in (Material(banks=(tmp_path / "some.wav",)), Material(seen_banks=(tmp_path / "some.wav",))):
        with pytest.raises(InputError, match="no note bank"):
            material.sets()


def test_songs_too_short_are_said_before_anything_is_scored_or_left_out(tmp_path):
    short = silent_song(tmp_path / "short", 11)
    with pytest.raises(InputError, match=r"no song of 12 s or longer to score in .*short; .* --set stems:DIR"):
        Material(data_sets=(("stems", short),)).sets()
    (short / "song").rename(short / corpus.HELD_OUT_SONG)
    with pytest.raises(InputError, match="no stem of 12 s or longer"):
        Material(short).sets()
    silent_song(short, 11)
    assert Material(short).others is None
    (silent_song(tmp_path / "long", 13) / "song").rename(short / "long song")
    assert [excerpt.name for excerpt in Material(short).others.excerpts()] == ["long song"]


def test_sets_of_one_reader_have_names_of_their_own(tmp_path):
    a, b, again = (silent_song(tmp_path / place, 13) for place in ("A", "B", "more/A"))

    def names(*folders):
        return [part.name for part in Material(data_sets=tuple(("stems", f) for f in folders)).sets()]

    assert names(a) == names(a, a) == ["stems"]
    assert names(a, b) == ["stems (A)", "stems (B)"]
    assert names(a, again, b) == [f"stems ({a})", f"stems ({again})", "stems (B)"]
    found = Material(data_sets=(("stems", a), ("stems", b))).sets()
    assert [part.kind for part in found] == ["stems (A)", "stems (B)"]


@pytest.mark.parametrize(
    ("material", "told"),
    [
        (Material(data_sets=(("spotify", Path("nowhere")),)), "no data set 'spotify'"),
        (Material(Path("nowhere")), "no song sodium .* --set stems:nowhere"),
        (Material(banks=(Path("nowhere.npz"),)), "no note bank"),
        (Material(songs=0), "nothing to score"),
    ],
)
def test_what_is_missing_is_said(pipeline, material, told):
    with pytest.raises(InputError, match=told):
        evaluate(pipeline, Plan(material))


@pytest.mark.parametrize("pieces", [0, -1])
def test_no_pieces_are_refused(pipeline, pieces):
    with pytest.raises(InputError, match="at least one piece"):
        evaluate(pipeline, Plan(Material(songs=1), ("generation",), pieces=pieces))


def test_an_unknown_part_is_said(pipeline):
    with pytest.raises(InputError, match="no part 'speed'"):
        evaluate(pipeline, Plan(parts=("speed",)))


def test_the_command_prints_tables_and_an_object(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sets, "EXCERPT_S", 4.0)
    train(tmp_path / "peer", [], [], Training(1.0, 16, 2, 0.5, pool=1, song_s=1.0, steps=1))
    arguments = ["evaluate", "--stems", str(folder), "--songs", "1", "--only", "extraction", "--quality", "draft"]
    more = ["--plots", str(tmp_path / "plots"), "--peer", str(tmp_path / "peer"), "--json"]
    assert cli.main([*arguments, *more]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["sets"]) == {"synthetic", "real", "drum kits", "pairs"}
    assert result["gaps"] == {}
    assert set(result["below_silence"]) == set(result["sets"])
    assert result["peer"]["steps"] == "1.0"
    assert "peer" in result["sets"]["real"]["drums"]["sdr_db"]
    for name, classes in result["sets"].items():
        assert f"{name}: mean SDR in dB" in result["text"]
        for row in classes.values():
            assert row["excerpts"] == 1
            for metric in METRICS:
                assert row[f"{metric}_95"][0] <= row[metric][OURS] <= row[f"{metric}_95"][1]
    assert (tmp_path / "plots" / "SDR - real.png").is_file()
    assert read(folder / corpus.HELD_OUT_SONG / "drums.wav").duration_s == 12.5
