"""The middle of a scoring run: propensity, value, reasons and the status of every account × product."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from product_affinity.backtest.baselines import SCORECARD
from product_affinity.errors import BundleError
from product_affinity.explain import compare_listed, family_shares, reasons_for
from product_affinity.lists import owner_key
from product_affinity.models.assembly import model_frame
from product_affinity.pipeline.prepare import Prepared
from product_affinity.pipeline.table import PairTable
from product_affinity.project import Project
from product_affinity.project.families import FeatureColumn
from product_affinity.registry.stand_in import BaselineScorer, Ranker, StandIn
from product_affinity.schema.lists import SCORE_COLUMNS
from product_affinity.scoring import score_pairs

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

AVERAGED_ROWS_A_PRODUCT = 200
#: of a criterion, what may be reworded without another point
_WORDS = {"title", "evidence", "clear", "unblocked_by"}


def check_families(bundle: Ranker, project: Project) -> None:
    """Refuse to score with features, or with a scorecard, that are no longer defined as they were in training.

    Raises
    ------
    BundleError : a family was edited, added or removed since, or the scorecard was; the message names it.
    """
    scores = bundle.version if isinstance(bundle, StandIn) else f"champion {bundle.version}"
    now = {family.family: family.fingerprint for family in project.families}
    trained = dict(bundle.manifest.families)
    changed = sorted(name for name in now.keys() | trained.keys() if now.get(name) != trained.get(name))
    horizon = project.settings.time.horizon_days
    if horizon not in bundle.classifiers:
        raise BundleError(
            f"affinity.toml: time.horizon_days = {horizon}: {scores} was trained for "
            f"{', '.join(map(str, bundle.manifest.horizons_days))} days. Run `affinity train` and `affinity promote`."
        )
    if changed:
        raise BundleError(
            f"features/{changed[0]}.yml: not as it was when {scores} was trained. "
            "Run `affinity train` and `affinity promote`, or restore the file."
        )
    if isinstance(bundle, StandIn) and bundle.manifest.scorecard not in (None, scorecard_fingerprint(project)):
        raise BundleError(
            f"playbook/readiness.yml: its scorecard is not as it was when {scores} was trained. "
            "Run `affinity train` and `affinity promote`, or restore the file."
        )


def scorecard_fingerprint(project: Project) -> str:
    """Return the fingerprint of what the scorecard's points rest on: its criteria without words, and definitions."""
    readiness = project.playbook.readiness
    criteria = [line.model_dump(mode="json", exclude=_WORDS) for line in readiness.scorecard.criteria]
    defined = [readiness.definitions.model_dump(mode="json"), criteria]
    return hashlib.sha256(json.dumps(defined, sort_keys=True).encode()).hexdigest()


def scored_frame(rows: pd.DataFrame, columns: tuple[FeatureColumn, ...], inputs: Collection[str]) -> pd.DataFrame:
    """Return what scores: the columns of a model, and the scorecard's points where they are among the inputs."""
    frame = model_frame(rows, columns)
    return frame.assign(**{SCORECARD: rows[SCORECARD].astype(float)}) if SCORECARD in inputs else frame


def average_contributions(
    scorer: PropensityClassifier | BaselineScorer,
    rows: pd.DataFrame,
    columns: tuple[FeatureColumn, ...],
    inputs: Collection[str],
) -> dict[str, dict[str, float]]:
    """Return each product's mean contribution of each input over rows of the last date, the reasons' reference.

    Parameters
    ----------
    scorer : what ranks.
    rows : training table.
    columns : feature columns in declared order.
    inputs : what the scorer reads, in the order of the result.
    """
    last = rows[rows["as_of"].eq(rows["as_of"].max())]
    count = last.groupby("product_id")["product_id"].transform("size")
    # evenly spaced over the accounts: the first ones would be the oldest customers
    sample = last[last.groupby("product_id").cumcount() % np.ceil(count / AVERAGED_ROWS_A_PRODUCT) == 0]
    shares = scorer.contributions(scored_frame(sample, columns, inputs), product=sample["product_id"])[list(inputs)]
    means = shares.groupby(sample["product_id"].to_numpy()).mean()
    return {str(product): {str(k): float(v) for k, v in row.items()} for product, row in means.iterrows()}


def value_pairs(table: PairTable, bundle: Ranker, project: Project) -> pd.DataFrame:
    """Add propensities, value and owner to the white-space and in-pipeline pairs.

    ``value_usd = propensity × expected_arr_usd − play_cost_usd``; a pair without any known price has no value
    and cannot be listed.
    """
    rows = table.rows
    scores = score_pairs(
        bundle.classifiers,
        scored_frame(rows, table.columns, bundle.manifest.column_names),
        rows["product_id"],
        horizon_days=project.settings.time.horizon_days,
    )
    cost = project.settings.capacity.play_cost_usd
    return rows.join(scores).assign(
        value_usd=scores["propensity"] * rows["expected_arr_usd"] - cost,
        owner_key=rows["owner_id"].map(owner_key, na_action=None).astype("str"),
    )


def build_scores(prepared: Prepared, table: PairTable, decided: pd.DataFrame, bundle: Ranker) -> pd.DataFrame:
    """Build `scores.parquet`: every account × product, customers or not, owned or not.

    `rank` is within the product among scored pairs, 1 = most likely; ties go by account_id.
    """
    keys = ["account_id", "product_id"]
    accounts = prepared.facts.connection.execute(
        "select distinct account_id from facts.accounts where _event_on < $as_of and _known_on < $as_of",
        {"as_of": prepared.as_of},
    ).df()
    products = pd.DataFrame({"product_id": prepared.project.catalog.product_ids}, dtype="str")
    grid = accounts.merge(products, how="cross")
    scores = grid.merge(table.pairs[[*keys, "status", "is_winback"]], on=keys, how="left", validate="1:1")
    # an account without a running subscription is no customer: nothing can be cross-sold to it
    scores["status"] = scores["status"].fillna("not_eligible")
    scored = [c for c in SCORE_COLUMNS if c in decided and c not in (*keys, "status", "as_of")]
    scores = scores.merge(decided[[*keys, *scored]], on=keys, how="left", validate="1:1")
    scores["as_of"] = pd.Timestamp(prepared.as_of).date()
    scores["winback"] = scores["is_winback"].astype("boolean").fillna(False).astype(bool)
    scores["launch_estimate"] = ~scores["product_id"].isin(_learnt(bundle))
    scores["model_version"] = bundle.version
    ordered = scores.sort_values(
        ["product_id", "propensity", "account_id"], ascending=[True, False, True], kind="stable"
    )
    rank = ordered.groupby("product_id").cumcount() + 1
    scores["rank"] = rank.reindex(scores.index).astype("Int64").mask(scores["propensity"].isna())
    return scores.sort_values(keys, kind="stable", ignore_index=True)[list(SCORE_COLUMNS)]


def explain_rows(
    rows: pd.DataFrame, table: PairTable, prepared: Prepared, bundle: Ranker
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add what the model says of a few rows: owned products, base rate, reasons and caution.

    Parameters
    ----------
    rows : pairs to be shown, each once, with their features and confirm_first.
    table, prepared, bundle : the date's pairs, the project and what scored.

    Returns
    -------
    DataFrame, DataFrame
        `rows` with owned_products, base_rate, launch_estimate, reasons, caution and whether each may be said; and
        the shares of the log-odds by family (account_id, product_id, family, share).
    """
    project = prepared.project
    names = {product.product_id: product.name for product in project.catalog}
    features = scored_frame(rows, table.columns, bundle.manifest.column_names)
    average = pd.DataFrame.from_dict(bundle.manifest.average_contributions, orient="index")
    contributions = _contributions(bundle, project, rows, features)
    comparisons = compare_listed(
        prepared.facts,
        project,
        rows[["account_id", "product_id"]],
        spine=table.spine,
        pairs=table.pairs,
        population=table.rows,
        as_of=prepared.as_of,
    )
    reasons = reasons_for(contributions, average, rows, table.columns, rows["product_id"], names, comparisons)
    reasons["caution"] = _with_confirmation(reasons["caution"], rows["confirm_first"])
    # what must be confirmed with a colleague first is nothing to tell a customer
    reasons["caution_sayable"] = reasons["caution_sayable"].mask(rows["confirm_first"].notna(), False)
    shares = family_shares(contributions, average, table.columns, rows["account_id"], rows["product_id"])
    owned = table.pairs[table.pairs["status"].eq("owned")]
    owned_names = owned["product_id"].map(names).groupby(owned["account_id"]).agg(lambda known: ", ".join(known))
    explained = rows.join(reasons).assign(
        owned_products=rows["account_id"].map(owned_names),
        launch_estimate=~rows["product_id"].isin(_learnt(bundle)),
        # a product that came after training is compared with the average one
        base_rate=rows["product_id"]
        .map(bundle.manifest.base_rates)
        .fillna(np.mean(list(bundle.manifest.base_rates.values()))),
    )
    return explained, shares


def _contributions(bundle: Ranker, project: Project, rows: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return pd.DataFrame(columns=[*features.columns, "baseline"], dtype=float)
    classifier = bundle.classifiers[project.settings.time.horizon_days]
    return classifier.contributions(features, product=rows["product_id"])


def _learnt(bundle: Ranker) -> set[str]:
    return set(bundle.manifest.product_ids) - set(bundle.manifest.launch_estimates)


def _with_confirmation(caution: pd.Series, confirm_first: pd.Series) -> pd.Series:
    """Put what could not be checked in front of the caution."""
    confirm = "confirm first: " + confirm_first
    return confirm.str.cat(caution, sep="; ").fillna(confirm).fillna(caution)
