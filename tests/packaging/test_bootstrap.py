import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "packaging" / "bootstrap.py"


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("bootstrap", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "installed.sha256")
    monkeypatch.setattr(module, "CONSTRAINTS", tmp_path / "constraints.txt")
    (tmp_path / "constraints.txt").write_text("numpy==2.0\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "NVIDIA", ("/",))
    return module


@pytest.fixture
def commands(bootstrap, monkeypatch):
    """Commands that would have run; each succeeds."""
    ran = []

    def run(command, **more):
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    return ran


def test_an_old_python_is_refused(bootstrap):
    with pytest.raises(bootstrap.Failure, match=r"Python 3\.9.*Python 3\.11"):
        bootstrap.check_python((3, 9))
    bootstrap.check_python((3, 13))


def test_a_python_that_is_too_old_can_read_it_and_say_so():
    """Python 3.6, the oldest with f-strings: no newer syntax, and no type that is looked up and not there."""
    tree = ast.parse(PATH.read_text(encoding="utf-8"), feature_version=(3, 6))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    types = [each.returns for each in functions] + [arg.annotation for each in functions for arg in each.args.args]
    assert types and all(isinstance(each, ast.Name | ast.Constant) for each in types)


@pytest.mark.parametrize(
    ("platform", "card", "config", "small"),
    [
        ("linux", "", "global.timeout='60'\n", True),
        ("linux", "nvidiactl", "", False),
        ("linux", "", "global.index-url='https://pypi.example'\n", False),
        ("linux", "", ":env:.extra-index-url='https://pypi.example'\n", False),
        ("linux", "", ":env:.find-links='/wheels'\n", False),
        ("darwin", "", "", False),
        ("win32", "", "", False),
    ],
)
def test_cuda_is_left_out_where_no_card_needs_it_and_nobody_says_where_to_look(
    bootstrap, tmp_path, monkeypatch, platform, card, config, small
):
    ran = []

    def run(command, **more):
        ran.append(command)
        return subprocess.CompletedProcess(command, int(bootstrap.SMALL_TORCH in command), config)

    (tmp_path / card).touch()
    monkeypatch.setattr(bootstrap, "NVIDIA", (str(tmp_path / "nvidiactl"),))
    monkeypatch.setattr(bootstrap.sys, "platform", platform)
    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    bootstrap.VENV.mkdir()
    bootstrap.install()
    first, last = next((each for each in ran if bootstrap.SMALL_TORCH in each), None), ran[-1]
    assert (first is not None) == small
    if small:
        assert "--no-deps" in first and first[-1] == "torch" and "-c" in first
    assert bootstrap.SMALL_TORCH not in last and last[-1].endswith("[test]")  # also where the first one failed
    assert bootstrap.STAMP.exists()


def test_what_pip_cannot_do_is_told_truthfully(bootstrap, monkeypatch):
    """Not every failure is the network's."""
    monkeypatch.setattr(bootstrap, "has_pip", lambda: True)
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(bootstrap.Failure, match=r"(?s)connection.*space.*no build for this system.*macOS 14"):
        bootstrap.install()


def test_the_second_run_installs_nothing(bootstrap, commands):
    python = bootstrap.venv_python()
    python.parent.mkdir(parents=True)
    python.touch()

    def installed():
        return [command for command in commands if "install" in command]

    bootstrap.install()
    assert len(installed()) == 1
    assert "-c" in installed()[0]
    bootstrap.install()
    assert len(installed()) == 1
    bootstrap.CONSTRAINTS.write_text("numpy==2.1\n")
    bootstrap.install()
    assert len(installed()) == 2
    assert not any("venv" in command for command in commands)


@pytest.mark.parametrize("left", ["nothing", "an interpreter without pip", "half an interpreter"])
def test_an_interrupted_first_run_is_made_anew(bootstrap, monkeypatch, left):
    """Ctrl+C while `python -m venv` is at work leaves an interpreter that can install nothing."""
    ran, python = [], bootstrap.venv_python()
    if left != "nothing":
        python.parent.mkdir(parents=True)
        python.touch()

    def run(command, **more):
        ran.append(command[1:])
        if command[0] == str(python) and not any("venv" in each for each in ran):
            if left != "an interpreter without pip":
                raise PermissionError if python.exists() else FileNotFoundError
            return subprocess.CompletedProcess(command, 1)
        bootstrap.VENV.mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    bootstrap.install()
    assert ["-m", "venv", "--clear", str(bootstrap.VENV)] in ran
    assert bootstrap.STAMP.exists()


def test_a_failed_installation_is_no_installation(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(bootstrap.Failure, match="virtual environment"):
        bootstrap.install()
    assert not bootstrap.STAMP.exists()


@pytest.fixture
def debian(bootstrap, monkeypatch):
    """A Debian without root, sudo or any library."""
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(bootstrap.ctypes.util, "find_library", lambda name: None)
    return bootstrap


def test_without_root_the_line_to_run_is_printed(debian):
    with pytest.raises(debian.Failure, match=r"sudo apt-get install .*libgomp1"):
        debian.install_system(["libgomp1"])
    debian.install_system([])


def test_what_is_missing_is_seen_on_debian_alone(debian, monkeypatch):
    assert debian.missing(debian.SYSTEM) == ["libgomp1"]
    assert debian.missing(debian.WINDOW) == list(debian.WINDOW)
    monkeypatch.setattr(debian.ctypes.util, "find_library", lambda name: f"lib{name}.so.0")
    assert debian.missing(debian.WINDOW) == []
    monkeypatch.setattr(debian.ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    assert debian.missing(debian.WINDOW) == []


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no Debian")
def test_the_packages_hold_the_libraries(bootstrap):
    """Each package that is installed here holds the library by which its absence is seen."""
    for package, library in (bootstrap.SYSTEM | bootstrap.WINDOW).items():
        listed = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True)
        assert listed.returncode or f"/lib{library}.so." in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "screen", "wanted"),
    [(["test"], "", True), (["demo"], ":0", True), (["demo"], "", False), (["demo", "--json"], ":0", False)],
)
def test_the_window_needs_more_of_the_system(bootstrap, commands, monkeypatch, arguments, screen, wanted):
    asked = []
    monkeypatch.setattr(bootstrap, "missing", lambda packages: asked.extend(packages) or [])
    monkeypatch.setattr(bootstrap, "install", lambda: None)
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", screen)
    assert bootstrap.main(arguments) == 0
    assert "libgomp1" in asked
    assert ("libegl1" in asked) is wanted


def test_every_check_runs_and_any_failure_fails(bootstrap, monkeypatch, capsys):
    ran = []

    def run(command, **more):
        ran.append(command[2])
        return subprocess.CompletedProcess(command, int(command[2] == "mypy"))

    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    assert bootstrap.test(["-x"]) == 1
    assert ran == ["ruff", "mypy", "pytest"]
    assert "failed: mypy" in capsys.readouterr().out


def test_demo_opens_the_window_where_there_is_a_screen(bootstrap, commands, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert bootstrap.demo([]) == 0
    assert commands[0][1:] == ["-m", "mgeldm_app", "--demo"]
    assert bootstrap.demo(["--out", "x"]) == 0
    assert commands[1][1:] == ["-m", "mgeldm.cli", "demo", "--out", "x"]
    assert capsys.readouterr().out == ""


def test_demo_says_that_there_is_no_screen(bootstrap, commands, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert bootstrap.demo([]) == 0
    assert commands[0][1:] == ["-m", "mgeldm.cli", "demo"]
    assert "no screen" in capsys.readouterr().out


def test_help_and_usage():
    told = subprocess.run([sys.executable, PATH, "--help"], capture_output=True, text=True, check=True).stdout
    assert "demo" in told
    assert subprocess.run([sys.executable, PATH, "dance"], capture_output=True).returncode == 2
