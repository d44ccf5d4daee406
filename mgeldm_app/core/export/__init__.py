"""Taking it away: audio files, files to drag, and projects for other programs."""

from .arrange import Colours
from .drag import prepare
from .formats import Format, export, formats, names_of
from .render import Exported, ExportReport, export_lanes

__all__ = ["Colours", "ExportReport", "Exported", "Format", "export", "export_lanes", "formats", "names_of", "prepare"]
