import pytest
import torch
from mgeldm.bundled import WORD_TABLE
from mgeldm.conditioning.embedded import EmbeddedConditioner, WordPiece, WordTable, contrastive_loss
from mgeldm.data.captions import CAPTIONS, HELD_OUT_CAPTIONS, MORE_CAPTIONS
from mgeldm.errors import CheckpointError
from mgeldm.words import plain
from torch.nn import functional


@pytest.fixture(scope="module")
def conditioner(pipeline):
    return pipeline.conditioner


def test_the_longest_piece_that_fits_is_taken():
    pieces = WordPiece(["[UNK]", "gui", "guitar", "##s", "##tar", "!", "##r"])
    assert [pieces("Guitars!"), pieces("guis"), pieces("gu"), pieces("gúitar")] == [[2, 3, 5], [1, 3], [0], [2]]


def test_words_that_mean_alike_lie_together():
    table = WordTable.load(WORD_TABLE)
    near = table.mean(["guitar", "electric guitar riff", "singing", "female singer", "drums", "a drum kit"])
    likeness = near @ near.T
    for first in (0, 2, 4):
        others = [i for i in range(6) if i not in (first, first + 1)]
        assert float(likeness[first, first + 1]) > float(likeness[first, others].max())


def test_vectors_have_length_one_and_texts_are_remembered(conditioner):
    vectors = conditioner.embed_text(["the bass", "Schlagzeug", "", "🎸", "the bass"])
    assert vectors.shape == (5, 512)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(5), atol=1e-4)
    assert torch.equal(vectors[0], vectors[4])


def test_a_long_prompt_is_heard_to_its_end(conditioner):
    said = "a very long and winding description of nothing in particular that goes on and on before it says, at last,"
    first, second = conditioner.embed_text([f"{said} the drums", f"{said} the flute"])
    assert float(first @ second) < 0.9


def test_phrases_never_trained_on_name_the_right_class(conditioner):
    labels = [label for label in CAPTIONS if label != "other"]
    centres = torch.stack([conditioner.embed_text(list(CAPTIONS[label])).mean(0) for label in labels])
    phrases = [(label, phrase) for label in labels for phrase in HELD_OUT_CAPTIONS[label]]
    found = (conditioner.embed_text([phrase for _, phrase in phrases]) @ centres.T).argmax(1)
    right = sum(labels[i] == label for i, (label, _) in zip(found.tolist(), phrases, strict=True))
    assert right / len(phrases) >= 0.9


def test_slang_names_what_producers_mean_by_it(conditioner):
    """Most of it does not without being put plainly."""
    every = CAPTIONS | MORE_CAPTIONS
    centres = torch.stack([conditioner.embed_text(list(phrases)).mean(0) for phrases in every.values()])

    def named(phrases):
        return [list(every)[i] for i in (conditioner.embed_text(phrases) @ centres.T).argmax(1).tolist()]

    classes = {
        "vocals": ("vox", "rapper", "bgv"),
        "drums": ("drumz", "overheads"),
        "kick drum": ("kik", "grosse caisse"),
        "claps": ("handclaps",),
        "cymbals": ("becken",),
        "percussion": ("perc",),
        "guitar": ("gtr",),
        "electric guitar": ("e-gtr", "strat"),
        "acoustic guitar": ("ukulele",),
        "bass": ("reese",),
        "piano": ("wurlitzer",),
        "organ": ("hammond",),
        "strings": ("orchestra",),
        "harmonica": ("blues harp",),
        "lead synth": ("moog",),
    }
    for label, phrases in classes.items():
        assert set(named([plain(phrase) for phrase in phrases])) == {label}
    as_typed = [name == label for label, phrases in classes.items() for name in named(list(phrases))]
    assert sum(as_typed) < len(as_typed) / 4


def test_pieces_of_a_kit_are_told_apart(conditioner):
    asked = {
        "kick drum": ("kick", "the bass drum"),
        "snare drum": ("snare", "the snares", "rim shot"),
        "hi-hats": ("hats", "hi hat", "closed hi-hat"),
        "toms": ("toms", "floor tom"),
        "cymbals": ("crash", "ride cymbal", "the cymbals"),
        "drums": ("drums", "drum kit", "the beat"),
    }
    names = conditioner.embed_text(list(asked))
    for number, phrases in enumerate(asked.values()):
        found = (conditioner.embed_text([plain(phrase) for phrase in phrases]) @ names.T).argmax(1)
        assert found.tolist() == [number] * len(phrases)
    assert float((names @ names.T).fill_diagonal_(0).max()) < 0.8


def test_a_prompt_is_half_its_words_and_half_what_they_sound_like(conditioner):
    prompts = ["bass guitar", "drums and bass", "theremin"]
    words, asked = conditioner.embed_text(prompts), conditioner.embed_prompt(prompts)
    assert torch.allclose(asked.norm(dim=1), torch.ones(3), atol=1e-4)
    classes = (conditioner.embed_text(["bass", "drums"]) @ conditioner.names.T).argmax(1)
    bass, drums = conditioner.sounds[classes]
    assert torch.allclose(asked[0], functional.normalize(words[0] + bass, dim=0), atol=1e-3)
    for sound in (bass, drums):  # several classes: the sounds of all
        assert float(asked[1] @ sound) > float(words[1] @ sound) + 0.05
    assert torch.equal(asked[2], words[2])  # no class: the words alone


def test_a_known_word_stands_for_what_is_not_known_as_a_whole(conditioner):
    names = {
        "synth": ("fat synth", "the 80s synth", "aggressive synth", "synth stuff"),
        "bass": ("other bass", "the bass on the right"),
        "clarinet": ("bass clarinet",),
        "hats": ("trap hats",),
    }
    for name, prompts in names.items():
        assert not conditioner.knows(list(prompts)).any()
        asked = conditioner.embed_prompt([name, *prompts])
        assert float((asked[1:] @ asked[0]).min()) > 0.95
    parts = {
        "bass guitar on the right": "bass guitar",
        "synth with reverb": "synth",
        "bass on the right": "bass",
        "violin and fat synth": "violin and synth",
        "drums and the bass on the right": "drums and bass",
        "guitar without drums": "guitar",
        "everything but the drums": "everything but the drums",
        "all instruments except vocals": "all instruments except vocals",
    }
    asked = {prompt: conditioner._known(prompt).replace("the bass", "bass") for prompt in parts}
    assert asked == parts
    known = ["blues guitar", "synth bass", "slap bass", "warm and mellow"]  # or none of their words is
    assert [conditioner._known(prompt) for prompt in known] == known


def test_names_are_known_and_what_describes_is_not(conditioner):
    named = ["drums", "the bass", "rhodes", "blues guitar", "horns"]
    assert bool(conditioner.knows(named).all())
    assert not bool(conditioner.knows(["warm", "mellow", "acoustic", "rock", "call", "left", "theremin"]).any())


def test_a_conditioner_that_knows_no_sounds_takes_words_alone(conditioner):
    state = conditioner.state()
    without = EmbeddedConditioner.from_state({name: state[name] for name in state if name not in ("names", "sounds")})
    assert torch.allclose(without.embed_prompt(["bass"]), without.embed_text(["bass"]), atol=1e-6)
    assert not bool(without.knows(["bass"]).any())
    assert not {"names", "sounds"} & without.state().keys()
    again = EmbeddedConditioner.from_state(state)
    assert torch.allclose(again.embed_prompt(["bass"]), conditioner.embed_prompt(["bass"]), atol=1e-6)


def test_a_sounds_level_does_not_matter(conditioner):
    mel = torch.rand(3, 128, 64)
    assert torch.allclose(conditioner.embed_audio(mel), conditioner.embed_audio(mel * 0.3), atol=1e-4)
    assert bool(torch.isfinite(conditioner.embed_audio(torch.zeros(1, 128, 4))).all())


def test_the_state_round_trips_and_faults_are_said(conditioner):
    state = conditioner.state("conditioner.")
    again = EmbeddedConditioner.from_state(state, "conditioner.")
    assert torch.allclose(again.embed_text(["slap bass"]), conditioner.embed_text(["slap bass"]), atol=1e-6)
    with pytest.raises(CheckpointError, match="word table"):
        EmbeddedConditioner.from_state({})
    del state["conditioner.text.out.weight"]
    with pytest.raises(CheckpointError, match="towers"):
        EmbeddedConditioner.from_state(state, "conditioner.")


def test_a_missing_table_is_said(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        WordTable.load(tmp_path / "nothing.safetensors")


def test_the_loss_is_zero_where_texts_pick_their_sounds():
    vectors, labels = torch.eye(4)[[0, 0, 1, 2]], torch.tensor([0, 0, 1, 2])
    scale = torch.tensor(100.0).log()
    assert float(contrastive_loss(vectors, vectors, labels, scale)) == pytest.approx(0.0, abs=1e-4)
    assert float(contrastive_loss(vectors, vectors.roll(1, 0), labels, scale)) > 1


def test_a_few_steps_of_training_help():
    torch.manual_seed(0)
    conditioner = EmbeddedConditioner(WordTable.load(WORD_TABLE)).train()
    texts, labels = ["drums", "bass", "flute", "piano"], torch.arange(4)
    mel = torch.rand(4, 128, 32) * torch.linspace(0, 1, 128).roll(20)[:, None] ** torch.arange(1, 5)[:, None, None]
    optimiser = torch.optim.Adam(conditioner.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        losses.append(conditioner.loss(texts, mel, labels))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert float(losses[-1].detach()) < 0.6 * float(losses[0].detach())
