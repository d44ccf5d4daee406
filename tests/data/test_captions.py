import pytest
from mgeldm.data.captions import CAPTIONS, MORE_CAPTIONS, absent, alike, kinds
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
        ("bass drum", {"bass", "drums"}),
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
