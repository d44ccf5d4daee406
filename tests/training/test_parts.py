import numpy as np
import pytest
import torch
from mgeldm.errors import InputError
from mgeldm.training.parts import PART_BYTES, foundations, receive, send, write_parts
from safetensors.torch import save_file


def weights():
    torch.manual_seed(0)
    return {f"layer.{i}": torch.randn(100, 30) for i in range(7)} | {"count": torch.tensor([3])}


def received(folder, name="denoiser"):
    receive(folder, folder / "run", [name])
    return torch.load(folder / "run" / name / "ema.pt", weights_only=True)


def test_parts_are_small_and_come_back_in_half_precision(tmp_path):
    paths = write_parts(weights(), tmp_path, "denoiser", part_bytes=20_000)
    assert len(paths) > 1
    assert all(path.stat().st_size < 22_000 for path in paths)
    back = received(tmp_path)
    assert set(back) == set(weights())
    for name, value in weights().items():
        assert back[name].dtype == value.dtype
        assert torch.allclose(back[name], value, rtol=1e-3, atol=1e-6)


def test_a_part_has_at_most_16_mib(tmp_path):
    big = {f"{i}": torch.zeros(3 * 2**20) for i in range(7)}  # 6 MiB each in half precision
    assert max(path.stat().st_size for path in write_parts(big, tmp_path, "big")) <= PART_BYTES + 4096 < 16 * 2**20


def test_a_missing_or_damaged_part_is_said(tmp_path):
    paths = write_parts(weights(), tmp_path, "denoiser", part_bytes=20_000)
    paths[0].write_bytes(paths[0].read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        received(tmp_path)
    paths[0].unlink()
    with pytest.raises(InputError, match="not complete"):
        received(tmp_path)
    with pytest.raises(InputError, match="not complete"):
        received(tmp_path, "autoencoder")


def test_parts_of_two_saves_are_not_taken_for_one(tmp_path):
    """As a kill between two parts leaves them."""
    paths = write_parts(weights(), tmp_path, "denoiser", part_bytes=20_000)
    earlier = paths[0].read_bytes()
    write_parts({key: value + 1 for key, value in weights().items()}, tmp_path, "denoiser", part_bytes=20_000)
    paths[0].write_bytes(earlier)
    with pytest.raises(InputError, match="not all of one save; run the command"):
        receive(tmp_path, tmp_path / "run", ["denoiser"])
    assert not (tmp_path / "run").exists()
    write_parts(weights(), tmp_path, "denoiser", part_bytes=20_000)
    assert received(tmp_path).keys() == weights().keys()


def test_what_is_received_is_where_a_run_starts(tmp_path):
    write_parts(weights(), tmp_path / "parts", "denoiser")
    (tmp_path / "run" / "denoiser").mkdir(parents=True)
    for name in ("state.pt", "log.jsonl"):
        (tmp_path / "run" / "denoiser" / name).write_bytes(b"older")
    receive(tmp_path / "parts", tmp_path / "run", ["denoiser"])
    found = torch.load(tmp_path / "run" / "denoiser" / "ema.pt", weights_only=True)
    assert np.allclose(found["layer.3"], weights()["layer.3"], rtol=1e-3, atol=1e-6)
    assert sorted(path.name for path in (tmp_path / "run" / "denoiser").iterdir()) == [
        "ema.pt",
        "log.before.jsonl",
        "state.before.pt",
    ]
    assert (tmp_path / "run" / "denoiser" / "state.before.pt").read_bytes() == b"older"


def run_folder(folder, basis=1.0, towers=1.0, sounds=1.0):
    """A folder of runs whose denoiser rests on such a projection, such towers and such sounds."""
    (folder / "text-audio").mkdir(parents=True)
    save_file({"basis": torch.full((4, 4), basis) / 3}, folder / "projection.safetensors")
    save_file({"sounds": torch.full((2, 4), sounds) / 3}, folder / "sounds.safetensors")
    torch.save({"out": torch.full((4,), towers) / 3, "words": torch.tensor([1, 2])}, folder / "text-audio" / "ema.pt")
    return folder


def test_weights_are_received_only_where_what_they_rest_on_is_the_same(tmp_path):
    there = run_folder(tmp_path / "there")
    write_parts(weights(), tmp_path / "parts", "denoiser", foundations(there, "denoiser"), part_bytes=20_000)
    receive(tmp_path / "parts", run_folder(tmp_path / "same"), ["denoiser"])
    cases = {"projection": {"basis": -1.0}, "towers": {"towers": 2.0}, "typical sounds": {"sounds": 2.0}}
    for what, differences in cases.items():
        with pytest.raises(InputError, match=rf"without the {what} that it .*an empty folder as `run` and, as `start`"):
            receive(tmp_path / "parts", run_folder(tmp_path / what, **differences), ["denoiser"])
        assert not (tmp_path / what / "denoiser").exists()
    with pytest.raises(InputError, match="the projection and towers and typical sounds that"):
        receive(tmp_path / "parts", tmp_path / "empty", ["denoiser"])


def test_a_denoiser_takes_towers_and_sounds_along(tmp_path):
    """In parts they lose digits, which tells nobody that they are others."""
    there, here = run_folder(tmp_path / "there"), run_folder(tmp_path / "here", towers=5.0, sounds=5.0)
    (here / "text-audio" / "state.pt").write_bytes(b"older")
    send(weights(), tmp_path / "parts", there, "denoiser")
    receive(tmp_path / "parts", here, ["text-audio", "sounds", "denoiser"])
    assert foundations(here, "denoiser") == foundations(there, "denoiser")
    assert (here / "text-audio" / "state.before.pt").exists()


def test_towers_that_are_there_already_stay_with_their_state(tmp_path):
    there, here = run_folder(tmp_path / "there"), run_folder(tmp_path / "here")
    (here / "text-audio" / "state.pt").write_bytes(b"of these")
    before = (here / "text-audio" / "ema.pt").read_bytes()
    send(weights(), tmp_path / "parts", there, "denoiser")
    receive(tmp_path / "parts", here, ["text-audio", "sounds", "denoiser"])
    assert (here / "text-audio" / "state.pt").exists()
    assert (here / "text-audio" / "ema.pt").read_bytes() == before


def test_new_towers_alone_do_not_know_what_those_before_knew(tmp_path):
    there, here = run_folder(tmp_path / "there", towers=3.0), run_folder(tmp_path / "here")
    send({"out": torch.full((4,), 1.0)}, tmp_path / "parts", there, "text-audio")
    receive(tmp_path / "parts", here, ["text-audio"])
    assert not (here / "sounds.safetensors").exists()


def test_nothing_is_received_where_a_part_of_it_would_be_of_no_use(tmp_path):
    there, here = run_folder(tmp_path / "there", towers=3.0), run_folder(tmp_path / "here", basis=-1.0)
    before = (here / "text-audio" / "ema.pt").read_bytes()
    send(weights(), tmp_path / "parts", there, "denoiser")
    with pytest.raises(InputError, match="projection"):
        receive(tmp_path / "parts", here, ["text-audio", "sounds", "denoiser"])
    assert (here / "text-audio" / "ema.pt").read_bytes() == before
