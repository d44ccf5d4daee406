"""The two commands: `python3 packaging/bootstrap.py demo` and `python3 packaging/bootstrap.py test`.

Needs Python 3.11 or later and nothing else. Makes `.venv` beside this repository's files, installs what
`constraints.txt` pins, and runs. A second run starts at once: a stamp in `.venv` says what was installed.
"""

# Python 3.6 can read this file, to say that it is too old: no newer syntax, and types it has not are in quotes.
import argparse
import ctypes.util
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
STAMP = VENV / "installed.sha256"
OLDEST = (3, 11)
INTERRUPTED = 130
NVIDIA = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg")  # by the last Linux on Windows reaches any card
SMALL_TORCH = "https://download.pytorch.org/whl/cpu"

# Debian packages without which a fresh system fails, by the library whose absence shows it.
SYSTEM = {"libgomp1": "gomp"}
WINDOW = {
    # Qt
    "libgl1": "GL",
    "libegl1": "EGL",
    "libxkbcommon0": "xkbcommon",
    "libdbus-1-3": "dbus-1",
    "libfontconfig1": "fontconfig",
    "libglib2.0-0": "glib-2.0",
    # its windows on X11
    "libxcb-cursor0": "xcb-cursor",
    "libxcb-icccm4": "xcb-icccm",
    "libxcb-keysyms1": "xcb-keysyms",
    "libxcb-shape0": "xcb-shape",
    "libxkbcommon-x11-0": "xkbcommon-x11",
    # sound
    "libportaudio2": "portaudio",
}
PIP_FAILED = """The packages could not be installed; the last lines of pip's message above say why:
  a connection that failed, or no space left: mend that, then run this again;
  "No matching distribution": a package has no build for this system or this Python. There are builds for Linux,
  Windows (x64) and macOS 14 or later on Apple silicon, and soon after its release not yet for a new Python."""
CHECKS = (
    ("ruff", ["-m", "ruff", "check", "."]),
    ("mypy", ["-m", "mypy"]),
    ("pytest", ["-m", "pytest"]),
)


class Failure(Exception):
    """Something the user has to know; its text says what to do."""


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("command", choices=("demo", "test"), help="run the demo, or all checks and tests")
    args, more = parser.parse_known_args(arguments)
    try:
        check_python(sys.version_info[:2])
        install_system(missing(SYSTEM | WINDOW if args.command == "test" or opens_window(more) else SYSTEM))
        install()
        return demo(more) if args.command == "demo" else test(more)
    except Failure as failure:
        print(f"bootstrap: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def check_python(version: "tuple[int, ...]") -> None:
    """Fail if this Python is too old."""
    if version < OLDEST:
        found, wanted = (".".join(map(str, v)) for v in (version, OLDEST))
        raise Failure(f"This is Python {found}; install Python {wanted} or later and run this with it.")


def missing(wanted: "Mapping[str, str]") -> "list[str]":
    """Those of the Debian packages that are not there; where there is no apt, none are asked for."""
    if not sys.platform.startswith("linux") or shutil.which("apt-get") is None:
        return []
    has_venv = subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True).returncode == 0
    lacking = [package for package, library in wanted.items() if ctypes.util.find_library(library) is None]
    return lacking if has_venv else ["python3-venv", *lacking]


def install_system(packages: "Sequence[str]") -> None:
    """Install Debian packages, as root or through sudo."""
    if not packages:
        return
    line = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() == 0:
        prefix: list[str] = []
    elif shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        prefix = ["sudo", "-n"]
    else:
        raise Failure(f"Some system packages are missing. Install them, then run this again:\n  sudo {' '.join(line)}")
    subprocess.run([*prefix, "apt-get", "update", "-q"], check=False)
    if subprocess.run([*prefix, *line], check=False).returncode:
        raise Failure(f"apt-get could not install {' '.join(packages)}; see its message above.")


def venv_python() -> Path:
    """The environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def wanted_stamp() -> str:
    """Changes whenever what is to be installed, or where, does."""
    parts = [CONSTRAINTS.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def has_pip() -> bool:
    """Whether the environment can install packages; one whose making was interrupted has its interpreter alone."""
    try:
        command = [str(venv_python()), "-m", "pip", "--version"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:  # there is no interpreter, or half of one
        return False


def install() -> None:
    """Make the environment and install everything pinned, unless the stamp says it is there."""
    if STAMP.exists() and STAMP.read_text() == wanted_stamp() and venv_python().exists():
        return
    if not has_pip():
        _run([sys.executable, "-m", "venv", "--clear", str(VENV)], "A virtual environment could not be made in .venv.")
    pip = [str(venv_python()), "-m", "pip", "install", "--disable-pip-version-check", "-q", "-c", str(CONSTRAINTS)]
    if takes_small_torch():
        install_small_torch(pip)
    _run([*pip, "-e", f"{ROOT}[test]"], PIP_FAILED)
    STAMP.write_text(wanted_stamp())


def takes_small_torch() -> bool:
    """Whether to ask PyTorch for its build for processors: there is no card that needs PyPI's, which brings CUDA.

    Not where pip has been told where to look: who did that has a reason, and perhaps no other way out.
    """
    if not sys.platform.startswith("linux") or any(os.path.exists(path) for path in NVIDIA):
        return False
    told = subprocess.run([str(venv_python()), "-m", "pip", "config", "list"], capture_output=True, text=True)
    return told.returncode == 0 and not re.search("index-url|find-links|no-index", told.stdout)


def install_small_torch(pip: "list[str]") -> None:
    """Install PyTorch for processors from its own index; where that cannot be had, PyPI's comes with the rest."""
    print("bootstrap: no NVIDIA card here, so PyTorch comes without CUDA", flush=True)
    command = [*pip, "--no-deps", "--retries", "1", "--timeout", "10", "--index-url", SMALL_TORCH, "torch"]
    if subprocess.run(command, capture_output=True).returncode:
        print("bootstrap: its index cannot be reached; taking PyPI's, which is several GB", flush=True)


def demo(more: "Sequence[str]") -> int:
    """Open the window on the demo song; without a screen, or given options, extract its stems on the command line."""
    if opens_window(more):
        arguments = ["-m", "mgeldm_app", "--demo"]
    else:
        if not more:
            print("bootstrap: there is no screen here, so the demo runs on the command line", flush=True)
        arguments = ["-m", "mgeldm.cli", "demo", *more]
    return subprocess.run([str(venv_python()), *arguments], cwd=ROOT, check=False).returncode


def opens_window(more: "Sequence[str]") -> bool:
    """Whether `demo` opens the window: there is a screen, and no options of the command line's demo."""
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return not more and (not sys.platform.startswith("linux") or bool(has_screen))


def test(more: "Sequence[str]") -> int:
    """Style, types, tests; all run, and any failure fails."""
    failed, environment = [], {"QT_QPA_PLATFORM": "offscreen", **os.environ}
    for name, arguments in CHECKS:
        command = [str(venv_python()), *arguments, *(more if name == "pytest" else [])]
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            failed.append(name)
    print(f"bootstrap: failed: {', '.join(failed)}" if failed else "bootstrap: all checks passed", flush=True)
    return 1 if failed else 0


def _run(command: "list[str]", failure: str) -> None:
    if subprocess.run(command, check=False).returncode:
        raise Failure(failure)


if __name__ == "__main__":
    sys.exit(main())
