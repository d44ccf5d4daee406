"""The work behind the models dialog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mgeldm.errors import Cancelled
from mgeldm.language import say
from mgeldm.progress import Progress, Reporter
from PySide6.QtCore import QObject, QTimer

from ..core.controller import Controller
from ..core.models import EMBEDDED, Installed, Known
from ..core.text import duration_text, size_text
from .dialogs.models import ModelRow, ModelsDialog


class ModelDesk(QObject):
    """What the models dialog shows and what its buttons do; downloads run on a worker and can be stopped.

    Args:
        controller: Its models and settings.
        dialog: Is shown rows.
    """

    def __init__(self, controller: Controller, dialog: ModelsDialog) -> None:
        super().__init__(dialog)
        self.controller, self.dialog = controller, dialog
        self._coming: dict[str, Progress | None] = {}
        self._stopped: set[str] = set()
        self._messages: dict[str, str] = {}
        dialog.use_clicked.connect(self.use)
        dialog.download_clicked.connect(self.download)
        dialog.cancel_clicked.connect(self._stopped.add)
        dialog.remove_clicked.connect(self.remove)
        dialog.import_chosen.connect(self.take_in)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(250)
        self.refresh()

    def refresh(self) -> None:
        """Show what there is and what comes."""
        models = self.controller.models
        rows = [self._row(model) for model in models.installed()]
        self.dialog.set_rows(rows + [self._known_row(known) for known in models.available()])

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

    def remove(self, model_id: str) -> None:
        """Delete a model; the embedded one takes over where it was in use."""
        with self.controller.told():
            if self.controller.settings.model == model_id:
                self.use(EMBEDDED)
            self.controller.models.remove(model_id)
        self.refresh()

    def close(self) -> None:
        """Stop what is under way; a download goes on from there the next time."""
        self._stopped.update(self._coming)
        self._timer.stop()

    def _run(self, key: str, work: Callable[[Reporter], object]) -> None:
        self._coming[key] = None
        self._stopped.discard(key)
        self._messages.pop(key, None)
        reporter = Reporter(partial(self._coming.__setitem__, key), lambda: key in self._stopped)

        def done(_: object) -> None:
            self._coming.pop(key, None)

        def failed(error: BaseException) -> None:
            self._coming.pop(key, None)
            if not isinstance(error, Cancelled):
                self._messages[key] = str(error)
                self.controller.session.tell(str(error), error=True)

        self.controller.porters.run(lambda: work(reporter), done, failed)
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
        )

    def _known_row(self, known: Known) -> ModelRow:
        name, about, message = say(known.name), say(known.about), self._messages.get(known.id, "")
        if known.id not in self._coming:
            return ModelRow(known.id, name, about, "available", can_use=bool(known.files), message=message)
        at = self._coming[known.id]
        share = at.done / at.total if at and at.total else None
        left = f" · {duration_text(at.left_s)}" if at and at.left_s is not None else ""
        progress = f"{size_text(at.done)} / {size_text(at.total)}{left}" if at else ""
        return ModelRow(known.id, name, about, "downloading", share=share, progress=progress)
