"""The two commands: `python3 packaging/bootstrap.py demo` and `python3 packaging/bootstrap.py test`.

Needs Python 3.11 or later and nothing else. Makes `.venv` beside this repository's files, installs what
`constraints.txt` pins, and runs. A second run starts at once: a stamp in `.venv` says what was installed.
"""

from __future__ import annotations

import argparse
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
STAMP = VENV / "installed.sha256"
OLDEST = (3, 11)
INTERRUPTED = 130

# Debian packages without which a fresh system fails, and how their absence shows.
SYSTEM: dict[str, Callable[[], bool]] = {
    "python3-venv": lambda: _has_module("ensurepip"),
    "libgomp1": lambda: ctypes.util.find_library("gomp") is not None,
}
CHECKS = (
    ("ruff", ["-m", "ruff", "check", "."]),
    ("mypy", ["-m", "mypy"]),
    ("pytest", ["-m", "pytest"]),
)


class Failure(Exception):
    """Something the user has to know; its text says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("command", choices=("demo", "test"), help="run the demo, or all checks and tests")
    args, more = parser.parse_known_args(arguments)
    try:
        check_python(sys.version_info[:2])
        install_system([name for name, there in SYSTEM.items() if not there()])
        install()
        return demo(more) if args.command == "demo" else test(more)
    except Failure as failure:
        print(f"bootstrap: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def check_python(version: tuple[int, ...]) -> None:
    """Fail if this Python is too old."""
    if version < OLDEST:
        found, wanted = (".".join(map(str, v)) for v in (version, OLDEST))
        raise Failure(f"This is Python {found}; install Python {wanted} or later and run this with it.")


def install_system(missing: list[str]) -> None:
    """Install Debian packages, as root or through sudo; elsewhere nothing is needed."""
    if not missing or not sys.platform.startswith("linux") or shutil.which("apt-get") is None:
        return
    line = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() == 0:
        prefix: list[str] = []
    elif shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        prefix = ["sudo", "-n"]
    else:
        raise Failure(f"Some system packages are missing. Install them, then run this again:\n  sudo {' '.join(line)}")
    subprocess.run([*prefix, "apt-get", "update", "-q"], check=False)
    if subprocess.run([*prefix, *line], check=False).returncode:
        raise Failure(f"apt-get could not install {' '.join(missing)}; see its message above.")


def venv_python() -> Path:
    """The environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def wanted_stamp() -> str:
    """Changes whenever what is to be installed, or where, does."""
    parts = [CONSTRAINTS.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def install() -> None:
    """Make the environment and install everything pinned, unless the stamp says it is there."""
    if STAMP.exists() and STAMP.read_text() == wanted_stamp() and venv_python().exists():
        return
    if not venv_python().exists():
        _run([sys.executable, "-m", "venv", str(VENV)], "A virtual environment could not be made in .venv.")
    pip = [str(venv_python()), "-m", "pip", "install", "--disable-pip-version-check", "-q", "-c", str(CONSTRAINTS)]
    _run([*pip, "-e", f"{ROOT}[test]"], "The packages could not be installed; check the network, then run this again.")
    STAMP.write_text(wanted_stamp())


def demo(more: Sequence[str]) -> int:
    """Extract stems from the demo song and say where they are."""
    return subprocess.run([str(venv_python()), "-m", "mgeldm.cli", "demo", *more], cwd=ROOT, check=False).returncode


def test(more: Sequence[str]) -> int:
    """Style, types, tests; all run, and any failure fails."""
    failed = []
    for name, arguments in CHECKS:
        command = [str(venv_python()), *arguments, *(more if name == "pytest" else [])]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"bootstrap: failed: {', '.join(failed)}" if failed else "bootstrap: all checks passed", flush=True)
    return 1 if failed else 0


def _run(command: list[str], failure: str) -> None:
    if subprocess.run(command, check=False).returncode:
        raise Failure(failure)


def _has_module(name: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
