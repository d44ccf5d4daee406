"""The time axis that all lanes share: which samples the window shows, and where each of them lies."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from ...core.project import Span

CLOSEST = 1.0  # samples a pixel
START_PADDING_PX = 8
_PAGE = 0.04  # of the width: where the playhead stands on a new page


class Axis(QObject):
    """Samples to pixels and back. Pixels are logical ones, counted from the left edge of a lane's body.

    The left edge lies on a whole device pixel of the song, so that a picture drawn once fits wherever it is scrolled.

    Attributes:
        scale: Samples a pixel.
        left: Sample at the left edge; may be a little before the song.
        width: Pixels across.
        ratio: Device pixels a pixel.
        samples: The song's length.
        step: Samples a device pixel.
        offset: Device pixels from the song's start to the left edge.
        following: Whether the view goes along with the playhead. It stops when the user looks elsewhere, and goes on
            once the playhead is in sight again.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.scale = 1000.0
        self.left = 0.0
        self.width = 1000
        self.ratio = 1.0
        self.samples = 0
        self.following = True
        self.step, self.offset = self.scale, 0

    @property
    def visible(self) -> Span:
        """The samples of the song that are in sight."""
        start = min(max(0, round(self.left)), self.samples)
        return Span(start, max(start, min(self.samples, round(self.left + self.width * self.scale))))

    @property
    def widest(self) -> float:
        """The scale at which the whole song is in sight."""
        return max(CLOSEST, self.samples / max(1, self.width - 2 * START_PADDING_PX))

    def x_of(self, sample: float) -> float:
        """Where a sample lies."""
        return sample / self.scale - self.offset / self.ratio

    def sample_at(self, x: float) -> float:
        """The sample at a pixel, which may lie outside of the song."""
        return (x + self.offset / self.ratio) * self.scale

    def resize(self, width: int, ratio: float) -> None:
        """The window has another size; what is at the left edge stays there, and a whole song stays whole."""
        whole = self.scale >= self.widest * 0.999
        if (width, ratio) != (self.width, self.ratio):
            self.width, self.ratio = max(1, width), ratio
            self.show(self.left, self.widest if whole else self.scale)

    def set_samples(self, samples: int) -> None:
        """Another length of song; a new song is shown whole."""
        if samples != self.samples:
            fresh, self.samples = not self.samples, samples
            if fresh:
                self.fit()
            else:
                self.show(self.left, self.scale)

    def show(self, left: float, scale: float) -> None:
        """Scroll and zoom, within what makes sense."""
        self.scale = min(max(scale, CLOSEST), self.widest)
        padding = START_PADDING_PX * self.scale
        last = max(-padding, self.samples + padding - self.width * self.scale)
        self.left = min(max(left, -padding), last)
        self.step = self.scale / self.ratio
        self.offset = round(self.left / self.step)
        self.following = False
        self.changed.emit()

    def follow(self, sample: float) -> bool:
        """Turn the page if the playhead left the view and nobody is looking elsewhere; returns whether it did."""
        inside = 0 <= self.x_of(sample) < self.width
        self.following = self.following or inside
        if inside or not self.following:
            return False
        self.show(sample - _PAGE * self.width * self.scale, self.scale)
        self.following = True
        return True

    def fit(self, span: Span | None = None) -> None:
        """Show the whole song, or a span with a little room at both sides."""
        if span is None or not span.samples:
            self.show(0.0, self.widest)
            return
        scale = span.samples / max(1, self.width - 2 * START_PADDING_PX)
        self.show(span.start - START_PADDING_PX * scale, scale)

    def zoom(self, factor: float, x: float) -> None:
        """Zoom in by a factor above 1, out by one below; the sample at `x` stays where it is."""
        sample = self.left + x * self.scale
        scale = min(max(self.scale / factor, CLOSEST), self.widest)
        self.show(sample - x * scale, scale)

    def scroll(self, pixels: float) -> None:
        """Move the view to later samples."""
        self.show(self.left + pixels * self.scale, self.scale)
