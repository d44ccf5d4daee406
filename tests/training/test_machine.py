import importlib.util
import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from mgeldm.errors import InputError
from mgeldm.training.loop import LoopConfig, Run
from mgeldm.training.machine import FabricMachine, Machine, machine

needs_fabric = pytest.mark.skipif(
    importlib.util.find_spec("lightning_fabric") is None, reason="Lightning Fabric comes with the extra `train`"
)


class Curve:
    """A small network with a parameter that only some batches touch."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = torch.nn.ModuleDict(
            {"wide": torch.nn.Linear(3, 8), "narrow": torch.nn.Linear(8, 1), "rare": torch.nn.Linear(1, 1)}
        )

    def loss(self, rng):
        x = torch.from_numpy(rng.normal(size=(5, 3)).astype(np.float32)) + torch.randn(5, 3)
        y = self.model["narrow"](torch.tanh(self.model["wide"](x)))
        if rng.random() < 0.5:
            y = y + self.model["rare"](x[:, :1])
        return (y - x.sum(1, keepdim=True)).square().mean(), {}


TWO = f'''
import sys
from pathlib import Path
import numpy as np
import torch
from mgeldm.training.loop import LoopConfig, Run
from mgeldm.training.machine import machine

{inspect.getsource(Curve)}

torch.set_num_threads(1)
place = machine(processes=2, device="cpu")
assert place.processes == 2
run = Run(Curve(), LoopConfig(minutes=1e9, steps=6, accumulate=4, log_every_steps=100), Path(sys.argv[1]), place)
step = run.players[0].step

def kept(share):
    gradients = {{k: p.grad.clone() for k, p in run.recipe.model.named_parameters()}}
    torch.save(gradients, Path(sys.argv[1]) / f"gradients-{{run.step}}-{{place.rank}}.pt")
    step(share)

run.players[0].step = kept
run.train()
'''


@needs_fabric
def test_two_processes_have_the_gradients_of_one(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO)
    shared = tmp_path / "two"
    done = subprocess.run([sys.executable, script, shared], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    alone = Run(Curve(), LoopConfig(minutes=1e9, steps=6, accumulate=4), tmp_path / "one")
    step = alone.players[0].step
    compared = []

    def compare(share):
        for rank in (0, 1):
            theirs = torch.load(shared / f"gradients-{alone.step}-{rank}.pt", weights_only=True)
            for name, parameter in alone.recipe.model.named_parameters():
                assert torch.allclose(theirs[name], parameter.grad, rtol=1e-4, atol=1e-6)
        compared.append(alone.step)
        step(share)

    alone.players[0].step = compare
    alone.train()
    assert compared == list(range(6))
    ema = torch.load(shared / "ema.pt", weights_only=True)
    assert all(torch.allclose(value, alone.ema[name], atol=1e-5) for name, value in ema.items())


def test_one_process_needs_no_fabric(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    assert type(machine()) is Machine
    with pytest.raises(InputError, match=r"install mgeldm-desktop\[train\]"):
        FabricMachine(2, device="cpu")


def test_batches_that_cannot_be_shared_evenly_are_refused():
    place = Machine("cpu")
    assert list(place.share(3)) == [0, 1, 2]
    place.processes, place.rank = 2, 1
    assert list(place.share(4)) == [1, 3]
    with pytest.raises(InputError, match="accumulate"):
        place.share(3)


@pytest.mark.parametrize("device", ["foo", "cpu:7", "cuda:99", "meta"])
def test_a_device_that_is_not_here_is_said(device):
    with pytest.raises(InputError, match=f"no device '{device}' here; set device to auto, or to one of cpu"):
        machine(device=device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_is_not_taken_for_granted(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="no device"):
        Machine(device)


def test_precision_is_mixed_on_demand():
    with Machine("cpu", "bf16").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with Machine("cpu", "32").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with pytest.raises(InputError, match="precision"):
        Machine("cpu", "16")
