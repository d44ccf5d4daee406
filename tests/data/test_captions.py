import pytest
from mgeldm.data.captions import (
    CAPTIONS,
    MORE_CAPTIONS,
    absent,
    alike,
    describe,
    is_pitched,
    kinds,
    phrases,
    unions,
)
from mgeldm.words import KIT


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("lead vocals", {"vocals", "lead synth"}),
        ("BackingVox_2", set()),
        ("Backing Vox 2", {"vocals"}),
        ("02-kick_in", {"kick drum"}),
        ("Kick Drum 2", {"kick drum"}),
        ("hi-hat", {"hi-hats"}),
        ("Drum Overheads", {"drums"}),
        ("handclaps", set()),
        ("hand claps", {"percussion", "claps"}),
        ("slap bass", {"bass"}),
        ("808", {"bass"}),
        ("bass drum", {"kick drum"}),
        ("Bassdrum 1", {"kick drum"}),
        ("bass_drum", {"kick drum"}),
        ("bass & drums", {"bass", "drums"}),
        ("bass drums and kick", {"bass", "kick drum"}),
        ("electric piano", {"piano"}),
        ("gitarre", set()),
        ("my stem", set()),
        ("piano and everything else", set()),
        ("drums", {"drums"}),
        ("mallets", {"mallets"}),
    ],
)
def test_words_of_a_free_label_tell_what_it_may_name(label, told):
    assert kinds(label) == told


def test_what_sounds_under_a_free_name_is_never_asked_for_as_absent():
    """Else a network would learn that the vocals that it hears are silence."""
    lacking = absent(["lead vocals", "kick drum", "slap bass"], CAPTIONS)
    assert "flute" in lacking and "piano" in lacking
    assert not {"vocals", "drums", "bass", "other"} & set(lacking)
    assert "snare drum" in absent(["kick drum"], KIT) and absent(["drums"], KIT) == []
    assert absent(["vocals", "my stem"], CAPTIONS) == []  # it may be anything


def test_every_class_is_told_by_its_own_name():
    """As a free label that only adds a number; "other" and effects aside, a class's name says what it is."""
    for label in (*CAPTIONS, *MORE_CAPTIONS):
        assert label == "other" or any(alike(label, kind) for kind in kinds(f"{label} 2")), label
        assert alike(label, f"{label} 2")


@pytest.mark.parametrize(
    ("label", "said", "unsaid"),
    [
        ("kick in", {"kick in", "the kick in", "kick drum", "bass drum"}, {"drums"}),
        ("bassdrum", {"kick drum"}, {"bass", "drums"}),
        ("01 - drums", {"drums", "drum kit"}, set()),
        ("gtr l", {"guitar"}, {"electric guitar"}),
        ("bass di", {"bass", "bass guitar"}, set()),
        ("double bass", {"bass"}, {"bass guitar", "electric bass"}),
        ("808", {"bass"}, {"bass guitar"}),
        ("electric piano", {"piano"}, {"grand piano"}),
        ("trumpet", {"brass"}, {"horn section", "trumpets"}),
        ("backing vox", {"vocals"}, {"lead vocals"}),
        ("lead vocals", {"lead vocals"}, {"vocals"}),  # by its words it may be a lead synth as well
        ("bass & drums", {"bass & drums"}, {"bass", "drums"}),
    ],
)
def test_a_name_that_tells_one_class_is_called_as_the_class_is(label, said, unsaid):
    assert phrases(label)[0] == label
    assert said <= set(phrases(label))
    assert not unsaid & set(phrases(label))


@pytest.mark.parametrize(
    ("label", "style", "tags", "program", "never"),
    [
        ("drums", "techno", ["electronic"], None, "acoustic"),
        ("drums", "rock", ["acoustic"], None, "electronic machine"),
        ("drums", "rock", ["mixed"], None, "acoustic electronic machine mixed"),
        ("bass", "root", ["808", "electronic"], None, "guitar electric"),
        ("bass", "walking", [], 32, "guitar electric"),
        ("bass", "synth", [], 38, "guitar electric"),
        ("electric guitar", "power", ["distorted"], 27, "clean lead"),
        ("acoustic guitar", "strum", ["plucked"], 24, "steel fingerpicked"),
        ("piano", "stabs", [], 6, "grand"),
        ("organ", "held", [], 19, "hammond rock"),
        ("strings", "long", [], 40, "section ensemble violins"),
        ("strings", "stabs", [], 45, "bowed"),
        ("brass", "riff", [], 56, "section horns"),
        ("reed", "long", [], 68, "sax saxophone"),
        ("plucked strings", "riff", [], 104, "banjo harp koto"),
        ("mallets", "riff", [], 11, "marimba box"),
        ("pad synth", "held", ["wavetable", "electronic", "bright"], None, "warm dark"),
        ("vocals", "phrases", ["choral"], None, "person singer lead"),
        ("effects", None, ["struck"], None, "noise risers"),
    ],
)
def test_nothing_that_is_said_contradicts_the_sound(label, style, tags, program, never):
    said = describe(label, style, tags, program)
    assert said[0] == label
    assert not {word for phrase in said for word in phrase.split()} & {*never.split()}


@pytest.mark.parametrize(
    ("label", "style", "tags", "program", "said"),
    [
        ("drums", "metal", ["electronic"], None, {"drum machine", "double bass drums"}),
        ("drums", "metal", ["acoustic"], None, {"acoustic drums", "double bass drums"}),
        ("electric guitar", None, ["distorted"], 27, {"distorted electric guitar"}),
        ("lead synth", "stabs", ["electronic"], None, {"lead synth", "synthesizer lead", "stabbing lead synth chords"}),
    ],
)
def test_what_only_seems_to_contradict_the_sound_is_said(label, style, tags, program, said):
    assert said <= set(describe(label, style, tags, program))


def test_pieces_together_are_drums_of_no_kind():
    """Their union was called both acoustic and electronic."""
    (drums,) = [union for union in unions([*KIT, "bass"])["groups"] if union.label == "drums"]
    words = {word for phrase in drums.captions for word in phrase.split()}
    assert "kit" in words and not words & {"acoustic", "electronic", "machine"}


@pytest.mark.parametrize(
    ("label", "pitched"),
    [("piano", True), ("gitarre", True), ("synth drums", True), ("noise", False), ("kick in", False)]
    + [(piece, False) for piece in KIT],
)
def test_drums_are_in_no_key(label, pitched):
    assert is_pitched(label) == pitched


def test_how_a_sound_is_and_what_made_it_are_said_together():
    assert "a bright saw lead" in describe("lead synth", "riff", ["saw", "electronic", "bright"])
    assert "an echoing fm pad" in describe("pad synth", "held", ["fm", "electronic", "echoing"])
    assert "distorted 808 bass" in describe("bass", None, ["808", "distorted"])
    assert not any("saw" in phrase for phrase in describe("lead synth", "riff", ["electronic", "bright"]))
