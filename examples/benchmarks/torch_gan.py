"""The GANs of adversarial.py in eager PyTorch, as its users write them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def infogan(batch_norm: bool, latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Returns the generator and the discriminator of 28 x 28 x 1 images."""

    def norm(size: int, flat: bool) -> list[nn.Module]:
        return [nn.BatchNorm1d(size) if flat else nn.BatchNorm2d(size)]

    def slope() -> nn.Module:
        return nn.LeakyReLU(0.2)

    generator = nn.Sequential(
        *(nn.Linear(latent_dim, 1024, bias=False), *norm(1024, True), slope()),
        *(nn.Linear(1024, 128 * 49, bias=False), *norm(128 * 49, True), slope()),
        nn.Unflatten(1, (128, 7, 7)),
        *(nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), *norm(64, False), slope()),
        *(nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Sigmoid()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, 64, 4, 2, 1), slope()),
        nn.Conv2d(64, 128, 4, 2, 1, bias=not batch_norm),
        *(norm(128, False) if batch_norm else []),
        *(slope(), nn.Flatten()),
        nn.Linear(128 * 49, 1024, bias=not batch_norm),
        *(norm(1024, True) if batch_norm else []),
        *(slope(), nn.Linear(1024, 1)),
    )
    return generator, discriminator


def dcgan(latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Returns the generator and the discriminator of 64 x 64 x 3 images."""
    sizes = (512, 256, 128, 64)
    up: list[nn.Module] = [
        nn.Linear(latent_dim, 512 * 16, bias=False),
        nn.Unflatten(1, (512, 4, 4)),
        nn.BatchNorm2d(512),
        nn.ReLU(),
    ]
    for a, b in zip(sizes, sizes[1:], strict=False):
        up += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    up += [nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh()]
    down: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
    for b, a in zip(sizes[::-1], sizes[-2::-1], strict=False):
        down += [nn.Conv2d(b, a, 4, 2, 1, bias=False), nn.BatchNorm2d(a), nn.LeakyReLU(0.2)]
    return nn.Sequential(*up), nn.Sequential(*down, nn.Flatten(), nn.Linear(512 * 16, 1))


def epoch(case: Any, images: np.ndarray, latent_dim: int, threads: int) -> Callable[[], None]:
    """Returns an epoch of training over uint8 images [count, height, width, channels]."""
    torch.set_num_threads(threads)
    large = case.image_shape[0] == 64
    make = dcgan(latent_dim) if large else infogan(not case.penalty, latent_dim)
    g, d = (network.train() for network in make)
    rate, betas = (1e-4, (0.0, 0.9)) if case.penalty else (2e-4, (0.5, 0.999))
    g_optimizer, d_optimizer = (torch.optim.Adam(n.parameters(), rate, betas) for n in (g, d))
    data = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    size = case.batch_size

    def judge(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        if not case.penalty:
            return (functional.softplus(-d(real)) + functional.softplus(d(fake))).mean()
        share = torch.rand(size, 1, 1, 1)
        between = (fake + share * (real - fake)).requires_grad_(True)
        (slope,) = torch.autograd.grad(d(between).sum(), between, create_graph=True)
        penalty = case.penalty * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        return (d(fake) - d(real)).mean() + penalty

    def run() -> None:
        batches = iter(torch.randperm(len(data)).split(size))
        for _ in range(len(data) // (size * case.discriminator_steps)):
            for _ in range(case.discriminator_steps):
                real = data[next(batches)].float() / 255
                fake = g(torch.randn(size, latent_dim)).detach()
                d_optimizer.zero_grad()
                judge(real, fake).backward()
                d_optimizer.step()
            logits = d(g(torch.randn(size, latent_dim)))
            g_optimizer.zero_grad()
            (-logits if case.penalty else functional.softplus(-logits)).mean().backward()
            g_optimizer.step()

    return run
