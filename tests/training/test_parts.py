import numpy as np
import pytest
import torch
from mgeldm.errors import InputError
from mgeldm.training.parts import PART_BYTES, read_parts, receive, write_parts


def weights():
    torch.manual_seed(0)
    return {f"layer.{i}": torch.randn(100, 30) for i in range(7)} | {"count": torch.tensor([3])}


def test_parts_are_small_and_come_back_in_half_precision(tmp_path):
    paths = write_parts(weights(), tmp_path, "denoiser", part_bytes=20_000)
    assert len(paths) > 1
    assert all(path.stat().st_size < 22_000 for path in paths)
    back = read_parts(tmp_path, "denoiser")
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
        read_parts(tmp_path, "denoiser")
    paths[0].unlink()
    with pytest.raises(InputError, match="not complete"):
        read_parts(tmp_path, "denoiser")
    with pytest.raises(InputError, match="not complete"):
        read_parts(tmp_path, "autoencoder")


def test_what_is_received_is_where_a_run_starts(tmp_path):
    write_parts(weights(), tmp_path / "parts", "denoiser")
    (tmp_path / "run" / "denoiser").mkdir(parents=True)
    (tmp_path / "run" / "denoiser" / "state.pt").write_bytes(b"older")
    receive(tmp_path / "parts", tmp_path / "run", "denoiser")
    found = torch.load(tmp_path / "run" / "denoiser" / "ema.pt", weights_only=True)
    assert np.allclose(found["layer.3"], weights()["layer.3"], rtol=1e-3, atol=1e-6)
    assert not (tmp_path / "run" / "denoiser" / "state.pt").exists()
    assert (tmp_path / "run" / "denoiser" / "state.before.pt").read_bytes() == b"older"
