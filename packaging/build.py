"""`python packaging/build.py`: the bundle for this system, in `dist`, which then tests itself.

Needs this environment to have `pip install -e ".[bundle]"`. The bundle has what the environment has: for CLAP, which
the published weights hear text through, install `.[bundle,clap]`; a torch for GPUs makes it gigabytes larger.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUFFIX = ".exe" if sys.platform == "win32" else ""
CHECKS = (("mgeldm-desktop", "--self-test"), ("mgeldm", "models"))
LICENCES = ("LICENSE", "THIRD-PARTY.txt", "GPL-3.0.txt", "LGPL-3.0.txt", "LGPL-2.1.txt")
REQUIRED = ("certifi/cacert.pem", *(f"mgeldm/resources/licences/{name}" for name in LICENCES))


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and test; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=HERE.parent / "dist", help="folder (default: dist)")
    out: Path = parser.parse_args(arguments).out
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mgeldm-build-") as work:
        options = ["--noconfirm", "--log-level", "WARN", "--distpath", str(out), "--workpath", work]
        spec = str(HERE / "mgeldm-desktop.spec")
        if subprocess.run([sys.executable, "-m", "PyInstaller", *options, spec], check=False).returncode:
            print("build: PyInstaller failed; see its message above.", file=sys.stderr)
            return 1
    built = out / ("MGE-LDM Desktop.app" if sys.platform == "darwin" else "mgeldm-desktop")
    programs = built / "Contents" / "MacOS" if sys.platform == "darwin" else built
    print(f"build: {built}, {size(built) / 1e6:.0f} MB, in {time.monotonic() - began_s:.0f} s", flush=True)
    if lacking := missing(built):
        print(f"build: {', '.join(lacking)} did not come into the bundle; see the spec.", file=sys.stderr)
        return 1
    for name, argument in CHECKS:
        if subprocess.run([str(programs / f"{name}{SUFFIX}"), argument], cwd=out, check=False).returncode:
            print(f"build: {name} {argument} failed.", file=sys.stderr)
            return 1
    return 0


def missing(built: Path) -> list[str]:
    """Which of the files are not in a bundle that it may not do without, whatever the programs say."""
    there = {path.as_posix() for path in built.rglob("*") if path.is_file()}
    return [name for name in REQUIRED if not any(path.endswith(f"/{name}") for path in there)]


def size(folder: Path) -> int:
    """Bytes of all files; what links point to is counted once."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    sys.exit(main())
