"""`python packaging/translations.py de`: all that the program says, for whoever translates it into a language.

Makes or updates `resources/translations/mgeldm_de.ts`, in which what is translated stays, and compiles what is finished
to `mgeldm_de.qm`, which the program takes where the system speaks that language. Qt's own tool finds what widgets say
(`tr`, `translate`) and merges; what is said outside of them (`mgeldm.language`) it is given in a file of its own.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mgeldm.bundled import RESOURCES

from mgeldm_app.core.actions import ACTIONS, MENUS
from mgeldm_app.core.export import formats
from mgeldm_app.core.models import KNOWN
from mgeldm_app.core.text import CHIPS
from mgeldm_app.ui.language import CONTEXT

ROOT = Path(__file__).resolve().parents[1]
LIBRARY, APP = ROOT / "model" / "mgeldm", ROOT / "mgeldm_app"
ENGLISH_ONLY = [LIBRARY / name for name in ("data", "training", "evaluation", "cli.py")]
"""Commands for researchers; see `mgeldm.language`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Update and compile; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("language", help='as Qt writes it: "de", "pt_BR"')
    parser.add_argument("--out", type=Path, default=RESOURCES / "translations", help="folder (default: %(default)s)")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    ts = args.out / f"mgeldm_{args.language}.ts"
    with tempfile.TemporaryDirectory(prefix="mgeldm-translations-") as folder:
        said = Path(folder) / "said.py"
        said.write_text("".join(f"translate({CONTEXT!r}, {_quoted(text)})\n" for text in sentences()), encoding="utf-8")
        widgets = [str(path) for path in sorted(APP.rglob("*.py"))]
        update = ["-locations", "none", "-source-language", "en", "-target-language", args.language, "-ts", str(ts)]
        status = _run("lupdate", *widgets, str(said), *update)
    return status or _run("lrelease", "-nounfinished", str(ts), "-qm", str(ts.with_suffix(".qm")))


def sentences() -> list[str]:
    """Every text that `mgeldm.language.say` may be given, each once."""
    tables = [*CHIPS, *MENUS, *(action.title for action in ACTIONS)]
    tables += [text for form in formats() for text in (form.title, form.purpose)]
    tables += [text for known in KNOWN for text in (known.name, known.about)]
    sources = [path for folder in (LIBRARY, APP) for path in sorted(folder.rglob("*.py"))]
    spoken = [path for path in sources if not any(path.is_relative_to(each) for each in ENGLISH_ONLY)]
    return list(dict.fromkeys([*tables, *(text for path in spoken for text in templates(path))]))


def templates(path: Path) -> Iterator[str]:
    """What a file gives to `say`, to `later` and to errors for people."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and _speaks(node.func):
            template = node.args[0]
            if isinstance(template, ast.Constant) and isinstance(template.value, str):
                yield template.value


def _speaks(function: ast.expr) -> bool:
    """Whether a call's first argument is a text for people; Python's own errors are for programmers."""
    name = function.id if isinstance(function, ast.Name) else ""
    return name in ("say", "later", "Cancelled") or (name.endswith("Error") and not hasattr(builtins, name))


def _quoted(text: str) -> str:
    """A literal that lupdate reads as Python does."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _run(tool: str, *arguments: str) -> int:
    """Run a tool of Qt's that came with PySide6."""
    program = shutil.which(f"pyside6-{tool}", path=Path(sys.executable).parent) or f"pyside6-{tool}"
    return subprocess.run([program, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
