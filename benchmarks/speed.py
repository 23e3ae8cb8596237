"""Time and memory of fitting and scoring pairs, each model in a process of its own.

Run ``python -m benchmarks.speed [ACCOUNTS]``; CatBoost takes most of the time. Every model fits
the training rows and scores the last as-of date with one thread. *heads, one fit* is the heads
candidate alone, one seed, without inner folds: what the same tree parameters cost on one shared
binned matrix with sampled negatives. *Peak* is the process's highest memory from the start of the
fit, table and libraries included; *added* is what it exceeds the memory before the fit by.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table as Printed
from scipy.special import expit
from sklearn.metrics import average_precision_score

from benchmarks.figures import Split, by_product, captured, log_loss, skill, split
from benchmarks.rivals import RIVALS, per_product
from benchmarks.worlds import PairWorld, pair_world
from product_affinity.models.classifier import PropensityClassifier
from product_affinity.models.encoding import fit_encoder
from product_affinity.models.identifiers import known_products, product_codes
from product_affinity.models.rows import Rows, population_weight, sample_negatives
from product_affinity.models.training import FitPlan, Trainer
from product_affinity.models.trees import TreeShape, mean_log_odds

Vector = npt.NDArray[np.float64]
KEYS = ["y", "truth", "product", "account", "as_of", "value"]
HEADS, FULL = "heads, one fit", "PropensityClassifier, complete"
REFERENCE = "LightGBM, our tree parameters"


def save(world: PairWorld, path: Path) -> None:
    """Write a world as one Parquet file."""
    keys = {f"key_{name}": getattr(world, name) for name in KEYS}
    world.X.assign(**keys).to_parquet(path)


def load(path: Path) -> PairWorld:
    """Read a world back."""
    frame = pd.read_parquet(path)
    keys = {name: frame.pop(f"key_{name}").to_numpy() for name in KEYS}
    return PairWorld(X=frame, **{name: np.asarray(values) for name, values in keys.items()})


def heads_once(data: Split) -> Vector:
    """Fit one head per product on a shared binned matrix, and score."""
    train, test = data.train, data.test
    target = train.y.astype(np.float64)
    sample = sample_negatives(target, np.ones(len(target)), seed=0)
    at = sample.rows
    encoder = fit_encoder(train.X, "auto")
    products = known_products(train.product[at], len(at), np.ones(len(at), dtype=bool))
    ones, zeros = np.ones(len(at)), np.zeros(len(at))
    weight = population_weight(target[at], ones, sample.prior_shift)
    codes = product_codes(train.product[at], products, len(at))
    rows = Rows(encoder.encode(train.X, at), target[at], weight, ones, sample.prior_shift, zeros, codes)
    trainer = Trainer(rows, FitPlan(encoder, None, products, ("heads",), {}, 97, 1, 1, 0))
    new = product_codes(test.product, products, len(test.y))
    out = np.empty(len(new))
    for code in range(len(products)):
        base, booster = trainer.trees(trainer.product_rows(code), TreeShape(4, 150), seed=0)
        to = np.flatnonzero(new == code)
        out[to] = base + mean_log_odds([booster], encoder.encode(test.X, to), 1)
    return np.asarray(expit(out), dtype=np.float64)


def complete(data: Split) -> Vector:
    """Everything: candidates, inner folds, calibration, weights."""
    train, test = data.train, data.test
    model = PropensityClassifier(n_seeds=1)
    model.fit(train.X, train.y, product=train.product, account=train.account, as_of=train.as_of)
    return np.asarray(model.predict_proba(test.X, product=test.product)[:, 1], dtype=np.float64)


def memory(field: str) -> float:
    """A memory field of this process (Linux), in MB."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(field))


def reset_peak_memory() -> float:
    """Forget the peak so far (loading the table), and say what is in use, in MB."""
    gc.collect()
    # what loading has freed but not given back would hide what a fit takes
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def child(name: str, path: Path) -> dict[str, float]:
    """Fit and score one model in this process."""
    data = Split(load(path / "train.parquet"), load(path / "test.parquet"))
    if name in RIVALS:
        RIVALS[name]()  # importing its library is not part of the time
    before = reset_peak_memory()
    start, cpu = time.perf_counter(), time.process_time()
    if name == HEADS:
        probability = heads_once(data)
    elif name == FULL:
        probability = complete(data)
    else:
        train, test = data.train, data.test
        probability = per_product(name, train.X, train.y, train.product, test.X, test.product)
    return {
        "wall s": time.perf_counter() - start,
        "CPU s": time.process_time() - cpu,
        "peak MB": memory("VmHWM"),
        "added MB": memory("VmHWM") - before,
        "log-loss": log_loss(probability, data.test.truth),
        "skill": skill(probability, data),
        "AP": by_product(average_precision_score, probability, data.test),
        "value@1 %": captured(probability, data.test),
    }


def measure(name: str, path: Path) -> dict[str, float]:
    """Run one model in a child process with one thread."""
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(  # noqa: S603  # our own module, arguments from this file
        [sys.executable, "-m", "benchmarks.speed", name, str(path)],
        capture_output=True, text=True, check=True, env={**os.environ, **single},
    )  # fmt: skip
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def main(accounts: int = 4000) -> None:
    """Print every model beside the reference."""
    with tempfile.TemporaryDirectory() as folder:
        data = split(pair_world("specific", seed=31, accounts=accounts, rarity=1.0))
        save(data.train, Path(folder) / "train.parquet")
        save(data.test, Path(folder) / "test.parquet")
        figures = {name: measure(name, Path(folder)) for name in (HEADS, FULL, *RIVALS)}
    reference = figures[REFERENCE]
    rows, rate = len(data.train.y), data.train.y.mean()
    title = f"{rows:,} training pairs × {data.train.X.shape[1]} columns, {rate:.2%} adopt; ratios to {REFERENCE}"
    printed = Printed("model", *reference, "× faster", "× CPU", "× memory", title=title)
    for name, line in figures.items():
        faster = reference["wall s"] / line["wall s"]
        cpu = line["CPU s"] / reference["CPU s"]
        memory = line["peak MB"] / reference["peak MB"]
        printed.add_row(name, *(f"{value:.4g}" for value in (*line.values(), faster, cpu, memory)))
    Console(width=170).print(printed)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(child(sys.argv[1], Path(sys.argv[2]))))
    else:
        main(*map(int, sys.argv[1:]))
