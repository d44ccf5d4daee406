import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgeldm.words import bare, named_together, nearest, parse_prompt, plain, wanted


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
        ("backing track", "vocals"),
        ("music only", "vocals"),
        ("take the drums out", "the drums"),
        ("make a version without drums", "drums"),
        ("I want a mix without drums", "drums"),
        ("make me a version with no bass", "bass"),
        ("a song without vocals", "vocals"),
        ("what remains without vocals", "vocals"),
        ("everything but with no drums", "drums"),
        ('"a song without drums"', "drums"),
        ("a  song (no drums)", "drums"),
        ("everything but softer vocals", "softer vocals"),
        ("everything but more cowbell", "more cowbell"),
        ("everything but in-tune vocals", "in-tune vocals"),
        ("find everything but the bass", "the bass"),
        ("kein Bass", "Bass"),
        ("keine Drums", "Drums"),
        ("pas de basse", "basse"),
        ("nessun basso", "basso"),
        ("niente batteria", "batteria"),
        ("nada de bateria", "bateria"),
        ("geen drums", "drums"),
        ("take the drums out of the mix, please", "the drums"),
        ("turn the drums off", "the drums"),
        ("leave out the bass", "the bass"),
        ("don't include drums", "drums"),
        ("I don’t want to hear any drums", "drums"),
        ("do not take the drums", "the drums"),
        ("everything that is not drums", "drums"),
        ("all the parts that aren't drums", "drums"),
        ("everything else than drums", "drums"),
        ("everything in the song but the drums", "the drums"),
        ("everybody but the singer", "the singer"),
        ("all non-drum parts", "drum"),
        ("non-vocal", "vocal"),
        ("novocals", "vocals"),
        ("no_lead_vocals", "lead vocals"),
        ("the song with no drums", "drums"),
        ("the song with the drums muted", "drums"),
        ("vocals off please", "vocals"),
        ("kill vocals", "vocals"),
        ("no drums, no bass", "drums and bass"),
        ("sans drums", "drums"),
        ("ohne Schlagzeug", "Schlagzeug"),
        ("tout sauf la batterie", "la batterie"),
        ("todo excepto la batería", "la batería"),
        ("tudo exceto a bateria", "a bateria"),
        ("I'd like everything but the drums", "the drums"),
        ("I would like no bass", "bass"),
        ("i’d like to hear everything except the bass", "the bass"),
        ("everything (except drums)", "drums"),
        ("all (no vocals)", "vocals"),
        ("everything except: drums", "drums"),
        ("all of it, except the vocals", "the vocals"),
        ("instrumental without drums", "vocals and drums"),
        ("instrumental, but no drums", "vocals and drums"),
        ("backing track without drums", "vocals and drums"),
        ("karaoke without drums", "vocals and drums"),
        ("karaoke version without lead vocals", "lead vocals"),
        ("all but the lead guitar", "the lead guitar"),
        ("everything but drums and solo guitar", "drums and solo guitar"),
        ("everything but the drums without the cymbals", "the drums"),
    ],
)
def test_the_rest_is_wanted(prompt, source):
    assert parse_prompt(prompt) == (source, True)


@pytest.mark.parametrize(
    ("prompt", "sources"),
    [
        ("everything minus drums minus bass", "drums and bass"),
        ("the mix minus drums, minus bass", "drums and bass"),
        ("everything except the bass and except the drums", "the bass and the drums"),
        ("everything except for the bass and except the drums", "the bass and the drums"),
        ("everything without vocals without drums", "vocals and drums"),
        ("without vocals, without any drums", "vocals and drums"),
        ("everything that is not drums and not bass", "drums and bass"),
        ("mute the bass and remove the drums", "the bass and the drums"),
        ("no drums with no bass", "drums and bass"),
        ("ohne Bass und ohne Schlagzeug", "Bass and Schlagzeug"),
        ("ohne Bass oder Schlagzeug", "Bass and Schlagzeug"),
        ("sans basse et sans batterie", "basse and batterie"),
        ("sans basse ni batterie", "basse and batterie"),
        ("sin bajo o batería", "bajo and batería"),
        ("sem a bateria e o baixo", "a bateria e o baixo"),
        ("no drums or bass", "drums and bass"),
        ("no drums, vocals, or bass", "drums, vocals and bass"),
    ],
)
def test_several_are_left_out(prompt, sources):
    assert parse_prompt(prompt) == (sources, True)


@pytest.mark.parametrize(
    ("prompt", "source"),
    [
        ("mute the bass and solo the drums", "the bass"),
        ("remove the bass and keep the drums", "the bass"),
        ("remove the bass from the mix, but leave the drums", "the bass"),
        ("take the drums out and keep the bass", "the drums"),
        ("drums off, keep the bass", "drums"),
        ("everything without bass but with drums", "bass"),
        ("no bass, just drums", "bass"),
        ("no drums and no bass, and add a piano", "drums and bass"),
        ("kein Bass, keine Drums", "Bass and Drums"),
        ("geen drums en geen bas", "drums and bas"),
        ("keine Drums, nur Bass", "Drums"),
    ],
)
def test_what_is_kept_is_not_left_out(prompt, source):
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
        "take five drums",
        "take the lead guitar",
        "off-beat hi-hats",
        "cut-up vocals",
        "cutoff sweep",
        "nonet",
        "non-legato strings",
        "sin wave synth",
        "music box",
        "hide and seek vocals",
        "turn the drums up",
        "the rhythm section",
        "Everything - drums",
        "I'd like the drums",
        "vocals (lead)",
        "keep the drums",
        "just the bass",
        "nothing",
        "everything but louder",
        "the song but with strings",
    ],
)
def test_the_source_itself_is_wanted(prompt):
    assert parse_prompt(f" {prompt} ") == (prompt, False)


@pytest.mark.parametrize(
    ("prompt", "source"),
    [
        ("the drums without the cymbals", "the drums"),
        ("guitar without distortion", "guitar"),
        ("the bass but not the drums", "the bass"),
        ("drums and no bass", "drums"),
        ("mute everything except the vocals", "the vocals"),
        ("don't take anything but the drums", "the drums"),
        ("guitar (no reverb)", "guitar"),
        ("remove all but drums", "drums"),
        ("mute all but kick and snare", "kick and snare"),
        ("nothing but the bass", "the bass"),
        ("nothing except the bass", "the bass"),
    ],
)
def test_what_a_source_is_to_lack_is_not_named(prompt, source):
    assert parse_prompt(prompt) == (source, False)


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("Gtr", "guitar"),
        ("the lead vox", "the lead vocals"),
        ("toms and high hats", "toms and hi-hats"),
        ("the kik", "the kick drum"),
        ("Becken", "cymbals"),
        ("the sidestick", "the snare drum"),
        ("handclaps", "claps"),
        ("sub bass", "synth bass"),
        ("Hammond organ", "hammond organ"),
        ("a warm wurlitzer", "a warm electric piano"),
        ("blues harp", "harmonica"),
        ("the paino", "the piano"),
        ("the rhythm section", "the drums and bass"),
        ("rhythm section drums", "drums"),
        ("sub kick", "kick drum"),
        ("rap", "vocals"),
        ("topline melody", "vocals melody"),
        ("synth stabs", "synth"),
        ("steel drums", "steel pan"),
        ("ad libs", "backing vocals"),
    ],
)
def test_slang_is_understood(prompt, meant):
    assert plain(prompt) == meant


@pytest.mark.parametrize("prompt", ["rap beat", "vox pad", "acapella bass", "guitar arpeggio"])
def test_slang_that_only_says_how_it_is_played_stays(prompt):
    assert plain(prompt) == prompt


@pytest.mark.parametrize(
    ("prompt", "near"),
    [("the 808", "the 808 bass"), ("tabla", "percussion"), ("steel drums", "marimba"), ("harmonies", "backing vocals")],
)
def test_what_the_tower_has_not_read_of_is_near_to_something(prompt, near):
    assert nearest(prompt) == near and plain(prompt) != near


@pytest.mark.parametrize(
    ("prompts", "meant"),
    [
        ("just bass; bass only; bass alone; only bass, please; extract bass; all bass; bass!; whole bass", "bass"),
        ("just the bass; Can you isolate the bass?; could you give me the bass, please; all of the bass", "the bass"),
        ("the bass from the mix; the bass by itself; the bass of this song; I want to hear the bass", "the bass"),
        ("solo the bass; keep only the bass; find the bass; please, just the bass; get me the bass", "the bass"),
        ("nur das Schlagzeug; solo la batería; seulement la batterie; só a bateria", "drums"),
        ("some strings; any strings", "strings"),
        ("I'd like to isolate the piano; I want to hear the piano; find me the piano", "the piano"),
    ],
)
def test_what_is_said_around_a_source_is_not_its_name(prompts, meant):
    assert {plain(prompt) for prompt in prompts.split("; ")} == {meant}


@pytest.mark.parametrize(
    "prompt",
    ["all", "only", "solo guitar", "get lucky guitar", "whole tone synth", "all but bass", "all bar bass"],
)
def test_what_is_a_name_is_not_said_around_one(prompt):
    assert plain(prompt) == prompt


@pytest.mark.parametrize(
    ("prompts", "meant"),
    [
        ("Schlagzeug; das Schlagzeug; la batterie; la batería; la batteria; a bateria", "drums"),
        ("der E-Bass; la basse; el bajo; il basso; o baixo", "bass"),
        ("Gesang; les voix; le chant; la voz; la voce; as vozes", "vocals"),
        ("E-Gitarre; guitare électrique; guitarra eléctrica; chitarra elettrica; guitarra elétrica", "electric guitar"),
        ("die Geige; le violon; los violines; il violino", "violin"),
        ("die Querflöte; une flauta; il flauto", "flute"),
        ("der Chor; le chœur; le choeur; i cori", "choir"),
        ("die Orgel; l'orgue; l’organo; o órgão", "organ"),
        ("THE KLAVIER", "THE piano"),
    ],
)
def test_instruments_have_names_in_other_languages(prompts, meant):
    assert {plain(prompt) for prompt in prompts.split("; ")} == {meant}


@pytest.mark.parametrize(
    "prompt", ["chant", "viola", "bass", "cello", "flugelhorn", "a piano", "as loud as", "lo-fi beat", "pianofortes"]
)
def test_what_is_english_stays(prompt):
    assert plain(prompt) == prompt


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("the drums and the bass", ["the drums", "the bass"]),
        ("kick, snare & hats", ["kick", "snare", "hats"]),
        ("Guitar + vocals", ["Guitar", "vocals"]),
        ("piano, and strings with a choir", ["piano", "strings", "a choir"]),
        ("drums und bass", ["drums", "bass"]),
        ("lead and backing vocals", []),
        ("a drum and bass beat", []),
        ("drum and bass", ["drum", "bass"]),
        ("the song with piano", []),
        ("a band", []),
        ("the hand drums", []),
        ("", []),
    ],
)
def test_sources_are_named_together(prompt, names):
    assert named_together(prompt) == names


def test_any_length_is_read_at_once():
    for words in ("no ", "all the ", "please ", "take a ", "a, and but with ", "drums without "):
        parse_prompt(words * 3000)
    for words in ("please, ", "all of ", "bass only ", "only from the song ", "nothing but ", "make a version "):
        parse_prompt(words * 3000)
        plain(words * 3000)
    for words in ("just want ", "i want to hear ", "all of the ", "drums of the all ", "x in my all ", "a  song "):
        parse_prompt(words * 50 + "x")
        bare("x" + words * 50 + "y")
    for words in ("without ", "remove ", "minus minus ", "no a, keep ", "no a with ", "all (no ", "except for a or "):
        parse_prompt(words * 3000)
        wanted(words * 3000)


@pytest.mark.parametrize(
    "prompt", ["custom hatched strats-like", "harpsichord", "atoms", "the bass guitar"]
)
def test_no_part_of_another_word_is_slang(prompt):
    assert plain(prompt) == prompt


@given(st.text(max_size=60))
def test_any_text_is_read(prompt):
    source, rest = parse_prompt(prompt)
    assert source.strip() == source
    assert len(source) <= len(prompt) or (source, rest) == ("vocals", True)
    plain(prompt)


@pytest.mark.parametrize(
    ("prompt", "meant", "without"),
    [
        ("a rock song without drums", "a rock song", "drums"),
        ("piano, with no reverb", "piano", "reverb"),
        ("strings without vocals or drums", "strings", "vocals or drums"),
        ("a ballad without drums, with strings", "a ballad with strings", "drums"),
        ("a ballad without drums and with strings", "a ballad with strings", "drums"),
        ("a song without drums without bass, but with strings", "a song with strings", "drums and bass"),
        ("a ballad without drums with no bass", "a ballad", "drums and bass"),
        ("a ballad (no drums)", "a ballad", "drums"),
        ("rock without drums, soft", "rock", "drums, soft"),
        ("music without drums but with strings", "strings", "drums"),
        ("music without drums with strings", "strings", "drums"),
        ("no drums, just piano", "piano", "drums"),
        ("everything but the drums", "", "the drums"),
        ("no vocals", "", "vocals"),
        ("an instrumental", "", "vocals"),
        ("a warm rhodes", "a warm rhodes", ""),
        ("mute all but the bass", "the bass", ""),
        ("a song without vocals", "a song", "vocals"),
        ("music but with strings", "music but with strings", ""),
        ("music but slower", "music but slower", ""),
    ],
)
def test_a_new_part_is_without_what_its_prompt_leaves_out(prompt, meant, without):
    assert wanted(prompt) == (meant, without)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gıtar", "guitar"),
        ("the ſub baſs", "the synth bass"),
        ("PıANO", "PiANO"),
        ("ｄｒｕｍｓ", "drums"),
        ("the ﬂute", "the flute"),
        ("KİK", "kick drum"),
    ],
)
def test_letters_of_other_keyboards_are_read(typed, meant):
    assert plain(typed) == meant


def test_what_is_left_out_may_be_typed_on_any_keyboard():
    assert parse_prompt("ｎｏ ｄｒｕｍｓ") == ("drums", True)
