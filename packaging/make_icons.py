"""`python packaging/make_icons.py`: the program's icon for each system, from `resources/app.svg`."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

HERE = Path(__file__).resolve().parent
MASTER = HERE.parent / "resources" / "app.svg"
LINUX, MACOS, WINDOWS = HERE / "linux" / "mgeldm-desktop.png", HERE / "macos" / "app.icns", HERE / "windows" / "app.ico"
LINUX_PX = 256
MACOS_PX = (16, 32, 64, 128, 256, 512, 1024)
WINDOWS_PX = (16, 20, 24, 32, 40, 48, 64, 128, 256)


def drawn(size_px: int) -> Image.Image:
    """The master drawn at a size, not scaled to it."""
    image = QImage(size_px, size_px, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(str(MASTER)).render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    return Image.open(io.BytesIO(buffer.data().data())).convert("RGBA")


def main() -> None:
    """Write them all."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = QGuiApplication([])
    drawn(LINUX_PX).save(LINUX, optimize=True)
    for path, sizes in ((MACOS, MACOS_PX), (WINDOWS, WINDOWS_PX)):
        *others, largest = (drawn(size) for size in sizes)
        largest.save(path, sizes=[(size, size) for size in sizes], append_images=others)
    del application


if __name__ == "__main__":
    main()
