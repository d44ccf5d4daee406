"""Work under way on a worker: how far it is, and whether it is still wanted."""

from __future__ import annotations

from dataclasses import dataclass

from mgeldm.progress import Progress, Reporter


@dataclass(kw_only=True)
class Underway:
    """A worker writes its fields, the window reads them.

    Attributes:
        progress: How far it is; None while it waits for a worker.
        cancelled: The user does not want it any more, or the window closes.
    """

    progress: Progress | None = None
    cancelled: bool = False

    def reporter(self) -> Reporter:
        """Takes down progress, and stops the work when it is not wanted any more."""

        def note(progress: Progress) -> None:
            self.progress = progress

        return Reporter(note, lambda: self.cancelled)
