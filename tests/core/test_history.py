from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgeldm_app.core import commands
from mgeldm_app.core.history import MOST_STEPS, Command, History
from mgeldm_app.core.project import Audio, Lane, Made, Part, Project, Prompt, SongFile, Span, Take

SONG = SongFile(Audio("a" * 64, 8000, 2, 80000), "song.wav")
BASE = Project(song=SONG)
TAKE = Take(Audio("b" * 64, 8000, 2, 8000), Made("extract", "bass"))
LANE = Lane("L1", "extracted", "bass")

EDITS = st.one_of(
    st.floats(-80, 20).map(lambda v: commands.set_lane(LANE, "gain_db", v)),
    st.booleans().map(lambda v: commands.set_lane(LANE, "muted", v)),
    st.text(max_size=5).map(lambda v: commands.set_lane(LANE, "name", v)),
    st.tuples(st.integers(-10, 90000), st.integers(-10, 90000)).map(lambda v: commands.set_region(Span(*v))),
    st.just(commands.set_region(None)),
    st.booleans().map(commands.set_looping),
    st.integers(-3, 3).map(lambda v: commands.move_lane("L1", v)),
    st.just(commands.add_part(LANE, Part(0, (TAKE,)), "extract bass")),
    st.just(commands.remove_lanes(("L1",))),
    st.integers(-2, 5).map(lambda v: commands.choose_take("L1", 0, v)),
)


@given(st.lists(EDITS, max_size=30))
def test_undo_goes_all_the_way_back_and_redo_all_the_way_forward(edits):
    history = History(BASE)
    seen = [BASE]
    for command in edits:
        if history.do(command):
            seen.append(history.project)
    last = history.project
    while history.undo_title:
        history.undo()
    assert history.project == BASE
    while history.redo_title:
        history.redo()
    assert history.project == last


def test_what_fails_in_one_state_changes_none():
    def fail(project):
        if not project.has_lane("L1"):
            raise ValueError
        return replace(project, region=Span(0, 1))

    history = History(BASE)
    history.do(commands.add_part(LANE, Part(0, (TAKE,)), "extract bass"))
    states = history.projects
    assert [project.has_lane("L1") for project in states] == [True, False]
    with pytest.raises(ValueError):
        history.amend(fail)
    assert history.projects == states
    history.undo()
    loop = Command("loop", lambda p: fail(BASE) if p.has_lane("L1") else replace(p, looping=True), beside=True)
    with pytest.raises(ValueError):
        history.do(loop)
    assert history.project == BASE and history.undo_title == "" and history.redo_title == "extract bass"


@given(st.lists(EDITS, max_size=30))
def test_every_state_is_one_that_can_be_kept(edits):
    project = BASE
    for command in edits:
        project = command.apply(project)
        assert project.lanes[0].kind == "song"
        assert project.lanes[-1].kind == "rest"
        assert len({lane.id for lane in project.lanes}) == len(project.lanes)
        assert all(-60 <= lane.gain_db <= 12 and lane.name.strip() for lane in project.lanes)
        assert all(0 <= part.chosen < len(part.takes) for lane in project.lanes for part in lane.parts)
        assert project.region is None or 0 <= project.region.start < project.region.stop <= project.samples
        assert project.region is not None or not project.looping


def test_a_drag_is_one_step_and_the_next_drag_another():
    history = History(BASE.with_lane(LANE))
    for value in (-1.0, -2.0, -3.0):
        history.do(commands.set_lane(LANE, "gain_db", value))
    history.end_merging()
    history.do(commands.set_lane(LANE, "gain_db", -6.0))
    history.undo()
    assert history.project.lane("L1").gain_db == -3.0
    history.undo()
    assert history.project.lane("L1").gain_db == 0.0


def test_after_an_undo_what_is_typed_is_a_step_of_its_own():
    history = History(BASE)
    history.do(commands.set_prompt(Prompt("piano")))
    history.do(commands.add_part(LANE, Part(0, (TAKE,)), "extract piano"))
    history.undo()
    history.do(commands.set_prompt(Prompt("flute")))
    history.undo()
    assert history.project.prompt.text == "piano"


def test_what_changes_nothing_is_no_step_and_keeps_redo():
    history = History(BASE)
    history.do(commands.set_region(Span(0, 100)))
    history.undo()
    assert not history.do(commands.set_region(None))
    assert history.redo_title == "region"


ASIDE = [
    commands.set_region(Span(100, 900)),
    commands.set_region(None),
    commands.set_looping(False),
    commands.set_prompt(Prompt("drums")),
]


@pytest.mark.parametrize("command", ASIDE, ids=["region", "no region", "no loop", "prompt"])
def test_selecting_and_typing_leave_what_was_undone_to_be_redone(command):
    history = History(replace(BASE, region=Span(0, 50), looping=True, prompt=Prompt("bass")))
    history.do(commands.add_part(LANE, Part(0, (TAKE,)), "extract bass"))
    history.undo()
    assert history.do(command)
    now = history.project
    history.redo()
    assert history.project == now.with_lane(replace(LANE, parts=(Part(0, (TAKE,)),)))  # and nothing else has come back
    history.undo()
    assert history.project == now
    history.undo()
    assert history.project.region == Span(0, 50)


def test_another_region_takes_the_place_of_one_that_was_undone():
    history = History(BASE)
    history.do(commands.set_region(Span(0, 50)))
    history.do(commands.set_lane(BASE.lanes[0], "muted", True))
    history.undo()
    history.undo()
    history.do(commands.set_region(Span(100, 900)))
    assert history.redo_title == "mute Song"
    history.redo()
    assert (history.project.lanes[0].muted, history.project.region) == (True, Span(100, 900))
    history.undo()
    history.do(commands.set_lane(BASE.lanes[0], "pan", 0.5))  # another future
    assert not history.redo_title


@given(st.lists(st.one_of(EDITS, st.sampled_from(["undo", "redo", "settle"])), max_size=40))
def test_whatever_was_done_and_undone_the_way_back_and_the_way_forward_are_one(steps):
    history, way = History(BASE), {"undo": History.undo, "redo": History.redo, "settle": History.end_merging}
    for step in steps:
        way[step](history) if isinstance(step, str) else history.do(step)
    back = [history.project]
    while history.undo_title:
        history.undo()
        back.append(history.project)
    forth = [history.project]
    while history.redo_title:
        history.redo()
        forth.append(history.project)
    assert back[-1] == BASE and forth[: len(back)] == back[::-1]
    assert all(one != other for one, other in pairwise(forth))


def test_a_result_reaches_the_past():
    draft, better = TAKE, Take(Audio("c" * 64, 8000, 2, 8000), Made("extract", "bass"))
    history = History(BASE)
    history.do(commands.add_part(LANE, Part(0, (draft,)), "extract bass"))
    history.do(commands.set_lane(LANE, "muted", True))
    history.undo()
    history.amend(commands.replace_take("L1", {draft.audio}, better))
    assert history.project.lane("L1").parts[0].take == better
    history.redo()
    assert history.project.lane("L1").parts[0].take == better
    history.undo()
    history.undo()
    assert history.project == BASE
    history.redo()
    assert history.project.lane("L1").parts[0].take == better


def test_so_many_steps_can_be_taken_back_and_older_ones_are_forgotten():
    history = History(BASE)
    for number in range(MOST_STEPS + 3):
        history.do(Command("region", lambda p, number=number: replace(p, region=Span(number, number + 1))))
    back = 0
    while history.undo_title:
        history.undo()
        back += 1
    assert (back, history.project.region) == (MOST_STEPS, Span(2, 3))


def test_titles_say_what_happens():
    history = History(BASE)
    history.do(Command("extract bass", lambda p: replace(p, looping=False, region=Span(0, 5))))
    assert (history.undo_title, history.redo_title) == ("extract bass", "")
    history.undo()
    assert (history.undo_title, history.redo_title) == ("", "extract bass")


def test_a_part_that_hides_another_whole_replaces_it():
    first, second = Part(100, (TAKE,)), Part(50, (replace(TAKE, audio=replace(TAKE.audio, id="d" * 64, samples=9000)),))
    project = commands.add_part(LANE, first, "x").apply(BASE)
    assert commands.add_part(LANE, second, "x").apply(project).lane("L1").parts == (second,)
    late = Part(4000, (TAKE,))
    assert commands.add_part(LANE, late, "x").apply(project).lane("L1").parts == (first, late)


def test_takes_are_kept_as_wanted():
    takes = tuple(replace(TAKE, audio=replace(TAKE.audio, id=f"{n:064d}")) for n in range(4))
    project = commands.add_part(LANE, Part(0, takes, 2), "x").apply(BASE)
    kept = commands.keep_takes("L1", 0, (0, 2)).apply(project).lane("L1").parts[0]
    assert (kept.takes, kept.take) == ((takes[0], takes[2]), takes[2])
    assert commands.keep_takes("L1", 0, ()).apply(project) == project
    assert commands.keep_takes("L1", 0, (1,)).apply(project).lane("L1").parts[0].take == takes[1]
