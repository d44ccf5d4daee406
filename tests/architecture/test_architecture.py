import ast
import builtins
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
FILES = [ROOT / name for name in TRACKED.split("\0") if name and (ROOT / name).is_file()]
SOURCES = [path for path in FILES if path.suffix == ".py"]


def lint(*arguments: str) -> subprocess.CompletedProcess:
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_imports_go_one_way():
    result = lint()
    assert result.returncode == 0, result.stdout


def test_a_planted_fault_is_caught(tmp_path):
    """The contract that keeps sound cards out, turned against numpy, which the library does import."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8").replace('"sounddevice"]', '"numpy"]', 1)
    (tmp_path / "planted.toml").write_text(text, encoding="utf-8")
    assert lint("--config", str(tmp_path / "planted.toml")).returncode == 1


@pytest.mark.parametrize("module", ["mgeldm", "mgeldm.cli", "mgeldm.requests", "mgeldm.audio", "mgeldm.refine"])
def test_torch_is_not_imported_before_it_is_needed(module):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_core_runs_where_qt_torch_and_sound_cards_cannot_be_imported():
    """What import-linter cannot see: an `__init__` that imports eagerly."""
    code = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PySide6", "shiboken6", "torch", "sounddevice", "pyqtgraph"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import mgeldm_app.core
for module in pkgutil.walk_packages(mgeldm_app.core.__path__, "mgeldm_app.core."):
    importlib.import_module(module.name)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_window_is_there_without_torch():
    code = "import mgeldm_app.app, sys; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_classes_stay_small():
    large = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = sum(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in node.body)
                large += [f"{path.name}: {node.name} ({methods})"] if methods > 25 else []
    assert not large


def test_folders_that_are_no_packages_stay_so():
    for folder in ("model", "packaging", "resources", "tests"):
        assert not (ROOT / folder / "__init__.py").exists()
    assert not [path for path in SOURCES if re.search(r"^\s*(?:from|import) model\.", path.read_text(), re.MULTILINE)]


def test_tracked_files_keep_their_budget():
    assert sum(path.stat().st_size for path in FILES) <= 42 * 2**20


def test_functions_fit_a_screen():
    long = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            lines = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines > 60:
                long.append(f"{path.name}: {node.name}")
    assert not long


def test_nothing_is_left_for_later():
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error", "for" + " now")))
    found = [path.name for path in SOURCES if marks.search(path.read_text(encoding="utf-8"))]
    assert not found


def speaks(function: ast.expr) -> bool:
    """Whether a call's first argument is what a user reads."""
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    is_error = name.endswith("Error") and not hasattr(builtins, name)
    return is_error or name in ("say", "later", "tell", "_tell", "Cancelled")


def told() -> Iterator[tuple[str, ast.Call]]:
    """Calls that say something in what the window uses, with their places; researchers' commands speak English only."""
    silent = [ROOT / "model" / "mgeldm" / name for name in ("data", "training", "evaluation", "cli.py")]
    for path in SOURCES:
        is_spoken = any(path.is_relative_to(ROOT / each) for each in ("model/mgeldm", "mgeldm_app/core"))
        is_spoken |= path.is_relative_to(ROOT / "mgeldm_app" / "services")
        if is_spoken and not any(path.is_relative_to(each) for each in silent):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args and speaks(node.func):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_what_is_said_is_a_template_that_can_be_translated():
    """Neither put together from pieces nor, where something is told, without `say`."""
    glued = []
    for place, call in told():
        template = call.args[0]
        formats = isinstance(template, ast.Call) and getattr(template.func, "attr", "") in ("format", "join")
        bare = isinstance(template, ast.Constant) and getattr(call.func, "attr", "") in ("tell", "_tell")
        is_text = not isinstance(template, ast.Constant) or isinstance(template.value, str)
        if is_text and (formats or bare or isinstance(template, ast.JoinedStr | ast.BinOp)):
            glued.append(place)
    assert not glued


def test_templates_name_the_values_they_are_given():
    wrong = []
    for place, call in told():
        template, given = call.args[0], {each.arg for each in call.keywords}
        if isinstance(template, ast.Constant) and isinstance(template.value, str) and None not in given:
            named = {name for _, name, _, _ in Formatter().parse(template.value) if name is not None}
            is_later = isinstance(call.func, ast.Name) and call.func.id == "later"
            wrong += [place] if named != given and not is_later else []
    assert not wrong
