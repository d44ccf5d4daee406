import json
import weakref
from functools import partial

import numpy as np
import pytest
import torch
from mgeldm.audio import AudioClip
from mgeldm.data import corpus
from mgeldm.data.captions import CAPTIONS, HELD_OUT_CAPTIONS
from mgeldm.data.songs import Song, Stem
from mgeldm.evaluation import text
from mgeldm.evaluation.embeddings import Tower
from mgeldm.evaluation.sets import Excerpt, ExcerptSet
from mgeldm.progress import Reporter

LABELS = [label for label in CAPTIONS if label != "other"]


@pytest.fixture(scope="module")
def songs() -> ExcerptSet:
    excerpts = [Excerpt.of(f"song {seed}", corpus.render_song(seed, [], 6.5, "test")) for seed in (1, 2)]
    return ExcerptSet("synthetic", "synthetic", False, 2, partial(iter, excerpts))


class Oracle:
    """Stands in for the conditioner and the tower: one axis a class, told by the caption or by the stem itself."""

    def __init__(self, wrong: bool = False):
        self.conditioner, self.wrong = self, wrong
        self.classes = {p: label for table in (CAPTIONS, HELD_OUT_CAPTIONS) for label, ps in table.items() for p in ps}

    def embed_text(self, texts):
        places = [LABELS.index(self.classes[t]) + (self.wrong and t in str(HELD_OUT_CAPTIONS)) for t in texts]
        return torch.eye(len(LABELS))[torch.tensor(places) % len(LABELS)]


def sounds(songs):
    known = {stem.audio.tobytes(): stem.label for excerpt in songs.excerpts() for stem in excerpt.stems}
    return lambda clip: np.eye(len(LABELS))[[LABELS.index(known[clip.samples.tobytes()])]]


def test_retrieval_counts_what_is_right(songs):
    found = text.retrieval(Oracle(), sounds(songs), [songs])
    assert found["prompts"] == sum(len(HELD_OUT_CAPTIONS[label]) for label in LABELS)
    assert found["named"] == found["found"] == found["told"] == 1
    assert 0 < found["chance"] < 0.6
    wrong = text.retrieval(Oracle(wrong=True), sounds(songs), [songs])
    assert wrong["named"] == 0
    assert wrong["found"] < 1


def test_the_shipped_towers_beat_chance(pipeline, songs):
    found = text.retrieval(pipeline, Tower(pipeline), [songs])
    assert found["named"] >= 0.9
    assert found["found"] > found["chance"]
    assert "never seen" in text.retrieval_text(found)


def test_absent_instruments_are_none_that_the_song_may_hold():
    for labels in ({"electric guitar", "drums"}, {"pad synth"}, {"flute", "vocals"}):
        missing = text._missing(labels)
        assert missing
        assert not labels & set(missing)
        assert "other" not in missing
        assert "effects" not in missing
    assert "acoustic guitar" not in text._missing({"electric guitar"})
    assert text._missing({"other", "vocals"}) == ["drums", "bass"]


def test_levels_of_answers_make_silence_and_alarms(songs, monkeypatch):
    """Absent ones are answered at -40 and -10 dB in turn, present ones at -5 dB."""
    present = {stem.label for excerpt in songs.excerpts() for stem in excerpt.stems}
    answers = iter([-40.0, -10.0])

    def answer_db(pipeline, clip, label, quality):
        mine = next(e for e in songs.excerpts() if e.mixture.samples is clip.samples)
        return -5.0 if label in {stem.label for stem in mine.stems} else next(answers)

    monkeypatch.setattr(text, "_answer_db", answer_db)
    found = text.absent(None, [songs], "standard", 2, Reporter())
    assert present
    assert found["prompts"] == 2
    assert found["silent"] == found["false_alarms"] == 0.5
    assert found["level_db"] == -25
    assert found["present_db"] == -5
    assert found["missed"] == 0
    assert "false alarms" in text.absent_text(found)


def test_music_without_a_plain_instrument_leaves_no_hole_in_the_object(monkeypatch):
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 4000)).astype(np.float32)
    excerpt = Excerpt.of("noise", Song([Stem("effects", ["effects"], noise)]))
    monkeypatch.setattr(text, "_answer_db", lambda *_: -40.0)
    found = text.absent(None, [ExcerptSet("one", "one", False, 1, lambda: iter([excerpt]))], "draft", 1, Reporter())
    assert json.loads(json.dumps(found, allow_nan=False))["present_db"] is None
    assert "present" not in text.absent_text(found)


def test_silence_is_not_asked_for_anything(monkeypatch):
    """It was answered at 0 dB of the mix, a false alarm."""
    monkeypatch.setattr(text, "_answer_db", lambda *_: 0.0)
    nothing = Excerpt.of("pause", Song([Stem("bass", ["bass"], np.zeros((2, 4000), np.float32))]))
    pause = ExcerptSet("pause", "pause", False, 1, lambda: iter([nothing]))
    found = text.absent(None, [pause], "draft", 1, Reporter())
    assert (found["prompts"], found["present"]) == (0, 0)
    assert "nothing to ask for" in text.absent_text(found)
    found = text.retrieval(Oracle(), None, [pause])
    assert found["sounds"] == 0
    assert "name the right class" in text.retrieval_text(found)


def test_excerpts_are_heard_one_by_one(songs, monkeypatch):
    """However many there are, one is in memory."""
    alive = []

    def anew():
        for i in range(20):
            source = next(songs.excerpts())
            excerpt = Excerpt(f"song {i}", source.stems, AudioClip(source.mixture.samples.copy(), 44100))
            alive.append(weakref.ref(excerpt))
            assert sum(each() is not None for each in alive) <= 3
            yield excerpt

    asked = []
    monkeypatch.setattr(text, "_answer_db", lambda pipeline, clip, label, quality: asked.append(label) or -40.0)
    found = text.absent(None, [ExcerptSet("many", "many", False, 20, anew)], "standard", 3, Reporter())
    assert found["prompts"] == 3
    assert len(alive) == 20


def test_the_shipped_model_answers(pipeline, songs):
    clip, label = next(songs.excerpts()).mixture, next(songs.excerpts()).stems[0].label
    assert -60 < text._answer_db(pipeline, clip, label, "draft") <= 1
