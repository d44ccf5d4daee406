import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_wheel_holds_all_code_and_its_files(tmp_path):
    """What goes into a wheel, laid out in a folder: it finds its own model, song and icons there."""
    command = ["-q", "egg_info", "--egg-base", str(tmp_path), "build_py", "--build-lib", str(tmp_path / "lib")]
    subprocess.run([sys.executable, "setup.py", *command], cwd=ROOT, check=True)
    packed = {path.relative_to(tmp_path / "lib") for path in (tmp_path / "lib").rglob("*.py")}
    sources = {path.relative_to(ROOT / "model") for path in (ROOT / "model" / "mgeldm").rglob("*.py")}
    sources |= {path.relative_to(ROOT) for path in (ROOT / "mgeldm_app").rglob("*.py")}
    assert packed == sources
    recipes = {path.name for path in (ROOT / "model" / "mgeldm" / "training").glob("*.toml")}
    assert {path.name for path in (tmp_path / "lib" / "mgeldm" / "training").glob("*.toml")} == recipes != set()
    code = (
        "from mgeldm import bundled as b; words = b.EMBEDDED_PATH.with_name('words.safetensors');"
        "files = (b.EMBEDDED_PATH, words, b.DEMO_SONG, b.APP_ICON, b.ICONS / 'play.svg');"
        "print(*(file for file in files if file.is_file()), sep='\\n')"
    )
    env = {"PYTHONPATH": str(tmp_path / "lib"), "PYTHONSAFEPATH": "1"}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    found = [Path(line).relative_to((tmp_path / "lib" / "mgeldm").resolve()) for line in told.splitlines()]
    names = ["model.safetensors", "words.safetensors", "demo.flac", "app.svg", "play.svg"]
    assert [path.name for path in found] == names
