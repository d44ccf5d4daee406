"""What actions want of the window: dialogs, the palette, zoom. `Controller.wants` names it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mgeldm.bundled import DEMO_SONG, RESOURCES
from mgeldm.requests import Extract
from PySide6.QtCore import QCoreApplication, QObject, QProcess, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDialog, QFileDialog, QInputDialog, QMessageBox

from ..core.drop import AUDIO_SUFFIXES
from ..core.export import Colours, formats, names_of
from ..core.files import whole_path
from ..core.making import below_best
from ..core.project import Lane, Project
from ..core.settings import Settings, latest, with_changes
from ..core.storage import SUFFIX, projects_home
from ..core.text import KEYS, duration_text
from ..core.timeline import span_text
from . import theme as themes
from .dialogs.export import ExportChoice, ExportDialog, LaneRow
from .dialogs.models import ModelsDialog
from .dialogs.settings import Choice, SettingsDialog
from .lanes.header import LaneHeader
from .lanes.view import HEIGHT_STEP, ZOOM_STEP
from .menus import Menus
from .model_desk import ModelDesk
from .palette import Entry, Palette
from .parts import held
from .shortcuts import ShortcutSheet
from .transport import METRES

if TYPE_CHECKING:
    from ..core.controller import Controller
    from ..core.ports import Player
    from ..core.session import Session
    from .main_window import MainWindow

translate = QCoreApplication.translate
SAVE_AGAIN_MS = 5000  # after a save that failed


class Wishes(QObject):
    """Carries out what only a window can do.

    Args:
        window: Parent of dialogs.
        controller: What is asked for.
        menus: Actions for palette and shortcut sheet.
    """

    def __init__(self, window: MainWindow, controller: Controller, menus: Menus) -> None:
        super().__init__(window)
        self.window, self.controller, self.menus = window, controller, menus
        self._palette = Palette(window)
        self._palette.chosen.connect(menus.run)
        lanes = window.lanes
        self.table: dict[str, Callable[[], object]] = {
            "open": self.open,
            "demo": lambda: controller.documents.open_song(DEMO_SONG, "Demo song.flac"),
            "save_as": self.save_as,
            "show_folder": self.show_folder,
            "export": self.export,
            "copy_files": lambda: self.copy_files(False),
            "copy_region": lambda: self.copy_files(True),
            "settings": self.settings,
            "models": self.models,
            "quit": self.quit,
            "metre": lambda: _choose_metre(window),
            "key": lambda: _choose_key(window),
            "rename": self.rename,
            "focus_prompt": window.prompt.focus_line,
            "jobs": window.jobs.open_panel,
            "zoom_in": lambda: lanes.zoom(ZOOM_STEP),
            "zoom_out": lambda: lanes.zoom(1 / ZOOM_STEP),
            "fit": lanes.fit,
            "zoom_region": lanes.zoom_to_region,
            "taller": lambda: lanes.stretch(HEIGHT_STEP),
            "lower": lambda: lanes.stretch(1 / HEIGHT_STEP),
            "theme": self.flip_theme,
            "palette": self.palette,
            "shortcuts": self.shortcuts,
            "about": self.about,
        }
        self._saving = QTimer(self)
        self._saving.timeout.connect(controller.documents.save_again)
        self._saving.start(SAVE_AGAIN_MS)
        controller.wants.connect(lambda wish: self.table[wish]())
        controller.documents.ask_to_leave = self.ask_to_leave
        controller.documents.ask_to_lose = self.ask_to_lose

    # ------------------------------------------------------------------------------------------------------- documents

    def open(self) -> None:
        """Choose a song."""
        kinds = " ".join(f"*{suffix}" for suffix in AUDIO_SUFFIXES)
        names = self.tr("Songs ({0});;Projects ({1});;All files (*)")
        names = names.format(kinds, f"*{SUFFIX} project.json")  # macOS shows the folder as if it were a file
        path, _ = QFileDialog.getOpenFileName(self.window, self.tr("Open a song or a project"), "", names)
        if path:
            self.controller.documents.open_paths([Path(path)])

    def save_as(self) -> None:
        """Choose another folder for the project."""
        folder = self.controller.session.folder
        if folder is None:
            return
        holds = self._open_still()
        first = str(folder.folder.with_name(f"{folder.folder.stem} 2{SUFFIX}"))
        path, _ = QFileDialog.getSaveFileName(self.window, self.tr("Save the project as"), first)
        if path and holds():
            target = Path(path)
            self.controller.documents.save_as(target if target.suffix == SUFFIX else Path(f"{target}{SUFFIX}"))

    def _open_still(self) -> Callable[[], bool]:
        """Whether what is open now still is, once a dialog about it was answered; it is said where it is not."""
        session = self.controller.session
        before = session.folder

        def holds() -> bool:
            if session.folder is not before:
                said = self.tr("Something else was opened meanwhile, so nothing was written; ask again.")
                session.tell(said, error=True)
            return session.folder is before

        return holds

    def quit(self) -> None:
        """Close the window, if what is being made and written may be left."""
        if self.may_quit():
            self.window.close()

    def may_quit(self) -> bool:
        """Whether nothing is being made or written, or the user would leave it all the same."""
        if not self.controller.documents.may_leave():
            return False
        text = self.tr("Files are still being written. If you close now, they are not made.")
        return not self.controller.taking.errands or self._asked(self.tr("Still being written"), text)

    def ask_to_leave(self) -> bool:
        """Ask whether to leave what is being made; whatever is not a yes is a no."""
        text = self.tr("{0} What is finished is kept; the rest can be made when the project is opened again.")
        return self._asked(self.tr("Still being made"), text.format(_being_made(self.controller.session)))

    def _asked(self, title: str, text: str) -> bool:
        """Whether the user says "Close" and not "Stay"."""
        box = QMessageBox(self.window)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(title)
        box.setText(text)
        close = box.addButton(self.tr("&Close"), QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton(self.tr("&Stay"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.setEscapeButton(stay)
        _accepted(box)
        return box.clickedButton() == close

    def may_close(self) -> bool:
        """Save what is not saved; where that fails, the user decides."""
        return self.controller.documents.may_lose()

    def ask_to_lose(self) -> bool:
        """Ask whether to leave a project that cannot be saved; whatever is not a yes is a no."""
        text = self.tr(
            "The last changes could not be saved. Close all the same, and lose them? Save as keeps them in a copy."
        )
        close, stay = QMessageBox.StandardButton.Discard, QMessageBox.StandardButton.Cancel
        return QMessageBox.warning(self.window, self.tr("Not saved"), text, close | stay, stay) == close

    def show_folder(self, folder: Path | None = None) -> None:
        """Open a folder, the project's unless another is given, in the system's file manager."""
        project = self.controller.session.folder
        shown = folder or (project and project.folder)
        if shown is None:
            return
        if sys.platform == "darwin" and shown.suffix == SUFFIX:  # opened, it would come back to this program
            QProcess.startDetached("open", ["-R", str(shown)])
        else:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(shown)))

    def copy_files(self, region_only: bool) -> None:
        """Selected lanes as files on the clipboard."""
        ids = tuple(lane.id for lane in self.controller.selected_lanes())
        self.window.dragging.copy(ids, region_only)

    # ---------------------------------------------------------------------------------------------------------- export

    def export(self) -> None:
        """Choose what to export, and export it on a worker."""
        c, project = self.controller, self.controller.session.project
        theme = self.window.theme
        chosen = set(c.session.selected if len(c.session.selected) > 1 else ())  # one is only where somebody clicked
        rows = [
            LaneRow(lane.id, lane.name, themes.colour_of(theme, lane).name(), not chosen or lane.id in chosen)
            for lane in project.lanes
        ]
        region = span_text(project, project.region) if project.region else ""
        names, mixed, best = partial(_names, project), partial(_mixed, project), self._best_note(project)
        dialog = ExportDialog(rows, formats(), c.settings.export, names, mixed, region, best, self.window)
        holds = self._open_still()
        if not (_accepted(dialog) and holds()):
            return
        choice = dialog.choice()
        c.set_settings(replace(c.settings, export=choice.options))
        with c.told():
            if choice.best and c.making.best(choice.lanes):
                c.session.tell(self.tr("The stems are made at best quality first; the export follows."))
                asked = c.session.project
                c.making.when_idle(lambda: self._write_best(choice, asked))
            else:
                self._write(choice)

    def _write_best(self, choice: ExportChoice, asked: Project) -> None:
        """Export once the best is made, or what there is where that failed, otherwise as it was when asked for."""
        project = self.controller.session.project
        if any(below_best(project, lane) for lane in project.stems_behind(choice.lanes)):
            self.controller.session.tell(
                self.tr("Not every stem could be made at best quality; those are exported as they are."), error=True
            )
        self._write(choice, asked)

    def _best_note(self, project: Project) -> str:
        stems = [lane for lane in project.lanes if below_best(project, lane)]
        if not stems:
            return ""
        speed = self.controller.settings.speed("extract", "best", self.controller.session.engine.device)
        music_s = sum(part.span.samples for lane in stems for part in lane.parts) / project.rate_hz
        count = self.tr("{0} stems").format(len(stems)) if len(stems) > 1 else self.tr("one stem")
        return self.tr("{0}, about {1}").format(count, duration_text(music_s / speed)) if speed else count

    def _write(self, choice: ExportChoice, asked: Project | None = None) -> None:
        theme = self.window.theme
        colours = Colours(theme.stems, theme.song, theme.rest)
        self.controller.taking.export(choice.lanes, choice.options, colours, asked)

    # -------------------------------------------------------------------------------------------------------- settings

    def settings(self) -> None:
        """Edit the settings."""
        c, player = self.controller, self.controller.player
        computes = [Choice(key, text) for key, text in self._computes()]
        latency_s = player.status.latency_s
        note = self.tr("{0:.0f} ms now").format(latency_s * 1000) if latency_s else ""
        home, outputs = str(projects_home()), player.devices()
        models, parent = _usable_models(c), self.window
        dialog = SettingsDialog(c.settings, outputs, computes, models, home, note, parent, _sounds(player))

        def manage_models() -> None:
            self.models()
            dialog.set_models(_usable_models(c), c.settings.model)  # one is used, or removed, at once

        dialog.models_clicked.connect(manage_models)
        forget = player.changed.connect(lambda: dialog.set_outputs(player.devices(), _sounds(player)))
        accepted = _accepted(dialog)
        forget()
        if accepted:
            # meanwhile a project was opened perhaps, or a speed measured
            self.use(with_changes(latest(c.settings), dialog.settings(), dialog.before))

    def use(self, settings: Settings) -> None:
        """Take settings over, here and in sound and engine."""
        c, before = self.controller, self.controller.settings
        c.set_settings(settings)
        if (settings.device, settings.latency) != (before.device, before.latency):
            c.player.set_device(settings.device, settings.latency)
        if settings.quality != before.quality:
            c.set_prompt(replace(c.session.project.prompt, quality=settings.quality))
        if (settings.model, settings.compute, settings.clap) != (before.model, before.compute, before.clap):
            c.configure_engine()

    def _computes(self) -> list[tuple[str, str]]:
        return [
            ("auto", self.tr("The fastest there is")),
            ("cpu", self.tr("Processor")),
            ("cuda", self.tr("NVIDIA graphics card")),
            ("mps", self.tr("Apple graphics")),
        ]

    def flip_theme(self) -> None:
        """Dark for light, and back."""
        other: Literal["dark", "light"] = "light" if self.window.theme.name == "dark" else "dark"
        self.controller.set_settings(replace(self.controller.settings, theme=other))

    # ---------------------------------------------------------------------------------------------------------- models

    def models(self) -> None:
        """Show, get, choose and remove models."""
        dialog = ModelsDialog(parent=self.window)
        dialog.set_theme(self.window.theme)
        desk = ModelDesk(self.controller, dialog)
        _accepted(dialog)
        desk.close()

    # ----------------------------------------------------------------------------------------------------------- others

    def rename(self) -> None:
        """Edit the name in the header of the selected lane."""
        for header in self.window.lanes.findChildren(LaneHeader):
            if header.lane.id in self.controller.session.selected:
                header.name.edit()

    def palette(self) -> None:
        """Find an action by a few letters."""
        self._palette.set_theme(self.window.theme)
        self._palette.open_with(self.menus.entries())

    def shortcuts(self) -> None:
        """All shortcuts on one sheet."""
        takes = self.tr("Hear take 1 to 9")
        sheet = [
            replace(entry, id="takes", title=takes, shortcut="1 … 9") if entry.id == "take_1" else entry
            for entry in self.menus.entries()
            if not re.fullmatch(r"take_[2-9]", entry.id)
        ]
        place = next(number for number, entry in enumerate(sheet) if entry.id == "listen")
        original = Entry("hold", self.tr("Hear the original while held"), "A", True, sheet[place].group)
        sheet.insert(place + 1, original)
        mouse = self.tr("Mouse")
        for title, keys in (
            (self.tr("Drag lanes out, by the left edge of one"), self.tr("Drag")),
            (self.tr("Drag only the region out, by the left edge of a lane"), held("Ctrl") + self.tr("Drag")),
            (self.tr("Drag only the region out, from a lane"), held("Alt") + self.tr("Drag")),
        ):
            sheet.append(Entry("drag", title, keys, True, mouse))
        _accepted(ShortcutSheet(sheet, self.window))

    def about(self) -> None:
        """What this is."""
        from mgeldm import __version__

        text = self.tr(
            "MGE-LDM Desktop {0}\n\nRemix any song by a sentence, on your own computer.\nMGE-LDM: Chae & Lee, arXiv "
            "2505.23305. This program and its model: MIT licence. Demo song: CC0."
        ).format(__version__)
        others = RESOURCES / "licences" / "THIRD-PARTY.txt"  # bundles hold it, with what it is about
        if others.is_file():
            place, says = QUrl.fromLocalFile(str(others)).toString(), self.tr("Licences of what it is made with")
            text = f'{escape(text)}\n\n<a href="{escape(place)}">{escape(says)}</a>'.replace("\n", "<br>")
        QMessageBox.about(self.window, self.tr("About"), text)


def _usable_models(controller: Controller) -> list[Choice]:
    return [Choice(model.id, model.name) for model in controller.models.installed() if model.can_use]


def _being_made(session: Session) -> str:
    """How much: of stems the lanes that grow, of parts each take, which its draft is not."""
    jobs = [view.job for view in session.jobs.values() if view.under_way]
    extracts = {job.id for job in jobs if isinstance(job.request, Extract)}
    stems = len({part.lane_id for job_id in extracts for part in session.growing.get(job_id, ())})
    added = [job for job in jobs if job.id not in extracts]
    parts = len([job for job in added if not job.urgent]) or len(added)
    if stems and parts:
        return translate("Wishes", "{0} parts and stems are still being made.").format(stems + parts)
    if parts:
        several = translate("Wishes", "{0} parts are still being made.").format(parts)
        return several if parts > 1 else translate("Wishes", "A part is still being made.")
    several = translate("Wishes", "{0} stems are still being made.").format(stems)
    return several if stems > 1 else translate("Wishes", "A stem is still being made.")


def _choose_metre(window: MainWindow) -> None:
    """Choose the metre, which a narrow window does not show."""
    tempo = window.controller.session.project.tempo
    names = [f"{beats}/{unit}" for beats, unit in METRES]
    now = f"{tempo.beats_per_bar}/{tempo.beat_unit}"
    if name := _chosen(window, translate("Wishes", "Metre"), translate("Wishes", "Beats in a bar"), names, now):
        window.transport.metre_chosen.emit(*METRES[names.index(name)])


def _choose_key(window: MainWindow) -> None:
    """Choose the key, likewise."""
    now = window.controller.session.project.tempo.key
    if name := _chosen(window, translate("Wishes", "Key"), translate("Wishes", "Key of the song"), list(KEYS), now):
        window.transport.key_entered.emit(name)


def _chosen(window: MainWindow, title: str, text: str, names: list[str], now: str) -> str:
    """One of several names; "" if the user would rather not."""
    place = names.index(now) if now in names else 0
    name, is_chosen = QInputDialog.getItem(window, title, text, names, place, False)
    return name if is_chosen else ""


def _accepted(dialog: QDialog) -> bool:
    """Show a dialog until it is answered; it goes when the caller is done with it, not with the window."""
    answer = dialog.exec()
    dialog.deleteLater()
    return answer == QDialog.DialogCode.Accepted


def _sounds(player: Player) -> bool:
    """Whether a sound card plays, which a look for others would interrupt."""
    return player.playing and player.status.device != ""


def _names(project: Project, choice: ExportChoice) -> list[str]:
    """Names of the files of a choice, for the dialog's example."""
    folder = whole_path(choice.options.folder) if choice.options.folder else None
    return names_of(project, _lanes(project, choice), choice.options, folder)


def _mixed(project: Project, choice: ExportChoice) -> list[str]:
    """Names of the lanes in a mix of a choice."""
    return [lane.name for lane in project.heard_of(_lanes(project, choice))]


def _lanes(project: Project, choice: ExportChoice) -> list[Lane]:
    return [lane for lane in project.lanes if lane.id in choice.lanes]
