import json
import os
import re
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mgeldm import cli
from mgeldm.bundled import WORD_TABLE
from mgeldm.checkpoint import load_model, save_model
from mgeldm.config import EMBEDDED, PUBLISHED, SpectralConfig
from mgeldm.data import corpus, latents
from mgeldm.data.captions import CAPTIONS
from mgeldm.data.latents import Encoder, Triplets
from mgeldm.data.manifest import Facts
from mgeldm.errors import CheckpointError, InputError, OutputError
from mgeldm.nn.dit import Denoiser
from mgeldm.nn.spectral import SpectralAutoencoder
from mgeldm.pipeline import EMBEDDED_PATH, Pipeline
from mgeldm.training import embedded, recipes
from mgeldm.training.embedded import deepened, unpack
from mgeldm.training.joint import Embedded, JointRecipe, draw_timesteps
from mgeldm.training.loop import Run
from mgeldm.training.machine import Machine
from mgeldm.training.recipes import read_settings, train_from

from tests.fakes.models import TINY

SMALL = replace(
    EMBEDDED,
    autoencoder=SpectralConfig(decoder_width=16, decoder_depth=1),
    denoiser=replace(EMBEDDED.denoiser, width=96, depth=1, heads=3),
)
CONFIGURATIONS = [
    ("embedded", EMBEDDED),
    ("decoder", replace(EMBEDDED, autoencoder=SpectralConfig(decoder_depth=6))),
    ("gpu", EMBEDDED),
    ("published", PUBLISHED),
]
COMMON = "minutes = 1000\nwarmup_steps = 1\nlog_every_steps = 1\nsave_every_s = 0.0\nscore_every_s = 1e9\n"


def toml(value):
    """A value of a configuration as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(x)}" for key, x in value.items()) + "}"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def model_table(config):
    """The table [model] of a configuration."""
    lines = ["[model]"]
    for key, value in vars(config).items():
        if hasattr(value, "__dataclass_fields__"):
            value = {"kind": type(value).__name__} | asdict(value)
        if value is not None:
            lines.append(f"{key} = {toml(value)}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    stems = corpus.render_song(3, [], 13.0).stems
    latents.save(folder / "a.npz", [Encoder(absent=0.5).encode(stems, CAPTIONS, np.random.default_rng(0))])
    return folder


@pytest.fixture
def config(tmp_path, shards):
    """A whole small embedded model, three steps a recipe."""
    text = f"""
run = "{tmp_path}/run"
pool = "{shards}"
held = "{shards}"
words = "{WORD_TABLE}"
out = "{tmp_path}/model.safetensors"

[text-audio]
steps = 3
batch = 6
{COMMON}
[autoencoder]
steps = 3
batch = 2
songs = 1
crop_frames = 4
weights = {{stft = 1.0, mel = 1.0, adversarial = 0.1, features = 1.0}}
critic = {{sizes = [256], width = 4}}
{COMMON}
[denoiser]
steps = 3
batch = 4
extraction = 0.75
{COMMON}
{model_table(SMALL)}
"""
    path = tmp_path / "small.toml"
    path.write_text(text)
    return path


def test_every_recipe_runs_and_their_weights_become_one_file(config, tmp_path, capsys):
    """As a person would: each recipe by the command, with parts written and a time limit, then assembled."""
    for recipe in ("text-audio", "autoencoder", "denoiser"):
        arguments = ["train", recipe, "--config", str(config), "--minutes", "9", "--parts", str(tmp_path / "parts")]
        assert cli.main(arguments) == 0
        lines = [json.loads(x) for x in (tmp_path / "run" / recipe / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert "held_sdr_db" in lines[-1]
    assert cli.main(["train", "assemble", "--config", str(config)]) == 0
    model = load_model(tmp_path / "model.safetensors")
    assert model.config == SMALL
    assert len(model.conditioner_state["sounds"])  # of its classes, as the pool has them
    ema = torch.load(tmp_path / "run" / "denoiser" / "ema.pt", weights_only=True)
    assert torch.allclose(model.denoiser.leave.weight, ema["leave.weight"], atol=1e-3)

    # Half of what it started from may go in.
    half = tmp_path / "half.toml"
    half.write_text(f'start = "{tmp_path}/model.safetensors"\nstart_share = 0.5\n' + config.read_text())
    torch.save({name: 3 * value for name, value in ema.items()}, tmp_path / "run" / "denoiser" / "ema.pt")
    assert cli.main(["train", "assemble", "--config", str(half)]) == 0
    blended = load_model(tmp_path / "model.safetensors").denoiser.leave.weight
    assert torch.allclose(blended, 2 * ema["leave.weight"], atol=1e-2)

    # What came back in parts is what training elsewhere starts from.
    moved = tmp_path / "moved.toml"
    moved.write_text(config.read_text().replace(f"{tmp_path}/run", f"{tmp_path}/elsewhere"))
    receiving = ["train", "receive", "--config", str(moved), "--parts", str(tmp_path / "parts")]
    assert cli.main(receiving) == 2
    assert "projection.safetensors" in capsys.readouterr().err
    (tmp_path / "elsewhere").mkdir(exist_ok=True)
    shutil.copy(tmp_path / "run" / "projection.safetensors", tmp_path / "elsewhere")
    assert cli.main(receiving) == 0
    received = torch.load(tmp_path / "elsewhere" / "denoiser" / "ema.pt", weights_only=True)
    assert torch.allclose(received["leave.weight"], ema["leave.weight"], atol=1e-3)

    # So is it where both began with one checkpoint, which is unpacked first.
    for name in ("first", "second"):
        begun = f'start = "{tmp_path}/model.safetensors"\n' + config.read_text()
        (tmp_path / f"{name}.toml").write_text(begun.replace(f"{tmp_path}/run", f"{tmp_path}/{name}"))
    parts = ["--parts", str(tmp_path / "denoiser")]
    assert cli.main(["train", "denoiser", "--config", str(tmp_path / "first.toml"), *parts]) == 0
    assert cli.main(["train", "receive", "--config", str(tmp_path / "second.toml"), *parts]) == 0


class Killed(BaseException):
    """Ends a run as a kill does: nothing is saved after it."""


def goes_on_exactly(recipe, config, folder, monkeypatch):
    """A run of three steps is repeated bit by bit by one that is killed as it is to save its first step, and again as
    it is to save its third: it begins anew, then goes on from the second."""
    train_from(recipe, config)
    whole = state_of(folder)
    shutil.rmtree(folder)
    save = Run.save
    for last in (1, 3):

        def killed(run, last=last):
            if run.step == last:
                raise Killed
            save(run)

        with monkeypatch.context() as patch:
            patch.setattr(Run, "save", killed)
            with pytest.raises(Killed):
                train_from(recipe, config)
        assert (folder / "state.pt").exists() == (last == 3)
    train_from(recipe, config)
    assert_same(state_of(folder), whole)


def state_of(folder):
    """Weights, optimisers, averaged weights and the step of a run, but for the time that it took."""
    state = torch.load(folder / "state.pt", weights_only=True)
    assert state["step"] == 3
    del state["spent_s"]
    assert_same(torch.load(folder / "ema.pt", weights_only=True), state["ema"])
    return state


def assert_same(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_a_killed_run_of_every_recipe_goes_on_exactly(config, tmp_path, monkeypatch):
    config.write_text(config.read_text().replace("extraction = 0.75", 'extraction = 0.75\nprecision = "bf16"'))
    for recipe in ("text-audio", "autoencoder", "denoiser"):
        goes_on_exactly(recipe, config, tmp_path / "run" / recipe, monkeypatch)


@pytest.mark.parametrize("folder", [".", "nowhere"])
def test_a_folder_without_weights_to_receive_is_said(config, tmp_path, capsys, folder):
    arguments = ["train", "receive", "--config", str(config), "--parts", str(tmp_path / folder)]
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert str(tmp_path / folder) in told and "no weights of autoencoder, text-audio, denoiser" in told


def test_a_deeper_denoiser_begins_by_answering_as_the_one_it_comes_from():
    torch.manual_seed(0)
    small = Denoiser(replace(SMALL.denoiser, depth=2))
    for parameter in small.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    deep, again = deepened(small, 5), deepened(small, 5)
    assert len(deep.blocks) == 5
    assert all(torch.equal(x, y) for x, y in zip(deep.parameters(), again.parameters(), strict=True))
    z, timesteps, conditions = torch.randn(2, 192, 8), torch.rand(2, 3, 8), torch.randn(2, 3, 512)
    torch.testing.assert_close(deep(z, timesteps, conditions), small(z, timesteps, conditions))
    deep(z, timesteps, conditions).square().sum().backward()
    assert all(block.feedforward.narrow.weight.grad.abs().sum() > 0 for block in deep.blocks)


def test_a_start_of_more_blocks_than_asked_for_says_so(tmp_path):
    with pytest.raises(CheckpointError, match=r"has 12 blocks and .* asks for 8"):
        unpack(EMBEDDED_PATH, tmp_path, 8)


def test_a_checkpoint_fills_an_empty_folder_of_runs_and_no_other(tmp_path):
    unpack(EMBEDDED_PATH, tmp_path)
    model = load_model(EMBEDDED_PATH)
    path = tmp_path / "denoiser" / "ema.pt"
    weights = torch.load(path, weights_only=True)
    name, value = next(iter(model.denoiser.state_dict().items()))
    assert torch.equal(weights[name], value)
    torch.save({"trained": torch.ones(1)}, path)
    unpack(EMBEDDED_PATH, tmp_path)
    assert set(torch.load(path, weights_only=True)) == {"trained"}


def test_the_sounds_of_classes_are_learned_where_a_pool_holds_them_alone(tmp_path):
    """Bands that only the bass has are its sound; unions, silence and what "other" may be are no class's."""
    low, high = (np.zeros((128, 64), np.float16) for _ in range(2))
    low[:20], high[100:] = 1, 1
    said = [("bass", "bass", low), ("bass", "bass", low), ("hi-hats", "hi-hats", high)]
    said += [("bass", "bass|hi-hats", high), ("flute", "", low), ("other", "other", low)]
    labels, parts, sources = (np.array(column) for column in zip(*said, strict=True))
    latents.save(tmp_path / "a-0.npz", [Triplets(sources, sources, sources, labels, labels, labels, parts)])
    conditioner = Pipeline.load().conditioner
    embedded.learn_sounds(conditioner, tmp_path)
    assert len(conditioner.names) == 2
    for label, heard in (("bass", low), ("hi-hats", high)):
        name = (conditioner.embed_text([label]) @ conditioner.names.T).argmax(1)
        sound = conditioner.embed_audio(torch.from_numpy(heard).float()[None])
        assert torch.allclose(conditioner.sounds[name], sound, atol=1e-5)


def test_towers_keep_the_sounds_they_came_with_until_they_are_trained_anew(tmp_path):
    unpack(EMBEDDED_PATH, tmp_path)
    known = Pipeline.load().conditioner
    assert torch.allclose(embedded.towers(tmp_path, tmp_path / "pool").sounds, known.sounds, atol=1e-6)
    assert not len(embedded.new_towers(tmp_path, WORD_TABLE).sounds)
    low, labels = np.zeros((1, 128, 64), np.float16), np.array(["bass"])
    (tmp_path / "pool").mkdir()
    latents.save(tmp_path / "pool" / "a-0.npz", [Triplets(low, low, low, labels, labels, labels)])
    assert len(embedded.towers(tmp_path, tmp_path / "pool").sounds) == 1
    (tmp_path / "pool" / "a-0.npz").unlink()
    assert len(embedded.towers(tmp_path, tmp_path / "pool").sounds) == 1  # kept with the run


def test_minutes_end_a_call_and_the_next_one_goes_on(config, tmp_path):
    config.write_text(config.read_text().replace("steps = 3\nbatch = 6", "steps = 1000000\nbatch = 6"))
    train_from("text-audio", config, minutes=1.0, began_s=time.monotonic() - 56)
    first = torch.load(tmp_path / "run" / "text-audio" / "state.pt", weights_only=True)["step"]
    train_from("text-audio", config, minutes=1.0, began_s=time.monotonic() - 56)
    assert torch.load(tmp_path / "run" / "text-audio" / "state.pt", weights_only=True)["step"] > first > 0


TOP = "run = 'a'\nout = 'b'\n"
NOT_UNDERSTOOD = ["", "run = 3", "run = [", f"{TOP}[denoiser]\nminutes = 'long'", f"{TOP}speed = 1"]


@pytest.mark.parametrize("content", NOT_UNDERSTOOD)
def test_a_configuration_not_understood_is_said(tmp_path, content):
    (tmp_path / "c.toml").write_text(content)
    with pytest.raises(InputError, match="not understood"):
        train_from("denoiser", tmp_path / "c.toml")
    with pytest.raises(InputError, match="missing"):
        train_from("denoiser", tmp_path / "nothing.toml")


def test_a_configuration_in_other_letters_is_said(tmp_path):
    (tmp_path / "c.toml").write_bytes("run = 'Lösung'".encode("latin-1"))
    with pytest.raises(InputError, match="not understood"):
        train_from("denoiser", tmp_path / "c.toml")


@pytest.mark.parametrize(("name", "model"), CONFIGURATIONS)
def test_the_configurations_that_come_along_are_understood(name, model):
    settings = read_settings(Path(recipes.__file__).with_name(f"{name}.toml"))
    assert settings.model == model
    for recipe, options in settings.recipes:
        assert options["minutes"] > 0
        assert options["batch"] > 0
        assert recipe in recipes.RECIPES
    assert settings.out.parts[0] == "cache"  # never what ships
    assert settings.start == (None if name == "published" else Path("resources/embedded/model.safetensors"))


def test_the_configuration_at_full_size_saves_its_20_gb_every_half_hour():
    settings = read_settings(Path(recipes.__file__).with_name("published.toml"))
    assert [options["save_every_s"] for _, options in settings.recipes] == [1800.0, 1800.0]


def test_the_projection_is_fitted_on_a_spread_of_the_pool(shards, tmp_path, monkeypatch):
    for name in "abc":
        shutil.copy(shards / "a.npz", tmp_path / f"{name}.npz")
    pool = latents.load(tmp_path)
    rows = np.linspace(0, len(pool) - 1, 20).astype(int)
    tracks = (pool.mixtures, pool.rests, pool.sources)
    wanted = np.concatenate([track[rows[i::3]] for i, track in enumerate(tracks)])
    monkeypatch.setattr(latents, "load", lambda folder: pytest.fail("the whole pool is loaded"))
    assert np.array_equal(embedded._sample(tmp_path, 20).numpy(), wanted.astype(np.float32))


def test_several_processes_save_the_projection_at_once(tmp_path, monkeypatch):
    """Another process writes and renames its own between our writing and our renaming."""
    spectral, path = SpectralAutoencoder(SMALL.autoencoder), tmp_path / "projection.safetensors"
    replace_file = os.replace

    def overtaken(aside, target):
        monkeypatch.setattr(os, "replace", replace_file)
        embedded._save_projection(spectral, path)
        replace_file(aside, target)

    monkeypatch.setattr(os, "replace", overtaken)
    embedded._save_projection(spectral, path)
    assert [file.name for file in tmp_path.iterdir()] == ["projection.safetensors"]


def test_an_unknown_option_and_a_missing_table_are_said(config):
    config.write_text(config.read_text().replace("extraction = 0.75", "extractoin = 0.75"))
    with pytest.raises(InputError, match=r"towers|extractoin"):
        train_from("denoiser", config)
    config.write_text('run = "a"\nout = "b"\n')
    with pytest.raises(InputError, match=r"no table \[denoiser\].*embedded\.toml"):
        train_from("denoiser", config)
    with pytest.raises(InputError, match=r"no table \[autoencoder\].*decoder\.toml or published\.toml"):
        train_from("autoencoder", config)


@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="needs a C++ compiler")
def test_a_compiled_denoiser_learns_the_same(config):
    """Gradients too, and its weights keep their names; shares are drawn alike."""
    outcomes = []
    for line in ("", "compiled = true\n"):
        config.write_text(config.read_text().replace("extraction = 0.75\n", f"extraction = 0.75\n{line}"))
        if not outcomes:
            train_from("text-audio", config)
        settings = read_settings(config)
        options, loop = recipes._split(settings.options("denoiser"))
        torch.manual_seed(loop.seed)
        recipe = recipes.RECIPES["denoiser"](settings, options, Machine("cpu"))
        torch.manual_seed(1)
        for parameter in recipe.model.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
        loss, _ = recipe.loss(np.random.default_rng(0))
        loss.backward()
        outcomes.append((loss.item(), {name: p.grad for name, p in recipe.model.named_parameters()}))
    (plain, expected), (compiled, found) = outcomes
    assert compiled == pytest.approx(plain, rel=1e-4)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-2, atol=1e-4), name


def test_without_a_compiler_it_is_said_what_to_do(config, monkeypatch):
    train_from("text-audio", config)
    monkeypatch.setattr(torch, "compile", lambda function: lambda x: 1 / 0)
    config.write_text(config.read_text().replace("extraction = 0.75\n", "extraction = 0.75\ncompiled = true\n"))
    with pytest.raises(InputError, match=r"division by zero.*C\+\+ compiler, or set compiled to false"):
        train_from("denoiser", config)


def test_adversarial_weights_without_a_critic_are_said(config):
    config.write_text(config.read_text().replace("critic = {sizes = [256], width = 4}", ""))
    with pytest.raises(InputError, match="need a critic"):
        train_from("autoencoder", config)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("weights = {stft = 1.0, mell = 1.0}", "table weights.*mell"),
        ('weights = {stft = "much"}', "table weights is not understood"),
        ("weights = {stft = -1.0}", "table weights has -1"),
        ("critic = {sizes = [256.5], width = 4}", "table critic is not understood"),
        ("critic = {sizes = 256, width = 4}", "table critic is not understood"),
        ("critic = {width = -4}", "table critic"),
        ("critic = {depth = 4}", "table critic.*depth"),
    ],
)
def test_a_table_of_the_autoencoder_that_is_not_understood_is_said(config, given, told):
    name = given.split(" =")[0]
    config.write_text(re.sub(rf"^{name} = .*$", given, config.read_text(), count=1, flags=re.MULTILINE))
    with pytest.raises(InputError, match=told):
        train_from("autoencoder", config)


IMPOSSIBLE = [
    ("autoencoder", "seed = -1", "seed is -1"),
    ("autoencoder", "processes = 0", "processes is 0"),
    ("autoencoder", "learning_rate = -1.0", "learning_rate is -1.0"),
    ("autoencoder", "learning_rate = nan", "learning_rate is nan"),
    ("autoencoder", "betas = [0.9]", r"betas are \[0.9\]; give two numbers"),
    ("autoencoder", "betas = [2.0, 0.9]", "betas are"),
    ("autoencoder", "betas = 0.9", "betas is 0.9"),
    ("autoencoder", "steps = 1.5", "steps is 1.5"),
    ("autoencoder", "save_every_s = nan", "save_every_s is nan"),
    ("autoencoder", 'device = "foo"', "no device 'foo' here"),
    ("autoencoder", 'device = "cuda:99"', "no device 'cuda:99' here"),
    ("autoencoder", "batch = 0", "batch is 0"),
    ("autoencoder", "batch = 1.5", "batch is 1.5; give a whole number"),
    ("autoencoder", "songs = 0", "songs is 0"),
    ("autoencoder", "samples = 1000", "samples is 1000; give a multiple of 2048"),
    ("autoencoder", "samples = 256", "samples is 256; give a multiple of 2048"),
    ("denoiser", "extraction = 2.0", "extraction is 2.0; give a number from 0 to 1"),
    ("denoiser", "extraction = -1.0", "extraction is -1.0"),
    ("denoiser", "dropout = 1.5", "dropout is 1.5"),
]


@pytest.mark.parametrize(("table", "option", "told"), IMPOSSIBLE)
def test_a_number_that_no_run_can_have_is_said(tmp_path, table, option, told):
    config = tmp_path / "c.toml"
    weights = "weights = {stft = 1.0}" if table == "autoencoder" else ""
    text = f'run = "{tmp_path}/run"\nout = "{tmp_path}/out"\n[{table}]\nminutes = 0.001\n{weights}\n{option}\n'
    config.write_text(f"{text}{model_table(TINY)}\n")
    with pytest.raises(InputError, match=told):
        train_from(table, config)


@pytest.mark.parametrize(
    ("given", "other", "told"),
    [
        ("width = 96", "width = 97", "width of 97 is no even share for each of 3 attention heads"),
        ("window_frames = 64", "window_frames = 0", "window_frames as 0"),
        ("rate_hz = 44100", "rate_hz = -44100", "rate_hz as -44100"),
    ],
)
def test_a_model_that_no_file_could_hold_is_not_trained(config, given, other, told):
    assert given in config.read_text()
    config.write_text(config.read_text().replace(given, other))
    with pytest.raises(InputError, match=rf"small\.toml .*{told}"):
        read_settings(config)


def test_a_run_that_is_a_file_is_said(config, tmp_path):
    (tmp_path / "run").write_text("no folder")
    for recipe in ("text-audio", "denoiser"):
        with pytest.raises(OutputError, match=r"run cannot be made \(.*choose another with `run` in the config"):
            train_from(recipe, config)


def test_a_batch_without_extraction_is_said(config):
    """Its loss would be no number."""
    train_from("text-audio", config)
    config.write_text(config.read_text().replace("extraction = 0.75", "extraction = 0.1"))
    with pytest.raises(InputError, match="extraction leaves none of 4 items"):
        train_from("denoiser", config)


def test_a_data_set_without_its_reader_is_said(config):
    config.write_text(config.read_text().replace("songs = 1", 'sets = [{folder = "DATA"}]'))
    with pytest.raises(InputError, match="a reader and a folder"):
        train_from("autoencoder", config)


# ------------------------------------------------------------------------------------------------ the published form


def published_pool(items=12):
    rng = np.random.default_rng(0)
    source, rest = (rng.normal(size=(items, 8, 12)).astype(np.float16) for _ in range(2))
    words = np.array(["drums", "bass"] * (items // 2))
    pool = Triplets(source + rest, rest, source, words, words, np.array([""] * items))
    embedded = Embedded(rng.normal(size=(items, 3, 48)).astype(np.float16), {w: np.ones(48, "f4") for w in words})
    return pool, embedded


def test_timesteps_are_the_four_patterns():
    unknown, timesteps = draw_timesteps(np.random.default_rng(0), 4000, np.zeros(4000, bool))
    patterns, counts = torch.unique(unknown, dim=0, return_counts=True)
    assert sorted((~patterns).sum(1).tolist()) == [0, 1, 1, 1]
    assert counts.min() > 850
    assert bool((timesteps[~unknown] == 0).all())
    assert 0.02 <= float(timesteps[unknown].min()) < 0.03
    assert 0.99 < float(timesteps[unknown].max()) <= 1
    assert bool((timesteps.amax(1, keepdim=True).expand(-1, 3)[unknown] == timesteps[unknown]).all())  # one an item


def test_a_silent_source_is_only_ever_extracted():
    silent = np.arange(400) % 4 == 0
    unknown, _ = draw_timesteps(np.random.default_rng(0), 400, silent)
    assert (unknown[silent] == torch.tensor([False, True, True])).all()
    assert not (unknown[~silent] == torch.tensor([False, True, True])).all()


def test_the_joint_recipe_learns_and_has_no_loss_on_known_tracks():
    from mgeldm.nn.dit import Denoiser

    torch.manual_seed(0)
    model = Denoiser(TINY.denoiser)
    recipe = JointRecipe(model, *published_pool(), batch=8)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for step in range(60):
        torch.manual_seed(step)
        loss, _ = recipe.loss(np.random.default_rng(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])

    def spoilt(noised, timesteps, conditions):
        wrong = (timesteps == 0).float()[:, :, None, None] * 1e6  # on known tracks alone
        return (model(noised, timesteps, conditions).unflatten(1, (3, 8)) + wrong).flatten(1, 2)

    torch.manual_seed(0)
    before = float(recipe.loss(np.random.default_rng(0))[0].detach())
    recipe.model = spoilt
    torch.manual_seed(0)
    assert float(recipe.loss(np.random.default_rng(0))[0].detach()) == pytest.approx(before)


def test_conditions_lie_between_text_and_audio_and_each_is_dropped_on_its_own():
    from mgeldm.nn.dit import Denoiser

    pool, embedded = published_pool()
    embedded.audio[:] = 3.0
    recipe = JointRecipe(Denoiser(TINY.denoiser), pool, embedded, dropout=0.5)
    conditions = recipe._conditions(np.zeros(2000, int), np.random.default_rng(0))
    dropped = (conditions == 0).all(2).float()
    assert torch.allclose(dropped.mean(0), torch.tensor(0.5), atol=0.05)
    assert abs(float(torch.corrcoef(dropped.T)[0, 2])) < 0.1
    source = conditions[:, 2, 0][dropped[:, 2] == 0]
    assert 1 <= float(source.min()) < 1.1
    assert 2.9 < float(source.max()) <= 3


def test_a_silent_source_is_asked_for_in_words_alone():
    from mgeldm.nn.dit import Denoiser

    pool, embedded = published_pool()
    pool.parts[0] = ""
    embedded.audio[:] = 3.0
    recipe = JointRecipe(Denoiser(TINY.denoiser), pool, embedded, dropout=0.0)
    conditions = recipe._conditions(np.zeros(50, int), np.random.default_rng(0))
    assert torch.equal(conditions[:, 2], torch.ones(50, 48))


def test_a_phrase_without_its_embedding_is_said_before_training():
    from mgeldm.nn.dit import Denoiser

    pool, embedded = published_pool()
    del embedded.texts["bass"]
    with pytest.raises(InputError, match=r"'bass'.*--embed"):
        JointRecipe(Denoiser(TINY.denoiser), pool, embedded)


def test_a_pool_for_other_sizes_is_refused():
    from mgeldm.nn.dit import Denoiser

    pool, embedded = published_pool()
    embedded.audio = embedded.audio[:, :, :20]
    with pytest.raises(InputError, match="embeddings of 20"):
        JointRecipe(Denoiser(TINY.denoiser), pool, embedded)


@pytest.fixture
def published_config(tmp_path):
    """A whole small model of the published form, three steps a recipe, and a pool of latents with embeddings."""
    from mgeldm.data.embeddings import write_audio
    from mgeldm.data.manifest import sha256

    pool, embedded = published_pool()
    place = tmp_path / "pool" / "embeddings" / "published"
    place.mkdir(parents=True)
    latents.save(tmp_path / "pool" / "a.npz", [pool])
    write_audio(place / "a.npz", embedded.audio, sha256(tmp_path / "pool" / "a.npz"))
    phrases = sorted(embedded.texts)
    np.savez(place / "texts.npz", phrases=np.array(phrases), vectors=np.stack([embedded.texts[p] for p in phrases]))
    config = tmp_path / "published.toml"
    config.write_text(f"""
run = "{tmp_path}/run"
pool = "{tmp_path}/pool"
out = "{tmp_path}/model.safetensors"

[autoencoder]
steps = 3
batch = 2
samples = 4096
songs = 1
betas = [0.8, 0.99]
critic = {{sizes = [256], width = 4}}
{COMMON}
[denoiser]
steps = 3
batch = 4
accumulate = 2
{COMMON}
{model_table(TINY)}
""")
    return config


def test_a_killed_run_of_the_published_form_goes_on_exactly(published_config, tmp_path, monkeypatch):
    for recipe in ("autoencoder", "denoiser"):
        goes_on_exactly(recipe, published_config, tmp_path / "run" / recipe, monkeypatch)


def test_the_published_form_is_trained_to_a_checkpoint_that_loads(published_config, tmp_path):
    config = published_config
    assert read_settings(config).model == TINY
    train_from("autoencoder", config)
    train_from("assemble", config)  # with a denoiser that is not trained, to encode with
    fresh = load_model(tmp_path / "model.safetensors").denoiser
    train_from("denoiser", config)
    settings = read_settings(config)
    options, _ = recipes._split(settings.options("denoiser"))
    recipe = recipes.RECIPES["denoiser"](settings, options, Machine("cpu"))
    with torch.no_grad():
        sketch = recipe.sketch(np.random.default_rng(0), items=1)
    assert [part.ndim for part in sketch.values()] == [2, 1] * 3  # spectrogram and sound of what was taken, and so on
    assert {len(part) for part in sketch.values() if part.ndim == 1} == {12 * TINY.samples_per_frame}
    assert recipe.rate_hz == TINY.rate_hz
    assert any(name.endswith("/taken spectrogram") for name in sketch)
    train_from("assemble", config)
    trained = load_model(tmp_path / "model.safetensors").denoiser
    assert not torch.equal(fresh.leave.weight, trained.leave.weight)

    pool, _ = published_pool()
    # A pool of the autoencoder's latents, as the assembled file gives them, is taken; one of another's is not.
    own = latents.identity(load_model(tmp_path / "model.safetensors").autoencoder.state_dict())
    latents.save(tmp_path / "pool" / "a.npz", [pool], Facts(options="1 windows", autoencoder=own))
    train_from("assemble", config)
    latents.save(tmp_path / "pool" / "a.npz", [pool], Facts(options="1 windows", autoencoder="another"))
    for recipe in ("denoiser", "assemble"):
        with pytest.raises(InputError, match="latents of another autoencoder"):
            train_from(recipe, config)
    config.write_text(f'held = "{tmp_path}/pool"\n{config.read_text()}')
    with pytest.raises(InputError, match="`held`"):
        train_from("denoiser", config)


def test_an_autoencoder_of_other_sizes_is_no_ground_for_a_denoiser(tmp_path):
    from mgeldm.nn.oobleck import OobleckAutoencoder

    (tmp_path / "autoencoder").mkdir()
    other = OobleckAutoencoder(replace(TINY.autoencoder, channels=2))
    torch.save(other.state_dict(), tmp_path / "autoencoder" / "ema.pt")
    with pytest.raises(InputError, match="of other sizes than"):
        recipes._trained_autoencoder(recipes.Settings(run=tmp_path, out=tmp_path / "out", model=TINY))


def test_a_checkpoint_of_the_published_form_is_no_start_for_the_embedded_one(tmp_path):
    from mgeldm.errors import CheckpointError
    from mgeldm.nn.dit import Denoiser
    from mgeldm.nn.oobleck import OobleckAutoencoder

    tensors = {f"denoiser.{k}": v for k, v in Denoiser(TINY.denoiser).state_dict().items()}
    tensors |= {f"autoencoder.{k}": v for k, v in OobleckAutoencoder(TINY.autoencoder).state_dict().items()}
    save_model(tmp_path / "tiny.safetensors", TINY, tensors)
    with pytest.raises(CheckpointError, match="embedded form"):
        unpack(tmp_path / "tiny.safetensors", tmp_path / "run")
