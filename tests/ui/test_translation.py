"""Every word goes through translation: a translator that puts brackets around all it is given, and a language made by
`packaging/translations.py` of bracketed texts, which only has what that command collects."""

import ast
import html
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mgeldm.audio import AudioClip, map_wav, probe, read, write
from mgeldm.checkpoint import load_model
from mgeldm.conditioning.clap import ClapConditioner
from mgeldm.conditioning.embedded import WordTable
from mgeldm.config import from_dict
from mgeldm.errors import AudioError, MgeldmError
from mgeldm.language import say, speak
from mgeldm.pipeline.compute import choose_device
from mgeldm.progress import Reporter
from mgeldm.requests import Extract, Generate, Impute, Region, Sampling
from PySide6.QtCore import QCoreApplication, QTranslator
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLabel, QLineEdit, QWidget

from mgeldm_app.core import asks, commands, text
from mgeldm_app.core.actions import ACTIONS, TASK_TITLES
from mgeldm_app.core.export import export, export_lanes, formats
from mgeldm_app.core.models import check_kind
from mgeldm_app.core.project import Project, Prompt, Span, Tempo
from mgeldm_app.core.settings import ExportSettings, Settings
from mgeldm_app.core.storage import ProjectFolder, _faults
from mgeldm_app.core.timeline import span_text
from mgeldm_app.core.voices import make_plan
from mgeldm_app.services.devices import PortAudioDevices, _why_missing
from mgeldm_app.ui.dialogs import ExportDialog, LaneRow, MessageBar, ModelRow, ModelsDialog, Notice, SettingsDialog
from mgeldm_app.ui.empty import EmptyState
from mgeldm_app.ui.jobs import JobRow, JobsBar
from mgeldm_app.ui.language import CONTEXT, take_language
from mgeldm_app.ui.main_window import MainWindow
from mgeldm_app.ui.model_desk import ModelDesk
from mgeldm_app.ui.palette import Palette
from mgeldm_app.ui.prompt import PromptBar
from mgeldm_app.ui.shortcuts import ShortcutSheet
from mgeldm_app.ui.transport import Transport
from tests.fakes.bad_files import BAD, BAD_INSIDE
from tests.fakes.world import RATE_HZ, World, write_song

COMMAND = Path(__file__).parents[2] / "packaging" / "translations.py"
EXAMPLE = Span(0, 9)
KEY = re.compile(r"\b(?:Space|Home|Return|Ctrl|Shift|Del|Left|Right|Up|Down)\b")  # said by Qt in its own translation
DONE = "<source>{0}</source><translation>⟦{0}⟧</translation>"
SOURCE = re.compile(r"<source>(.*?)</source>", re.DOTALL)
MESSAGE = re.compile(r"<source>(.*?)</source>\s*<translation.*?</translation>", re.DOTALL)


class Brackets(QTranslator):
    def translate(self, context, source, disambiguation=None, n=-1):
        return f"⟦{source}⟧"

    def isEmpty(self):
        return False


def collect(folder):
    """Run the command; returns the list of texts."""
    run = [sys.executable, str(COMMAND), "eo", "--out", str(folder)]
    subprocess.run(run, check=True, capture_output=True)
    return folder / "mgeldm_eo.ts"


@pytest.fixture(scope="session")
def esperanto(tmp_path_factory):
    """A folder with a language in which every text that is collected stands in brackets."""
    folder = tmp_path_factory.mktemp("translations")
    ts = collect(folder)
    english = ts.read_text(encoding="utf-8")
    ts.write_text(MESSAGE.sub(DONE.format(r"\1"), english), encoding="utf-8")
    collect(folder)
    return folder


@pytest.fixture(params=["all", "collected"], autouse=True)
def brackets(request, qapp):
    """Speaks in brackets: whatever is asked to be translated, or what the command collects."""
    if request.param == "all":
        QCoreApplication.installTranslator(Brackets(qapp))
        speak(lambda template: f"⟦{template}⟧")
    else:
        assert take_language(qapp, ["xx-YY", "eo", "en"], request.getfixturevalue("esperanto"))
    yield
    speak(None)
    for translator in qapp.findChildren(QTranslator):
        QCoreApplication.removeTranslator(translator)
        translator.setParent(None)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A controller among fakes, with a song whose name needs no translation."""
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "home"))
    made = World()
    made.open(write_song(tmp_path / "1.wav"))
    made.engine.warm_up()
    yield made
    made.c.close()


def texts(root):
    """Everything that is read in a widget and below it."""
    for widget in [root, *root.findChildren(QWidget)]:
        yield from (widget.windowTitle(), widget.toolTip(), widget.accessibleName(), widget.accessibleDescription())
        if isinstance(widget, QLabel | QAbstractButton):
            yield widget.text()
        if isinstance(widget, QLineEdit):
            yield widget.placeholderText()
        if isinstance(widget, QComboBox):
            yield from (widget.itemText(row) for row in range(widget.count()))


def is_bare(text):
    """Whether a word stands outside of brackets; a text that was cut short for want of room may have lost its last."""
    if text.endswith("…"):
        text += "⟧" * (text.count("⟦") - text.count("⟧"))
    while (inner := re.sub(r"⟦[^⟦⟧]*⟧", "", text)) != text:
        text = inner
    text = re.sub(r"\b[0-9a-f]{12}\b", "", KEY.sub("", text))  # a model is known by its hash, which is no word
    return bool(re.search(r"[^\W\d_]{3,}", text))


def untranslated(root):
    """Texts with a word outside of brackets."""
    return sorted({text for text in texts(root) if is_bare(text)})


def transport():
    made = Transport()
    made.set_tempo(Tempo(120, source="given"))
    made.set_null(-12)
    made.set_playing(True)
    made.set_levels(1.5, 0.1)
    return made


def prompt():
    bar = PromptBar()
    bar.show_prompt(Prompt(negative="-", like=Span(0, 1), takes=3, quality="best", seed=5))
    return bar


def jobs():
    bar = JobsBar()
    rows = [JobRow(state, "", state) for state in ("running", "queued", "failed", "done", "stopped")]
    bar.set_rows(rows)
    return bar


def notices():
    window = QWidget()
    bar = MessageBar(window)
    bar.say(Notice("", "", details="."))
    return window


def models():
    states = ("installed", "available", "downloading", "broken")
    return ModelsDialog([ModelRow(state, "", state=state, sha256="00", in_use=True) for state in states])


def export_dialog():
    rows = [LaneRow("", "", "#000000")]
    return ExportDialog(rows, formats()[:1], ExportSettings("wav24"), lambda _: [], lambda _: [], "", "")


@pytest.mark.parametrize(
    "make",
    [
        transport, prompt, jobs, notices, models, EmptyState, Palette, lambda: ShortcutSheet(()),
        lambda: SettingsDialog(Settings(), (), (), (), "", ""),
        export_dialog,
    ],
    ids=["transport", "prompt", "jobs", "notices", "models", "empty", "palette", "shortcuts", "settings", "export"],
)  # fmt: skip
def test_no_word_stands_in_the_code_alone(make, qtbot):
    widget = make()
    qtbot.addWidget(widget)
    assert untranslated(widget) == []
    assert any("⟦" in text for text in texts(widget))


def test_a_word_of_the_code_is_found(qtbot):
    label = QLabel("Loop")
    qtbot.addWidget(label)
    assert untranslated(label) == ["Loop"]


def bare(said):
    """Those of many texts in which a word stands outside of brackets."""
    return sorted({text for text in said if is_bare(text)})


def errors_of(*calls):
    """What the errors of calls say."""
    for call in calls:
        with pytest.raises((MgeldmError, ValueError)) as caught:
            call()
        yield str(caught.value)


def test_the_whole_window_speaks(world, qtbot):
    world.ask("1")
    world.engine.finish_all()
    window = MainWindow(world.c)
    qtbot.addWidget(window)
    actions = [action.text() for action in window.findChildren(QAction)]
    assert len(actions) > len(ACTIONS)
    names = r"Song|Rest|1\.wav|MGE-LDM Desktop|CPU|fake f+|/\S+/MGE-LDM Projects/1\.mgeldm"  # of lanes, files, models
    assert bare(re.sub(names, "", text) for text in [*texts(window), *actions]) == []


def test_what_is_told_and_why_something_cannot_be_done(world, tmp_path):
    c, song = world.c, tmp_path / "2.wav"
    write_song(song)
    told = [error for _, error in world.told]
    c.documents.open_paths([tmp_path, tmp_path / "3", song, song])
    c.documents.open_project(world.session.folder.folder)
    c.documents.open_project(tmp_path)
    for task in ("extract", "impute", "inpaint", "accompany"):
        world.ask("", task=task)
        world.ask("1", task=task)
    world.ask("1" * 3000)
    c.documents.save_as(tmp_path / "4.mgeldm")
    world.engine.finish_all()
    c.documents.save_as(tmp_path / "4.mgeldm")
    c.documents.save_as(tmp_path / "4.mgeldm")
    with c.told():
        raise OSError(28, "1")
    c.documents.close()
    told = [text for text, _ in world.told] + [c.blocked(Prompt("1")), c.blocked(Prompt("", "inpaint"))]
    assert len(told) > 15 and bare(told) == []


def test_jobs_and_steps_have_titles(world):
    c, session, titles = world.c, world.session, []

    def note(_):
        titles.extend([session.history.undo_title, *(view.job.title for view in session.jobs.values())])

    session.changed.connect(note)
    c.set_region(Span(0, 8 * RATE_HZ))
    for task in ("extract", "impute", "accompany", "inpaint"):
        session.select(("song",))
        world.ask("1", task=task, takes=2)
        world.engine.finish_all()
    lane = next(lane for lane in world.project.lanes if lane.kind == "added")
    values = {"name": "5", "gain_db": -1.0, "pan": 0.5, "muted": True, "soloed": True}
    for field, value in (values | {"view": "spectrogram", "colour": 3}).items():
        session.do(commands.set_lane(lane, field, value))
    session.do(commands.set_lane(world.project.of_kind("extracted")[0], "sensitivity", 0.5))
    for vary in (False, True):
        c.making.make_again(lane.id, 0, vary)
        world.engine.finish_all()
    for command in (
        commands.choose_take(lane.id, 0, 0), commands.keep_takes(lane.id, 0, (0,)), commands.move_lane(lane.id, -1),
        commands.set_tempo(Tempo(99.0, source="given")), commands.set_looping(True), commands.remove_lanes((lane.id,)),
    ):  # fmt: skip
        session.do(command)
    assert len(set(titles)) > 20 and bare(titles) == []


def test_what_was_not_finished_is_said_when_it_is_opened_again(world):
    world.ask("1")
    world.engine.begin()
    folder = world.session.folder.folder
    world.c.documents.ask_to_leave = lambda: True
    world.c.documents.close()
    world.c.documents.open_project(folder)
    (view,) = world.session.jobs.values()
    assert view.state == "stopped" and bare([view.message, view.job.title]) == []
    assert all("⟦" in text for text in (view.message, view.job.title))


def test_the_prompt_bar_promises_in_sentences():
    said = []
    for task in TASK_TITLES:
        for names, like in (("", None), ("1", None), ("1, 2", EXAMPLE), ("1, 2, 3", None), ("1, 2, 3, 4", EXAMPLE)):
            for seconds, device, takes in ((None, "", 1), (6.0, "cpu", 2), (6.0, "cuda", 1), (6.0, "", 1)):
                said += text.summary(Prompt(names, task, like=like), "8", seconds, device, takes)
    assert bare(said) == [] and all("⟦" in each for each in said)


def test_times_sizes_and_facts():
    said = [text.duration_text(seconds) for seconds in (0.1, 5, 65, 700, 3600, 4000, float("inf"))]
    said += [text.progress_text((1, 3), (2, 24), 3.0), *(text.size_text(10**n) for n in (2, 5, 8, 11))]
    said += [text.facts_text(44100, channels, 10**6) for channels in (1, 2, 5)]
    project = Project(tempo=Tempo(120.0, source="given"))
    bar = 2 * project.rate_hz
    said += [span_text(project, Span(0, samples)) for samples in (bar, 2 * bar, 100)]
    assert bare(said) == [] and all("⟦" in each for each in said)


def test_errors_of_the_library_and_of_files(tmp_path):
    sampling = Sampling()
    said = list(errors_of(
        *(partial(probe, bad.make(tmp_path)) for bad in BAD),
        *(partial(read, bad.make(tmp_path)) for bad in BAD_INSIDE),
        lambda: probe(tmp_path / "1.wav"), lambda: read(write_song(tmp_path / "1.wav"), 5, 3),
        lambda: read(tmp_path / "1.wav", 99), lambda: map_wav(tmp_path / "1.wav"), lambda: map_wav(tmp_path / "2.wav"),
        lambda: write(tmp_path, AudioClip(np.zeros((1, 9), np.float32), 8000)),
        lambda: write(tmp_path / "1" / "2.wav", AudioClip(np.zeros((1, 9), np.float32), 8000)),
        lambda: write(tmp_path / ("3" * 300), AudioClip(np.zeros((1, 9), np.float32), 8000)),
        lambda: check_kind(tmp_path / "1.wav"), lambda: check_kind(tmp_path / "2.wav"),
        lambda: Region(3, 1).validate(9), lambda: Region(0, 99).validate(9), lambda: Region(10).validate(9),
        lambda: Region(0, 0.01).validate(9), lambda: Region(float("nan")).validate(9),
        lambda: replace(sampling, quality="1").validate(), lambda: replace(sampling, steps=-1).validate(),
        lambda: replace(sampling, guidance=-1).validate(), lambda: replace(sampling, seed=-1).validate(),
        lambda: Extract(()).validate(9), lambda: Extract(("1",), sensitivity=3).validate(9),
        lambda: Extract(("",)).validate(9), lambda: Extract(("1" * 3000,)).validate(9),
        lambda: Generate(9999, "1").validate(), lambda: Impute(()).validate(9),
        lambda: from_dict({}), lambda: from_dict({"kind": "DenoiserConfig", "1": 2}),
        lambda: from_dict({"kind": "DenoiserConfig", "condition_dim": "1"}),
        lambda: load_model(tmp_path / "2"), lambda: load_model(tmp_path / "1.wav"), lambda: choose_device("1"),
        lambda: WordTable.load(tmp_path / "2"), lambda: ClapConditioner.load(tmp_path),
        lambda: Reporter(cancelled=lambda: True).check(),
    ))  # fmt: skip
    assert bare(said) == [] and all("⟦" in each for each in said)


def test_errors_of_projects_and_exports(world, tmp_path):
    project, view, folder = world.project, world.session.store.view, world.session.folder.folder
    lanes, options = project.lanes, ExportSettings()
    (tmp_path / "5.mgeldm").mkdir()
    said = list(errors_of(
        lambda: ProjectFolder.create(folder), lambda: ProjectFolder.open(tmp_path / "4"),
        lambda: ProjectFolder.open(tmp_path / "5.mgeldm"), lambda: world.session.folder.copy_to(folder, project),
        lambda: export_lanes(Project(), view, lanes, tmp_path, options),
        lambda: export_lanes(project, view, (), tmp_path, options),
        lambda: export_lanes(project, view, lanes, tmp_path, replace(options, region_only=True)),
        lambda: export_lanes(project, view, lanes, tmp_path, replace(options, pattern="{1}")),
        lambda: export(project, view, lanes, tmp_path, replace(options, format="1"), None),
        lambda: asks.check(Project(), Prompt("1")),
    ))  # fmt: skip
    second = ProjectFolder.open(folder)
    said += [*_faults(Project(lanes=(), tempo=Tempo(0.0))), *_faults(Project(lanes=project.lanes * 2))]
    said += [second.notice, export_lanes(project, view, lanes, tmp_path, options).text]
    second.close()

    def lost(_):
        raise AudioError("")

    mix = replace(options, as_mix=True)
    silent = replace(project, lanes=tuple(replace(lane, muted=True) for lane in lanes))
    said += errors_of(
        lambda: export_lanes(project, lost, lanes, tmp_path, options),
        lambda: export_lanes(silent, view, silent.lanes, tmp_path, mix),
    )
    said += make_plan(project, lost).problems
    said += [export_lanes(project, view, lanes[:1], tmp_path, options).text]
    assert bare(said) == [] and all("⟦" in each for each in said)


def test_models_and_sound_cards(world, qtbot):
    dialog = ModelsDialog()
    qtbot.addWidget(dialog)
    desk = ModelDesk(world.c, dialog)
    assert untranslated(dialog) == []
    desk.close()
    said = [_why_missing(error) for error in (OSError("1"), ValueError("1"))]
    said += errors_of(lambda: PortAudioDevices().open("", RATE_HZ, 0.1, lambda *_: None))
    assert bare(said) == [] and all("⟦" in each for each in said)


def test_all_that_widgets_give_to_qt_is_collected(esperanto):
    """Also where Qt's tool does not look: in the midst of an f-string, or under another name."""
    collected = {html.unescape(text) for text in SOURCE.findall((esperanto / "mgeldm_eo.ts").read_text("utf-8"))}
    given = set()
    for path in (COMMAND.parents[1] / "mgeldm_app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if name in ("tr", "translate", "_tr"):
                given |= {each.value for each in ast.walk(node.args[-1]) if isinstance(each, ast.Constant)}
    assert len(given) > 250 and given - collected == set()


def test_the_dearest_language_that_there_is_is_spoken(qapp, esperanto, tmp_path):
    speak(None)
    assert not take_language(qapp, ["xx-YY", "en-GB", "eo"], esperanto)  # English is dearer, and needs no file
    assert not take_language(qapp, ["eo"], tmp_path)
    assert say("Undo") == "Undo"
    assert take_language(qapp, ["xx", "eo-Latn-001", "eo", "en"], esperanto)
    assert say("Undo") == "⟦Undo⟧"


def test_half_a_character_in_the_name_of_a_file_does_no_harm(qapp, esperanto):
    take_language(qapp, ["eo"], esperanto)
    assert say("/songs/\udcff") == "/songs/\udcff"


def test_updating_keeps_what_is_translated_and_ships_only_that(tmp_path):
    ts = collect(tmp_path)
    text = ts.read_text(encoding="utf-8")
    draft = '<source>Redo</source>\n        <translation type="unfinished">⟦Redo⟧</translation>'
    text = re.sub(r"<source>Undo</source>\s*<translation.*?</translation>", DONE.format("Undo"), text)
    text = re.sub(r"<source>Redo</source>\s*<translation.*?</translation>", draft, text)
    ts.write_text(text, encoding="utf-8")
    collect(tmp_path)
    assert "⟦Undo⟧" in ts.read_text(encoding="utf-8") and "⟦Redo⟧" in ts.read_text(encoding="utf-8")
    made = QTranslator()
    assert made.load(str(tmp_path / "mgeldm_eo.qm"))
    assert (made.translate(CONTEXT, "Undo"), made.translate(CONTEXT, "Redo")) == ("⟦Undo⟧", "")


def test_a_text_in_the_code_alone_is_found_missing(request):
    """What the command has not collected has no brackets in the language that it made."""
    if request.node.callspec.params["brackets"] == "collected":
        assert bare([say("Nobody collects this"), QCoreApplication.translate("Sentence", "Nor this")])
