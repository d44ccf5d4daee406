"""The work behind the models dialog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mgeldm.errors import Cancelled, OutputError
from mgeldm.language import say
from mgeldm.progress import Reporter
from PySide6.QtCore import QObject, QTimer

from ..core import models
from ..core.controller import Controller
from ..core.models import EMBEDDED, Installed, Known
from ..core.text import duration_text, size_text
from ..core.underway import Underway
from .dialogs.models import ModelRow, ModelsDialog

_LOADED = ("ready", "working")  # states of an engine whose process has a model


class ModelDesk(QObject):
    """What the models dialog shows and what its buttons do; downloads and imports run on a worker and can be stopped.

    Args:
        controller: Its models and settings.
        dialog: Is shown rows.
    """

    def __init__(self, controller: Controller, dialog: ModelsDialog) -> None:
        super().__init__(dialog)
        self.controller, self.dialog = controller, dialog
        self._coming = controller.models.coming  # also what was begun in an earlier dialog
        self._messages: dict[str, str] = {}
        self._closed = False
        dialog.use_clicked.connect(self.use)
        dialog.download_clicked.connect(self.download)
        dialog.cancel_clicked.connect(self.cancel)
        dialog.remove_clicked.connect(self.remove)
        dialog.import_chosen.connect(self.take_in)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(250)
        self.refresh()

    def refresh(self) -> None:
        """Show what there is and what comes."""
        mine = self.controller.models
        rows = [self._row(model) for model in mine.installed()]
        rows += [self._known_row(known) for known in mine.available()]
        imports = [key for key in dict.fromkeys([*self._coming, *self._messages]) if not _is_known(key)]
        self.dialog.set_rows(rows + [self._import_row(path) for path in imports])

    def use(self, model_id: str) -> None:
        """Work with another model from now on."""
        self.controller.set_settings(replace(self.controller.settings, model=model_id))
        self.controller.configure_engine()
        self.refresh()

    def download(self, model_id: str) -> None:
        """Fetch a known model."""
        self._run(model_id, lambda reporter: self.controller.models.download(model_id, reporter))

    def take_in(self, path: str) -> None:
        """Copy a file into the folder of models."""
        self._run(path, lambda reporter: self.controller.models.take_in(Path(path), reporter))

    def cancel(self, key: str) -> None:
        """Stop a download or an import."""
        if key in self._coming:
            self._coming[key].cancelled = True

    def remove(self, model_id: str) -> None:
        """Delete a model; the embedded one takes over where it was in use."""
        c = self.controller
        with c.told():
            was_used = c.settings.model == model_id
            if was_used:
                self.use(EMBEDDED)
            try:
                c.models.remove(model_id)
            except OutputError:
                if not (was_used and c.session.engine.state in _LOADED):
                    raise
                self._remove_later(model_id)
        c.configure_engine()  # CLAP may have gone
        self.refresh()

    def _remove_later(self, model_id: str) -> None:
        """Delete a model once the engine has left it: Windows deletes no file that its process still maps."""
        c = self.controller

        def look(what: str) -> None:
            if what == "engine" and c.session.engine.state not in _LOADED:
                forget()
                with c.told():
                    c.models.remove(model_id)

        forget = c.session.changed.connect(look)

    def close(self) -> None:
        """Stop downloads, which go on from there the next time; imports go on, and tell when they are done."""
        for key in filter(_is_known, list(self._coming)):
            self.cancel(key)
        self._timer.stop()
        self._closed = True

    def _run(self, key: str, work: Callable[[Reporter], object]) -> None:
        if key in self._coming:
            return  # what was stopped just now is about to end
        coming = self._coming[key] = Underway()
        self._messages.pop(key, None)

        def done(_: object) -> None:
            self._coming.pop(key, None)
            self.controller.configure_engine()  # CLAP may be what a model in use was waiting for
            if self._closed and not _is_known(key):
                name = Path(key).name
                self.controller.session.tell(say("{file} is imported; choose it in File > Models.", file=name))

        def failed(error: BaseException) -> None:
            self._coming.pop(key, None)
            if not isinstance(error, Cancelled):
                self._messages[key] = str(error)
                self.controller.session.tell(str(error), error=True)

        self.controller.porters.run(lambda: work(coming.reporter()), done, failed)
        self.refresh()

    def _row(self, model: Installed) -> ModelRow:
        used = self.controller.settings.model == model.id
        about = self.tr("Comes with the program: small, quick, works offline.") if model.id == EMBEDDED else ""
        return ModelRow(
            model.id,
            model.name,
            about,
            sha256=model.sha256,
            size_bytes=model.size_bytes,
            in_use=used,
            removable=model.id != EMBEDDED,
            can_use=model.can_use,
            message=self._lack() if used and model.id != EMBEDDED else "",
        )

    def _lack(self) -> str:
        """What the model in use lacks, where it is to be had here."""
        engine, has_clap = self.controller.session.engine, self.controller.settings.clap or self.controller.models.clap
        lacks = engine.state == "failed" and "CLAP" in engine.message and not has_clap
        return self.tr("It understands text through CLAP: download that, too.") if lacks else ""

    def _known_row(self, known: Known) -> ModelRow:
        name, about = say(known.name), say(known.about)
        if known.id in self._coming:
            return _coming_row(known.id, name, about, self._coming[known.id])
        message = self._messages.get(known.id, "")
        return ModelRow(known.id, name, about, "available", can_use=bool(known.files), message=message)

    def _import_row(self, path: str) -> ModelRow:
        name = Path(path).stem
        if path in self._coming:
            about = self.tr("Is being imported, also when this window is closed.")
            return _coming_row(path, name, about, self._coming[path])
        return ModelRow(path, name, state="broken", removable=False, message=self._messages[path])


def _is_known(key: str) -> bool:
    return any(known.id == key for known in models.KNOWN)


def _coming_row(key: str, name: str, about: str, coming: Underway) -> ModelRow:
    at = coming.progress
    share = at.done / at.total if at and at.total else None
    left = f" · {duration_text(at.left_s)}" if at and at.left_s is not None else ""
    progress = f"{size_text(at.done)} / {size_text(at.total)}{left}" if at else ""
    return ModelRow(key, name, about, "downloading", share=share, progress=progress)
