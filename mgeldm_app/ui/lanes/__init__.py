"""The lanes: waveforms and spectrograms of song, stems and parts along one axis of time."""

from .bench import drawing_times, frame_times
from .view import LanesView

__all__ = ["LanesView", "drawing_times", "frame_times"]
