import json
import tracemalloc
from dataclasses import replace
from functools import partial
from itertools import count, islice
from types import SimpleNamespace

import numpy as np
import pytest
from mgeldm import cli
from mgeldm.audio import AudioClip
from mgeldm.data import corpus
from mgeldm.data.songs import Song, Stem
from mgeldm.errors import InputError, SilenceError
from mgeldm.evaluation import generation, sets
from mgeldm.evaluation.embeddings import Tower
from mgeldm.evaluation.evaluate import Plan, evaluate
from mgeldm.evaluation.generation import OURS, RANDOM, TRUE
from mgeldm.evaluation.sets import Excerpt, ExcerptSet, Material
from mgeldm.progress import Reporter
from mgeldm.requests import Sampling


@pytest.fixture(scope="module")
def songs() -> ExcerptSet:
    """Three songs of drums and bass."""
    rendered = (corpus.render_song(seed, [], 6.5, "test") for seed in count())
    both = (song.stems[:2] for song in rendered if [stem.label for stem in song.stems[:2]] == ["drums", "bass"])
    excerpts = [Excerpt.of(f"song {i}", Song(stems)) for i, stems in enumerate(islice(both, 3))]
    return ExcerptSet("synthetic", "synthetic", False, 3, partial(iter, excerpts))


class Copies:
    """Stands in for the model: gives the true stem of the song it hears, or for the other one a fixed noise."""

    def __init__(self, songs: ExcerptSet, truthful: bool):
        self.songs, self.truthful, self.asked, self.samplings = songs, truthful, [], []

    def impute(self, clip, request):
        self.asked.append(request.prompts[0])
        self.samplings.append(request.sampling)
        if not self.truthful:
            noise = np.random.default_rng(0).normal(0, 0.1, clip.samples.shape)
            return [AudioClip(noise.astype(np.float32), clip.rate_hz)]
        for excerpt in self.songs.excerpts():
            for stem in excerpt.stems:
                rest = (excerpt.mixture.samples - stem.audio).mean(0)
                if stem.label == request.prompts[0] and np.abs(rest - clip.samples[0]).max() < 1e-4:
                    return [AudioClip(stem.audio * 0.3, clip.rate_hz)]
        raise AssertionError("a context that no song leaves")


def impute(pipeline, model, songs):
    return generation.imputation(model, songs, songs, [Tower(pipeline)], 4, Sampling(steps=4, seed=3), Reporter())


def test_a_perfect_part_scores_as_the_true_stem(pipeline, songs):
    found = impute(pipeline, Copies(songs, truthful=True), songs)
    assert found["sub_fad"]["our tower"][OURS] == pytest.approx(0, abs=1e-3)
    assert found["sub_fad"]["our tower"][RANDOM] > 0.01
    assert found["onset"][OURS] == pytest.approx(found["onset"][TRUE], abs=1e-3)
    assert found["onset"]["halfway"] == pytest.approx(1, abs=0.02)
    assert found["key"]["halfway"] == pytest.approx(1, abs=0.02)
    assert found["named"][OURS] == found["named"][TRUE] == 1
    assert found["named"]["95"] == [1, 1]
    told = generation.imputation_text("synthetic", found)
    assert "| onset agreement |" in told
    assert "| 100% (100% to 100%) | 100% |" in told


def test_a_part_that_hears_nothing_is_nowhere_near(pipeline, songs):
    model = Copies(songs, truthful=False)
    found = impute(pipeline, model, songs)
    assert sorted(set(model.asked)) == ["bass", "drums"]
    assert model.samplings == [Sampling(steps=4, seed=seed) for seed in range(3, 7)]
    assert found["onset"]["halfway"] < 0.5
    assert found["sub_fad"]["our tower"][OURS] > found["sub_fad"]["our tower"][RANDOM]


def test_parts_as_good_as_silent_are_counted_and_not_made_loud(pipeline, songs):
    class Faint(Copies):
        def impute(self, clip, request):
            return [AudioClip(part.samples * 1e-4, part.rate_hz) for part in super().impute(clip, request)]

    found = impute(pipeline, Faint(songs, truthful=True), songs)
    assert found["silent"] == 1
    assert len(found["silent_classes"]) == 4 and set(found["silent_classes"]) == {"bass", "drums"}
    assert found["onset"][OURS] == 0
    assert found["sub_fad"]["our tower"][OURS] == found["sub_fad"]["our tower"]["no part"]
    assert "4 parts, 100% of them silent" in generation.imputation_text("synthetic", found)


def test_strangers_come_from_other_songs(songs):
    gaps = generation._gaps(songs, songs, 6)
    assert len(gaps) == 6
    for gap in gaps:
        likeness = np.corrcoef(gap.true, gap.stranger)[0, 1]
        assert abs(likeness) < 0.9
        assert np.square(gap.true).mean() == pytest.approx(np.square(gap.stranger).mean(), rel=1e-3)
    alone = ExcerptSet("one", "one", False, 1, lambda: iter(list(songs.excerpts())[:1]))
    assert not generation._gaps(alone, alone, 6)
    assert "nothing can be compared" in generation.imputation_text("one", {"gaps": 0})


def test_what_knows_nothing_of_classes_is_judged_as_chance():
    """Of ten classes one part in ten, whether it is new, a stranger or the true stem that others are held against."""

    class Blind:
        def __call__(self, clip):
            rng = np.random.default_rng(clip.samples.view(np.uint8)[0, :8])
            point = rng.normal(size=(1, 32)) + 4  # all embeddings have much in common
            return point / np.linalg.norm(point)

    def sound():
        return rng.normal(size=8).astype(np.float32)

    rng, found = np.random.default_rng(0), []
    labels = np.repeat([f"class {i}" for i in range(10)], [4, 4, 3, 3, 2, 2, 2, 2, 2, 2])
    for _ in range(30):
        true = [sound() for _ in labels]
        alike = [np.flatnonzero(labels == label) for label in labels]
        others = [rng.choice(rows[rows != i]) for i, rows in enumerate(alike)]
        gaps = [
            generation.Gap(label, f"song {i}", ("songs", i), ("songs", other), true[i], true[i], true[other])
            for i, (label, other) in enumerate(zip(labels, others, strict=True))
        ]
        parts = {RANDOM: [true[i] for i in others], TRUE: true, OURS: [sound() for _ in labels]}
        named, count = generation._named(Blind(), gaps, parts)
        assert count == 14  # of a class of two the one is out of the centre, and the other its stranger
        found.append([named[name] for name in (RANDOM, TRUE, OURS)])
    assert np.mean(found, axis=0) == pytest.approx([0.1, 0.1, 0.1], abs=0.04)


def test_classes_of_one_part_are_not_judged(songs):
    gaps = generation._gaps(songs, songs, 2)
    named, count = generation._named(lambda clip: clip.samples[:, :8], gaps, {TRUE: [gap.true for gap in gaps]})
    assert (named, count) == ({}, 0)
    row = {"gaps": 2, "silent": 0, "sub_fad": {}, "named": named, "named_parts": count, "onset": {}, "key": {}}
    assert "nearest" not in generation.imputation_text("synthetic", row)


def test_only_the_sound_of_chosen_gaps_is_kept():
    def anew():
        for i in range(40):
            sounds = np.random.default_rng(i).normal(0, 0.1, (4, 2, 20000)).astype(np.float32)
            named = zip(("drums", "bass", "vocals", "piano"), sounds, strict=True)
            yield Excerpt.of(f"song {i}", Song([Stem(label, [], sound) for label, sound in named]))

    many = ExcerptSet("many", "many", False, 40, anew)
    tracemalloc.start()
    try:
        gaps = generation._gaps(many, many, 2)
        assert tracemalloc.get_traced_memory()[1] < 8 * 4 * 2 * 20000 * 4  # a few excerpts of forty
    finally:
        tracemalloc.stop()
    assert [gap.place for gap in gaps] == [("many", 0), ("many", 39)]
    assert all(gap.origin != gap.place for gap in gaps)


def test_halves_of_a_reference_share_no_song():
    names = [f"song {i}" for i in range(5) for _ in range(3)]
    one, other = generation._halves(names)
    assert sorted(one + other) == list(range(15))
    assert not {names[i] for i in one} & {names[i] for i in other}
    assert not generation._halves(names[:9])


def test_parts_and_pieces_of_the_shipped_model_are_measured(pipeline, monkeypatch):
    for module in (sets, generation):
        monkeypatch.setattr(module, "EXCERPT_S", 6.0)
    monkeypatch.setattr("mgeldm.evaluation.evaluate.mma_songs", lambda _: None)
    result = evaluate(pipeline, Plan(Material(songs=2), ("generation", "imputation"), pieces=2, steps=3))
    fad = result["generation"]["synthetic"]["fad"]["our tower"]
    assert set(fad) == {"ours, prompted", "ours, unprompted"}  # the rendered songs are the reference itself
    assert fad["ours, prompted"] > 0.01
    assert -1 <= result["imputation"]["synthetic"]["onset"][OURS] <= 1
    assert "total generation: FAD against 2 mixtures of synthetic" in result["text"]


def test_each_kind_of_real_music_is_a_reference(songs, monkeypatch):
    """Data sets were passed over, and rendered songs compared with themselves."""
    asked, model = [], SimpleNamespace(config=SimpleNamespace(name=""), model=SimpleNamespace(sha256=""))

    def total_generation(pipeline, references, yardsticks, *more):
        asked.append(([part.name for part in references], [part.name for part in yardsticks]))
        return {"reference_excerpts": 0}

    monkeypatch.setattr(generation, "total_generation", total_generation)
    monkeypatch.setattr("mgeldm.evaluation.evaluate._embeddings", lambda *_: [])
    monkeypatch.setattr("mgeldm.evaluation.evaluate.mma_songs", lambda count: replace(songs, name=f"{count} by MMA"))
    parts = {name: replace(songs, name=name, kind=name) for name in ("synthetic", "real", "musdb")}
    seen = replace(songs, name="real, seen", kind="real", seen=True)
    for names, others in ((("synthetic", "real", "musdb"), seen), (("musdb",), None), (("synthetic",), None)):
        monkeypatch.setattr(Material, "sets", lambda _, names=names: [parts[name] for name in names])
        monkeypatch.setattr(Material, "others", others)
        found = evaluate(model, Plan(parts=("generation",)))
        assert set(found["generation"]) == {*names} - ({"synthetic"} if len(names) > 1 else set())
    both, alone = ["synthetic", "24 by MMA"], ["24 by MMA"]
    with_rendered = [(["real", "real, seen"], both), (["musdb"], both)]
    assert asked == [*with_rendered, (["musdb"], alone), (["synthetic"], alone)]


def test_each_yardstick_that_can_be_heard_has_a_column(songs, monkeypatch):
    class Levels:
        name = "levels"

        def __call__(self, clip):
            return np.abs(clip.samples[:, :160000]).reshape(8, -1).mean(1, keepdims=True)

    made = [excerpt.mixture for excerpt in songs.excerpts()]
    monkeypatch.setattr(generation, "_make", lambda *_: made)
    yardsticks = [songs, replace(songs, name="MMA"), replace(songs, name="nothing", excerpts=partial(iter, ()))]
    found = generation.total_generation(None, [songs], yardsticks, [Levels()], 3, Sampling(), Reporter())
    names = ["ours, prompted", "ours, unprompted", "rendered (synthetic)", "rendered (MMA)"]
    assert found["fad"]["levels"] == dict.fromkeys(names, pytest.approx(0, abs=1e-3))
    assert " | ".join(names) in generation.generation_text("real", found)


def test_a_reference_of_which_nothing_can_be_read_is_said(songs):
    empty = replace(songs, excerpts=partial(iter, ()))
    found = generation.total_generation(None, [empty], [], [], 2, Sampling(), Reporter())
    assert "nothing of musdb can be heard" in generation.generation_text("musdb", found)


def test_only_a_silent_part_counts_as_silence(pipeline, songs):
    class Refuses:
        def __init__(self, error):
            self.error = error

        def impute(self, clip, request):
            raise self.error

    assert impute(pipeline, Refuses(SilenceError("nothing")), songs)["silent"] == 1
    with pytest.raises(InputError, match="steps"):
        impute(pipeline, Refuses(InputError("-1 steps")), songs)


def test_steps_out_of_range_are_said_before_anything_is_measured(capsys):
    assert cli.main(["evaluate", "--steps", "-1"]) == 2
    assert "-1 steps cannot be taken" in capsys.readouterr().err


def test_the_way_from_random_to_true_has_an_interval_where_there_is_a_way():
    names = [f"song {i}" for i in range(8)]
    rng = np.random.default_rng(0)
    found = {name: (rng.normal(mean, 0.1, 8)).tolist() for name, mean in ((RANDOM, 0), (OURS, 0.5), (TRUE, 1))}
    random, ours, true = (np.mean(values) for values in found.values())
    low, high = generation._halfway_interval(found, names)
    assert 0.2 < low < (ours - random) / (true - random) < high < 0.8
    assert generation._halfway_interval(found | {TRUE: found[RANDOM]}, names) is None


def test_weights_that_are_not_there_are_said(capsys, tmp_path):
    arguments = ["evaluate", "--songs", "1", "--pieces", "1", "--only", "imputation", "--json"]
    assert cli.main([*arguments, "--vggish", str(tmp_path / "nothing.pth")]) == 1
    assert "VGGish" in capsys.readouterr().err
    assert cli.main(["evaluate", "--bank", str(tmp_path / "nothing.npz"), "--json"]) == 2
    assert json.dumps("no note bank")[1:-1] in capsys.readouterr().err
