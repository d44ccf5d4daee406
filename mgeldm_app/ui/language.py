"""The language of the program: the system's, where there is a translation (`packaging/translations.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mgeldm.bundled import TRANSLATIONS
from mgeldm.language import speak
from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

CONTEXT = "Sentence"
"""Under which translators find what is said outside of widgets (`mgeldm.language.say`)."""


def take_language(
    application: QCoreApplication, languages: Sequence[str] | None = None, folder: Path = TRANSLATIONS
) -> bool:
    """Let everything be said in the first of the user's languages that there is; call it before any text is made.

    Args:
        application: Whose texts.
        languages: The user's, the dearest first ("de-AT", "de", "en"); None asks the system.
        folder: Of the compiled translations.

    Returns:
        Whether it is another than English.
    """
    own = QTranslator(application)
    for language in QLocale.system().uiLanguages() if languages is None else languages:
        if language.split("-")[0] == "en":
            return False
        locale = language.replace("-", "_")
        path = folder / f"mgeldm_{locale}.qm"
        if path.is_file() and own.load(str(path)) and not own.isEmpty():
            buttons = QTranslator(application)  # "Cancel", "Discard": the dialogs of Qt itself
            if buttons.load(f"qtbase_{locale}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
                QCoreApplication.installTranslator(buttons)
            QCoreApplication.installTranslator(own)
            speak(_translated)
            return True
    return False


def _translated(template: str) -> str:
    """What Qt's translators have. With half a character, as names of files may have, Qt would end the program."""
    try:
        template.encode()
    except UnicodeEncodeError:
        return template
    return QCoreApplication.translate(CONTEXT, template)
