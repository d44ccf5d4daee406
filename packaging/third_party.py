"""Whose software a bundle holds, under which licences: `THIRD-PARTY.txt`, made of what the packages say of themselves.

The spec asks for it; what is packed without a licence fails the build.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution
from pathlib import Path

OURS = "mgeldm-desktop"
ALWAYS = ("pyinstaller",)  # whose bootloader is the program that starts
TEXT = re.compile(r"(licen[cs]e|copying|notice|copyright)(?!.*\.pyc?$)", re.IGNORECASE)
LIBRARY = re.compile(r"\.(so(\.[\d.]+)?|dylib|dll)$", re.IGNORECASE)
KNOWN = {"LGPL-3": "LGPL-3.0.txt", "Apache": "Apache-2.0.txt"}  # those whose packages bring no text
ABOUT = """\
The software in this bundle that others wrote.

MGE-LDM Desktop itself is under the MIT licence (LICENSE, beside this file). Each part keeps the licence that is named
here. FFmpeg, as PyAV brings it, is linked to x264 and x265, which are under the GNU General Public License, version 2
or later, and says of itself that it is under the LGPL, version 3 or later. The bundle as a whole may therefore be
passed on under the GNU General Public License, version 3 (GPL-3.0.txt). Qt and PySide6 are under the LGPL, version 3
(LGPL-3.0.txt), libsndfile and soxr under the LGPL, version 2.1 or later (LGPL-2.1.txt); they are files of their own
here, which you may replace by others. Sources: https://ffmpeg.org, https://code.videolan.org/videolan/x264,
https://bitbucket.org/multicoreware/x265_git, https://github.com/PyAV-Org/pyav-ffmpeg (how they were built),
https://download.qt.io, https://github.com/libsndfile/libsndfile, https://github.com/dofuuz/python-soxr.
"""


def notices(files: Iterable[str], texts: Path) -> str:
    """The whole of `THIRD-PARTY.txt`.

    Args:
        files: Where everything lies that is packed.
        texts: The folder of licences that ship whole.

    Raises:
        SystemExit: Something is packed whose licence is not known.
    """
    real = {_real(file) for file in files}
    parts, claimed = [], set[str]()
    for distribution in sorted(importlib.metadata.distributions(), key=lambda each: each.name.lower()):
        folder = _real(str(distribution.locate_file("")))  # once: a package may have thousands of files
        its = {os.path.normcase(os.path.normpath(f"{folder}/{file}")) for file in distribution.files or ()}
        claimed |= its
        its = {file for file in its if ".dist-info" + os.sep not in file}  # which alone is packed of what some ask for
        if distribution.name.lower() in ALWAYS or (its & real and distribution.name != OURS):
            parts.append(_entry(distribution, texts))
    return f"\n\n{'=' * 100}\n".join([ABOUT, *parts, _python(), *_of_the_system(real - claimed)]) + "\n"


def _entry(distribution: Distribution, texts: Path) -> str:
    """Name, version, licence, home page and licence texts of a package."""
    said, named = distribution.metadata, _licence(distribution)
    pages = [page.partition(", ")[2] for page in said.get_all("Project-URL") or []]
    lines = [f"{distribution.name} {distribution.version}", f"Licence: {named}"]
    lines += [f"Home page: {page}" for page in [said.get("Home-page") or "", *pages][:3] if page][:1]
    found = [file for file in distribution.files or () if TEXT.match(file.name)]
    whole = [text for file in found if (text := _read(Path(str(distribution.locate_file(file)))))]
    if not whole:
        known = next((file for key, file in KNOWN.items() if key in named and (texts / file).is_file()), "")
        if not known:
            raise SystemExit(
                f"third_party: {distribution.name} brings no licence, and says {named!r}; look it up, add its text to "
                f"{texts} and its name to KNOWN in packaging/third_party.py, or exclude it in the spec."
            )
        whole = [f"(its text: {known}, beside this file)"]
    return "\n\n".join(["\n".join(lines), *dict.fromkeys(whole)])


def _licence(distribution: Distribution) -> str:
    """What a package says of its licence, in a line: the newest way of saying so first."""
    said = distribution.metadata
    classified = [each.split(" :: ")[-1] for each in said.get_all("Classifier") or [] if each.startswith("License")]
    short = (said.get("License") or "").strip()
    names = [said.get("License-Expression") or "", short if "\n" not in short else "", ", ".join(classified)]
    return next((name for name in names if name), "see below")


def _python() -> str:
    """The interpreter and its library."""
    places = [Path(os.__file__).with_name("LICENSE.txt"), Path(sys.base_prefix) / "LICENSE.txt"]
    places.append(Path(f"/usr/share/doc/python3.{sys.version_info[1]}/copyright"))
    text = next(filter(None, map(_read, places)), "(its text: https://docs.python.org/3/license.html)")
    version = ".".join(map(str, sys.version_info[:3]))
    return f"Python {version}\nLicence: PSF-2.0\nHome page: https://www.python.org\n\n{text}"


def _of_the_system(files: Iterable[str]) -> Iterator[str]:
    """Libraries that are the system's: on Debian with what their packages say, elsewhere by name."""
    prefix = _real(sys.base_prefix) + os.sep
    theirs = sorted(file for file in files if LIBRARY.search(file) and not file.startswith(prefix))
    packages: dict[str, list[str]] = {}
    for file in theirs:
        packages.setdefault(_package(file), []).append(os.path.basename(file))
    for package, names in sorted(packages.items()):
        text = _read(Path("/usr/share/doc") / package / "copyright") if package else ""
        yield "\n\n".join(filter(None, [f"{package or 'Other libraries'} ({', '.join(names)})", text]))


def _package(file: str) -> str:
    """The Debian package that brings a file; "" where none does."""
    if shutil.which("dpkg-query") is None:
        return ""
    for path in (file, file.removeprefix("/usr")):  # as its list has it, where /lib is a link to /usr/lib
        told = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False).stdout
        if told:
            return told.split(":")[0]
    return ""


def _real(path: str) -> str:
    """One spelling for one file."""
    return os.path.normcase(os.path.realpath(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def sources(*parts: Sequence[tuple[str, str, str]]) -> list[str]:
    """Where what PyInstaller found lies: of its lists of name, place and kind the places that are files."""
    return [place for part in parts for _, place, _ in part if place and os.path.isfile(place)]
