"""Prompts become file names that every system takes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgeldm.audio import names_beside, safe_name, unique_names


@pytest.mark.parametrize(
    "prompt, name",
    [
        ("drums", "drums.wav"),
        ("kick / snare", "kick snare.wav"),
        ("../../etc/passwd", "etc passwd.wav"),
        ("a\\b:c*d?e\"f<g>h|i", "a b c d e f g h i.wav"),
        ("line\nbreak\tand\x00null\x1b", "line break andnull.wav"),
        ("etc...", "etc.wav"),
        (" . ", "untitled.wav"),
        ("", "untitled.wav"),
        ("con", "_con.wav"),
        ("LPT1", "_LPT1.wav"),
        ("nul.x", "_nul.x.wav"),
        ("concert piano", "concert piano.wav"),
        ("エレキギター", "エレキギター.wav"),
        ("🎸 solo 👩‍🎤", "🎸 solo 👩‍🎤.wav"),
        ("e\u0301tude", "\u00e9tude.wav"),
        ("right\u202eto left", "rightto left.wav"),
    ],
)
def test_cleaned(prompt, name):
    assert safe_name(prompt, ".wav") == name


def test_shortened_to_255_bytes_with_prefix_and_suffix():
    assert safe_name("x" * 10_000, " 2.wav", "song - ") == "song - " + "x" * (255 - 7 - 6) + " 2.wav"
    family = "👨‍👩‍👧"
    name = safe_name(family * 40, ".wav")
    assert len(name.encode()) <= 255
    assert name.removesuffix(".wav").replace(family, "") == ""  # no family is torn apart


@pytest.mark.parametrize("title", ["あ" * 60, "あ" * 83, "e\u0301" * 200, "👨‍👩‍👧" * 40, "x" * 400])
def test_of_a_long_title_and_a_long_prompt_the_title_is_cut(title):
    prompts = ["bass", "drums", "y" * 120]
    names = unique_names(prompts, ".wav", f"{title} - ")
    begun = names[0].removesuffix(" - bass.wav")
    assert len(begun) >= 20 and unicodedata.normalize("NFC", title).startswith(begun)
    assert names == [f"{begun} - {prompt}.wav" for prompt in prompts]
    assert all(len(name.encode()) <= 255 for name in names)


def test_a_title_of_which_nothing_stays_joins_nothing():
    assert safe_name("bass", ".wav", "... - ") == "bass.wav"
    assert safe_name("bass", ".wav", "-rf - ") == "-rf - bass.wav"


@given(st.text(max_size=400), st.sampled_from(["", ".wav", " 12.flac"]), st.sampled_from(["", "song - "]))
def test_any_text_gives_a_usable_name(tmp_path_factory, prompt, suffix, prefix):
    name = safe_name(prompt, suffix, prefix)
    assert 0 < len(name.encode()) <= 255
    assert not set(name) & set('<>:"/\\|?*')
    assert all(unicodedata.category(c) not in ("Cc", "Cs") for c in name)
    assert name == name.strip()
    assert not name.startswith(".")
    (tmp_path_factory.getbasetemp() / name).touch()


def test_equal_names_are_numbered_whatever_their_case():
    prompts = ["bass", "Bass", "bass/", "bass 2", "drums"]
    assert unique_names(prompts, ".wav") == ["bass.wav", "Bass 2.wav", "bass 3.wav", "bass 2 2.wav", "drums.wav"]
    long = unique_names(["y" * 300] * 3, ".wav")
    assert [len(name) for name in long] == [255] * 3
    assert len(set(long)) == 3


@given(st.lists(st.text(max_size=8), max_size=12))
def test_numbered_names_are_always_distinct(prompts):
    names = unique_names(prompts, ".wav")
    assert len(names) == len(prompts)
    assert len({name.casefold() for name in names}) == len(names)


@pytest.mark.parametrize("taken, free", [("Café", "café"), ("\u03aa\u0301", "\u0390"), ("Å", "\u212b")])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_where_accents_are_written_apart_a_name_is_taken_too(taken, free, form):
    """File systems of macOS take both forms for one name, and hand on whichever a file was made with."""
    there = unicodedata.normalize(form, f"{taken} - bass.wav")
    (name,) = names_beside([there], ["bass"], ".wav", f"{free} - ")
    assert name == f"{unicodedata.normalize('NFC', free)} - bass 2.wav"
    assert unique_names([taken, free])[1].endswith(" 2")
