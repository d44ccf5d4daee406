import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgeldm import errors
from mgeldm.errors import AudioError, InputError, MgeldmError
from mgeldm.language import Sentence, later, say, speak

from mgeldm_app.core.errors import StorageError
from mgeldm_app.services.devices import DeviceError

LIBRARY = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MgeldmError)]
GERMAN = {
    "{file} is cut off after {at:.2f} s.": "{file} endet nach {at:.2f} s.",
    "The stem was lost: {why}": "Die Spur ging verloren: {why}",
    "Ready {} and waiting": "Bereit {} und wartend",
    "{number} files": "{anzahl} Dateien",
    "{file} is empty.": "{file:d} ist leer.",
    "the end": "das {Ende",
}
values = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False))


@pytest.fixture
def german():
    speak(lambda template: GERMAN.get(template, template))
    yield
    speak(None)


def cut_off():
    return say("{file} is cut off after {at:.2f} s.", file="a {b}.wav", at=1.239)


def test_in_english_it_is_the_template_with_its_values():
    assert cut_off() == "a {b}.wav is cut off after 1.24 s."
    assert isinstance(cut_off(), str) and (cut_off().template, cut_off().values["at"])[1] == 1.239
    assert say("Ready {} and waiting") == "Ready {} and waiting"  # without values, braces are braces
    assert say(say("{x} {y}", x="{y}", y=2)) == "{y} 2"
    assert later("{file} is empty.") == "{file} is empty."


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), values, min_size=1))
def test_any_values_are_said_as_str_format_would_and_come_back_from_a_pickle(given):
    template = "{{}} " + " ".join(f"{{{name}}} {{{name}!r}}" for name in given)
    said = say(template, **given)
    assert said == template.format(**given)
    back = pickle.loads(pickle.dumps(said))
    assert (type(back), back, back.template, back.values) == (Sentence, said, said.template, said.values)


@given(st.text())
def test_a_text_without_values_is_said_as_it_is(text):
    assert say(text) == text
    assert str(InputError(text)) == text


def test_the_translator_is_asked_for_every_template(german):
    assert cut_off() == "a {b}.wav endet nach 1.24 s."
    assert say("The stem was lost: {why}", why=cut_off()) == "Die Spur ging verloren: a {b}.wav endet nach 1.24 s."
    assert say("Ready {} and waiting") == "Bereit {} und wartend"
    assert say("Nobody knows {this}", this=1) == "Nobody knows 1"
    assert say("the end") == "das {Ende"


def test_a_slip_of_the_translators_is_said_in_english(german):
    assert say("{number} files", number=2) == "2 files"
    assert say("{file} is empty.", file="x") == "x is empty."


def test_our_own_slip_is_found_at_once():
    with pytest.raises(KeyError):
        say("{file} is empty.", path="x")


def test_what_is_neither_text_nor_number_is_kept_as_text(tmp_path):
    said = say("{a:.1f} {b:d} {c} {d}", a=np.float32(1.25), b=np.int64(3), c=tmp_path, d=KeyError("x"))
    assert said == f"1.2 3 {tmp_path} 'x'"
    assert {type(value) for value in said.values.values()} == {float, int, str}


def test_copies_and_pickles_are_said_anew_where_they_arrive(german):
    speak(None)
    lost = say("The stem was lost: {why}", why=cut_off())
    data = pickle.dumps(lost)
    speak(lambda template: GERMAN.get(template, template))
    for arrived in (pickle.loads(data), copy.deepcopy(lost)):
        assert arrived == "Die Spur ging verloren: a {b}.wav endet nach 1.24 s."


def test_another_process_says_it_in_its_own_language():
    """As from the engine's process to the window's: the other one speaks in brackets, this one English."""
    code = """
import pickle, sys
from mgeldm.errors import AudioError
from mgeldm.language import say, speak
speak(lambda template: f"[{template}]")
arrived = pickle.load(sys.stdin.buffer)
sent = [str(arrived), AudioError("{file} is empty.", file="b.wav"), say("{n} {s}", n=1, s=say("songs"))]
pickle.dump((arrived[:], [each[:] for each in map(str, sent)], sent), sys.stdout.buffer)
"""
    lost = say("The stem was lost: {why}", why=cut_off())
    run = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(lost), capture_output=True, check=True)
    there, told, (back, error, nested) = pickle.loads(run.stdout)
    assert there == "[The stem was lost: [a {b}.wav is cut off after 1.24 s.]]"
    assert told == [there, "[b.wav is empty.]", "[1 [songs]]"]
    assert (back, str(error), nested) == (lost, "b.wav is empty.", "1 songs")
    assert type(error) is AudioError


@pytest.mark.parametrize("kind", [*LIBRARY, StorageError, DeviceError])
def test_errors_are_sentences_and_cross_processes(kind, german):
    speak(None)
    error = kind("{file} is cut off after {at:.2f} s.", file="a {b}.wav", at=1.239)
    assert str(error) == f"{error}" == "a {b}.wav is cut off after 1.24 s."
    assert isinstance(str(error), Sentence)
    data = pickle.dumps(error)
    speak(lambda template: GERMAN.get(template, template))
    arrived = pickle.loads(data)
    assert type(arrived) is kind and str(arrived) == "a {b}.wav endet nach 1.24 s."
    assert say("The stem was lost: {why}", why=arrived).values["why"].template == "{file} is cut off after {at:.2f} s."


def test_an_error_may_be_given_its_text_as_it_is():
    name = "{odd}.wav"
    assert str(InputError(f"{name} is odd; 100 % of it.")) == "{odd}.wav is odd; 100 % of it."
    assert str(pickle.loads(pickle.dumps(InputError(f"{name} is odd.")))) == "{odd}.wav is odd."
