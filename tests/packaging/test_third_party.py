"""What a bundle holds of others comes with its licences, or is not built."""

import contextlib
import importlib.metadata
import runpy
import sysconfig
from pathlib import Path

import numpy
import pytest

ROOT = Path(__file__).parents[2]
TEXTS = ROOT / "resources" / "licences"
PACKAGES = Path(sysconfig.get_path("platlib"))


@pytest.fixture
def third_party():
    return runpy.run_path(str(ROOT / "packaging" / "third_party.py"))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package of one module as pip would; returns where the module lies."""

    def make(name, said, licence=""):
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        (tmp_path / f"{name}.py").touch()
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.2\n{said}\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{info.name}/METADATA,,\n{info.name}/licenses/LICENSE,,\n")
        if licence:
            (info / "licenses").mkdir()
            (info / "licenses" / "LICENSE").write_text(licence)
        monkeypatch.syspath_prepend(str(tmp_path))
        return str(tmp_path / f"{name}.py")

    return make


def test_what_is_packed_is_named_with_its_licence_and_nothing_else_is(third_party, package):
    module = package("somebodys", "License-Expression: MIT\nProject-URL: Home, https://some.example", "Take it, all.")
    told = third_party["notices"]([module, numpy.__file__], TEXTS)
    assert "somebodys 1.2\nLicence: MIT\nHome page: https://some.example\n\nTake it, all.\n" in told
    assert f"numpy {numpy.__version__}" in told and "GNU GENERAL PUBLIC LICENSE" in told  # of its libgfortran
    assert "Python Software Foundation" in told
    its_metadata = next(PACKAGES.glob("pytest-*.dist-info")) / "METADATA"  # is packed where somebody asks for it
    assert "pytest" not in third_party["notices"]([str(its_metadata)], TEXTS)
    assert "pytest" not in told and "mgeldm-desktop" not in told
    assert "version 3 (GPL-3.0.txt)" in told.replace("\n", " ")


def test_everything_that_is_needed_says_what_its_licence_is(third_party):
    """A pinned package that says nothing, and brings nothing, would be found out at the next build alone."""
    pins = (ROOT / "packaging" / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    for name in (line.split("==")[0] for line in pins):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # one of another system's
            third_party["_entry"](importlib.metadata.distribution(name), TEXTS)


@pytest.mark.parametrize("said", ["", "License-Expression: LicenseRef-Mine", "License: GPL-7"])
def test_what_is_packed_without_a_licence_fails_the_build(third_party, package, said):
    with pytest.raises(SystemExit, match=r"somebodys brings no licence.*look it up"):
        third_party["notices"]([package("somebodys", said)], TEXTS)


def test_a_licence_that_a_package_only_names_is_the_one_that_ships(third_party, package):
    told = third_party["notices"]([package("theirs", "License-Expression: LGPL-3.0-only OR GPL-3.0-only")], TEXTS)
    assert "Licence: LGPL-3.0-only OR GPL-3.0-only\n\n(its text: LGPL-3.0.txt, beside this file)" in told
    assert {TEXTS / name for name in third_party["KNOWN"].values()} <= set(TEXTS.iterdir())


def test_libraries_of_the_system_are_named(third_party, tmp_path):
    library = tmp_path / "libnobodys.so.1"
    library.touch()
    assert "Other libraries (libnobodys.so.1)" in third_party["notices"]([str(library)], TEXTS)
