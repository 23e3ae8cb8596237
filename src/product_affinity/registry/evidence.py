"""What a promotion is decided on: the challenger's test predictions beside the champion's, kept with checksums.

::

    var/evidence/<challenger version>/
      evidence.json        who is compared with whom, and how
      predictions.parquet  test rows of every fold: outcome, base rate, a column of probabilities a model
      ranking.parquet      pairs of the latest date as both bundles rank them today
      SHA256SUMS
"""

from __future__ import annotations

import datetime as dt
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from product_affinity.errors import BundleError, RefusedError
from product_affinity.project.reading import StrictModel, validate
from product_affinity.registry.folder import read_folder, write_folder
from product_affinity.registry.manifest import json_bytes, json_object

EVIDENCE = "evidence"
CHALLENGER, CHAMPION, BUNDLE = "blend", "champion", "bundle"
KEYS = ("account_id", "product_id", "as_of")
#: what the checks read of a test row beside the probabilities
ROW_COLUMNS = (
    "fold", *KEYS, "status", "adopted", "is_winback", "segment", "expected_arr_usd", "base_rate", "workable_share",
)  # fmt: skip

#: how the champion came to its test predictions
Comparison = Literal["no_champion", "as_it_runs", "same_recipe", "refitted", "impossible"]


class Sides(StrictModel):
    """Who is compared with whom.

    Attributes
    ----------
    challenger, champion : bundle versions; champion None where there is none.
    trained_as_of, champion_trained_as_of : as-of dates of their trainings.
    horizon_days : of the label.
    comparison : how the champion came to its column of probabilities: it scored months after its own training
        as it runs (`as_it_runs`); its recipe was fitted anew at each origin (`refitted`); its recipe is the
        challenger's, so that the two agree by construction (`same_recipe`); or not at all.
    columns_gone : inputs of the champion that today's features do not have; it is refitted without them.
    changes : what differs between the two recipes, in words.
    champion_ap_over_base_rate : average precision ÷ base rate of the champion's own backtest, where it had one.
    baselines : columns of the baselines.
    gain_shares : input to its share (0 to 1) of the challenger's split gain, largest first.
    unproven : inputs that rest on source columns without a history, so that nothing proves them in time.
    """

    challenger: str
    trained_as_of: dt.date
    champion: str | None = None
    champion_trained_as_of: dt.date | None = None
    horizon_days: int = Field(ge=1)
    comparison: Comparison = "no_champion"
    columns_gone: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    champion_ap_over_base_rate: float | None = None
    baselines: tuple[str, ...] = Field(min_length=1)
    gain_shares: tuple[tuple[str, float], ...] = ()
    unproven: tuple[str, ...] = ()


class Evidence:
    """Test predictions and rankings of a challenger, ready to be judged.

    Parameters
    ----------
    sides : who is compared with whom.
    predictions : `ROW_COLUMNS` and one column of probabilities (0 to 1) a model: the challenger's recipe at each
        fold (`blend`), the baselines, the challenger's bundle itself (`bundle`) and, missing where it cannot be
        judged, the `champion`.
    ranking : account_id, product_id, `challenger` and, where it can score, `champion`: propensities of today's
        white space.

    Raises
    ------
    ValueError : a column is missing.
    """

    def __init__(self, sides: Sides, predictions: pd.DataFrame, ranking: pd.DataFrame) -> None:
        wanted = [*ROW_COLUMNS, CHALLENGER, BUNDLE, *sides.baselines]
        if sides.comparison in ("as_it_runs", "same_recipe", "refitted"):
            wanted.append(CHAMPION)
        missing = [name for name in wanted if name not in predictions]
        missing += [name for name in ("account_id", "product_id", "challenger") if name not in ranking]
        if missing:
            raise ValueError(f"evidence: missing column {missing[0]}")
        self.sides, self.predictions, self.ranking = sides, predictions, ranking

    def check_against(self, champion: str | None) -> None:
        """Refuse evidence that was gathered against another champion than today's.

        Raises
        ------
        RefusedError : naming both.
        """
        if self.sides.champion != champion:
            then, now = self.sides.champion or "no champion", champion or "missing"
            raise RefusedError(
                f"challenger {self.sides.challenger} was tested against {then}, and the champion is now {now}. "
                "Run `affinity train` to test it again."
            )

    @property
    def headline(self) -> pd.DataFrame:
        """First-time adoptions in white space, the pairs that lists show, with their value in USD."""
        rows = self.predictions
        shown = rows["status"].eq("white_space") & ~rows["is_winback"].astype(bool)
        value = rows["expected_arr_usd"].astype("float64").fillna(0.0)
        return rows.assign(value=value)[shown].reset_index(drop=True)


def write_evidence(var: Path, evidence: Evidence) -> Path:
    """Keep the evidence on a challenger, in place of an earlier one; the folder appears whole or not at all."""
    files = {
        "evidence.json": json_bytes(evidence.sides.model_dump(mode="json")),
        "predictions.parquet": _parquet(evidence.predictions),
        "ranking.parquet": _parquet(evidence.ranking),
    }
    folder = var / EVIDENCE / evidence.sides.challenger
    _make_room(folder, files)
    write_folder(folder, files)
    return folder


def has_evidence(var: Path, challenger: str) -> bool:
    """Return whether anything is kept of what a bundle was judged by."""
    return (var / EVIDENCE / challenger).is_dir()


def no_evidence(var: Path, challenger: str) -> str:
    """Say that a challenger was never tested, and what to do."""
    return (
        f"{var / EVIDENCE / challenger}: no evidence on challenger {challenger}. Run `affinity train`, which tests it."
    )


def read_evidence(var: Path, challenger: str) -> Evidence:
    """Read the evidence on a challenger.

    Parameters
    ----------
    var : the project's folder of everything generated.
    challenger : bundle version.

    Raises
    ------
    RefusedError : there is none.
    BundleError : it was altered.
    """
    folder = var / EVIDENCE / challenger
    if not folder.is_dir():
        raise RefusedError(no_evidence(var, challenger))
    files = read_folder(folder)
    place = str(folder / "evidence.json")
    sides = validate(Sides, json_object(files["evidence.json"], place), place)
    frames = [pd.read_parquet(io.BytesIO(files[name])) for name in ("predictions.parquet", "ranking.parquet")]
    return Evidence(sides, *frames)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _make_room(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put away evidence that says something else: the champion or the sources changed since."""
    try:
        is_there = read_folder(folder) == dict(files)
    except BundleError:
        is_there = False
    if not is_there:
        shutil.rmtree(folder, ignore_errors=True)
