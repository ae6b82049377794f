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
deviation 0.2. Training rows are taken ten times, each with other noise. A fifth of the rows is for
validation, by which training stops early and settings are chosen, and a fifth for the test. A
setting is a form of a flow (zuko's have one), a width, and a decay of weights. All settings are
trained with the first seed, the better half with the next, and so on; the numbers are the mean and
the range of the last one's test rows over the seeds.
"""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

try:
    import torch_flows  # Before TensorFlow, after which some of Torch's parts do not load.
except ImportError:
    torch_flows = None

import flow_tables
import flow_targets
import keras
import numpy as np
from absl import app, flags

from tfgen.bijectors import Affine, RationalQuadraticSpline, SoftScale
from tfgen.core.files import write_text, written_whole
from tfgen.flows import Flow, recipes

FLAGS = flags.FLAGS

flags.DEFINE_enum("table", "points", ["points", "real"], "Which table to make.")
flags.DEFINE_list("data", [], "The densities or data sets; all of the table unless given.")
flags.DEFINE_list("recipes", [], "The flows; all of the table unless given.")
flags.DEFINE_bool("peers", True, "Whether to train the flows of zuko and normflows as well.")
flags.DEFINE_string("workdir", None, "Of the results; runs/flow_densities unless given.")
flags.DEFINE_integer("steps", None, "Of a training; 2,000 on points, 840 or less on real data.", 1)
flags.DEFINE_list("drawn", ["spline", "maf", "residual_flow", "planar"], "Flows in the pictures.")

BATCH_SIZE, NUM_POINTS = 256, 25_600
DEPTH, WIDTH, BINS, BOUND = 6, 64, 8, 5.0
STEPS = {"points": 2_000, "real": 840}
RATES = {"points": 1e-3, "real": 2e-3}
PATIENCE, SEEDS = 8, 3  # Epochs and trainings of real data.
NETWORKS = ((32, 0.0), (32, 1.0), (64, 1.0))
"""Widths, and decays of weights, that are tried with real data."""

SIZES = (WIDTH, WIDTH)
SPLINE = RationalQuadraticSpline(BINS, BOUND)


def spline(shape: tuple[int, ...], width: int = WIDTH, linear: bool = True) -> Flow:
    """Returns a flow of splines in couplings."""
    splines = {"num_bins": BINS, "bound": BOUND, "linear": linear}
    return recipes.spline(shape, depth=DEPTH, filters=width, **splines)


RECIPES: dict[str, Callable[[tuple[int, ...]], Flow]] = {
    "nice": lambda shape: recipes.nice(shape, DEPTH, SIZES),
    "realnvp": lambda shape: recipes.realnvp(shape, DEPTH, SIZES),
    "glow": lambda shape: recipes.glow(shape, depth=DEPTH, filters=WIDTH),
    "spline": spline,
    "maf": lambda shape: recipes.maf(shape, DEPTH, SIZES),
    "maf_spline": lambda shape: recipes.maf(shape, DEPTH, SIZES, SPLINE),
    "iaf": lambda shape: recipes.iaf(shape, DEPTH, SIZES),
    "planar": lambda shape: recipes.planar(shape, 32),
    "radial": lambda shape: recipes.radial(shape, 32),
    "residual_flow": lambda shape: recipes.residual_flow(shape, depth=DEPTH, filters=WIDTH),
}

SOFT = Affine(SoftScale(2.0))
SMALL = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
FORMS: dict[str, dict[str, Callable[[tuple[int, ...], int], Flow]]] = {
    "realnvp": {
        "tanh": lambda shape, width: recipes.realnvp(shape, DEPTH, (width, width)),
        "soft": lambda shape, width: recipes.realnvp(shape, DEPTH, (width, width), transform=SOFT),
    },
    "maf": {
        "he": lambda shape, width: recipes.maf(shape, DEPTH, (width, width)),
        "small": lambda shape, width: recipes.maf(
            shape, DEPTH, (width, width), SOFT, kernel_initializer=SMALL
        ),
    },
    "spline": {"linear": spline, "masks": functools.partial(spline, linear=False)},
}
"""The forms of each flow of real data."""


def main(argv: Sequence[str]) -> None:
    del argv
    is_points = FLAGS.table == "points"
    targets, all_flows = (
        (flow_targets.TARGETS, RECIPES) if is_points else (flow_tables.TABLES, FORMS)
    )
    chosen, flows = FLAGS.data or list(targets), FLAGS.recipes or list(all_flows)
    for given, there in ((chosen, targets), (flows, all_flows)):
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
    row: dict[str, float | None] = {"minus entropy": -target.entropy}
    pictures = []
    for recipe in flows:
        path, model = folder / f"{name}_{recipe}", ready(recipe, train.shape[1:])

        def nats(model: Flow = model, path: Path = path) -> float:
            model.fit(train, batch_size=BATCH_SIZE, epochs=epochs(train), verbose=0)
            np.savez(path.with_suffix(".npz"), *seen(model, train))
            return score(model, test)

        row[recipe] = kept(path.with_suffix(".json"), nats)
        if recipe in FLAGS.drawn:
            pictures.append((recipe, row[recipe], np.load(path.with_suffix(".npz"))))
        if FLAGS.peers:
            row[f"{recipe}, peer"] = kept(
                folder / f"{name}_{recipe}_peer.json",
                lambda recipe=recipe: peer_nats(recipe, train, test),
            )
    if pictures:
        draw(folder / f"{name}.png", name, train, pictures)
    return row


def ready(recipe: str, shape: tuple[int, ...]) -> Flow:
    """Returns a new flow, compiled as its peer is."""
    keras.utils.set_random_seed(0)
    model = RECIPES[recipe](shape)
    model.compile(keras.optimizers.Adam(RATES["points"]))
    return model


def epochs(train: np.ndarray) -> int:
    """Returns how many passes over the rows the steps are, at least one."""
    return max(1, (FLAGS.steps or STEPS[FLAGS.table]) * BATCH_SIZE // len(train))


def score(model: Flow, test: np.ndarray) -> float:
    """Returns the mean log density of unseen rows."""
    return float(np.mean(model.log_prob(test, batch_size=1920)))


def peer_nats(recipe: str, train: np.ndarray, test: np.ndarray) -> float | None:
    """Returns the mean log density that the flow of zuko or normflows gives unseen rows."""
    flow = peer(recipe, train.shape[1], WIDTH)
    if flow is None:
        return None
    torch_flows.train(flow, train, BATCH_SIZE, epochs(train))
    return float(torch_flows.log_prob(flow, test).mean())


def peer(recipe: str, dim: int, width: int, seed: int = 0) -> Any:
    """Returns the same flow of zuko or normflows, None where there is none."""
    if torch_flows is None:
        raise app.UsageError("Peers need `pip install torch zuko normflows`; see --nopeers.")
    torch_flows.torch.manual_seed(seed)
    return torch_flows.flow(recipe, dim, DEPTH, width, BINS)


def kept(path: Path, result: Callable[[], Any]) -> Any:
    """Returns a number, or a list of them, that is kept in a file, and worked out once."""
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


Setting = tuple[str, int, float]  # A form of a flow, its width, and the decay of its weights.


def of_real(folder: Path, name: str, flows: Sequence[str]) -> dict[str, Any]:
    """Returns the log-likelihoods of one set of data."""
    parts = flow_tables.split(*flow_tables.TABLES[name]())
    mixture = kept(folder / f"{name}_mixture.json", lambda: flow_tables.mixture(*parts))
    row: dict[str, Any] = {"mixture": mixture}
    for recipe in flows:
        row[recipe] = by_validation(folder / f"{name}_{recipe}", FORMS[recipe], parts, trained)
        if FLAGS.peers:
            path = folder / f"{name}_{recipe}_peer"
            row[f"{recipe}, peer"] = by_validation(path, {recipe: None}, parts, trained_peer)
    return row


def by_validation(path: Path, forms: dict, parts: Sequence[np.ndarray], train: Callable) -> str:
    """Returns the mean and the range, over seeds, of the setting that validation prefers.

    All settings begin; the better half, by the mean over the seeds so far, goes on to the next.
    """
    left: list[Setting] = [(form, *network) for form in forms for network in NETWORKS]
    found: dict[Setting, list] = {setting: [] for setting in left}
    for seed in range(SEEDS):
        for setting in left:
            file = Path("_".join(map(str, (path, *setting, seed))) + ".json")
            run = functools.partial(train, forms[setting[0]], setting, seed, *parts)
            found[setting].append(kept(file, run))
        means = {
            setting: np.nan_to_num(np.mean(found[setting], 0), nan=-np.inf) for setting in left
        }
        left = sorted(left, key=lambda setting: -means[setting][0])[: max(1, len(left) // 2)]
    tests = [test for _, test in found[left[0]]]
    form, width, decay = left[0]
    print(f"{path.name}: {form}, {width} wide, decay {decay:g}", file=sys.stderr, flush=True)
    return f"{np.mean(tests):.2f} ({min(tests):.2f} to {max(tests):.2f})"


def trained(
    make: Callable[[tuple[int, ...], int], Flow],
    setting: Setting,
    seed: int,
    train: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
) -> list[float]:
    """Returns the mean log densities of rows of validation and test after a training."""
    _, width, decay = setting
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = make(train.shape[1:], width)
    model.compile(keras.optimizers.AdamW(RATES["real"], weight_decay=decay))
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True, mode="min")
    model.fit(
        *(train, None, BATCH_SIZE, epochs(train)),
        verbose=0,
        validation_data=(validation, None),
        callbacks=[stop],
    )
    return [score(model, validation), score(model, test)]


def trained_peer(
    _: None,
    setting: Setting,
    seed: int,
    train: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
) -> list[float]:
    """Returns the same of zuko's flow, trained alike."""
    recipe, width, decay = setting
    flow = peer(recipe, train.shape[1], width, seed)
    rest = (BATCH_SIZE, epochs(train), validation, PATIENCE, decay, seed, RATES["real"])
    torch_flows.train(flow, train, *rest)
    return [float(torch_flows.log_prob(flow, rows).mean()) for rows in (validation, test)]


def print_table(table: dict[str, dict[str, Any]]) -> None:
    """Prints a Markdown table: a line for each flow, a column for each density."""
    names = list(next(iter(table.values())))
    print("| nats, unseen rows | " + " | ".join(table) + " |\n" + "|---" * (1 + len(table)) + "|")
    for name in names:
        cells = [row[name] for row in table.values()]
        shown = [f"{cell:.3f}" if isinstance(cell, float) else cell or "-" for cell in cells]
        print(f"| {name} | " + " | ".join(shown) + " |")


if __name__ == "__main__":
    app.run(main)
