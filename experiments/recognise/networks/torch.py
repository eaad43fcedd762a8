"""The paper's networks in PyTorch, with the numbers that Keras gives."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from experiments.extras import require
from experiments.recognise.networks import architecture as made_of
from experiments.recognise.networks.architecture import Architecture, Weights
from experiments.recognise.networks.network import Batch, Matrix, Network, Optimizer
from experiments.recognise.networks.torch_weights import from_torch, to_torch

torch: Any = require("torch", "a network in PyTorch")

_EPSILON = 1e-7
"""What Keras' Adam adds to the root of the second moment, before it is corrected for its start."""
_BETAS = (0.9, 0.999)
"""Keras' and PyTorch's defaults."""


class Normalization(torch.nn.Module):  # type: ignore[misc]
    """Batch normalization whose running variance is that of the batch, as Keras has it.

    PyTorch's own is of the population that the batch would be a sample of.
    """

    def __init__(self, width: int):
        super().__init__()
        self.gamma = torch.nn.Parameter(torch.ones(width))
        self.beta = torch.nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x: Any) -> Any:
        """Normalize (B, T, D) over batch and timesteps."""
        flat, epsilon = x.flatten(0, 1), made_of.BATCH_NORM["epsilon"]
        normalize = torch.nn.functional.batch_norm
        if not self.training:
            out = normalize(
                flat, self.mean, self.variance, self.gamma, self.beta, False, 0.0, epsilon
            )
            return out.view_as(x)
        mean, variance = torch.zeros_like(self.mean), torch.zeros_like(self.variance)
        out = normalize(flat, mean, variance, self.gamma, self.beta, True, 1.0, epsilon)
        with torch.no_grad():
            new = 1 - made_of.BATCH_NORM["momentum"]
            self.mean.lerp_(mean, new)
            self.variance.lerp_(variance * ((len(flat) - 1) / len(flat)), new)
        return out.view_as(x)


class Recurrent(torch.nn.Module):  # type: ignore[misc]
    """A recurrent layer that gives its last state, (B, units)."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        kind = {"simple": "RNN", "gru": "GRU", "lstm": "LSTM"}[architecture.rnn]
        inputs, _ = architecture.shapes()["rnn.kernel"]
        self.cell = getattr(torch.nn, kind)(inputs, architecture.units, batch_first=True)
        self.kind = architecture.rnn
        self.dropout = architecture.dropout
        if self.kind != "gru":
            self.cell.bias_hh_l0.requires_grad_(False)  # Keras has one bias, not a sum of two

    def forward(self, x: Any, generator: Any = None) -> Any:
        """Run through (B, T, D); in training the same inputs are dropped in all timesteps."""
        if self.training and self.dropout:
            kept = torch.empty(x.shape[0], 1, x.shape[2], device=x.device)
            kept.bernoulli_(1 - self.dropout, generator=generator)
            x = x * (kept / (1 - self.dropout))
        return self.cell(x)[0][:, -1]


class Recogniser(torch.nn.Module):  # type: ignore[misc]
    """A network as a module; it gives logits, (B, classes)."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        width = architecture.bottleneck
        for name, inputs in architecture.widths:
            if architecture.task == "recognition":
                self.add_module(f"{name}_bottleneck", torch.nn.Linear(inputs, width))
                self.add_module(f"{name}_norm", Normalization(width))
            else:
                self.add_module(f"{name}_dense_1", torch.nn.Linear(inputs, width))
                self.add_module(f"{name}_dense_2", torch.nn.Linear(width, width))
        self.rnn = Recurrent(architecture)
        self.classifier = torch.nn.Linear(architecture.units, architecture.classes)

    def forward(self, batch: Mapping[str, Any], generator: Any = None) -> Any:
        """Return the logits of a batch of `audio` and `visual`, (B, T, D) each."""
        branch = self._bottleneck
        if self.architecture.task == "correspondence":
            branch = self._normalized
        branches = [branch(name, batch[name]) for name in self.architecture.modalities]
        if self.architecture.task == "correspondence":
            squares = (branches[0] - branches[1]).square().sum(-1, keepdim=True)
            joined = squares.clamp(min=made_of.DISTANCE_EPSILON).sqrt()
        else:
            joined = torch.cat(branches, -1)
        return self.classifier(self.rnn(joined, generator))

    def _bottleneck(self, name: str, x: Any) -> Any:
        norm = self.get_submodule(f"{name}_norm")
        return torch.nn.functional.silu(norm(self.get_submodule(f"{name}_bottleneck")(x)))

    def _normalized(self, name: str, x: Any) -> Any:
        for number in (1, 2):
            x = self.get_submodule(f"{name}_dense_{number}")(x)
        squares = x.square().sum(-1, keepdim=True)
        return x * squares.clamp(min=made_of.NORM_EPSILON).rsqrt()


class TorchNetwork(Network):
    """A network as a PyTorch module, `module`; see `Network`. It is on a GPU if there is one."""

    def __init__(self, architecture: Architecture, weights: Mapping[str, Any]):
        super().__init__(architecture)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.backends.cudnn.allow_tf32 = False  # on NVIDIA GPUs 19 bits, a thousandth off
        self.module = Recogniser(architecture).to(self.device).eval()
        self.set_weights(weights)

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Take over the values of all layers."""
        state = to_torch(self.architecture, weights)
        self.module.load_state_dict({name: torch.from_numpy(v) for name, v in state.items()})

    def weights(self) -> Weights:
        """Return copies of the values of all layers, as Keras has them."""
        state = self.module.state_dict()
        return from_torch(self.architecture, {name: v.cpu().numpy() for name, v in state.items()})

    def probabilities(self, batch: Batch) -> Matrix:
        """Return what the network gives, (B, classes)."""
        with torch.no_grad():
            logits = self.module.eval()(self._inputs(batch))
        out: Matrix = torch.softmax(logits, -1).cpu().numpy()
        return out

    def prepare(self, optimizer: Optimizer) -> None:
        """Get ready to train."""
        learned = [one for one in self.module.parameters() if one.requires_grad]
        self._optimizer = torch.optim.AdamW(
            learned,
            optimizer.learning_rate,
            _BETAS,
            weight_decay=optimizer.weight_decay,
            fused=True,
        )
        self._steps = 0

    def train(self, batches: Iterable[Batch], seed: tuple[int, int]) -> tuple[float, float]:
        """Train through an epoch; return the mean loss and accuracy of its batches."""
        threads = torch.get_num_threads()
        # So small a network is done before a second thread is awake, and on a shared machine
        # waiting for one takes many times as long.
        torch.set_num_threads(1)
        try:
            return self._trained(batches, seed)
        finally:
            torch.set_num_threads(threads)

    def _trained(self, batches: Iterable[Batch], seed: tuple[int, int]) -> tuple[float, float]:
        self.module.train()
        words = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        generator = torch.Generator(self.device).manual_seed(int(words[0] >> np.uint64(1)))
        total = torch.zeros(3, device=self.device)
        for batch in batches:
            label = torch.as_tensor(batch["label"], device=self.device)
            logits = self.module(self._inputs(batch), generator)
            loss = torch.nn.functional.cross_entropy(logits, label)
            self._optimizer.zero_grad()
            loss.backward()
            self._step()
            right = (logits.argmax(-1) == label).sum()
            count = torch.tensor(float(len(label)), device=self.device)
            total += torch.stack([loss.detach() * count, right, count])
        self.module.eval()
        loss, right, count = total.tolist()
        return (loss / count, right / count) if count else (float("nan"), float("nan"))

    def _step(self) -> None:
        """Change the weights as Keras' Adam does: PyTorch adds epsilon after the correction."""
        self._steps += 1
        epsilon = _EPSILON / math.sqrt(1 - _BETAS[1] ** self._steps)
        self._optimizer.param_groups[0]["eps"] = epsilon
        self._optimizer.step()

    def optimizer_state(self) -> dict[str, Any]:
        """Return what the optimizer remembers, as arrays."""
        return {
            f"{number}.{name}": value.cpu().numpy().copy()
            for number, values in self._optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }

    def set_optimizer_state(self, state: Mapping[str, Any]) -> None:
        """Let the optimizer go on from what it remembered."""
        kept: dict[int, dict[str, Any]] = {}
        for key, value in state.items():
            number, _, name = key.partition(".")
            kept.setdefault(int(number), {})[name] = torch.tensor(value)
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": kept})
        self._steps = int(kept[0]["step"]) if kept else 0

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        return {
            name: torch.as_tensor(batch[name], device=self.device)
            for name in self.architecture.modalities
        }
