from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication

from mgeldm_app.core.project import Lane, Prompt, Span
from mgeldm_app.core.text import CHIPS, MAX_SEED, prompts_of
from mgeldm_app.ui.prompt import PromptBar, task_names
from mgeldm_app.ui.theme import LIGHT

FULL = Prompt("a warm Rhodes, drums", "impute", "harsh", Span(4, 9), 7, "best", 12)


def place(span, lane_id):
    return f"{span.start} to {span.stop} of {lane_id or 'the song'}"


@pytest.fixture
def bar(shown):
    made = PromptBar()
    made.set_example(None, None, place)
    made.heard = []
    made.changed.connect(made.heard.append)
    made.set_summary("Extract from 8 bars ≈ 6 s", "Takes it out.", True)
    return shown(made, 1280, 240)


@pytest.mark.parametrize("prompt", [Prompt(), FULL, replace(FULL, task="inpaint", seed=None), Prompt(task="generate")])
def test_what_is_shown_is_what_it_says_and_nobody_is_told(bar, prompt):
    bar.show_prompt(prompt)
    assert bar.prompt() == prompt and bar.heard == []


def test_typing_is_told_letter_by_letter(bar, qtbot):
    qtbot.keyClicks(bar.line, "dr")
    assert [prompt.text for prompt in bar.heard] == ["d", "dr"]


def test_every_field_is_told(bar):
    bar.tasks["impute"].click()
    bar.negative.setText("harsh")
    bar.takes.setValue(2)
    bar.quality.setCurrentIndex(2)
    bar.seed.setText("5")
    assert bar.heard[-1] == Prompt("", "impute", "harsh", None, 2, "best", 5) and len(bar.heard) == 5
    bar.seed.clear()
    assert bar.heard[-1].seed is None
    bar.dice.click()
    assert bar.heard[-1].seed is not None and str(bar.heard[-1].seed) == bar.seed.text()


def test_a_seed_is_digits_alone_and_no_larger_than_seeds_can_be(bar, qtbot):
    bar.show_prompt(Prompt())
    qtbot.keyClicks(bar.seed, "+")
    assert bar.prompt().seed is None
    qtbot.keyClicks(bar.seed, "1,000.5-")
    assert bar.seed.text() == "10005" and bar.heard[-1].seed == 10005
    bar.seed.clear()
    qtbot.keyClicks(bar.seed, "99999999991")
    assert bar.seed.text() == "9999999999" and bar.heard[-1].seed == MAX_SEED
    bar.show_prompt(bar.heard[-1])
    assert bar.seed.text() == str(MAX_SEED)


def test_an_echo_of_what_was_typed_leaves_the_cursor(bar, qtbot):
    qtbot.keyClicks(bar.line, "drums")
    bar.line.setCursorPosition(2)
    bar.show_prompt(bar.heard[-1])
    assert bar.line.cursorPosition() == 2


def test_enter_and_the_button_submit_if_it_can_be_done(bar, qtbot):
    submitted = []
    bar.submitted.connect(submitted.append)
    bar.show_prompt(FULL)
    qtbot.keyClick(bar.line, Qt.Key.Key_Return)
    bar.action.click()
    assert submitted == [FULL, FULL]
    bar.set_summary("Extract", "", False, "Say which instrument.")
    qtbot.keyClick(bar.line, Qt.Key.Key_Return)
    assert submitted == [FULL, FULL] and not bar.action.isEnabled()
    assert bar.note.text() == bar.action.toolTip() == "Say which instrument."


def test_escape_leaves_the_line(bar, qtbot):
    bar.focus_line()
    with qtbot.waitSignal(bar.left, timeout=1000):
        qtbot.keyClick(bar.line, Qt.Key.Key_Escape)
    assert not bar.line.hasFocus()


def test_an_example_of_a_new_part_is_one_part(bar):
    for task, (_, _, example) in task_names().items():
        assert len(prompts_of(Prompt(example, task))) == (2 if task == "extract" else 1)
    bar.tasks["impute"].click()
    bar.line.setText("a warm piano, soft attack")
    bar.chips["drums"].click()
    assert bar.line.text() == "a warm piano, soft attack; drums" and bar.chips["drums"].isChecked()
    assert bar.line.accessibleName() == "What you want; several with semicolons"


def test_chips_add_take_out_and_replace(bar, qtbot):
    bar.chips["drums"].click()
    bar.chips["bass"].click()
    assert bar.line.text() == "drums, bass"
    bar.chips["drums"].click()
    assert bar.line.text() == "bass" and not bar.chips["drums"].isChecked() and bar.chips["bass"].isChecked()
    bar.chips["everything but vocals"].click()
    bar.chips["piano"].click()
    assert bar.line.text() == "bass, everything but vocals; piano"
    qtbot.mouseClick(bar.chips["strings"], Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier)
    assert bar.line.text() == bar.heard[-1].text == "strings"


def test_chips_follow_the_line(bar):
    bar.line.setText("Vocals, a tuba")
    assert [name for name in CHIPS if bar.chips[name].isChecked()] == ["vocals"]


def test_like_this_needs_a_region_and_keeps_the_one_it_took(bar):
    assert not bar.like.isEnabled()
    bar.set_example(Span(3, 8), None, place)
    bar.like.click()
    assert bar.heard[-1].like == Span(3, 8)
    bar.set_example(Span(5, 6), None, place)
    assert bar.prompt().like == Span(3, 8) and bar.like.isChecked()
    bar.set_example(None, None, place)
    assert bar.like.isEnabled()
    bar.like.click()
    assert bar.heard[-1].like is None and not bar.like.isEnabled()


def test_like_this_takes_the_sound_of_the_selected_lane(bar):
    keys = Lane("L3", "added", "Keys")
    bar.set_example(Span(3, 8), keys, place)
    bar.tasks["impute"].click()
    bar.like.click()
    assert (bar.heard[-1].like, bar.heard[-1].like_lane) == (Span(3, 8), "L3")
    bar.set_example(Span(4, 9), None, place)
    assert bar.like.text() == "Like 3 to 8 of L3" and bar.options.text().startswith("like 3 to 8 of L3")
    assert bar.like.toolTip() == "Make it sound like 3 to 8 of L3"
    bar.like.click()
    assert (bar.heard[-1].like, bar.heard[-1].like_lane) == (None, "")
    assert bar.like.text() == "Like 4 to 9 of the song"
    bar.like.click()
    assert (bar.heard[-1].like, bar.heard[-1].like_lane) == (Span(4, 9), "")
    bar.set_example(None, None, place)
    assert bar.like.text() == "Like 4 to 9 of the song"


def test_what_a_task_does_not_use_is_out_of_use(bar):
    assert not bar.takes.isEnabled()
    bar.set_example(Span(0, 1), None, place)
    bar.options.click()
    bar.tasks["impute"].click()
    assert bar.takes.isEnabled() and bar.like.isVisible() and not bar.lasts.isVisible()
    bar.tasks["generate"].click()
    assert bar.takes.isEnabled() and not bar.like.isVisible() and bar.lasts.isVisible()


def test_music_from_nothing_is_as_long_as_asked_for_and_becomes_one_song(bar):
    bar.tasks["generate"].click()
    bar.length.setValue(21.3)
    assert bar.heard[-1].length_s == 21.3
    bar.set_beside(4.0, True)
    assert not bar.length.isEnabled() and bar.length.value() == 4.0 and bar.prompt().length_s == 21.3
    bar.set_beside(None, False)
    assert bar.length.isEnabled() and bar.length.value() == 21.3
    assert not bar.takes.isEnabled() and "takes" not in bar.options.text()


def test_chips_yield_to_why_it_cannot_be_done(shown):
    bar = shown(PromptBar(), 960, 240)
    bar.set_summary("Accompany", "Makes it.", True)
    assert all(chip.isVisible() for chip in bar.chips.values())
    bar.set_summary("Accompany", "", False, "The rest cannot be accompanied; select the song or another lane.")
    assert not bar.chips["everything but vocals"].isVisible() and bar.chips["vocals"].isVisible()
    bar.offers.layout().activate()
    assert bar.note.width() >= bar.note.sizeHint().width()
    bar.set_summary("Accompany", "Makes it.", True)
    assert all(chip.isVisible() for chip in bar.chips.values())


def test_the_fold_is_summed_up_and_opens(bar):
    bar.show_prompt(FULL)
    assert bar.options.text() == "not harsh · like 4 to 9 of the song · 7 takes · best · seed 12"
    bar.show_prompt(replace(FULL, task="extract"))
    assert bar.options.text() == "not harsh · like 4 to 9 of the song · best · seed 12"
    assert not bar.fold.isVisible()
    bar.options.click()
    assert bar.fold.isVisible()
    bar.set_theme(LIGHT)
    assert bar.fold.isVisible()


def test_a_suggestion_replaces_the_last_prompt_and_does_not_submit(bar, qtbot):
    submitted = []
    bar.submitted.connect(submitted.append)
    bar.focus_line()
    qtbot.keyClicks(bar.line, "drums, a warm rho")
    popup = bar.line.completer().popup()
    assert popup.isVisible()
    qtbot.keyClick(popup, Qt.Key.Key_Down)
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    assert bar.line.text() == bar.heard[-1].text == "drums, a warm Rhodes"
    assert submitted == [] and not popup.isVisible()


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_enter_submits_what_was_typed_where_no_suggestion_was_chosen(bar, qtbot, key):
    submitted = []
    bar.submitted.connect(submitted.append)
    bar.focus_line()
    qtbot.keyClicks(bar.line, "the bass")
    popup = bar.line.completer().popup()
    assert popup.isVisible() and popup.model().index(0, 0).data() == "the bass guitar"
    popup.setCurrentIndex(popup.model().index(0, 0))  # as the completer does after a moment
    popup.selectionModel().clearSelection()
    qtbot.keyClick(popup, key)
    assert [prompt.text for prompt in submitted] == ["the bass"] and bar.line.text() == "the bass"
    assert not popup.isVisible()


def test_suggestions_know_the_history_and_close_with_escape(bar, qtbot):
    bar.set_history(["zither of doom"])
    bar.focus_line()
    qtbot.keyClicks(bar.line, "zi")
    popup = bar.line.completer().popup()
    assert popup.model().index(0, 0).data() == "zither of doom"
    qtbot.keyClick(popup, Qt.Key.Key_Escape)
    assert not popup.isVisible() and bar.line.hasFocus() and bar.line.text() == "zi"


def test_a_click_beside_the_suggestions_closes_them_and_is_a_click(bar, qtbot):
    submitted = []
    bar.submitted.connect(submitted.append)
    qtbot.keyClicks(bar.line, "dr")
    popup = bar.line.completer().popup()
    assert popup.isVisible()
    middle = bar.action.rect().center()
    qtbot.mousePress(popup.viewport(), Qt.MouseButton.LeftButton, pos=popup.viewport().rect().center())
    assert popup.isVisible() and submitted == []
    beside = popup.mapFromGlobal(bar.action.mapToGlobal(middle))
    qtbot.mousePress(popup, Qt.MouseButton.LeftButton, pos=beside)
    qtbot.waitUntil(lambda: submitted != [])
    assert not popup.isVisible() and not bar.action.isDown()
    assert [prompt.text for prompt in submitted] == ["dr"]


def test_everything_fits_the_smallest_window(bar):
    bar.show_prompt(replace(FULL, negative="x" * 500, text="y" * 500))
    bar.set_summary("Regenerate the whole song ≈ 1 min 25 s", "z" * 400, True)
    bar.options.click()
    assert bar.minimumSizeHint().width() <= 1100


@pytest.mark.parametrize(("task", "narrow"), [("extract", 720), ("impute", 720), ("generate", 853)])
def test_the_options_fit_a_narrow_window(bar, task, narrow):
    bar.options.click()
    bar.tasks[task].click()
    QApplication.processEvents()
    assert bar.fold.minimumSizeHint().width() <= narrow - (bar.width() - bar.fold.width())


def test_chips_make_room_for_how_long_it_takes_and_are_never_squeezed(shown):
    bar = shown(PromptBar(), 1024, 240)
    for note in ("Takes the slide guitar and the bass as 2 stems out of 1 bar; about 1 s on this CPU.", ""):
        for width in (1024, 720):
            bar.resize(width, 240)
            bar.set_summary("Extract", note, True)
            bar.offers.layout().activate()
            assert bar.note.width() >= bar.note.sizeHint().width()
            chips = [chip for chip in bar.chips.values() if chip.isVisible()]
            assert chips and all(chip.width() >= chip.sizeHint().width() for chip in chips)


def test_nothing_moves_when_a_long_note_leaves_no_room_for_chips(bar):
    heights = set()
    for note in ("Short.", "A very long note. " * 40, "Short."):
        bar.set_summary("Extract", note, True)
        QApplication.processEvents()
        heights.add((bar.minimumSizeHint().height(), bar.offers.height(), bar.line.mapTo(bar, QPoint(0, 0)).y()))
    assert len(heights) == 1
