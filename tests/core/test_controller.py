import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from mgeldm.errors import OutputError

from mgeldm_app.core import actions
from mgeldm_app.core.actions import ACTIONS, BY_ID, MENUS
from mgeldm_app.core.project import Prompt, Span, Tempo
from mgeldm_app.core.settings import load_settings, settings_path
from mgeldm_app.core.timeline import Grid
from tests.fakes.world import RATE_HZ, World, write_song

BAR = 2 * RATE_HZ  # at 120 beats a minute


def do(world, action_id):
    action = BY_ID[action_id]
    assert action.enabled(world.c)
    action.run(world.c)


def test_ids_and_shortcuts_are_unique_and_every_menu_is_known():
    shortcuts = [action.shortcut for action in ACTIONS if action.shortcut]
    assert len(set(shortcuts)) == len(shortcuts)
    assert len(BY_ID) == len(ACTIONS)
    assert {action.menu for action in ACTIONS} == set(MENUS)


def test_without_a_song_little_can_be_done_and_nothing_breaks(world):
    for action in ACTIONS:
        if action.enabled(world.c) and not action.dialog and action.id != "quit":
            action.run(world.c)
            assert action.checked is None or action.checked(world.c) in (True, False)
    assert not world.session.jobs


def test_the_region_is_nudged_by_the_grid(opened):
    opened.c.set_region(Span(BAR, 3 * BAR))
    do(opened, "right")
    assert opened.project.region == Span(2 * BAR, 4 * BAR)
    do(opened, "longer")
    assert opened.project.region == Span(2 * BAR, 5 * BAR)
    do(opened, "twice")
    assert opened.project.region == Span(2 * BAR, 8 * BAR)
    do(opened, "clear_region")
    do(opened, "right")
    assert opened.player.position == BAR
    opened.c.set_tempo(replace(opened.project.tempo, bpm=127.3))
    opened.player.position = 0
    for _ in range(8):
        do(opened, "right")
    assert opened.player.position == Grid.of(opened.project).sample_of(9)


@pytest.mark.parametrize("bpm", [97.3, 104.0, 126.0, 174.0])
@pytest.mark.parametrize("action", ["loop", "twice"])
def test_a_bar_is_taken_from_its_line_on(opened, action, bpm):
    opened.c.set_tempo(Tempo(bpm, 0.25, source="given"))
    grid = Grid.of(opened.project)
    for bar in range(1, 7):
        opened.c.set_region(None)
        opened.player.seek(grid.sample_of(bar))
        do(opened, action)
        assert opened.project.region == Span(grid.sample_of(bar), grid.sample_of(bar + 1))


def test_looping_takes_the_bar_under_the_playhead(opened):
    opened.player.position = BAR + 5
    do(opened, "loop")
    assert (opened.project.region, opened.project.looping) == (Span(BAR, 2 * BAR), True)
    opened.player.position = 5 * BAR
    do(opened, "play")
    assert (opened.player.playing, opened.player.position) == (True, BAR)
    do(opened, "play")
    assert not opened.player.playing


def test_a_region_that_is_selected_by_hand_is_looped_until_the_user_plays_on(opened):
    opened.player.position = 7 * BAR
    opened.c.set_region(Span(BAR, 2 * BAR), final=False, looped=True)
    opened.c.set_region(Span(BAR, 3 * BAR), looped=True)
    assert opened.project.looping
    do(opened, "play")
    assert (opened.player.playing, opened.player.position) == (True, BAR)
    do(opened, "loop")
    opened.c.set_region(Span(BAR, 4 * BAR), looped=True)
    assert not opened.project.looping
    do(opened, "clear_region")
    do(opened, "twice")
    assert opened.project.looping
    do(opened, "clear_region")
    do(opened, "select_all")
    assert not opened.project.looping


def test_what_is_asked_of_a_loop_is_heard_there_and_else_nothing_begins_to_play(opened):
    opened.ask("bass")
    assert not opened.player.playing
    opened.player.position = 7 * BAR
    opened.c.set_region(Span(BAR, 3 * BAR), looped=True)
    opened.ask("drums")
    assert (opened.player.playing, opened.player.position) == (True, BAR)
    opened.player.position = 2 * BAR
    opened.ask("piano")
    assert opened.player.position == 2 * BAR
    do(opened, "play")
    do(opened, "loop")
    opened.ask("organ")
    assert not opened.player.playing


def test_switches_of_several_lanes_go_together(opened):
    opened.ask("bass, drums")
    opened.engine.finish_all()
    opened.session.select(tuple(lane.id for lane in opened.project.of_kind("extracted")))
    opened.c.set_lane(opened.lane("bass").id, "muted", True)
    do(opened, "mute")
    assert opened.lane("bass").muted and opened.lane("drums").muted
    do(opened, "mute")
    assert not opened.lane("bass").muted and not opened.lane("drums").muted
    do(opened, "spectrogram")
    assert opened.lane("bass").view == "spectrogram"
    for field, title in (("view", "view of 2 lanes"), ("muted", "mute 2 lanes")):  # one step each
        before = [getattr(opened.lane(name), field) for name in ("bass", "drums")]
        assert opened.session.history.undo_title == title
        opened.session.undo()
        assert [getattr(opened.lane(name), field) for name in ("bass", "drums")] != before
        assert len({getattr(opened.lane(name), field) for name in ("bass", "drums")}) == 1
    do(opened, "remove")
    assert not opened.project.of_kind("extracted")
    assert not opened.session.selected


def test_takes_are_stepped_through_and_kept(opened):
    opened.ask("rhodes", task="impute", takes=3)
    opened.engine.finish_all()
    opened.session.select((opened.lane("rhodes").id,))
    do(opened, "next_take")
    do(opened, "next_take")
    do(opened, "next_take")
    assert opened.lane("rhodes").parts[0].chosen == 0
    do(opened, "previous_take")
    do(opened, "keep_take")
    assert len(opened.lane("rhodes").parts[0].takes) == 1


def test_the_part_at_a_bar_line_is_the_one_that_begins_there(opened):
    """Its neighbour, made later, fades out behind the line."""
    for region in (Span(2 * RATE_HZ, 4 * RATE_HZ), Span(0, 2 * RATE_HZ)):
        opened.c.set_region(region)
        opened.ask("bass")
        opened.engine.finish_all()
    opened.c.player.seek(2 * RATE_HZ)
    lane, part = actions._part_of(opened.c, opened.lane("bass"))
    assert lane.parts[part].span.covers(Span(2 * RATE_HZ, 4 * RATE_HZ))


def test_taps_make_a_tempo(opened, monkeypatch):
    now_s = iter([0.0, 0.5, 1.0, 1.5, 9.0])
    monkeypatch.setattr("mgeldm_app.core.controller.time", SimpleNamespace(monotonic=lambda: next(now_s)))
    for _ in range(4):
        do(opened, "tap")
    assert (opened.project.tempo.bpm, opened.project.tempo.source) == (120.0, "given")
    do(opened, "tap")
    assert opened.project.tempo.bpm == 120.0


def test_taps_until_a_pause_are_one_step_and_so_is_what_comes_after(opened, monkeypatch):
    found = opened.project.tempo
    now_s = iter([0.0, 0.5, 1.0, 1.6, 9.0, 9.4, 9.8])
    monkeypatch.setattr("mgeldm_app.core.controller.time", SimpleNamespace(monotonic=lambda: next(now_s)))
    steps, ways = [found], [["tap"] * 4, ["tap"] * 3, ["double_tempo"], ["half_tempo"]]
    for actions_of_a_step in ways:
        for action in actions_of_a_step:
            do(opened, action)
        steps.append(opened.project.tempo)
    while steps:
        assert opened.project.tempo == steps.pop()
        opened.session.undo()


def test_a_bar_begins_where_the_user_says(opened):
    opened.player.position = 1234
    do(opened, "downbeat")
    assert opened.project.tempo.downbeat_s == pytest.approx(1234 / RATE_HZ)
    do(opened, "double_tempo")
    assert opened.project.tempo.bpm == 240


@pytest.fixture
def sought(world, tmp_path):
    """A song whose tempo is still being sought: 93 beats a minute, in four, from 0.3 s on."""
    world.tempo = Tempo(93.0, 0.3, 4, "A minor", "found")
    world.workers.holding = True
    world.open(write_song(tmp_path / "song.wav"))
    world.workers.step()
    assert world.project.tempo == Tempo()
    return world


def test_a_tempo_that_nobody_knows_is_not_halved(sought):
    assert not BY_ID["half_tempo"].enabled(sought.c) and not BY_ID["double_tempo"].enabled(sought.c)
    sought.workers.release()
    do(sought, "half_tempo")
    assert sought.project.tempo.bpm == 46.5


def test_the_tempo_of_music_from_nothing_is_found_when_it_comes(world):
    world.ask("funk", task="generate")
    world.engine.finish()
    assert world.project.song is not None and world.project.tempo == world.tempo
    while world.session.history.undo_title:
        world.session.undo()
    world.tempo = replace(world.tempo, bpm=77.0)
    while world.session.history.redo_title:
        world.session.redo()
    assert world.project.tempo.bpm == 120.0  # it is known
    world.engine.finish_all()


def test_a_metre_given_while_the_tempo_is_sought_stays_and_the_tempo_is_found(sought):
    sought.c.set_tempo(replace(sought.project.tempo, beats_per_bar=3))
    sought.workers.release()
    assert sought.project.tempo == Tempo(93.0, 0.3, 3, "A minor", "found")
    sought.session.undo()
    assert sought.project.tempo == Tempo(93.0, 0.3, 4, "A minor", "found")


def test_a_downbeat_given_while_the_tempo_is_sought_stays_and_the_tempo_is_found(sought):
    sought.player.position = 2 * RATE_HZ
    do(sought, "downbeat")
    assert sought.project.tempo.source == "none"
    sought.workers.release()
    assert sought.project.tempo == Tempo(93.0, 2.0, 4, "A minor", "found")


def test_a_tempo_given_while_it_is_sought_stays_even_where_it_was_guessed_right(sought):
    sought.c.set_tempo(replace(sought.project.tempo, bpm=120.0, source="given"))
    sought.workers.release()
    assert sought.project.tempo == Tempo(120.0, source="given")


def test_tempo_downbeat_and_key_are_steps_of_their_own(opened):
    found = opened.project.tempo
    for bpm in (100.0, 102.0):
        opened.c.set_tempo(replace(opened.project.tempo, bpm=bpm))
    opened.session.undo()
    assert opened.project.tempo.bpm == 100.0  # each tempo that was typed, too
    opened.session.redo()
    opened.player.position = 4000
    do(opened, "downbeat")
    opened.c.set_tempo(replace(opened.project.tempo, key="C major"))
    assert opened.project.tempo == Tempo(102.0, 0.5, 4, "C major", "given")
    opened.session.undo()
    assert opened.project.tempo == Tempo(102.0, 0.5, 4, "A minor", "given")
    opened.session.undo()
    assert opened.project.tempo == Tempo(102.0, 0.0, 4, "A minor", "given")
    opened.session.undo()
    opened.session.undo()
    assert opened.project.tempo == found


def test_what_is_heard_and_the_click_reach_the_player(opened):
    do(opened, "listen")
    assert opened.player.what == "song"
    do(opened, "listen")
    do(opened, "click")
    assert (opened.player.what, opened.player.click) == ("stems", True)


def test_an_error_becomes_a_notice(opened, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(opened.session.store, "begin", full)
    opened.ask("bass")
    assert "No space left" in opened.told[-1][0]
    assert not opened.session.jobs


@pytest.mark.parametrize("what", ["song", "project", "nonsense"])
def test_nothing_is_asked_of_a_song_that_is_about_to_go(opened, tmp_path, what):
    project = opened.session.folder.folder
    other = write_song(tmp_path / "other.wav")
    if what == "project":
        opened.open(other)
    if what == "nonsense":
        other.write_bytes(b"nonsense")
    opened.workers.holding = True
    opened.open(project if what == "project" else other)
    name = opened.c.documents.opening.name
    why = f"{name} is still being opened; ask when it is there."
    opened.ask("bass")
    assert opened.told[-1] == (why, True) and not opened.engine.jobs
    assert opened.c.blocked(opened.project.prompt) == why
    opened.workers.release()
    if what == "song":
        assert opened.project.song.name == "other.wav" and opened.project.prompt.text == "bass"  # nothing typed is lost
    assert not opened.c.blocked(replace(opened.project.prompt, text="bass"))


@pytest.mark.parametrize("prompt", ["everything", "drums, nothing", "The whole song"])
def test_what_can_be_found_in_no_song_is_said_before_it_is_asked_for(opened, prompt):
    why = opened.c.blocked(replace(opened.project.prompt, text=prompt))
    assert "names no instrument" in why and "everything but the drums" in why
    opened.ask(prompt)
    assert not opened.engine.jobs
    assert not opened.c.blocked(replace(opened.project.prompt, text="everything but the drums"))
    assert not opened.c.blocked(replace(opened.project.prompt, text=prompt, task="impute"))


def test_stems_of_no_family_have_colours_of_their_own(opened):
    opened.ask("drums")
    opened.ask("asdfgh, qwertz")
    opened.ask("zither; xyz", task="impute", takes=1)
    opened.engine.finish_all()
    colours = [lane.colour for lane in opened.project.lanes[1:-1]]
    assert len(set(colours)) == len(colours) == 5


def test_nothing_is_asked_of_a_project_that_another_window_has(opened):
    second = World()
    second.open(opened.session.folder.folder)
    why = second.c.blocked(replace(second.project.prompt, text="bass"))
    assert "open elsewhere" in why
    second.ask("bass")
    assert second.told[-1] == (why, True) and not second.engine.jobs
    second.c.close()


def test_settings_are_kept(opened):
    opened.ask("Bass")
    opened.engine.finish_all()
    assert load_settings().prompts == ("Bass",)
    do(opened, "snap")
    assert load_settings().snap == opened.c.snap != "bar"


def test_regions_selected_one_after_the_other_are_steps_of_their_own(opened):
    opened.c.set_region(Span(0, 100), final=False)
    opened.c.set_region(Span(0, 200))
    opened.c.set_region(Span(0, 300))
    opened.session.undo()
    assert opened.project.region == Span(0, 200)
    opened.session.undo()
    assert opened.project.region is None


def test_number_keys_audition_takes_and_several_are_kept(opened):
    opened.ask("rhodes", task="impute", takes=3)
    opened.engine.finish_all()
    do(opened, "take_3")
    assert opened.lane("rhodes").parts[0].chosen == 2
    do(opened, "take_2")
    assert not BY_ID["take_4"].enabled(opened.c)
    do(opened, "drop_take")
    part = opened.lane("rhodes").parts[0]
    assert (len(part.takes), part.chosen) == (2, 0)
    do(opened, "keep_take")
    assert not BY_ID["take_1"].enabled(opened.c)
    assert not BY_ID["keep_take"].enabled(opened.c)


def test_whose_takes_the_keys_are_about_is_said_where_it_might_be_another_part(opened):
    told = []
    opened.session.notice.connect(lambda text, *_: told.append(text))
    for text in ("rhodes", "funky drums"):
        opened.ask(text, task="impute", takes=3)
        opened.engine.finish_all()
        do(opened, "take_3")
        assert len(told) == (text == "funky drums")
    do(opened, "keep_take")
    assert told == ["Those are the takes of funky drums; select another lane to compare its takes."]  # once
    do(opened, "take_2")  # now there is only one
    opened.session.select((opened.lane("rhodes").id,))
    opened.ask("strings", task="impute", takes=2)
    opened.engine.finish_all()
    do(opened, "take_1")
    assert len(told) == 1 and opened.lane("rhodes").parts[0].chosen == 0


def test_a_part_that_was_just_added_is_varied_without_a_selection(opened):
    assert not BY_ID["vary"].enabled(opened.c)
    opened.ask("rhodes", task="impute", takes=1)
    opened.engine.finish_all()
    assert not opened.session.selected
    do(opened, "vary")
    opened.engine.finish_all()
    assert len(opened.lane("rhodes").parts[0].takes) == 2
    opened.ask("bass, drums", task="extract")
    opened.engine.finish_all()
    opened.session.select(tuple(lane.id for lane in opened.project.of_kind("extracted")))
    assert not BY_ID["vary"].enabled(opened.c)  # which of them is not known


def test_a_lane_still_to_come_can_be_removed(opened):
    opened.ask("bass")
    opened.engine.begin()
    opened.session.select((opened.player.growing[0].lane_id,))
    do(opened, "remove")
    assert not opened.engine.jobs
    assert not opened.session.shown.of_kind("extracted")


@pytest.mark.parametrize("taps", [3, 4, 6, 13])
def test_taps_while_playing_put_the_beats_there_and_begin_on_the_one(opened, monkeypatch, taps):
    now_s, beat, first = itertools.count(0, 0.5), RATE_HZ // 2, 3 * BAR + 1000
    monkeypatch.setattr("mgeldm_app.core.controller.time", SimpleNamespace(monotonic=lambda: next(now_s)))
    do(opened, "play")
    for number in range(taps):
        opened.player.position = first + number * beat
        do(opened, "tap")
    assert opened.project.tempo.bpm == 120.0
    assert opened.project.tempo.downbeat_s == pytest.approx(1000 / RATE_HZ, abs=1 / RATE_HZ)
    assert Grid.of(opened.project).place(first)[1] == 1


def test_another_song_begins_at_its_start_and_in_silence(opened, tmp_path):
    opened.player.position = 5 * BAR
    do(opened, "play")
    do(opened, "listen")
    opened.open(write_song(tmp_path / "another.wav"))
    assert (opened.player.playing, opened.player.position, opened.player.what) == (False, 0, "stems")


def test_at_the_songs_end_the_last_bar_is_looped(opened):
    opened.player.position = opened.project.samples
    do(opened, "loop")
    assert opened.project.region == Span(9 * BAR, 10 * BAR)


def test_a_lane_that_went_is_not_turned(opened):
    opened.c.set_lane("L99", "gain_db", 3.0)
    assert not opened.told


def test_the_quality_of_the_settings_is_the_one_to_begin_with(home, tmp_path):
    first = World()
    first.c.set_settings(replace(first.c.settings, quality="best"))
    first.c.close()
    second = World()
    second.open(write_song(tmp_path / "song.wav"))
    assert second.project.prompt.quality == "best"
    second.c.close()


def test_projects_lie_in_the_folder_that_was_typed(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    world = World()
    for typed, folder in (("~/My Projects", "My Projects"), ("songs", "songs")):
        world.c.set_settings(replace(world.c.settings, projects=typed))
        world.open(write_song(tmp_path / "song.wav"))
        assert world.session.folder.folder == tmp_path / folder / "song.mgeldm"
        assert world.c.settings.recent[0] == str(world.session.folder.folder)
    world.c.close()


def test_a_project_named_from_where_the_program_was_started_is_found_from_elsewhere(home, tmp_path, monkeypatch):
    first = World()
    first.open(write_song(tmp_path / "song.wav"))
    folder = first.session.folder.folder
    first.c.close()
    monkeypatch.chdir(folder.parent)
    second = World()
    second.open(folder.name)
    assert second.c.settings.recent[0] == str(folder)
    second.c.close()


@pytest.mark.parametrize("how", ["cancelled", "not begun", "failed", "made"])
@pytest.mark.parametrize("left", ["for a song", "closed", "quit"])
def test_of_music_that_was_not_made_no_project_stays(world, tmp_path, how, left):
    if how == "not begun":
        world.c.documents.begin_empty("funk")
    else:
        world.ask("funk", task="generate")
    folder, recent = world.session.folder.folder, world.c.settings.recent
    assert folder.is_dir() and recent == (str(folder),)
    if how == "cancelled":
        do(world, "cancel_jobs")
    elif how == "failed":
        world.engine.fail(0.0)  # and waits to be tried again
    elif how == "made":
        world.engine.finish()
        do(world, "undo")
    if left == "for a song":
        world.open(write_song(tmp_path / "song.wav"))
    elif left == "closed":
        world.c.documents.close()
    else:
        world.c.close()
    assert folder.exists() == (how in ("failed", "made"))
    assert (str(folder) in load_settings().recent) == folder.exists()


def test_an_empty_project_that_somebody_named_stays(world, tmp_path):
    world.ask("funk", task="generate")
    do(world, "cancel_jobs")
    first = world.session.folder.folder
    world.c.documents.save_as(tmp_path / "Mine.mgeldm")
    assert not first.exists()
    world.c.documents.close()
    assert (tmp_path / "Mine.mgeldm").is_dir()


def test_two_windows_keep_each_others_settings(home, tmp_path):
    first, second = World(), World()
    songs = [write_song(tmp_path / f"{name}.wav") for name in ("first", "second", "third")]
    second.c.set_settings(replace(second.c.settings, theme="light", device="Interface X"))
    second.open(songs[1])
    second.ask("bass")
    first.open(songs[0])
    first.c.set_settings(replace(first.c.settings, snap="beat"))
    second.open(songs[2])
    kept = load_settings()
    assert (kept.theme, kept.device, kept.snap, kept.prompts) == ("light", "Interface X", "beat", ("bass",))
    assert [Path(folder).stem for folder in kept.recent] == ["third", "first", "second"]
    assert (first.c.settings.theme, first.c.settings.device) == ("system", "")  # what it sounds and looks like
    first.c.close()
    second.c.close()


def test_settings_that_could_not_be_kept_are_kept_the_next_time(opened, monkeypatch):
    def full(*_, **__):
        raise OutputError("There is no room.")

    with monkeypatch.context() as patch:
        patch.setattr("mgeldm_app.core.settings.write_whole", full)
        opened.c.set_settings(replace(opened.c.settings, theme="light"))
    assert opened.told[-1] == ("There is no room.", True) and load_settings().theme == "system"
    opened.c.set_settings(replace(opened.c.settings, snap="beat"))
    assert (load_settings().theme, load_settings().snap) == ("light", "beat")
    settings_path().unlink()
    opened.c.set_settings(replace(opened.c.settings, quality="best"))
    assert (load_settings().theme, load_settings().quality) == ("light", "best")


def test_time_is_told_for_as_many_takes_as_are_made(world, opened):
    world.session.engine = replace(world.session.engine, speed=None)
    world.c._learn("generate", "standard", 1.0)
    prompt = Prompt("pads", "generate", takes=4, length_s=8.0)
    assert world.c.seconds_for(prompt) == pytest.approx(4 * min(8.0, opened.project.samples / opened.project.rate_hz))
    world.c.documents.close()
    assert world.c.seconds_for(prompt) == pytest.approx(8.0)


def test_settings_that_cannot_be_kept_are_told_of_once(opened):
    """Every prompt and every finished job is a setting."""
    kept = settings_path().read_bytes() if settings_path().exists() else b""
    settings_path().unlink(missing_ok=True)
    settings_path().mkdir()
    for theme in ("dark", "light", "dark"):
        opened.c.set_settings(replace(opened.c.settings, theme=theme))
    assert len(opened.told) == 1 and opened.told[0][1] and opened.c.settings.theme == "dark"
    settings_path().rmdir()
    settings_path().write_bytes(kept)
    opened.c.set_settings(replace(opened.c.settings, theme="light"))
    assert len(opened.told) == 1 and load_settings().theme == "light"
    settings_path().unlink()
    settings_path().mkdir()
    opened.c.set_settings(replace(opened.c.settings, theme="dark"))
    assert len(opened.told) == 2


def test_keeping_a_take_alone_ends_those_still_to_come_and_removing_one_does_not(opened):
    for action, jobs, takes in (("drop_take", 2, 3), ("keep_take", 0, 1)):
        opened.ask(action, task="impute", takes=4)
        opened.engine.finish()
        opened.engine.finish()
        do(opened, action)
        assert len(opened.engine.jobs) == jobs
        opened.engine.finish_all()
        assert len(opened.project.of_kind("added")[-1].parts[0].takes) == takes


def test_what_a_stem_sets_off_that_lands_while_the_program_ends_is_of_no_use(opened, tmp_path):
    """An export that waited for it would be minutes in which the window stands still."""
    exported = []
    opened.ask("bass")
    opened.c.making.when_idle(lambda: exported.append(opened.c.taking.errands.copy()))
    opened.workers.holding = opened.porters.holding = True
    opened.engine.finish()
    stopped, cancel_all = [], opened.c.taking.cancel_all
    opened.c.taking.cancel_all = lambda: (stopped.append(bool(exported)), cancel_all())
    opened.c.close()
    assert stopped[:2] == [False, True]
