import numpy as np
from mgeldm.data.bank import load_bank
from mgeldm.training.carry import main


def test_a_bank_comes_back_small_and_sounding_the_same(tmp_path):
    rng = np.random.default_rng(0)
    time = np.arange(44100) / 44100
    notes = np.stack([8000 * np.sin(2 * np.pi * hz * time) * np.exp(-3 * time) for hz in (220, 330, 441)])
    hits = rng.normal(0, 3000, (2, 20000)) * np.exp(-np.arange(20000) / 2000)
    places = {"programs": np.array([0, 0, 33]), "pitches": np.array([57, 64, 69]), "kits": np.zeros(2, int)}
    arrays = places | {"notes": notes.astype(np.int16), "hits": hits.astype(np.int16), "keys": np.array([36, 38])}
    np.savez(tmp_path / "bank.npz", **arrays, licence=np.array("MIT"))
    main([str(tmp_path / "bank.npz"), str(tmp_path / "packed.npz")])
    assert (tmp_path / "packed.npz").stat().st_size < 0.25 * (tmp_path / "bank.npz").stat().st_size
    main(["--unpack", str(tmp_path / "packed.npz"), str(tmp_path / "elsewhere" / "bank.npz")])
    one, other = load_bank(tmp_path / "bank.npz"), load_bank(tmp_path / "elsewhere" / "bank.npz")
    for name in ("programs", "pitches", "kits", "keys"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    for mine, theirs in zip(one.notes, other.notes, strict=True):
        mine, theirs = mine.astype(float), theirs.astype(float)
        assert np.square(mine - theirs).mean() < 0.01 * np.square(mine).mean()  # 20 dB
    assert other.hits.shape == one.hits.shape
    assert str(np.load(tmp_path / "elsewhere" / "bank.npz")["licence"]) == "MIT"
