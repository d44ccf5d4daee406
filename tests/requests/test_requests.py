import math

import pytest
from mgeldm.errors import InputError
from mgeldm.requests import Accompany, Extract, Generate, Impute, Inpaint, Region, Sampling

SONG_S = 30.0


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Extract(()), "no prompt"),
        (Extract(("",)), "empty"),
        (Extract(("  /// ",)), "empty"),
        (Extract(("x" * 10_240,)), "10240 characters"),
        (Extract(("bass",), Region(5, 5)), "not after the start"),
        (Extract(("bass",), Region(8, 5)), "not after the start"),
        (Extract(("bass",), Region(31)), "lasts 30"),
        (Extract(("bass",), Region(0, 40)), "ends at 40"),
        (Extract(("bass",), Region(-1, 4)), "seconds"),
        (Extract(("bass",), Region(math.nan, 4)), "seconds"),
        (Extract(("bass",), Region(1, math.inf)), "seconds"),
        (Extract(("bass",), Region(1, 1.01)), "50 ms"),
        (Extract(("bass",), sensitivity=2), "sensitivity"),
        (Extract(("bass",), sampling=Sampling("superb")), "quality"),
        (Extract(("bass",), sampling=Sampling(steps=0)), "steps"),
        (Extract(("bass",), sampling=Sampling(guidance=math.nan)), "guidance"),
        (Extract(("bass",), sampling=Sampling(guidance=99)), "guidance"),
        (Extract(("bass",), sampling=Sampling(seed=-1)), "seed"),
        (Extract(("bass",), sampling=Sampling(seed=2**63)), "seed"),
        (Extract(("bass",), sensitivity=0.5, raw=True), "no sensitivity"),
        (Impute(()), "no prompt"),
        (Accompany(" "), "empty"),
        (Inpaint("bass", Region(4, 3)), "not after"),
        (Impute((), like=Region(5, 5)), "not after the start"),
        (Accompany("///", like=Region(5, 8)), "empty"),
        (Inpaint("", Region(4, 8), like=Region(40, 42)), "ends at 42"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(request_, says):
    with pytest.raises(InputError, match=says) as caught:
        request_.validate(SONG_S)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("duration_s", [0, -3, math.nan, math.inf, 1e9])
def test_a_length_that_cannot_be_made_is_refused(duration_s):
    with pytest.raises(InputError, match="duration"):
        Generate(duration_s).validate()


@pytest.mark.parametrize("prompt", ["the bass", "スライドギター", "AC/DC guitar", "808", 'female vocals: "ooh"'])
def test_any_words_will_do(prompt):
    Extract((prompt,), Region(2, 9)).validate(SONG_S)
    Generate(10, prompt).validate()


@pytest.mark.parametrize("start_s", [0, 7, 7.95, 123.45])
def test_the_shortest_region_is_long_enough(start_s):
    Extract(("bass",), Region(start_s, start_s + 0.05)).validate()


def test_a_sound_stands_for_words():
    like = Region(3, 5)
    for request in (Impute((), like=like), Accompany("", like=like), Inpaint("", Region(1, 2), like=like)):
        request.validate(SONG_S)


@pytest.mark.parametrize("request_", [Extract((), examples=(Region(10, 12),)), Impute((), like=Region(10, 12))])
def test_an_example_is_a_region_of_its_own_song(request_):
    request_.validate(1.0, 44.0)
    for song_s, example_s in ((1.0, None), (44.0, 1.0)):
        with pytest.raises(InputError, match="ends at 12 s"):
            request_.validate(song_s, example_s)
