import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgeldm.words import parse_prompt, plain


@pytest.mark.parametrize(
    ("prompt", "source"),
    [
        ("Everything but the drums", "the drums"),
        ("all except vocals ", "vocals"),
        ("everything except for the bass", "the bass"),
        ("the whole song without drums", "drums"),
        ("the mix minus the lead guitar", "the lead guitar"),
        ("everything apart from the piano", "the piano"),
        ("music other than strings", "strings"),
        ("all instruments except drums", "drums"),
        ("all the instruments except the Drums", "the Drums"),
        ("every instrument but the drums", "the drums"),
        ("the instruments without the vocals", "the vocals"),
        ("everything else but the bass", "the bass"),
        ("everything bar the drums", "the drums"),
        ("the track w/o drums", "drums"),
        ("Everything, but the drums", "the drums"),
        ("everything but drums and bass", "drums and bass"),
        ("EVERYTHING BUT THE DRUMS!", "THE DRUMS"),
        ('"everything but the drums"', "the drums"),
        ("I want everything but the drums", "the drums"),
        ("give me just everything except the drums", "the drums"),
        ("no drums", "drums"),
        ("“no vocals”", "vocals"),
        ("no-vocals", "vocals"),
        ("no vocals and no drums", "vocals and drums"),
        ("neither drums nor bass", "drums and bass"),
        ("Without the vocals", "the vocals"),
        ("without a guitar", "a guitar"),
        ("w/o drums", "drums"),
        ("minus the drums", "the drums"),
        ("except the drums", "the drums"),
        ("but the drums", "the drums"),
        ("not the drums", "the drums"),
        ("remove the vocals", "the vocals"),
        ("remove the vocals from the song", "the vocals"),
        ("please remove the drums", "the drums"),
        ("can you remove the drums?", "the drums"),
        ("remove all vocals please", "vocals"),
        ("mute the drums", "the drums"),
        ("take out the vocals", "the vocals"),
        ("get rid of the drums", "the drums"),
        ("drop the drums", "the drums"),
        ("kill the vocals", "the vocals"),
        ("drumless track", "drum"),
        ("vocal-free", "vocal"),
        ("drums off", "drums"),
        ("Instrumental", "vocals"),
        ("the instrumental version", "vocals"),
        ("karaoke", "vocals"),
    ],
)
def test_the_rest_is_wanted(prompt, source):
    assert parse_prompt(prompt) == (source, True)


@pytest.mark.parametrize(
    "prompt",
    [
        "the drums",
        "isolate the kick",
        "vocals only",
        "all drums",
        "all",
        "the song",
        "every instrument",
        "no",
        "but",
        "mute",
        "removed",
        "turn off",
        "minus one",
        "no wave guitar",
        "not too loud drums",
        "without a doubt vocals",
        "guitar without distortion",
        "muted trumpet",
        "cut guitar",
        "drop bass",
        "kill switch guitar",
        "strip club bass",
        "fretless bass",
        "wordless vocals",
        "wireless",
        "instrumental piano",
        "bar piano",
        "mix bus",
        "mixed drums",
        "nostalgic organ",
        "notched bass",
        "İstanbul saz",
    ],
)
def test_the_source_itself_is_wanted(prompt):
    assert parse_prompt(f" {prompt} ") == (prompt, False)


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("Gtr", "guitar"),
        ("the lead vox", "the lead vocals"),
        ("toms and hi-hats", "drums and drums"),
        ("sub bass", "synth bass"),
        ("Hammond organ", "hammond organ"),
        ("a warm wurlitzer", "a warm electric piano"),
        ("blues harp", "harmonica"),
    ],
)
def test_slang_is_understood(prompt, meant):
    assert plain(prompt) == meant


@pytest.mark.parametrize(
    "prompt", ["custom hatched strats-like", "harpsichord", "atoms", "the bass guitar"]
)
def test_no_part_of_another_word_is_slang(prompt):
    assert plain(prompt) == prompt


@given(st.text(max_size=60))
def test_any_text_is_read(prompt):
    source, rest = parse_prompt(prompt)
    assert source.strip() == source
    assert source in prompt or rest
    plain(prompt)
