import importlib.util
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


def test_the_second_run_installs_nothing(bootstrap, commands):
    python = bootstrap.venv_python()
    python.parent.mkdir(parents=True)
    python.touch()
    bootstrap.install()
    assert len(commands) == 1
    assert "-c" in commands[0]
    bootstrap.install()
    assert len(commands) == 1
    bootstrap.CONSTRAINTS.write_text("numpy==2.1\n")
    bootstrap.install()
    assert len(commands) == 2


def test_a_failed_installation_is_no_installation(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(bootstrap.Failure, match="virtual environment"):
        bootstrap.install()
    assert not bootstrap.STAMP.exists()


def test_without_root_the_line_to_run_is_printed(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000, raising=False)
    with pytest.raises(bootstrap.Failure, match=r"sudo apt-get install .*libgomp1"):
        bootstrap.install_system(["libgomp1"])
    bootstrap.install_system([])


def test_every_check_runs_and_any_failure_fails(bootstrap, monkeypatch, capsys):
    ran = []

    def run(command, **more):
        ran.append(command[2])
        return subprocess.CompletedProcess(command, int(command[2] == "mypy"))

    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    assert bootstrap.test(["-x"]) == 1
    assert ran == ["ruff", "mypy", "pytest"]
    assert "failed: mypy" in capsys.readouterr().out


def test_demo_passes_its_options_on(bootstrap, commands):
    assert bootstrap.demo(["--out", "x"]) == 0
    assert commands[0][1:] == ["-m", "mgeldm.cli", "demo", "--out", "x"]


def test_help_and_usage():
    told = subprocess.run([sys.executable, PATH, "--help"], capture_output=True, text=True, check=True).stdout
    assert "demo" in told
    assert subprocess.run([sys.executable, PATH, "dance"], capture_output=True).returncode == 2
