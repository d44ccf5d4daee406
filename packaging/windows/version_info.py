"""What Windows shows under a program's properties, for the spec."""

from __future__ import annotations

from typing import Any

ENGLISH, UNICODE = 0x0409, 0x04B0


def version_info(version: str, file_name: str, description: str) -> Any:
    """PyInstaller's `VSVersionInfo` (it needs pefile, which PyInstaller brings along on Windows).

    Args:
        version: As "1.2.3".
        file_name: Of the program.
        description: What the task manager calls it.
    """
    from PyInstaller.utils.win32 import versioninfo as vi

    parts = [int(part) for part in version.split(".")]
    numbers = tuple([*parts, 0, 0, 0, 0][:4])
    texts = {
        "FileDescription": description,
        "FileVersion": version,
        "InternalName": file_name.removesuffix(".exe"),
        "LegalCopyright": "MIT licence",
        "OriginalFilename": file_name,
        "ProductName": "MGE-LDM Desktop",
        "ProductVersion": version,
    }
    strings = [vi.StringStruct(name, text) for name, text in texts.items()]
    return vi.VSVersionInfo(
        ffi=vi.FixedFileInfo(filevers=numbers, prodvers=numbers, mask=0x3F, OS=0x40004, fileType=1),
        kids=[
            vi.StringFileInfo([vi.StringTable(f"{ENGLISH:04X}{UNICODE:04X}", strings)]),
            vi.VarFileInfo([vi.VarStruct("Translation", [ENGLISH, UNICODE])]),
        ],
    )
