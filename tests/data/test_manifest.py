import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from mgeldm.data import corpus, manifest
from mgeldm.data.captions import CAPTIONS
from mgeldm.data.embeddings import embed, read_embeddings
from mgeldm.data.latents import Encoder, load, read_shard, save, shards
from mgeldm.data.manifest import Facts
from mgeldm.errors import InputError, OutputError


@pytest.fixture(scope="module")
def triplets():
    return Encoder().encode(corpus.render_song(3, [], 7.0), CAPTIONS, np.random.default_rng(0))


def test_the_manifest_says_what_a_folder_holds(tmp_path, triplets):
    facts = Facts("real stems", "CC0-1.0; MIT", "train", ("francium",))
    save(tmp_path / "a.npz", [triplets], facts)
    save(tmp_path / "b.npz", [triplets, triplets], Facts("MUSDB18", "CC-BY-NC-SA-4.0", "test"))
    entries = manifest.update(tmp_path, shards(tmp_path))
    assert entries == json.loads((tmp_path / "manifest.json").read_text())
    assert entries["a.npz"]["songs"] == ["francium"]
    assert entries["a.npz"]["items"] == len(triplets)
    assert entries["b.npz"]["items"] == 2 * len(triplets)
    assert Facts.read(tmp_path / "a.npz") == facts
    assert manifest.unfit_to_ship(tmp_path) == {"b.npz": "CC-BY-NC-SA-4.0"}
    (tmp_path / "b.npz").unlink()
    assert set(manifest.update(tmp_path, shards(tmp_path))) == {"a.npz"}


def test_only_new_shards_are_hashed_and_damage_is_found(tmp_path, triplets, monkeypatch):
    save(tmp_path / "a.npz", [triplets])
    manifest.update(tmp_path, shards(tmp_path))
    assert manifest.damaged(tmp_path) == []
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "sha256", lambda path: pytest.fail(f"{path} is hashed again"))
        manifest.update(tmp_path, shards(tmp_path))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[1000] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    assert manifest.damaged(tmp_path) == [tmp_path / "a.npz"]


def test_a_shard_made_anew_is_not_damaged_though_it_is_as_large(tmp_path, triplets):
    """Neither before nor after the manifest is brought up to date: a run that was killed may not have done it."""
    save(tmp_path / "a.npz", [triplets])
    manifest.update(tmp_path, shards(tmp_path))
    size = (tmp_path / "a.npz").stat().st_size
    save(tmp_path / "a.npz", [replace(triplets, sources=triplets.rests)])
    assert (tmp_path / "a.npz").stat().st_size == size
    assert manifest.damaged(tmp_path) == []
    entries = manifest.update(tmp_path, shards(tmp_path))
    assert entries["a.npz"]["sha256"] == manifest.sha256(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"cut off", None])
def test_a_shard_that_the_manifest_does_not_know_can_be_damaged(tmp_path, triplets, content):
    save(tmp_path / "a.npz", [triplets])
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) // 2] if content is None else content)
    (tmp_path / "folder.npz").mkdir()
    assert manifest.damaged(tmp_path) == [tmp_path / "b.npz"]
    for read in (manifest.items_of, Facts.read):
        with pytest.raises(InputError, match=r"b\.npz is missing or damaged"):
            read(tmp_path / "b.npz")


@pytest.mark.parametrize(
    "content",
    [b"[]", b"\xff\xfe", b"3", b'{"a.npz": {}}', b'{"a.npz": []}', b'{"a.npz": {"sha256": 3}, "embeddings": []}'],
)
def test_a_manifest_is_made_anew_whatever_is_in_its_place(tmp_path, triplets, content):
    save(tmp_path / "a.npz", [triplets])
    (tmp_path / "manifest.json").write_bytes(content)
    assert manifest.read(tmp_path) == manifest.embeddings(tmp_path) == {}
    assert manifest.damaged(tmp_path) == []
    assert manifest.update(tmp_path, shards(tmp_path))["a.npz"]["items"] == len(triplets)


def test_arrays_of_another_kind_are_no_shard(tmp_path, triplets):
    np.savez(tmp_path / "notes.npz", notes=np.zeros(3))
    assert manifest.damaged(tmp_path) == []
    for read in (manifest.items_of, Facts.read, lambda path: load(path.parent)):
        with pytest.raises(InputError, match=r"notes\.npz is no shard .*; keep it in another folder"):
            read(tmp_path / "notes.npz")


def test_shards_from_before_facts_have_a_manifest_too(tmp_path, triplets):
    np.savez(tmp_path / "old.npz", **{k: v for k, v in vars(triplets).items() if k != "parts"})
    (tmp_path / "manifest.json").write_text("{broken")
    entries = manifest.update(tmp_path, shards(tmp_path))
    assert entries["old.npz"]["licence"] == ""
    assert set(manifest.unfit_to_ship(tmp_path)) == {"old.npz"}


def test_only_shards_that_know_their_options_can_differ():
    facts = Facts("MUSDB18", "x", "train", ("song",), "40 windows", autoencoder="aa")
    assert facts.differences(facts) == []
    (found,) = facts.differences(replace(facts, autoencoder="bb"))
    assert found == "autoencoder: aa there, bb asked for"
    assert Facts("MUSDB18", "x", "train", ("song",)).differences(facts) == []


def test_nothing_that_sounds_is_no_shard(tmp_path, triplets):
    with pytest.raises(InputError, match="no window"):
        save(tmp_path / "a.npz", [Encoder().encode(corpus.render_song(3, [], 2.0), {}, np.random.default_rng(0))])
    assert not list(tmp_path.iterdir())


class Ear:
    """Embeds a mel as its mean and a text as its length, and counts what it was asked."""

    audio_input = "mel"

    def __init__(self):
        self.sounds = 0

    def embed_text(self, texts):
        return torch.tensor([[float(len(text)), 1.0] for text in texts])

    def embed_audio(self, audio):
        self.sounds += len(audio)
        return torch.stack([audio.mean((1, 2)), audio.amax((1, 2))], 1)


def test_embeddings_lie_beside_their_shards(tmp_path, triplets):
    save(tmp_path / "a.npz", [triplets])
    ear = Ear()
    embed(tmp_path, ear, "ear")
    assert ear.sounds == 3 * len(triplets)
    save(tmp_path / "b.npz", [triplets])
    embed(tmp_path, ear, "ear")
    assert ear.sounds == 6 * len(triplets)  # what was embedded is not again
    audio, texts = read_embeddings(tmp_path, "ear")
    pool = load(tmp_path)
    assert audio.shape == (len(pool), 3, 2)
    assert np.allclose(audio[:, 2, 0], pool.sources.astype(np.float32).mean((1, 2)), atol=1e-3)
    assert {phrase for row in pool.captions for phrase in row.split("|")} == set(texts)
    assert all(vector[0] == len(phrase) for phrase, vector in texts.items())


def test_embeddings_are_in_the_manifest_with_their_hashes(tmp_path, triplets):
    save(tmp_path / "a.npz", [triplets])
    entries = manifest.update(tmp_path, shards(tmp_path))
    assert manifest.embeddings(tmp_path) == {}
    embed(tmp_path, Ear(), "ear")
    files = [tmp_path / "embeddings/ear" / name for name in ("a.npz", "texts.npz")]
    assert manifest.embeddings(tmp_path) == {f"embeddings/ear/{path.name}": manifest.sha256(path) for path in files}
    assert manifest.read(tmp_path) == entries  # of shards
    assert manifest.damaged(tmp_path) == []
    files[0].write_bytes(files[0].read_bytes()[:-50])
    assert manifest.damaged(tmp_path) == [files[0]]
    assert set(manifest.unfit_to_ship(tmp_path)) == {"a.npz"}


def test_a_folder_without_shards_has_nothing_to_embed(tmp_path):
    with pytest.raises(InputError, match="no shards"):
        embed(tmp_path, Ear(), "ear")


def test_embeddings_of_another_content_are_refused(tmp_path, triplets):
    save(tmp_path / "a.npz", [triplets])
    embed(tmp_path, Ear(), "ear")
    save(tmp_path / "a.npz", [triplets, triplets])
    with pytest.raises(InputError, match=r"a\.npz .* have no embeddings ear"):
        read_embeddings(tmp_path, "ear")
    embed(tmp_path, Ear(), "ear")
    assert len(read_embeddings(tmp_path, "ear")[0]) == len(read_shard(tmp_path / "a.npz"))


def cut_off(content):
    return content[:-50]


def altered(content):
    """As a bad disk leaves it: the names in it can still be read."""
    return content[:150] + bytes(byte ^ 255 for byte in content[150:154]) + content[154:]


@pytest.mark.parametrize("damage", [cut_off, altered])
@pytest.mark.parametrize("name", ["a.npz", "texts.npz"])
def test_embeddings_that_are_damaged_are_made_again(tmp_path, triplets, name, damage):
    save(tmp_path / "a.npz", [triplets])
    embed(tmp_path, Ear(), "ear")
    path = tmp_path / "embeddings" / "ear" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="have no embeddings ear; run the command that encoded them again"):
        read_embeddings(tmp_path, "ear")
    embed(tmp_path, Ear(), "ear")
    assert len(read_embeddings(tmp_path, "ear")[0]) == len(triplets)


def test_a_file_in_place_of_the_folder_of_embeddings_is_said(tmp_path, triplets):
    save(tmp_path / "a.npz", [triplets])
    (tmp_path / "embeddings").write_text("mine")
    with pytest.raises(OutputError, match=r"embeddings.ear cannot be made \("):
        embed(tmp_path, Ear(), "ear")


def test_a_shard_in_place_of_its_embeddings_is_embedded(tmp_path, triplets):
    save(tmp_path / "a.npz", [triplets])
    (tmp_path / "embeddings" / "ear").mkdir(parents=True)
    save(tmp_path / "embeddings" / "ear" / "a.npz", [triplets])
    embed(tmp_path, Ear(), "ear")
    assert len(read_embeddings(tmp_path, "ear")[0]) == len(triplets)
