"""Windows that ask: settings, models, export; and notices that do not get in the way."""

from .export import ExportChoice, ExportDialog, LaneRow
from .messages import MessageBar, Notice
from .models import ModelRow, ModelsDialog
from .settings import Choice, SettingsDialog

__all__ = [
    "Choice", "ExportChoice", "ExportDialog", "LaneRow", "MessageBar", "ModelRow", "ModelsDialog", "Notice",
    "SettingsDialog",
]  # fmt: skip
