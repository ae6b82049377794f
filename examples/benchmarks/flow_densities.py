"""Trains every flow of vectors on known densities in the plane, or on small tables of real data.

    pip install torch zuko normflows
    python examples/benchmarks/flow_densities.py --table=points
    python examples/benchmarks/flow_densities.py --table=real

Prints log-likelihoods in nats of unseen rows beside those of the same flow of zuko or normflows
(the same rows, steps, widths, number of transforms and optimizer), and beside minus the entropy of
the density, or scikit-learn's Gaussian mixture. A flow that the peers lack has no number. Each
result is a file under --workdir, so that the program goes on where it stopped. For points, it draws
density and samples of --drawn into NAME.png.

Real data are scikit-learn's digits, 64 numbers (k + u) / 17 of levels k with uniform noise u, and
its breast cancer data, 30 numbers; both are standardised, and the latter get Gaussian noise of
deviation 0.2. Networks have half the width, and weights decay (AdamW, 1), of all. Training rows are
taken ten times, each with other noise. A fifth of the rows is for validation, by which training
stops early and the mixture is chosen, and a fifth for the test.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

try:
    import torch_flows  # Before TensorFlow, after which some of Torch's parts do not load.
except ImportError:
    torch_flows = None

import flow_targets
import keras
import numpy as np
from absl import app, flags

from tfgen.bijectors import RationalQuadraticSpline
from tfgen.core.files import write_text, written_whole
from tfgen.flows import Flow, recipes

FLAGS = flags.FLAGS

flags.DEFINE_enum("table", "points", ["points", "real"], "Which table to make.")
flags.DEFINE_list("data", [], "The densities or data sets; all of the table unless given.")
flags.DEFINE_list("recipes", [], "The flows; all of the table unless given.")
flags.DEFINE_bool("peers", True, "Whether to train the flows of zuko and normflows as well.")
flags.DEFINE_string("workdir", None, "Of the results; runs/flow_densities unless given.")
flags.DEFINE_integer("steps", 2_000, "Of each training on points.", 1)
flags.DEFINE_integer("epochs", 60, "Of each training on real data, at most.", 1)
flags.DEFINE_list("drawn", ["spline", "maf", "residual_flow", "planar"], "Flows in the pictures.")

BATCH_SIZE, NUM_POINTS = 256, 25_600
DEPTH, WIDTH, BINS, BOUND = 6, 64, 8, 5.0
PATIENCE = 8  # Epochs.

SPLINE = RationalQuadraticSpline(BINS, BOUND)
RECIPES: dict[str, Callable[[tuple[int, ...]], Flow]] = {
    "nice": lambda shape: recipes.nice(shape, DEPTH, sizes()),
    "realnvp": lambda shape: recipes.realnvp(shape, DEPTH, sizes()),
    "glow": lambda shape: recipes.glow(shape, depth=DEPTH, filters=width()),
    "spline": lambda shape: recipes.spline(
        shape, depth=DEPTH, filters=width(), num_bins=BINS, bound=BOUND
    ),
    "maf": lambda shape: recipes.maf(shape, DEPTH, sizes()),
    "maf_spline": lambda shape: recipes.maf(shape, DEPTH, sizes(), SPLINE),
    "iaf": lambda shape: recipes.iaf(shape, DEPTH, sizes()),
    "planar": lambda shape: recipes.planar(shape, 32),
    "radial": lambda shape: recipes.radial(shape, 32),
    "residual_flow": lambda shape: recipes.residual_flow(shape, depth=DEPTH, filters=width()),
}
OF_REAL_DATA = ("realnvp", "maf", "spline")


def main(argv: Sequence[str]) -> None:
    del argv
    is_points = FLAGS.table == "points"
    known = list(flow_targets.TARGETS) if is_points else list(REAL)
    chosen, flows = FLAGS.data or known, FLAGS.recipes or (RECIPES if is_points else OF_REAL_DATA)
    for given, there in ((chosen, known), (flows, RECIPES)):
        if unknown := set(given) - set(there):
            raise app.UsageError(f"There is no {sorted(unknown)}; there are {sorted(there)}.")
    folder = Path(FLAGS.workdir or "runs/flow_densities")
    folder.mkdir(parents=True, exist_ok=True)
    table = {}
    for name in chosen:
        table[name] = of_points(folder, name, flows) if is_points else of_real(folder, name, flows)
    print_table(table)


# Points in the plane.


def of_points(folder: Path, name: str, flows: Sequence[str]) -> dict[str, float | None]:
    """Returns the log-likelihoods of one density."""
    target = flow_targets.TARGETS[name]()
    train, test = (np.float32(target.sample(NUM_POINTS, seed)) for seed in (0, 1))
    epochs = max(1, FLAGS.steps * BATCH_SIZE // NUM_POINTS)
    row: dict[str, float | None] = {"minus entropy": -target.entropy}
    pictures = []
    for recipe in flows:
        path, model = folder / f"{name}_{recipe}", ready(recipe, train.shape[1:])

        def nats(model: Flow = model, path: Path = path) -> float:
            model.fit(train, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
            np.savez(path.with_suffix(".npz"), *seen(model, train))
            return score(model, test)

        row[recipe] = kept(path.with_suffix(".json"), nats)
        if recipe in FLAGS.drawn:
            pictures.append((recipe, row[recipe], np.load(path.with_suffix(".npz"))))
        if FLAGS.peers:
            row[f"{recipe}, peer"] = kept(
                folder / f"{name}_{recipe}_peer.json",
                lambda recipe=recipe: peer(recipe, train, test, epochs),
            )
    if pictures:
        draw(folder / f"{name}.png", name, train, pictures)
    return row


def ready(recipe: str, shape: tuple[int, ...]) -> Flow:
    """Returns a new flow, compiled as its peer is."""
    keras.utils.set_random_seed(0)
    model = RECIPES[recipe](shape)
    model.compile(keras.optimizers.AdamW(1e-3, decay()) if decay() else keras.optimizers.Adam(1e-3))
    return model


def width() -> int:
    """Returns the width of networks: half of it for real data, which are few."""
    return WIDTH if FLAGS.table == "points" else WIDTH // 2


def sizes() -> tuple[int, int]:
    """Returns the widths of the hidden layers."""
    return (width(), width())


def decay() -> float:
    """Returns the decay of weights."""
    return 0.0 if FLAGS.table == "points" else 1.0


def score(model: Flow, test: np.ndarray) -> float:
    """Returns the mean log density of unseen rows."""
    return float(np.mean(model.log_prob(test, batch_size=1920)))


def peer(
    recipe: str,
    train: np.ndarray,
    test: np.ndarray,
    epochs: int,
    validation: np.ndarray | None = None,
) -> float | None:
    """Returns the mean log density that the same flow of zuko or normflows gives unseen rows."""
    if torch_flows is None:
        raise app.UsageError("Peers need `pip install torch zuko normflows`; see --nopeers.")
    flow = torch_flows.flow(recipe, train.shape[1], DEPTH, width(), BINS)
    if flow is None:
        return None
    patience = PATIENCE if validation is not None else 0
    torch_flows.train(flow, train, BATCH_SIZE, epochs, validation, patience, decay())
    return float(torch_flows.log_prob(flow, test).mean())


def kept(path: Path, result: Callable[[], float | None]) -> float | None:
    """Returns a number that is kept in a file, and worked out once."""
    if not path.exists():
        start = time.perf_counter()
        value = result()
        seconds = round(time.perf_counter() - start, 1)
        print(f"{path.stem}: {value} ({seconds} s)", file=sys.stderr, flush=True)
        write_text(path, json.dumps({"nats": value, "seconds": seconds}))
    return json.loads(path.read_text())["nats"]


def seen(model: Flow, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the density of a flow on a grid [100, 100] around the data, and samples."""
    low, high = train.min(0), train.max(0)
    axes = [np.linspace(a, b, 100, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    density = np.exp(model.log_prob(points, batch_size=1920).numpy())
    return density.reshape(100, 100), model.sample(2000, seed=0).numpy()


def draw(path: Path, name: str, train: np.ndarray, pictures: Sequence[tuple]) -> None:
    """Draws the densities of flows above their samples, beside the data."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * (1 + len(pictures)), 5.4))
    axes = figure.subplots(2, 1 + len(pictures))
    low, high = train.min(0), train.max(0)
    extent = [low[0], high[0], low[1], high[1]]
    axes[0, 0].hist2d(*train.T, bins=100, range=[extent[:2], extent[2:]])
    axes[0, 0].set_title(f"{name}: data", fontsize=9)
    axes[1, 0].plot(*train[:2000].T, ".", markersize=1)
    for (top, bottom), (recipe, nats, found) in zip(axes.T[1:], pictures, strict=True):
        density, samples = found["arr_0"], found["arr_1"]
        top.imshow(density, origin="lower", extent=extent, aspect="auto")
        top.set_title(f"{recipe}: {nats:.3f} nats", fontsize=9)
        bottom.plot(*samples.T, ".", markersize=1)
    for axis in axes.flat:
        axis.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])
    figure.tight_layout()
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, dpi=80)


# Real data.


def digits() -> tuple[np.ndarray, Callable[[np.ndarray, np.random.Generator], np.ndarray]]:
    """Returns the levels of the digits, and what adds noise to them."""
    from sklearn.datasets import load_digits

    return load_digits().data, lambda x, rng: (x + rng.uniform(size=x.shape)) / 17


def breast_cancer() -> tuple[np.ndarray, Callable[[np.ndarray, np.random.Generator], np.ndarray]]:
    """Returns the measurements, standardised, and what adds noise to them."""
    from sklearn.datasets import load_breast_cancer

    x = load_breast_cancer().data
    x = (x - x.mean(0)) / x.std(0)
    return x, lambda x, rng: x + 0.2 * rng.standard_normal(x.shape)


REAL = {"digits": digits, "breast_cancer": breast_cancer}


def of_real(folder: Path, name: str, flows: Sequence[str]) -> dict[str, float | None]:
    """Returns the log-likelihoods of one set of data."""
    train, validation, test = split(*REAL[name]())
    row: dict[str, float | None] = {
        "mixture": kept(folder / f"{name}_mixture.json", lambda: mixture(train, validation, test))
    }
    for recipe in flows:

        def own(recipe: str = recipe) -> float:
            model = ready(recipe, train.shape[1:])
            stop = keras.callbacks.EarlyStopping(
                patience=PATIENCE, restore_best_weights=True, mode="min"
            )
            model.fit(
                *(train, None, BATCH_SIZE, FLAGS.epochs),
                verbose=0,
                validation_data=(validation, None),
                callbacks=[stop],
            )
            return score(model, test)

        row[recipe] = kept(folder / f"{name}_{recipe}.json", own)
        if FLAGS.peers:
            row[f"{recipe}, peer"] = kept(
                folder / f"{name}_{recipe}_peer.json",
                lambda recipe=recipe: peer(recipe, train, test, FLAGS.epochs, validation),
            )
    return row


def split(x: np.ndarray, noisy: Callable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns rows to train on, ten times with other noise, and rows to validate and to test."""
    rng = np.random.default_rng(0)
    rows = x[rng.permutation(len(x))]
    fifth = len(rows) // 5
    validation, test, train = np.split(rows, [fifth, 2 * fifth])
    parts = [noisy(part, rng) for part in (np.tile(train, (10, 1)), validation, test)]
    mean, std = parts[0].mean(0), parts[0].std(0)
    return tuple(np.float32((part - mean) / std) for part in parts)


def mixture(train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> float:
    """Returns the mean log density by the Gaussian mixture that is best on the validation rows."""
    from sklearn.mixture import GaussianMixture

    fitted = [
        GaussianMixture(count, covariance_type=kind, reg_covar=1e-3, random_state=0).fit(train)
        for kind in ("full", "diag")
        for count in (1, 2, 4, 8, 16, 32)
    ]
    return float(max(fitted, key=lambda model: model.score(validation)).score(test))


def print_table(table: dict[str, dict[str, float | None]]) -> None:
    """Prints a Markdown table: a line for each flow, a column for each density."""
    names = list(next(iter(table.values())))
    print("| nats, unseen rows | " + " | ".join(table) + " |\n" + "|---" * (1 + len(table)) + "|")
    for name in names:
        cells = [row[name] for row in table.values()]
        shown = ["-" if value is None else f"{value:.3f}" for value in cells]
        print(f"| {name} | " + " | ".join(shown) + " |")


if __name__ == "__main__":
    app.run(main)
