"""The variational models of the benchmarks in plain PyTorch, trained as its users train them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch._dynamo
from torch import nn
from torch.nn import functional as F

LEARNING_RATE = 1e-3
LOG_TWO_PI = math.log(2.0 * math.pi)


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Returns dense layers, each followed by tanh."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers)


def log_normal(x: torch.Tensor, mean: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """Returns the log density of independent normals, summed over all but the first axis."""
    terms = ((x - mean) * torch.exp(-log_scale)) ** 2 + 2.0 * log_scale + LOG_TWO_PI
    return -0.5 * terms.flatten(1).sum(1)


def log_bernoulli(x: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Returns the log-probability of images, summed over all but the first axis."""
    return (x * logits - F.softplus(logits)).flatten(1).sum(1)


class MADE(nn.Module):
    """A masked network of one hidden layer that a context is added to."""

    def __init__(self, dim: int, units: int, context: int) -> None:
        super().__init__()
        degrees = torch.arange(1, dim + 1)
        hidden = torch.arange(units) % dim
        self.register_buffer("first_mask", (degrees[None] <= hidden[:, None]).float())
        last = (hidden[None] < degrees[:, None]).float()
        self.register_buffer("last_mask", torch.cat([last, last]))
        self.first, self.last = nn.Linear(dim, units), nn.Linear(units, 2 * dim)
        self.context = nn.Linear(context, units, bias=False)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, z: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the shift and the logarithm of the scale of each number."""
        hidden = F.linear(z, self.first.weight * self.first_mask, self.first.bias)
        hidden = torch.relu(hidden + self.context(context))
        out = F.linear(hidden, self.last.weight * self.last_mask, self.last.bias)
        shift, raw = out.chunk(2, dim=1)
        return shift, raw / (1.0 + raw.abs() / math.log(1e3))


class VAE(nn.Module):
    """A VAE of vectors with a bound of k draws; with layers of IAF, if there are any."""

    def __init__(
        self,
        dim: int,
        units: int,
        latent_dim: int,
        num_draws: int = 1,
        num_flows: int = 0,
        flow_units: int = 320,
        context: int = 64,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_draws = latent_dim, num_draws
        self.context = context if num_flows else 0
        self.encoder = mlp([dim, units, units])
        self.head = nn.Linear(units, 2 * latent_dim + self.context)
        self.decoder = mlp([latent_dim, units, units])
        self.logits = nn.Linear(units, dim)
        self.flows = nn.ModuleList(MADE(latent_dim, flow_units, context) for _ in range(num_flows))

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """Returns minus the bound, a scalar."""
        sizes = [self.latent_dim, self.latent_dim, self.context]
        mean, log_scale, context = self.head(self.encoder(x)).split(sizes, dim=1)
        if self.num_draws == 1 and not self.context:
            z = mean + torch.exp(log_scale) * torch.randn_like(mean)
            kl = 0.5 * (mean**2 + torch.exp(2.0 * log_scale) - 1.0 - 2.0 * log_scale).sum(1)
            return (kl - log_bernoulli(x, self.logits(self.decoder(z)))).mean()
        noise = torch.randn(len(x), self.num_draws, self.latent_dim)
        z = (mean[:, None] + torch.exp(log_scale)[:, None] * noise).flatten(0, 1)
        log_q = -0.5 * (noise**2 + 2.0 * log_scale[:, None] + LOG_TWO_PI).sum(2).flatten()
        for flow in self.flows:
            shift, log_slope = flow(z, context.repeat_interleave(self.num_draws, 0))
            z = (z * torch.exp(log_slope) + shift).flip(1)
            log_q = log_q - log_slope.sum(1)
        log_prior = -0.5 * (z**2 + LOG_TWO_PI).sum(1)
        repeated = x.repeat_interleave(self.num_draws, 0)
        weights = log_bernoulli(repeated, self.logits(self.decoder(z))) + log_prior - log_q
        weights = weights.view(len(x), self.num_draws)
        return (math.log(self.num_draws) - torch.logsumexp(weights, 1)).mean()


class Blocks(nn.Module):
    """Residual blocks of 3 x 3 convolutions."""

    def __init__(self, filters: int, count: int) -> None:
        super().__init__()
        self.firsts = nn.ModuleList(conv(filters, filters) for _ in range(count))
        self.seconds = nn.ModuleList(conv(filters, filters) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns features of the same shape."""
        for first, second in zip(self.firsts, self.seconds, strict=True):
            x = x + second(F.silu(first(F.silu(x))))
        return x


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Returns a 3 x 3 convolution."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Hierarchical(nn.Module):
    """Two levels of latents on grids of an image, each half as high and wide as the next.

    Inference goes from the top down: q of the lower level sees the state of the decoder.
    """

    def __init__(self, channels: int, latents: int, filters: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, filters, 4, 2, 1)
        self.lower_blocks = Blocks(filters, 1)
        self.down_again = nn.Conv2d(filters, filters, 4, 2, 1)
        self.upper_blocks = Blocks(filters, 1)
        self.upper_merge, self.lower_merge = conv(filters, filters), conv(2 * filters, filters)
        self.upper_q = nn.Conv2d(filters, 2 * latents, 1)
        self.lower_q = nn.Conv2d(filters, 2 * latents, 1)
        self.prior = nn.Conv2d(filters, 2 * latents, 1)
        self.upper_joined, self.lower_joined = conv(latents, filters), conv(latents, filters)
        self.upper_out, self.lower_out = Blocks(filters, 1), Blocks(filters, 1)
        self.up, self.state_blocks = conv(filters, filters), Blocks(filters, 1)
        self.up_again, self.last = conv(filters, filters), Blocks(filters, 1)
        self.logits = nn.Conv2d(filters, channels, 1)

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """Returns minus the bound, a scalar."""
        lower = self.lower_blocks(self.down(2.0 * x - 1.0))
        upper = self.upper_blocks(self.down_again(lower))
        q = self.upper_q(F.silu(self.upper_merge(F.silu(upper)))).chunk(2, 1)
        z, kl = _drawn(q, (torch.zeros_like(q[0]), torch.zeros_like(q[1])))
        hidden = self.upper_out(self.upper_joined(z))
        state = self.state_blocks(self.up(F.interpolate(F.silu(hidden), scale_factor=2)))
        p = self.prior(F.silu(state)).chunk(2, 1)
        merged = self.lower_merge(F.silu(torch.cat([lower, state], 1)))
        q = self.lower_q(F.silu(merged)).chunk(2, 1)
        z, more = _drawn(q, p)
        hidden = self.lower_out(state + self.lower_joined(z))
        hidden = self.last(self.up_again(F.interpolate(F.silu(hidden), scale_factor=2)))
        return (kl + more - log_bernoulli(x, self.logits(F.silu(hidden)))).mean()


def _drawn(q: tuple, p: tuple) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns a draw of q, and KL(q || p) of each row."""
    z = q[0] + torch.exp(q[1]) * torch.randn_like(q[0])
    gap = q[1] - p[1]
    squares = ((q[0] - p[0]) * torch.exp(-p[1])) ** 2
    return z, (0.5 * (squares + torch.exp(2.0 * gap) - 1.0) - gap).flatten(1).sum(1)


def epoch(model: nn.Module, x: torch.Tensor, batch_size: int, compiled: bool) -> Any:
    """Returns a function that trains for an epoch, eager or compiled."""
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    loss_of = torch.compile(model.loss) if compiled else model.loss

    def run() -> None:
        for index in torch.randperm(len(x)).split(batch_size):
            loss = loss_of(x[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run
