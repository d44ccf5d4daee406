import inspect
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from mgeldm.errors import AudioError, InputError, MgeldmError, OutputError
from mgeldm.training.loop import LoopConfig, Run

STEPS = 60


class Line:
    """Fits a line: a recipe without music, for the loop itself."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = torch.nn.Linear(2, 1)

    def loss(self, rng):
        x = torch.from_numpy(rng.normal(size=(8, 2)).astype(np.float32))
        x = x + 0.01 * torch.randn_like(x)
        return (self.model(x) - x[:, :1] * 2).square().mean(), {"seen": 1.0}


KILLED = f'''
import sys
from pathlib import Path
import numpy as np
import torch
from mgeldm.training.loop import LoopConfig, Run

{inspect.getsource(Line)}

run = Run(Line(), LoopConfig(minutes=1e9, steps={STEPS}, save_every_s=0.0, log_every_steps=1000), Path(sys.argv[1]))
update = run._update


def told():
    print(run.step, flush=True)
    return update()


run._update = told
run.train()
'''


class Game(Line):
    """A line, and a critic that is trained against it."""

    def __init__(self):
        super().__init__()
        self.critic = torch.nn.Linear(1, 1)

    def loss(self, rng):
        self.made = self.model(torch.from_numpy(rng.normal(size=(4, 2)).astype(np.float32)))
        return -self.critic(self.made).mean(), {}

    def critic_loss(self):
        return self.critic(self.made.detach()).square().mean() + (self.critic(torch.ones(4, 1)) - 1).square().mean()


def steps(run, count):
    for _ in range(count):
        run._update()


def same(one, other):
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_killed_run_goes_on_exactly(tmp_path):
    config = LoopConfig(minutes=1e9)
    whole = Run(Line(), config, tmp_path / "whole")
    steps(whole, 20)
    first = Run(Line(), config, tmp_path / "cut")
    steps(first, 8)
    first.save()
    steps(first, 3)  # lost with the kill
    second = Run(Line(), config, tmp_path / "cut")
    steps(second, 12)
    assert second.step == 20
    same(whole.recipe.model.state_dict(), second.recipe.model.state_dict())
    same(whole.ema, second.ema)


def test_a_process_killed_again_and_again_ends_as_one_that_was_not(tmp_path):
    """Killed without warning (SIGKILL) at whatever step, or in the middle of a save, twice."""
    config = LoopConfig(minutes=1e9, steps=STEPS)
    whole = Run(Line(), config, tmp_path / "whole")
    whole.train()
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(tmp_path / "cut")]
    for last in (7, 33):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if line.strip().isdigit() and int(line) >= last:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert (tmp_path / "cut" / "state.pt").exists()
    again = Run(Line(), config, tmp_path / "cut")
    assert 0 < again.step < STEPS
    again.train()
    same(whole.recipe.model.state_dict(), again.recipe.model.state_dict())
    same(whole.ema, again.ema)
    same(whole.players[0].optimiser.state_dict()["state"][0], again.players[0].optimiser.state_dict()["state"][0])


def test_an_adversarial_run_goes_on_exactly_with_its_critic(tmp_path):
    config = LoopConfig(minutes=1e9)
    whole = Run(Game(), config, tmp_path / "whole")
    steps(whole, 9)
    first = Run(Game(), config, tmp_path / "cut")
    steps(first, 4)
    first.save()
    second = Run(Game(), config, tmp_path / "cut")
    steps(second, 5)
    same(whole.recipe.model.state_dict(), second.recipe.model.state_dict())
    same(whole.recipe.critic.state_dict(), second.recipe.critic.state_dict())
    assert not torch.equal(second.recipe.critic.weight, Game().critic.weight)


def test_all_weights_are_averaged_at_once(tmp_path, monkeypatch):
    run = Run(Line(), LoopConfig(minutes=1e9), tmp_path)
    before, now = run.ema["weight"].clone(), run.recipe.model.weight.data.add_(1.0)
    monkeypatch.setattr(torch.Tensor, "lerp_", None)  # hundreds of calls, one by one
    run._average()
    assert torch.allclose(run.ema["weight"], before + 0.9 * (now - before))


def test_a_run_starts_again_from_averaged_weights_alone(tmp_path):
    run = Run(Line(), LoopConfig(minutes=1e9), tmp_path)
    steps(run, 5)
    run.save()
    (tmp_path / "state.pt").unlink()
    again = Run(Line(), LoopConfig(minutes=1e9), tmp_path)
    assert again.step == 0
    assert torch.equal(again.recipe.model.weight, run.ema["weight"])


@pytest.mark.parametrize("name", ["state.pt", "ema.pt"])
@pytest.mark.parametrize("damage", ["cut short", "another network's"])
def test_a_run_that_cannot_go_on_says_so(tmp_path, name, damage):
    if damage == "cut short":
        Run(Line(), LoopConfig(minutes=1e9), tmp_path).save()
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:200])
    else:
        other = Line()
        other.model = torch.nn.Linear(3, 1)
        Run(other, LoopConfig(minutes=1e9), tmp_path).save()
    (tmp_path / {"state.pt": "ema.pt", "ema.pt": "state.pt"}[name]).unlink()
    with pytest.raises(InputError, match=f"{name} is damaged or of a network of other sizes"):
        Run(Line(), LoopConfig(minutes=1e9), tmp_path)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_a_lack_of_memory_is_not_taken_for_damage(tmp_path, monkeypatch, error):
    Run(Line(), LoopConfig(minutes=1e9), tmp_path).save()

    def full(path, map_location, **_):
        assert str(map_location) == "cpu"  # a GPU that the networks fill has no room for them twice
        raise error

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(InputError, match="not enough memory"):
        Run(Line(), LoopConfig(minutes=1e9), tmp_path)


def test_a_full_disk_leaves_the_earlier_state_and_no_part(tmp_path, full_disk):
    run = Run(Line(), LoopConfig(minutes=1e9), tmp_path)
    steps(run, 3)
    run.save()
    steps(run, 2)
    with full_disk(300), pytest.raises(OutputError, match=r"No room for state\.pt in"):
        run.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ema.pt", "state.pt"]
    assert Run(Line(), LoopConfig(minutes=1e9), tmp_path).step == 3
    with full_disk(10), pytest.raises(OutputError, match=r"log\.jsonl cannot be written"):
        run._log({"loss": 1.0})


def test_a_run_without_warm_up_begins_at_the_full_rate(tmp_path):
    run = Run(Line(), LoopConfig(minutes=1e9, steps=100, warmup_steps=0), tmp_path)
    assert run._rate() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["log_every_steps", "accumulate", "processes", "nodes", "steps"])
def test_counts_of_nothing_are_said(name):
    with pytest.raises(InputError, match=f"{name} is 0.*give 1 or more"):
        LoopConfig(minutes=1, **{name: 0})


@pytest.mark.parametrize("minutes", [-1.0, float("nan")])
def test_a_budget_that_is_none_is_said(minutes):
    """It trained nothing and said that the run had had all its time."""
    with pytest.raises(InputError, match=f"minutes is {minutes}.*give 0 or more"):
        LoopConfig(minutes=minutes)


def test_a_run_whose_folder_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"file cannot be made \(.*choose another with `run`"):
        Run(Line(), LoopConfig(minutes=1), tmp_path / "file")


def test_decay_and_betas_are_those_of_the_configuration_at_hand(tmp_path):
    steps(first := Run(Line(), LoopConfig(minutes=1e9, weight_decay=0.01), tmp_path), 2)
    first.save()
    second = Run(Line(), LoopConfig(minutes=1e9, weight_decay=0.5, betas=(0.8, 0.99)), tmp_path)
    groups = second.players[0].optimiser.param_groups
    assert [(group["weight_decay"], group["betas"]) for group in groups] == [(0.5, (0.8, 0.99)), (0.0, (0.8, 0.99))]


def test_a_finished_run_says_so(tmp_path, capsys):
    for _ in range(2):
        Run(Line(), LoopConfig(minutes=1e9, steps=3), tmp_path).train()
    assert capsys.readouterr().out.count("has had all its time or steps") == 1


class Unread(Line):
    """A line of whose music nothing can be read any more after a few steps."""

    steps = 0

    def loss(self, rng):
        self.steps += 1
        if self.steps > 7:
            raise AudioError("song.flac is damaged.")
        return super().loss(rng)


def test_an_error_that_ends_a_run_leaves_its_steps_saved(tmp_path, full_disk):
    with pytest.raises(AudioError, match="song"):
        Run(Unread(), LoopConfig(minutes=1e9, save_every_s=1e9), tmp_path / "run").train()
    assert Run(Line(), LoopConfig(minutes=1e9), tmp_path / "run").step == 7
    run = Run(Unread(), LoopConfig(minutes=1e9, save_every_s=1e9), tmp_path / "full")
    with full_disk(10), pytest.raises(AudioError, match="song"):  # and not that there is no room
        run.train()
    run = Run(Unread(), LoopConfig(minutes=1e9), tmp_path / "none")
    run.recipe.steps = 7
    with pytest.raises(AudioError, match="song"):
        run.train()
    assert not (tmp_path / "none" / "state.pt").exists()


def test_the_log_tells_of_each_step_once_after_a_kill(tmp_path):
    config = LoopConfig(minutes=1e9, steps=8, log_every_steps=2)
    Run(Line(), replace(config, steps=4), tmp_path).train()
    path = tmp_path / "log.jsonl"
    saved = path.read_bytes()
    path.write_bytes(saved + b'{"step": 5, "loss": 9.0}\n{"step": 6, "lo')  # lost with the kill
    again = Run(Line(), config, tmp_path)
    assert path.read_bytes() == saved
    again.train()
    assert [line["step"] for line in logged(tmp_path)] == [2, 4, 6, 8]
    assert path.read_bytes().startswith(saved)


def test_a_budget_ends_with_a_saved_state_and_a_log(tmp_path):
    run = Run(Line(), LoopConfig(minutes=0.005, log_every_steps=5, learning_rate=0.1, warmup_steps=1), tmp_path)
    run.train()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[0]["seen"] == 1.0
    assert Run(Line(), LoopConfig(minutes=0.005), tmp_path).step == run.step > 0


def test_a_call_that_has_no_time_left_saves_and_leaves_the_schedule_alone(tmp_path):
    run = Run(Line(), LoopConfig(minutes=1e9), tmp_path)
    run.train(stop_s=time.monotonic())
    assert run.step == 0
    assert (tmp_path / "state.pt").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_finishes_its_step_and_saves(tmp_path, number):
    class Interrupted(Line):
        draws = 0

        def loss(self, rng):
            self.draws += 1
            if self.draws == 5:
                os.kill(os.getpid(), number)
            return super().loss(rng)

    run = Run(Interrupted(), LoopConfig(minutes=1e9, save_every_s=1e9), tmp_path)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match="goes on with it"):
        run.train()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 5
    assert signal.getsignal(number) is before


def test_gradients_accumulate_to_those_of_all_batches(tmp_path):
    """One step over four batches moves as the mean of their gradients says."""
    run = Run(Line(), LoopConfig(minutes=1e9, accumulate=4, clip=1e9), tmp_path)
    wanted = torch.zeros(1, 2)
    for number in range(4):
        recipe = Line()
        recipe.loss(run._draw(number))[0].backward()
        wanted += recipe.model.weight.grad / 4
    seen = {}
    step = run.players[0].step
    run.players[0].step = lambda share: (seen.update(grad=run.recipe.model.weight.grad.clone()), step(share))
    run._update()
    assert torch.allclose(seen["grad"], wanted, atol=1e-6)


def test_the_rate_rises_then_falls_over_the_steps(tmp_path):
    run = Run(Line(), LoopConfig(minutes=1e9, steps=100, warmup_steps=10), tmp_path)
    rates = []
    for run.step in (0, 9, 50, 100):
        rates.append(run._rate())
    assert rates == pytest.approx([0.1 * (0.1 + 0.9), 1.0, 0.55, 0.1], abs=0.02)


def test_gradients_that_are_not_finite_move_nothing(tmp_path):
    run = Run(Line(), LoopConfig(minutes=1e9), tmp_path)
    before = run.recipe.model.weight.clone()
    run.recipe.model.weight.grad = torch.full((1, 2), float("nan"))
    run.players[0].step(1.0)
    assert torch.equal(before, run.recipe.model.weight)
    steps(run, 1)
    assert not torch.equal(before, run.recipe.model.weight)


class Diverged(Line):
    """A line whose losses are no numbers from a step to another."""

    def __init__(self, first, last):
        super().__init__()
        self.bad, self.drawn = range(first, last), 0

    def loss(self, rng):
        loss, scalars = super().loss(rng)
        self.drawn += 1
        return loss * (float("nan") if self.drawn - 1 in self.bad else 1.0), scalars


def logged(folder):
    return [json.loads(line, parse_constant=pytest.fail) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_run_that_has_diverged_ends_with_what_was_good(tmp_path):
    run = Run(Diverged(10, 10**6), LoopConfig(minutes=1e9, steps=200, log_every_steps=10), tmp_path)
    with pytest.raises(MgeldmError, match=r"50 steps in a row gave no finite gradients.*Lower learning_rate"):
        run.train()
    assert run.step == 60
    good = Run(Line(), LoopConfig(minutes=1e9, steps=200), tmp_path / "good")
    steps(good, 10)
    same(good.recipe.model.state_dict(), torch.load(tmp_path / "state.pt", weights_only=True)["model"])
    lines = logged(tmp_path)
    assert [line.get("skipped", 0) for line in lines] == [0, 10, 20, 30, 40]
    assert "loss" in lines[0] and "loss" not in lines[1]


def test_a_few_steps_that_are_skipped_are_counted_and_spoil_no_mean(tmp_path):
    Run(Diverged(3, 6), LoopConfig(minutes=1e9, steps=20, log_every_steps=10), tmp_path).train()
    lines = logged(tmp_path)
    assert [line["skipped"] for line in lines] == [3, 3]
    assert all(line["loss"] > 0 for line in lines)


@pytest.mark.parametrize("has_parts", [True, False])
def test_the_rate_falls_until_a_call_ends_that_gives_its_weights_away(tmp_path, has_parts):
    """And a second one there begins where a run of both would be; without parts the schedule stays the file's."""
    parts = tmp_path / "parts" if has_parts else None
    rates = []
    for _ in range(2):
        run = Run(Line(), LoopConfig(minutes=100, warmup_steps=1), tmp_path / "run", parts=parts)
        update, own = run._update, []
        run._update = lambda run=run, own=own, update=update: (own.append(run._rate()), time.sleep(0.005), update())[2]
        run.train(stop_s=time.monotonic() + 0.5)
        rates.append((own[0], own[-1]))
    first, second = rates
    if has_parts:
        assert first == pytest.approx((1.0, 0.1), abs=0.2)
        assert second == pytest.approx((0.55, 0.1), abs=0.2)
    else:
        assert [*first, *second] == pytest.approx([1.0] * 4, abs=0.01)


def test_held_out_figures_are_those_of_the_averaged_weights(tmp_path):
    recipe = Line()
    recipe.scores = lambda: {"weight": recipe.model.weight[0, 0].item()}
    run = Run(recipe, LoopConfig(minutes=1e9, steps=30, learning_rate=0.05), tmp_path)
    run.train()
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["weight"] == pytest.approx(float(run.ema["weight"][0, 0]), abs=1e-4)
    assert last["weight"] != pytest.approx(recipe.model.weight[0, 0].item(), abs=1e-4)


def test_tensorboard_receives_scalars_sound_and_spectrograms(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = Line()
    recipe.sketch = lambda rng: {"sound": torch.sin(torch.arange(2000) / 9), "picture": torch.rand(16, 20)}
    for steps in (4, 6):  # what was written at the step that is gone on from stays
        Run(recipe, LoopConfig(minutes=1e9, steps=steps, log_every_steps=2, tensorboard=True), tmp_path).train()
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [2, 4, 6]
    assert events.Tags()["audio"] == ["sound"]
    assert events.Tags()["images"] == ["picture"]


def test_without_tensorboard_the_error_says_what_to_do(tmp_path, monkeypatch):
    from mgeldm.errors import InputError

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"install mgeldm-desktop\[train\]"):
        Run(Line(), LoopConfig(minutes=1, tensorboard=True), tmp_path)


def test_the_first_log_after_a_resume_is_a_mean_too(tmp_path):
    for count in (3, 10):
        Run(Line(), LoopConfig(minutes=1e9, steps=count, log_every_steps=5), tmp_path).train()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["seen"]) for line in lines] == [(5, 1.0), (10, 1.0)]
