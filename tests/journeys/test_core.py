"""The story of a producer, told to the core among fakes: no Qt, no torch, no sound card."""

import numpy as np
from mgeldm.audio import read

from mgeldm_app.core.actions import BY_ID
from mgeldm_app.core.export import Colours, export
from mgeldm_app.core.project import Span
from mgeldm_app.core.settings import ExportSettings
from tests.fakes.world import RATE_HZ, World, write_song

BAR = 2 * RATE_HZ
COLOURS = Colours(("#FFB454",) * 8, "#A9B4C2", "#6F7A88")


def test_from_a_song_to_a_daw(tmp_path, monkeypatch):
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "home"))
    world = World()
    world.engine.warm_up()

    world.open(write_song(tmp_path / "Midnight Ferry.wav"))
    world.c.set_region(Span(2 * BAR, 6 * BAR))
    world.c.set_looping(True)
    BY_ID["play"].run(world.c)
    assert (world.player.playing, world.player.position) == (True, 2 * BAR)

    world.ask("the slide guitar")
    world.engine.begin(0.5)
    assert world.player.growing[0].filled
    world.engine.finish_all()
    guitar = world.lane("slide guitar")
    assert guitar.parts[0].take.made.quality == "standard"

    world.ask("a warm Rhodes part", task="impute", takes=4)
    world.engine.finish_all()
    world.session.select((world.lane("warm Rhodes part").id,))
    BY_ID["next_take"].run(world.c)
    BY_ID["keep_take"].run(world.c)
    (part,) = world.lane("warm Rhodes part").parts
    assert len(part.takes) == 1

    world.c.set_lane(guitar.id, "name", "Slide")
    world.c.set_lane(guitar.id, "gain_db", -3.0)
    for _ in range(3):
        BY_ID["undo"].run(world.c)
    for _ in range(3):
        BY_ID["redo"].run(world.c)
    assert world.lane("Slide").gain_db == -3.0

    store, project = world.session.store, world.project
    (tmp_path / "out").mkdir()
    stems = [lane for lane in project.lanes if lane.kind != "added"]
    report = export(project, store.view, stems, tmp_path / "out", ExportSettings(format="wav24"), COLOURS)
    sounds = [read(file.path).samples.astype(np.float64) for file in report.files]
    assert np.array_equal(sounds[0], np.sum(sounds[1:], 0))
    daw = export(project, store.view, project.lanes, tmp_path / "out", ExportSettings(format="dawproject"), COLOURS)
    assert daw.files[0].path.suffix == ".dawproject"

    folder = world.session.folder.folder
    world.c.close()
    again = World()
    again.open(folder)
    assert again.project == project
    again.c.close()
