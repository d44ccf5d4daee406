"""Settings: where it sounds, where it computes, how it looks, where things lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mgeldm.language import say
from mgeldm.requests import QUALITIES, Quality
from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from ...core.settings import Settings
from ...core.text import QUALITY_NAMES
from ..parts import button, label, line, within_screen
from .form import Combo, FolderField, Form, Sheet

translate = QCoreApplication.translate


@dataclass(frozen=True)
class Choice:
    """One of several: `value` as the settings keep it, `text` as people read it."""

    value: str
    text: str


def quality_hints() -> dict[Quality, str]:
    """What each quality means, in a sentence."""
    return {
        "draft": translate("SettingsDialog", "Fastest: for trying out."),
        "standard": translate("SettingsDialog", "Good stems in a few seconds."),
        "best": translate("SettingsDialog", "Listens at more pitches, in more windows: slower, less bleed."),
    }


class SettingsDialog(Sheet):
    """Edits `Settings`; what it does not show stays as it was.

    Args:
        settings: As they are.
        outputs: Sound cards, without the system's default.
        computes: Devices that can compute, "auto" first.
        models: Installed models.
        projects_home: Where projects lie if nothing else is said.
        latency_note: What the present latency is ("11 ms now"); "" if unknown.
        parent: The window.
        sounds: Whether a sound card plays, so that new ones are not looked for.

    Attributes:
        before: What its changes are changes of: the settings as they were, with the model in use by now.

    Signals:
        models_clicked: Manage models.
    """

    models_clicked = Signal()

    def __init__(
        self,
        settings: Settings,
        outputs: Sequence[str],
        computes: Sequence[Choice],
        models: Sequence[Choice],
        projects_home: str = "",
        latency_note: str = "",
        parent: QWidget | None = None,
        sounds: bool = False,
    ) -> None:
        super().__init__(translate("SettingsDialog", "Settings"), translate("SettingsDialog", "Save"), parent)
        self.before = settings
        self._outputs: list[str] | None = None
        self.device = _combo([], settings.device)
        self.latency = _combo(
            [Choice("safe", self.tr("Safe: larger buffers")), Choice("low", self.tr("Low: quicker to react"))],
            settings.latency,
        )
        self.quality = _combo([Choice(q, say(QUALITY_NAMES[q])) for q in QUALITIES], settings.quality)
        self.compute = _combo(computes, settings.compute, self._missing())
        self.model = _combo(models, settings.model, self._missing())
        self.theme = _combo(
            [
                Choice("system", self.tr("As the system")),
                Choice("dark", self.tr("Dark")),
                Choice("light", self.tr("Light")),
            ],
            settings.theme,
        )
        self.projects = FolderField(self.tr("Projects"), settings.projects, projects_home)
        self.clap = FolderField(self.tr("CLAP weights"), settings.clap, self.tr("not needed by the embedded model"))
        self._lay_out(latency_note)
        self.set_outputs(outputs, sounds)
        self.resize(within_screen(self, 560))
        self.device.setFocus()

    def settings(self) -> Settings:
        """As the user left them."""
        return replace(
            self.before,
            device=self.device.currentData(),
            latency=self.latency.currentData(),
            quality=self.quality.currentData(),
            compute=self.compute.currentData(),
            model=self.model.currentData(),
            theme=self.theme.currentData(),
            projects=self.projects.path,
            clap=self.clap.path,
        )

    def set_outputs(self, outputs: Sequence[str], sounds: bool) -> None:
        """Sound cards came or went, or one began or ended to play; what the user chose stays chosen."""
        if list(outputs) != self._outputs:  # a list that is open is not disturbed without need
            self._outputs = list(outputs)
            choices = [Choice("", self.tr("The system's own choice")), *(Choice(name, name) for name in outputs)]
            _fill(self.device, choices, self.device.currentData(), self.tr("{0} (not connected)"))
        self._outputs_hint.setText(self.tr("New devices are looked for once playing is paused."))
        self._outputs_hint.setVisible(sounds)

    def set_models(self, models: Sequence[Choice], used: str) -> None:
        """Models came or went, or another is in use: that is chosen then. Else what the user chose stays, if it can."""
        chosen = self.model.currentData()
        if used != self.before.model or chosen not in [choice.value for choice in models]:
            chosen = used
        self.before = replace(self.before, model=used)
        _fill(self.model, models, chosen, self._missing())

    def _missing(self) -> str:
        return self.tr("{0} (not found)")

    def _lay_out(self, latency_note: str) -> None:
        sound = self._section(self.tr("Sound"))
        self._outputs_hint = sound.add_field(self.tr("Output"), self.device)
        sound.add_field(self.tr("Latency"), self.latency, latency_note)
        making = self._section(self.tr("Making"))
        self._quality_hint = making.add_field(self.tr("Quality"), self.quality, " ")
        self.quality.currentIndexChanged.connect(self._explain)
        self._explain()
        making.add_field(self.tr("Computes on"), self.compute)
        model = QWidget()
        row = QHBoxLayout(model)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        manage = button(self.tr("Models…"))
        manage.clicked.connect(self.models_clicked)
        row.addWidget(self.model, 1)
        row.addWidget(manage)
        making.add_field(self.tr("Model"), model, buddy=self.model)
        window = self._section(self.tr("Window and folders"))
        window.add_field(self.tr("Theme"), self.theme)
        window.add_field(self.tr("Projects"), self.projects, buddy=self.projects.edit)
        window.add_field(self.tr("CLAP weights"), self.clap, buddy=self.clap.edit)

    def _section(self, title: str) -> Form:
        if self.body.count():
            self.body.addWidget(line())
        form = Form()
        form.addWidget(label(title, "heading"), 0, 0, 1, 2)
        form.setRowMinimumHeight(0, 26)
        self.body.addLayout(form)
        return form

    def _explain(self) -> None:
        self._quality_hint.setText(quality_hints()[self.quality.currentData()])


def _combo(choices: Sequence[Choice], value: str, missing: str = "{0}") -> Combo:
    made = Combo()
    made.setSizeAdjustPolicy(Combo.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(16)
    _fill(made, choices, value, missing)
    return made


def _fill(combo: Combo, choices: Sequence[Choice], value: str, missing: str) -> None:
    """Put it at `value` among choices; a value that is none of them is added and said to be missing."""
    combo.clear()
    for choice in choices:
        combo.addItem(choice.text, choice.value)
    if combo.findData(value) < 0:
        combo.addItem(missing.format(value), value)
    combo.setCurrentIndex(combo.findData(value))
