import plistlib
import re
import runpy
import shutil
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import mgeldm
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from mgeldm_app.core import storage

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_requirement_is_pinned_and_allowed():
    lines = (PACKAGING / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    pins = dict(line.split("==") for line in lines)
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    for requirement in map(Requirement, PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier


def test_versions_agree():
    newest = ET.parse(next((PACKAGING / "linux").glob("*.metainfo.xml"))).find("releases/release")
    assert newest.get("version") == mgeldm.__version__ == PROJECT["version"]


def test_linux_knows_the_program_by_one_name():
    (entry,), (info,) = (PACKAGING / "linux").glob("*.desktop"), (PACKAGING / "linux").glob("*.metainfo.xml")
    keys = dict(line.split("=", 1) for line in entry.read_text(encoding="utf-8").splitlines() if "=" in line)
    name = keys["Icon"]
    assert keys["Exec"].split() == [name, "%F"]
    assert ET.parse(info).findtext("launchable") == entry.name == f"{name}.desktop"
    assert f'setDesktopFileName("{name}")' in (ROOT / "mgeldm_app" / "app.py").read_text(encoding="utf-8")
    assert (PACKAGING / "linux" / f"{name}.png").is_file()


def test_macos_opens_projects_and_asks_for_no_microphone():
    plist = plistlib.loads((PACKAGING / "macos" / "Info.plist").read_bytes())
    (declared,) = plist["UTExportedTypeDeclarations"]
    assert declared["UTTypeTagSpecification"]["public.filename-extension"] == [storage.SUFFIX.removeprefix(".")]
    assert [declared["UTTypeIdentifier"]] == plist["CFBundleDocumentTypes"][0]["LSItemContentTypes"]
    assert plist["NSHighResolutionCapable"]
    assert plist["LSMinimumSystemVersion"] == "14.0"  # that of torch's and PyAV's wheels
    assert not [key for key in plist if re.search("Microphone", key)]


@pytest.mark.parametrize(
    ("name", "largest"), [("linux/mgeldm-desktop.png", 256), ("macos/app.icns", 1024), ("windows/app.ico", 256)]
)
def test_icons_are_whole(name, largest):
    with Image.open(PACKAGING / name) as image:
        image.load()
        assert image.size == (largest, largest)
        corner, inside = image.getpixel((0, 0)), image.getpixel((largest // 2, largest // 8))
    assert (corner[3], inside[3]) == (0, 255)


def test_a_bundle_without_its_licences_or_certificates_is_not_passed(tmp_path):
    build = runpy.run_path(str(PACKAGING / "build.py"))
    assert build["missing"](tmp_path) == list(build["REQUIRED"])
    for name in build["REQUIRED"]:
        path = tmp_path / "_internal" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert not build["missing"](tmp_path)
    path.unlink()
    assert build["missing"](tmp_path) == [build["REQUIRED"][-1]]
    shipped = {each.name for each in (ROOT / "resources" / "licences").iterdir()} | {"LICENSE", "THIRD-PARTY.txt"}
    assert {Path(name).name for name in build["REQUIRED"] if "licences" in name} <= shipped


def test_a_bundle_speaks_the_languages_that_are_translated(tmp_path):
    """The spec, run on a checkout with a German translation: it and Qt's German ship, Qt's other languages do not."""
    spec, scripts = "packaging/mgeldm-desktop.spec", ("windows/version_info.py", "macos/Info.plist", "third_party.py")
    for name in (spec, "model/mgeldm/__init__.py", *(f"packaging/{script}" for script in scripts)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    german = tmp_path / "resources" / "translations" / "mgeldm_de.qm"
    german.parent.mkdir(parents=True)
    german.with_suffix(".ts").touch()
    german.touch()
    qt = [(f"PySide6/Qt/translations/qtbase_{language}.qm", "", "DATA") for language in ("de", "fr")]

    class Analysis(SimpleNamespace):
        def __init__(self, *_, datas, **__):
            shipped = [(f"{folder}/{Path(path).name}", path, "DATA") for path, folder in datas]
            super().__init__(datas=[*shipped, *qt], binaries=[], scripts=[], pure=[])

    collected = []
    tools = {"PYZ": lambda *_: None, "EXE": lambda *_, **__: None, "BUNDLE": lambda *_, **__: None}
    tools["COLLECT"] = lambda *parts, **_: collected.extend(file[0] for part in parts if part for file in part)
    folders = {"SPECPATH": str(tmp_path / "packaging"), "workpath": str(tmp_path)}
    runpy.run_path(str(tmp_path / spec), {**tools, **folders, "Analysis": Analysis})
    assert {f"mgeldm/resources/licences/{name}" for name in ("LICENSE", "THIRD-PARTY.txt")} <= {*collected}
    spoken = [name for name in collected if "translations" in name]
    assert spoken == ["mgeldm/resources/translations/mgeldm_de.qm", "PySide6/Qt/translations/qtbase_de.qm"]
