import pytest

from tests.fakes.world import World, write_song


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder in place of the user's own."""
    monkeypatch.setenv("MGELDM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def world(home):
    """A controller among fakes, with nothing open."""
    made = World()
    yield made
    made.c.close()


@pytest.fixture
def opened(world, tmp_path):
    """The same with a song open."""
    world.open(write_song(tmp_path / "A song.wav"))
    return world
