import importlib.machinery
import importlib.util
import json
import re
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from mgeldm.conditioning import clap
from mgeldm.conditioning.clap import CHECKPOINT, ClapConditioner, build_network, read_network, renamed
from mgeldm.errors import CheckpointError

AUDIO = {"patch_embeds_hidden_size": 16, "hidden_size": 128, "depths": [1] * 4, "num_attention_heads": [2] * 4}
TEXT = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(AUDIO, TEXT).eval()


def as_laion_calls_it(network) -> dict[str, torch.Tensor]:
    """A network's tensors under laion-clap's names, written from its side, with what our map leaves out."""
    state, theirs = network.state_dict(), {}
    for name, value in state.items():
        if name.startswith("text_model."):
            theirs[name.replace("text_model.", "text_branch.")] = value
            continue
        name = name.replace("audio_model.audio_encoder.", "audio_branch.").replace("batch_norm", "bn0")
        name = re.sub(r"(text|audio)_projection\.linear(\d)", lambda m: f"{m[1]}_projection.{2 * int(m[2]) - 2}", name)
        for ours, original in {
            "layernorm_before": "norm1", "layernorm_after": "norm2", "attention.output.dense": "attn.proj",
            "attention.self": "attn", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
        }.items():  # fmt: skip
            name = name.replace(ours, original)
        theirs[name] = value
    for name in [n for n in theirs if ".attn.query." in n]:
        parts = [theirs.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        theirs[name.replace("query", "qkv")] = torch.cat(parts)
    theirs |= {"audio_branch.tscam_conv.weight": torch.ones(2), "audio_transform.sequential.0.weight": torch.ones(2)}
    return theirs | {"audio_branch.logmel_extractor.melW": torch.ones(2), "logit_scale_t": torch.ones(1)}


def test_every_tensor_finds_its_place(network):
    again = build_network(AUDIO, TEXT)
    lacking, extra = again.load_state_dict(renamed(as_laion_calls_it(network)), strict=False)
    assert not extra
    assert all(re.search("logit_scale|position_ids|token_type_ids|relative_position_index", n) for n in lacking)
    for name, value in again.state_dict().items():
        if "logit_scale" not in name:
            assert torch.equal(value, network.state_dict()[name]), name


def test_embeddings_are_unit_vectors_and_remembered(network):
    calls = []

    def tokenizer(texts, **more):
        calls.append(texts)
        tokens = torch.tensor([[len(t) % 250 + 4, 5, 6] for t in texts])
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}

    conditioner = ClapConditioner(network, tokenizer)
    text = conditioner.embed_text(["the bass", "drums", "the bass"])
    conditioner.embed_text(["drums"])
    assert calls == [["the bass", "drums"]]
    assert torch.equal(text[0], text[2])
    audio = conditioner.embed_audio(torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (2, 48000)).astype("f4")))
    for vectors in (text, audio):
        assert vectors.shape[1] == 512 and not vectors.requires_grad
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-4)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"vocab\.json"):
        ClapConditioner.load(tmp_path)
    (tmp_path / "vocab.json").write_text("{}")
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(CheckpointError, match=CHECKPOINT):
        ClapConditioner.load(tmp_path)


SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def put_vocabulary(folder, pieces, merges):
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate([*SPECIAL, *pieces])}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    (folder / CHECKPOINT).write_bytes(b"")


def test_a_folder_is_read_and_heard_by_any_transformers(tmp_path, monkeypatch, network):
    """Version 5 calls the vocabulary otherwise and gives more than the vectors; see the range in pyproject.toml."""
    put_vocabulary(tmp_path, [*"abs", "Ġ", "as", "bas", "Ġbas"], ["a s", "b as", "Ġ bas"])
    monkeypatch.setattr(clap, "VOCABULARY", 12)
    monkeypatch.setattr(clap, "read_network", lambda path: network)
    conditioner = ClapConditioner.load(tmp_path)
    tokens = conditioner.tokenizer(["bas bas", "s<mask>"], padding="max_length", max_length=6, return_tensors="pt")
    assert tokens["input_ids"].tolist() == [[0, 10, 11, 2, 1, 1], [0, 7, 4, 2, 1, 1]]
    assert tokens["attention_mask"].tolist() == [[1, 1, 1, 1, 0, 0]] * 2
    assert set(tokens) == {"input_ids", "attention_mask"}
    text, long = conditioner.embed_text(["bas", "bas" * 200])
    assert text.shape == (512,) and not torch.allclose(text, long)


def test_what_a_network_gives_beside_the_vectors_is_left(network):
    class Version5:
        """Its outputs as version 5 wraps them."""

        def eval(self):
            return self

        def get_text_features(self, **given):
            return mock.Mock(pooler_output=clap._pooled(network.get_text_features(**given)))

        def get_audio_features(self, **given):
            return mock.Mock(pooler_output=clap._pooled(network.get_audio_features(**given)))

    def tokenizer(texts, **more):
        return {"input_ids": torch.tensor([[5, 6, 7]] * len(texts))}

    now, then = (ClapConditioner(each, tokenizer) for each in (network, Version5()))
    audio = torch.linspace(-0.5, 0.5, 48000)[None]
    assert torch.equal(now.embed_text(["bass"]), then.embed_text(["bass"]))
    assert torch.equal(now.embed_audio(audio), then.embed_audio(audio))


def test_a_damaged_vocabulary_is_refused(tmp_path):
    put_vocabulary(tmp_path, [], [])
    (tmp_path / "vocab.json").write_text('{"<s>": 0, "<pad')
    with pytest.raises(CheckpointError, match=r"vocab\.json.*damaged"):
        ClapConditioner.load(tmp_path)


def test_a_vocabulary_that_is_not_robertas_is_refused(tmp_path):
    put_vocabulary(tmp_path, [], [])
    with pytest.raises(CheckpointError, match="vocabulary of 5 pieces"):
        ClapConditioner.load(tmp_path)


def test_foreign_and_damaged_checkpoints_are_refused(tmp_path):
    torch.save({"state_dict": {"x": torch.zeros(1)}}, tmp_path / "foreign.pt")
    (tmp_path / "damaged.pt").write_bytes(b"PK\x03\x04 not really")
    for name in ("foreign.pt", "damaged.pt"):
        with pytest.raises(CheckpointError):
            read_network(tmp_path / name)


def test_a_clap_of_other_sizes_says_so(tmp_path, monkeypatch, network):
    """LAION's own smaller one, say, whose tensors have the same names."""
    monkeypatch.setattr(clap, "build_network", lambda: build_network(AUDIO, TEXT | {"vocab_size": 301}))
    torch.save({"state_dict": as_laion_calls_it(network)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"other\.pt is no CLAP .*size mismatch.*; use music_audioset"):
        read_network(tmp_path / "other.pt")


@pytest.fixture
def laion(monkeypatch):
    """laion-clap's own model at random weights, where that package is installed; kept from asking the network."""
    if importlib.util.find_spec("laion_clap") is None:
        pytest.importorskip("laion_clap", reason="laion-clap is an optional reference")
    import transformers

    config = transformers.RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    untrained = transformers.RobertaModel(config)
    monkeypatch.setattr(transformers.RobertaModel, "from_pretrained", lambda *_, **__: untrained)
    for name in ("RobertaTokenizer", "BertTokenizer", "BartTokenizer"):
        monkeypatch.setattr(getattr(transformers, name), "from_pretrained", lambda *_, **__: None)
    vision = [f"torchvision{part}" for part in ("", ".datasets", ".transforms", ".ops", ".ops.misc")]
    for name in (*vision, "wandb", "webdataset", "braceexpand", "h5py", "progressbar", "wget"):
        try:  # what its training code imports, and embedding does not use
            importlib.import_module(name)
        except Exception:
            spec = importlib.machinery.ModuleSpec(name, None)
            monkeypatch.setitem(sys.modules, name, mock.MagicMock(__spec__=spec))
    from laion_clap.clap_module.factory import create_model

    torch.manual_seed(0)
    return create_model("HTSAT-base", "roberta", precision="fp32", enable_fusion=False)[0].eval()


@torch.no_grad()
def test_the_same_embeddings_as_laion_clap(tmp_path, laion):
    torch.save({"state_dict": {f"module.{k}": v for k, v in laion.state_dict().items()}}, tmp_path / CHECKPOINT)
    conditioner = ClapConditioner(read_network(tmp_path / CHECKPOINT), None)
    audio = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 480000)).astype(np.float32))
    quantised = (audio.clamp(-1, 1) * 32767).to(torch.int16).float() / 32767
    wanted = laion.get_audio_embedding([{"waveform": quantised[0], "longer": torch.tensor([False])}])
    assert torch.allclose(conditioner.embed_audio(audio), wanted, atol=1e-5)
    tokens = {"input_ids": torch.randint(4, 50000, (3, 77)), "attention_mask": torch.ones(3, 77, dtype=torch.long)}
    ours = torch.nn.functional.normalize(clap._pooled(conditioner.network.get_text_features(**tokens)), dim=-1)
    assert torch.allclose(ours, laion.get_text_embedding(tokens), atol=1e-4)
