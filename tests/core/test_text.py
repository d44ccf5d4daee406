import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgeldm.words import parse_prompt

from mgeldm_app.core import text as words
from mgeldm_app.core.project import Prompt, Span, Task
from mgeldm_app.core.text import (
    ADJECTIVES,
    CHIPS,
    COLOURS,
    INSTRUMENTS,
    KEYS,
    called,
    colour_for,
    complete,
    completed,
    duration_text,
    facts_text,
    join_prompts,
    level_text,
    listed,
    names_no_source,
    names_what_is_left,
    parse_key,
    progress_text,
    prompts_of,
    size_text,
    split_prompts,
    summary,
    with_toggled,
)

pieces = st.sampled_from([*"ab ,;\n.-é", "everything but ", "drums", "Bass"])
phrases = st.sampled_from(
    [", but ", ", not ", ", and ", ", ", "; ", "please", "keep ", "no ", "the ", "with ", "without ", "drums", "vocals"]
)
lines = st.lists(pieces, max_size=12).map("".join)


@pytest.mark.parametrize(
    ("line", "prompts"),
    [
        ("", ()),
        (" , ;\n -", ()),
        ("drums", ("drums",)),
        ("the bass,  a warm   Rhodes\ndrums; bass", ("the bass", "a warm Rhodes", "drums", "bass")),
        ("Drums, drums", ("Drums",)),
        ("everything but drums, bass", ("everything but drums and bass",)),
        ("piano, everything but drums, bass", ("piano", "everything but drums and bass")),
        ("everything but drums; bass", ("everything but drums", "bass")),
        ("all except vocals\npiano", ("all except vocals", "piano")),
        ("don't include drums, bass", ("don't include drums and bass",)),
        ("instrumental, piano, drums off, bass", ("instrumental", "piano", "drums off", "bass")),
        ("the rhythm section, piano", ("the rhythm section", "piano")),
        ("kick, snare, and hats", ("kick", "snare", "hats")),
        ("drums, & bass; or piano, and", ("drums", "bass", "piano")),
        ("the drums, please", ("the drums",)),
        ("please, no drums", ("no drums",)),
        ("no vocals, Thank you!", ("no vocals",)),
        ("please", ()),
        ("drums, the drums, The Bass, bass", ("drums", "The Bass")),
        ("keys (Rhodes, Wurli), sub (low, warm)", ("keys (Rhodes, Wurli)", "sub (low, warm)")),
        ("guitar (clean, left; bass), drums", ("guitar (clean", "left", "bass)", "drums")),
        ("drums, bass), piano", ("drums", "bass)", "piano")),
    ],
)
def test_prompts_are_divided(line, prompts):
    assert split_prompts(line) == prompts


@pytest.mark.parametrize(
    "line",
    [
        "guitar, but no vocals",
        "lead vocals, without reverb",
        "drums, but not the hi-hats",
        "the guitar, not the piano",
        "Everything, but the drums",
        "all of it, except the vocals",
        "the mix, minus drums, minus bass",
        "everything (except drums, bass)",
        "all (no vocals, no bass)",
        "piano, with no reverb",
        "tout, sauf la batterie",
        "remove the bass, but keep the drums",
        "without drums",
        "but the drums",
    ],
)
def test_a_comma_before_what_is_left_out_divides_nothing(line):
    assert split_prompts(line) == (line,)
    assert split_prompts(f"piano; {line}; bass") == ("piano", line, "bass")


@pytest.mark.parametrize(
    ("line", "prompts"),
    [
        ("vocals, no drums", ("vocals", "no drums")),
        ("guitar, but no vocals, bass", ("guitar, but no vocals", "bass")),
        ("piano; without drums", ("piano", "without drums")),
        ("Everything, but the drums, bass", ("Everything, but the drums and bass",)),
        ("vocals, minus one", ("vocals", "minus one")),
        ("vocals, not too loud drums", ("vocals", "not too loud drums")),
        ("remove the bass, keep the drums", ("remove the bass", "keep the drums")),
        ("remove the bass, and keep the drums, piano", ("remove the bass", "keep the drums", "piano")),
        ("no bass, piano, just drums", ("no bass and piano", "just drums")),
        ("everything but drums, solo guitar", ("everything but drums and solo guitar",)),
    ],
)
def test_what_is_left_out_ends_where_something_else_is_asked_for(line, prompts):
    assert split_prompts(line) == prompts
    assert split_prompts(join_prompts(prompts)) == prompts


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("no drums, vocals, or bass", ("drums and vocals and bass", True)),
        ("without vocals, without drums", ("vocals and drums", True)),
        ("instrumental, without drums", ("vocals and drums", True)),
        ("not the drums, not the bass", ("the drums and the bass", True)),
        ("no drums, remove the bass", ("drums and the bass", True)),
        ("guitar, but no vocals", ("guitar", False)),
    ],
)
def test_several_left_out_are_one_prompt(line, read):
    assert [parse_prompt(prompt) for prompt in split_prompts(line)] == [read]


def test_a_new_part_is_described_with_commas():
    line = "a warm  Rhodes part, soft attack; everything but drums, bass\npads"
    parts = ("a warm Rhodes part, soft attack", "everything but drums, bass", "pads")
    for task in get_args(Task):
        stems = ("a warm Rhodes part", "soft attack", "everything but drums and bass", "pads")
        assert prompts_of(Prompt(line, task)) == (stems if task == "extract" else parts)


@given(lines | st.lists(phrases, max_size=9).map("".join), st.booleans())
def test_joining_undoes_dividing(line, commas):
    prompts = split_prompts(line, commas)
    assert split_prompts(join_prompts(prompts, commas), commas) == prompts


@given(lines | st.lists(phrases, max_size=9).map("".join), st.sampled_from(CHIPS), st.booleans())
def test_a_chip_pressed_twice_changes_nothing(line, chip, commas):
    before, once = split_prompts(line, commas), with_toggled(line, chip, commas)
    assert (chip in split_prompts(once, commas)) != (chip.casefold() in [called(x).casefold() for x in before])
    if chip in split_prompts(once, commas):
        assert split_prompts(with_toggled(once, chip, commas), commas) == before


def test_a_chip_knows_its_source_with_an_article():
    assert with_toggled("the drums, bass", "drums") == "bass"


def test_everything_but_is_what_the_library_takes_it_for():
    assert parse_prompt(split_prompts("everything but drums, bass")[0]) == ("drums and bass", True)


def test_completion_knows_instruments_adjectives_and_what_was_asked_before():
    assert complete("dru", ())[0] == "drum machine" and "drums" in complete("dru", ())
    assert "a warm Rhodes" in complete("a warm rh", ())
    assert "a warm" in complete("a wa", ())
    assert complete("drums, gui", ()) == complete("gui", ())
    assert complete("slide", ("the slide guitar",))[:2] == ["slide guitar", "the slide guitar"]
    assert complete("the", ("the slide guitar",))[0] == "the slide guitar"
    assert complete("", ()) == complete("drums, ", ()) == []
    assert "drums" not in complete("drums", ())


@given(lines)
def test_completions_are_few_different_and_fit_the_line(line):
    found = complete(line, ("Bass", "a drum", "drums"))
    assert len(found) <= words.SUGGESTIONS and len({x.casefold() for x in found}) == len(found)
    for choice in found:
        assert completed(line, choice).endswith(choice)
        assert len(split_prompts(completed(line, choice))) <= len(split_prompts(line)) + 1


def test_a_completion_keeps_the_prompts_before_it():
    assert completed("drums, gui", "guitar") == "drums, guitar"
    assert completed("drums,gui", "guitar") == "drums, guitar"
    assert completed("gui", "guitar") == "guitar"


@pytest.mark.parametrize(
    ("prompt", "colour"),
    [
        ("the slide guitar", 0), ("steel string guitar", 0), ("drums", 1), ("bass drum", 1), ("a warm Rhodes part", 2),
        ("organ", 2), ("bass guitar", 3), ("synth bass", 3), ("female vocals", 4), ("single note guitar", 0),
        ("string section", 5), ("brass", 6), ("french horn", 6), ("bass clarinet", 7), ("lead synth", 8), ("lead", 8),
        ("lead trumpet", 6), ("noise effects", 9), ("everything but vocals", 9), ("organic pads", 8),
        ("das Schlagzeug", 1), ("la voz", 4), ("le violon", 5), ("tout sauf la batterie", 9), ("the rhythm section", 1),
        ("guitar without drums", 0),
    ],
)  # fmt: skip
def test_families_have_their_colours(prompt, colour):
    assert colour_for(prompt, [0, 1, 2, 3, 4]) == colour


def test_every_listed_instrument_has_a_family_and_unknown_words_take_turns():
    assert all(colour_for(name) == colour_for(name, [0]) for name in INSTRUMENTS)
    assert [colour_for("zither of doom", [5] * used) for used in (0, 1, COLOURS)] == [0, 1, 0]
    assert len(set(INSTRUMENTS)) == len(INSTRUMENTS) and len(set(ADJECTIVES)) == len(ADJECTIVES)


def test_words_of_no_family_take_a_colour_that_no_other_stem_has():
    taken = [colour_for("drums")]
    for number in range(COLOURS - 1):
        taken.append(colour_for(f"zither {number}", taken))
    assert sorted(taken) == list(range(COLOURS))


@pytest.mark.parametrize("prompt", ["everything", "All of the song.", "nothing", "the whole mix", "every thing"])
def test_what_no_song_can_be_asked_for(prompt):
    assert names_no_source(prompt) and not names_no_source(f"everything but {prompt} guitar")


@pytest.mark.parametrize("prompt", ["the track", "the whole track", "the whole thing", "all of it", "a recording"])
def test_the_song_has_many_names(prompt):
    assert names_no_source(called(prompt)) and not names_what_is_left(called(prompt))


@pytest.mark.parametrize(
    "prompt", ["other", "Others", "the other", "rest", "The rest.", "the rest of the song", "everything else"]
)
def test_what_is_left_depends_on_the_stems(prompt):
    assert names_no_source(prompt) and names_what_is_left(prompt)
    assert not names_no_source(f"{prompt} piano")


@pytest.mark.parametrize("prompt", ["everything but drums", "the songbird", "all guitars", "no vocals", "mixed choir"])
def test_what_a_song_can_be_asked_for(prompt):
    assert not names_no_source(prompt)


def test_the_button_says_what_where_and_how_long():
    said = summary(Prompt("the bass"), "8 bars", 6.2, "cpu")
    assert said == ("Extract from 8 bars ≈ 6 s", "Takes the bass out of 8 bars; about 6 s on this CPU.")
    said = summary(Prompt("drums", "impute"), "8 bars", takes=4)
    assert said == ("Add to 8 bars", "Adds drums to 8 bars in 4 takes.")
    for task in ("extract", "impute", "accompany", "inpaint", "generate"):
        assert all(summary(Prompt(task=task), "1 bar", 0.2, "cuda"))


@pytest.mark.parametrize(
    ("text", "task", "note"),
    [
        ("", "extract", "Takes whatever is like bar 5 of Keys out of 2 bars."),
        ("bass, drums", "extract", "Takes bass, drums and whatever is like bar 5 of Keys as 3 stems out of 2 bars."),
        ("", "impute", "Adds a part like bar 5 of Keys to 2 bars."),
        ("a Rhodes", "inpaint", "Makes a Rhodes like bar 5 of Keys anew in 2 bars."),
        ("pads", "generate", "Makes 2 bars of pads from nothing."),
    ],
)
def test_a_selection_to_sound_like_is_said(text, task, note):
    assert summary(Prompt(text, task, like=Span(0, 1)), "2 bars", like="bar 5 of Keys").note == note


@pytest.mark.parametrize(
    ("text", "task", "note"),
    [
        ("drums, vocals", "extract", "Takes drums and vocals as 2 stems out of 2 bars."),
        ("the drums and vocals", "extract", "Takes the drums and vocals as one stem out of 2 bars."),
        ("everything but drums and bass", "extract", "Takes everything but drums and bass out of 2 bars."),
        ("brand new guitar", "extract", "Takes brand new guitar out of 2 bars."),
        ("a Rhodes, soft; drums", "impute", "Adds a Rhodes, soft and drums as 2 parts to 2 bars."),
    ],
)
def test_how_many_lanes_it_makes_is_said_where_words_leave_it_open(text, task, note):
    assert summary(Prompt(text, task), "2 bars").note == note


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c"),
        (("a", "b", "c", "d"), "a, b and 2 others"),
    ],
)  # fmt: skip
def test_lists_read_as_sentences(names, said):
    assert listed(names) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "1 s"), (6.4, "6 s"), (59.6, "1 min"), (61, "1 min"), (83, "1 min 25 s"), (700, "11 min"),
        (7500, "2 h 5 min"), (math.inf, "unknown"),
    ],
)  # fmt: skip
def test_durations(seconds, said):
    assert duration_text(seconds) == said


def test_progress_counts_what_is_being_done():
    assert progress_text((1, 3), (14, 24), 3.2) == "window 2 of 3, step 15 of 24 · 3 s left"
    assert progress_text((3, 3), None, None) == "window 3 of 3"
    assert progress_text() == ""


def test_levels_sizes_and_facts():
    assert [level_text(x) for x in (-math.inf, -12.34, -0.04, 3.0)] == ["−∞ dB", "−12.3 dB", "0.0 dB", "3.0 dB"]
    assert [size_text(x) for x in (12, 24_200_000, 999_600, 4_720_000_000)] == ["12 B", "24.2 MB", "1.0 MB", "4.72 GB"]
    assert facts_text(48000, 2, 48000 * 222) == "48 kHz stereo · 3:42"
    assert facts_text(44100, 6, 44100 * 3725) == "44.1 kHz 6 channels · 1:02:05"


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("am", "A minor"), ("F# min", "F# minor"), ("Db", "C# major"), ("bb MAJOR", "Bb major"), ("g♯m", "Ab minor"),
        ("CM", "C major"), ("", ""), ("H", None), ("A dorian", None),
    ],
)  # fmt: skip
def test_keys_as_people_type_them(typed, key):
    assert parse_key(typed) == key


def test_every_key_reads_itself():
    assert len(KEYS) == 24 and all(parse_key(key) == key for key in KEYS)
    assert 0 <= words.drawn_seed() < words.MAX_SEED


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("the bass", "bass"),
        ("A warm Rhodes part", "warm Rhodes part"),
        ("an organ", "organ"),
        ("the", "the"),
        ("theremin", "theremin"),
        ("everything but the drums", "everything but the drums"),
        ("", ""),
    ],
)
def test_lanes_are_called_without_articles(prompt, name):
    assert words.called(prompt) == name
