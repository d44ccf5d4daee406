"""What names tell of sources: which compete, which are a part of which."""

import pytest
import torch
from mgeldm.words import KIT, parse_prompt

COMMON = ("drums", "bass", "vocals", "piano", *KIT)


@pytest.fixture
def names(pipeline):
    return pipeline.names


def conditions(names, prompts):
    return torch.stack([names.condition(parse_prompt(prompt)[0]) for prompt in prompts])


@pytest.mark.parametrize(
    ("prompts", "parts"),
    [
        (("drums", "kick drum"), [(0, 1)]),
        (("the drum kit", "snare", "hats", "the kick"), [(0, 1), (0, 2), (0, 3)]),
        (("kick", "beat"), [(1, 0)]),
        (("rhythm section", "bass", "kick"), [(0, 1), (0, 2)]),
        (("drums and bass", "electric bass", "piano"), [(0, 1)]),
        (("guitar and vocals", "electric guitar"), [(0, 1)]),
        (("drums", "drums and bass"), [(1, 0)]),
        (("kick and snare", "snare", "hi-hats"), [(0, 1)]),
        (("drums and bass", "bass and drums", "kick"), [(0, 2), (1, 2)]),
        (("drums", "percussion", "bass"), []),
        (("drums", "the drum kit"), []),
        (("kick", "snare"), []),
        (("piano", "piano"), []),
    ],
)
def test_a_prompt_may_be_a_part_of_another(names, prompts, parts):
    within = names.within(conditions(names, prompts), [names.together(prompt) for prompt in prompts])
    assert [tuple(pair) for pair in within.nonzero().tolist()] == parts


@pytest.mark.parametrize(
    ("prompts", "rivals"),
    [
        (("brass",), {"drums", "bass", "vocals", "piano"}),
        (("the drums",), {"bass", "vocals", "piano"}),
        (("kick",), {"snare drum", "hi-hats", "toms", "cymbals", "claps", "bass", "vocals", "piano"}),
        (("drums", "kick"), {"bass", "vocals", "piano"}),
        (("singer", "keys", "bass guitar"), {"drums"}),
    ],
)
def test_common_sources_compete_unless_a_prompt_means_the_same(names, prompts, rivals):
    """Beside the kit none of its pieces does: they would take from the drums what belongs to them."""
    known = conditions(names, COMMON)
    found = names.unasked(conditions(names, prompts))
    assert {COMMON[int((known @ each).argmax())] for each in found} == rivals


def test_what_is_named_together_is_told_apart(names):
    assert len(names.together("the drums and the bass")) == 2
    assert len(names.together("kick, snare & hats")) == 3
    assert names.together("rap and vocals") == []  # one source, which would be summed with itself
    assert names.together("warm and mellow piano") == []


def test_nothing_is_a_part_of_what_is_a_part_of_it(names):
    """Both would be left with nothing."""
    prompts = ("drums and kick", "the drums", "kick and drums", "kick", "drums, bass & kick", "bass and kick")
    within = names.within(conditions(names, prompts), [names.together(prompt) for prompt in prompts])
    assert within.any()
    assert not (within & within.T).any()
