"""Settings come back as they were; damage costs the field that it hit, and no more."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgeldm.errors import OutputError

from mgeldm_app.core.settings import (
    MOST_PROMPTS,
    MOST_RECENT,
    ExportSettings,
    Settings,
    Speed,
    damaged_copy,
    is_damaged,
    load_settings,
    save_settings,
    settings_path,
)
from mgeldm_app.core.storage import projects_home

FULL = Settings(
    device="Interface é",
    latency="low",
    quality="best",
    compute="cpu",
    model="/models/a.ckpt",
    clap="/clap",
    theme="dark",
    projects="/p",
    recent=("/p/a.mgeldm", "/p/b.mgeldm"),
    prompts=("bass", "🎸"),
    geometry="AdnQywA=",
    snap="beat",
    speeds=(Speed("extract", "draft", "cpu", 98.5),),
    export=ExportSettings("flac", True, True, True, "{lane}", "/out"),
)
WRONG = {
    "device": 3,
    "latency": "medium",
    "quality": "superb",
    "compute": None,
    "model": ["a"],
    "clap": 0,
    "theme": "pink",
    "projects": False,
    "recent": "x",
    "prompts": {"a": 1},
    "geometry": 1.5,
    "snap": "minute",
    "speeds": 4,
    "export": [],
}


def test_every_setting_differs_from_its_default_in_this_test_and_comes_back(tmp_path):
    for field in dataclasses.fields(Settings):
        assert getattr(FULL, field.name) != getattr(Settings(), field.name)
    save_settings(FULL, tmp_path / "a" / "settings.json")
    assert load_settings(tmp_path / "a" / "settings.json") == FULL
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["settings.json"]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_one_bad_field_loses_no_other(tmp_path, name):
    path = tmp_path / "settings.json"
    save_settings(FULL, path)
    document = json.loads(path.read_text())
    document[name] = WRONG[name]
    document["of a later version"] = 1
    path.write_text(json.dumps(document))
    assert load_settings(path) == dataclasses.replace(FULL, **{name: getattr(Settings(), name)})


def test_one_bad_entry_loses_no_other(tmp_path):
    path = tmp_path / "settings.json"
    save_settings(FULL, path)
    document = json.loads(path.read_text())
    document["prompts"].insert(1, 7)
    document["speeds"].append({"task": "dance"})
    document["export"]["faders"] = "yes"
    path.write_text(json.dumps(document))
    assert load_settings(path) == dataclasses.replace(FULL, export=dataclasses.replace(FULL.export, faders=False))


@given(st.binary(max_size=200))
def test_no_file_and_any_bytes_give_settings(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("settings") / "settings.json"
    assert load_settings(path) == Settings()
    path.write_bytes(data)
    assert isinstance(load_settings(path), Settings)


@pytest.mark.parametrize("data", [b'{"theme": "light",', b"[]", b"\xff\xfe"])
def test_a_damaged_file_is_kept_beside_the_new_one(tmp_path, data):
    path = tmp_path / "settings.json"
    assert not is_damaged(path)
    path.write_bytes(data)
    assert is_damaged(path)
    save_settings(FULL, path)
    assert load_settings(path) == FULL and not is_damaged(path)
    assert damaged_copy(path).read_bytes() == data
    save_settings(Settings(), path)
    assert damaged_copy(path).read_bytes() == data


def test_a_folder_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "portable"))
    save_settings(FULL)
    assert settings_path().is_file() and settings_path().is_relative_to(tmp_path / "portable")
    assert load_settings() == FULL
    assert projects_home().parent == tmp_path / "portable"
    with monkeypatch.context() as patch:
        for name, value in (("HOME", tmp_path), ("USERPROFILE", tmp_path), ("MGELDM_HOME", "~/portable")):
            patch.setenv(name, str(value))
        assert load_settings() == FULL
    monkeypatch.delenv("MGELDM_HOME")
    assert not settings_path().is_relative_to(tmp_path)


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match=r"cannot be kept in .*file"):
        save_settings(FULL, tmp_path / "file" / "settings.json")


def test_recent_projects_prompts_and_speeds(tmp_path):
    settings = Settings()
    for number in range(MOST_RECENT + 3):
        settings = settings.opened(tmp_path / str(number))
    settings = settings.opened(tmp_path / "5")
    assert settings.recent[0] == str(tmp_path / "5")
    assert len(settings.recent) == len(set(settings.recent)) == MOST_RECENT
    for number in range(MOST_PROMPTS + 3):
        settings = settings.asked_for(f"bass {number}")
    settings = settings.asked_for(" Bass   100 ").asked_for("  ")
    assert settings.prompts[0] == "Bass 100" and "bass 100" not in settings.prompts
    assert len(settings.prompts) == MOST_PROMPTS
    settings = settings.measured(Speed("extract", "draft", "cpu", 2.0)).measured(Speed("extract", "draft", "cpu", 3.0))
    assert settings.speed("extract", "draft", "cpu") == 3.0
    assert settings.speed("extract", "best", "cpu") is None


def test_a_folder_that_is_no_text_is_not_remembered_and_harms_nothing(tmp_path):
    """Linux has names that are not UTF-8; Python reads them as halves of characters."""
    odd = Settings().opened(Path("/p/h\udce9.mgeldm"))
    assert odd == Settings()
    path = tmp_path / "settings.json"
    save_settings(dataclasses.replace(FULL, projects="/p/h\udce9", prompts=("bass", "h\ud83c")), path)
    assert load_settings(path) == dataclasses.replace(FULL, projects="/p/h?", prompts=("bass", "h?"))


def test_what_a_newer_program_has_set_stays(tmp_path):
    path = tmp_path / "settings.json"
    newer = {"theme": "sepia", "new": {"a": 1}, "latency": "low", "export": {"format": "flac", "new": 2}}
    path.write_text(json.dumps(newer))
    settings = load_settings(path)
    assert (settings.theme, settings.latency) == ("system", "low")
    save_settings(settings.asked_for("bass"), path)
    kept = json.loads(path.read_text())
    assert kept["prompts"] == ["bass"] and kept["export"]["folder"] == ""
    assert {**kept, **newer, "export": {**kept["export"], **newer["export"]}} == kept
    save_settings(dataclasses.replace(settings, theme="dark"), path)
    assert load_settings(path).theme == "dark"


@pytest.mark.parametrize("speed", [-3.0, 0.0])
def test_no_computer_is_slower_than_standing_still(tmp_path, speed):
    path = tmp_path / "settings.json"
    rows = [{"task": "extract", "quality": "draft", "device": "cpu", "times_real_time": each} for each in (speed, 2.0)]
    path.write_text(json.dumps({"speeds": rows}))
    assert load_settings(path).speeds == (Speed("extract", "draft", "cpu", 2.0),)
