"""The flows of the benchmarks in zuko and normflows, trained as their users train them."""

import copy
from collections.abc import Sequence
from typing import Any

import normflows
import numpy as np
import torch
import torch._dynamo
import zuko

LEARNING_RATE = 1e-3


class Residual(torch.nn.Module):
    """normflows' residual flow of vectors, with ActNorm before each block."""

    def __init__(self, dim: int, depth: int, width: int) -> None:
        super().__init__()
        flows = []
        for _ in range(depth):
            net = normflows.nets.LipschitzMLP(
                [dim, width, width, dim], init_zeros=True, lipschitz_const=0.98
            )
            flows += [normflows.flows.Residual(net, reduce_memory=False)]
            flows += [normflows.flows.ActNorm(dim)]
        self.flow = normflows.NormalizingFlow(
            normflows.distributions.DiagGaussian(dim, trainable=False), flows
        )

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the estimated log density of each row."""
        return self.flow.log_prob(x)

    def sample(self, count: int) -> torch.Tensor:
        """Returns samples."""
        return self.flow.sample(count)[0]

    def after_step(self) -> None:
        """Normalises the weights, as normflows asks for."""
        normflows.utils.update_lipschitz(self.flow, 5)


class Zuko(torch.nn.Module):
    """A flow of zuko under the names used here."""

    def __init__(self, flow: torch.nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the log density of each row."""
        return self.flow().log_prob(x)

    def sample(self, count: int) -> torch.Tensor:
        """Returns samples."""
        return self.flow().sample((count,))

    def after_step(self) -> None:
        """Does nothing."""


def flow(name: str, dim: int, depth: int, width: int, num_bins: int) -> torch.nn.Module | None:
    """Returns the flow of a recipe's name, None where there is none that density can train.

    normflows' planar and radial flows have no inverse, and neither library has a Glow of vectors.
    """
    sizes = {"transforms": depth, "hidden_features": (width, width)}
    made = {
        "nice": lambda: _nice(dim, **sizes),
        "realnvp": lambda: zuko.flows.RealNVP(dim, **sizes),
        "maf": lambda: zuko.flows.MAF(dim, **sizes),
        "maf_spline": lambda: zuko.flows.NSF(dim, bins=num_bins, **sizes),
        "spline": lambda: zuko.flows.NSF(dim, bins=num_bins, passes=2, **sizes),
    }
    if name == "residual_flow":
        return Residual(dim, depth, width)
    return Zuko(made[name]()) if name in made else None


def _nice(dim: int, **sizes: Any) -> torch.nn.Module:
    """Returns additive couplings with a scale of each number at their end."""
    additive = zuko.transforms.AdditiveTransform
    made = zuko.flows.NICE(dim, univariate=additive, shapes=[()], **sizes)
    scale = zuko.transforms.MonotonicAffineTransform
    zeros = (torch.zeros(dim), torch.zeros(dim))
    made.transform.transforms.append(zuko.lazy.UnconditionalTransform(scale, *zeros))
    return made


def train(
    model: torch.nn.Module,
    x: np.ndarray,
    batch_size: int,
    epochs: int,
    validation: np.ndarray | None = None,
    patience: int = 0,
    decay: float = 0.0,
    seed: int = 0,
    rate: float = LEARNING_RATE,
) -> torch.nn.Module:
    """Trains by maximum likelihood; with validation data, keeps the weights of the best epoch.

    Training ends when the validation has not become better for `patience` epochs.
    """
    torch.manual_seed(seed)
    kind = torch.optim.AdamW if decay else torch.optim.Adam
    optimizer = kind(model.parameters(), rate, weight_decay=decay, fused=True)
    rows, best, since = torch.from_numpy(x), (float("-inf"), None), 0
    for _ in range(epochs):
        for index in torch.randperm(len(rows)).split(batch_size):
            if len(index) < batch_size:
                continue
            loss = -model.log_prob(rows[index]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.after_step()
        if validation is None:
            continue
        value = log_prob(model, validation).mean()
        since += 1
        if value > best[0]:
            best, since = (value, copy.deepcopy(model.state_dict())), 0
        if since >= patience:
            break
    if best[1] is not None:
        model.load_state_dict(best[1])
    return model


def log_prob(model: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """Returns the log density of each row, [n]."""
    with torch.no_grad():
        parts: Sequence[Any] = [model.log_prob(part) for part in torch.from_numpy(x).split(2048)]
    return torch.cat(parts).numpy()


class Glow(torch.nn.Module):
    """normflows' Glow of images [batch, channels, height, width], of several scales."""

    def __init__(self, shape: Sequence[int], scales: int, depth: int, filters: int) -> None:
        super().__init__()
        height, width, channels = shape
        bases, levels, merges = [], [], []
        for scale in range(scales):  # From the last level of the data to the first.
            at = scales - scale
            size = channels * 4**at // 2 ** (at - 1)
            flows = [
                normflows.flows.GlowBlock(size, filters, split_mode="channel") for _ in range(depth)
            ]
            levels.append([*flows, normflows.flows.Squeeze()])
            out = size if scale == 0 else size // 2
            if scale > 0:
                merges.append(normflows.flows.Merge())
            latent = (out, height // 2**at, width // 2**at)
            bases.append(normflows.distributions.DiagGaussian(latent, trainable=False))
        self.flow = normflows.MultiscaleFlow(bases, levels, merges)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the log density of each image, with uniform dequantisation of 256 levels."""
        return self.flow.log_prob((255 * x + torch.rand_like(x)) / 256 - 0.5, None)

    def sample(self, count: int) -> torch.Tensor:
        """Returns samples."""
        return self.flow.sample(count)[0]

    def after_step(self) -> None:
        """Does nothing."""


def epoch(model: torch.nn.Module, x: torch.Tensor, batch_size: int, compiled: bool) -> Any:
    """Returns a function that trains for an epoch, eager or compiled."""
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    model.log_prob(x[:batch_size])  # ActNorm sets itself.
    log_prob = torch.compile(model.log_prob) if compiled else model.log_prob

    def run() -> None:
        for index in torch.randperm(len(x)).split(batch_size):
            loss = -log_prob(x[index]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.after_step()

    return run
