"""The model card that travels in a bundle: what it is for, what it was trained on, what it cannot know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment

from product_affinity.features.unproven import Unproven
from product_affinity.project import Project

SHOWN = ("auc", "ap", "lift", "log_loss_skill", "observed_over_expected")
_CARD = Environment(autoescape=False, trim_blocks=True, lstrip_blocks=True).from_string(  # noqa: S701 - Markdown
    """# Model card: product affinity for {{ name }}

Predicts, for an active customer and a product it does not own, the probability of a first paid start within
{{ horizons }} days. Trained as of {{ trained_as_of }} with {{ n_columns }} inputs; nothing later was seen.

## Products

| product | base rate | note |
|---|---|---|
{% for product, rate in base_rates.items() %}
| {{ product }} | {{ "%.2f" | format(100 * rate) }} % | {{ launch_note if product in launch }} |
{% endfor %}

## How it is made

Blended in log-odds by evidence of inner folds: {{ candidates }}, bagged fits each: {{ n_seeds }}, seed {{ seed }}.
The level follows the last three months. Signal families: {{ families }}.

## Backtest
{% if models %}

Rolling, purged test windows: {{ folds }}, with {{ pairs }} pairs, {{ adoptions }} first-time adoptions, base rate
{{ base_rate }} %. Skill is the share of the base rates' log-loss that a model saves, O/E observed ÷ expected
adoptions; intervals are 95 %, over accounts.

| model | AUC | AP | lift@10 % | skill | O/E |
|---|---|---|---|---|---|
{% for model in models %}
| {{ model.model }} | {% for name in shown %}{{ figure(model, name) }} |{{ " " if not loop.last }}{% endfor %}

{% endfor %}
{% else %}

History is too short for a backtest, so nothing is known of its quality and it cannot be promoted.
{% endif %}

## What its inputs rest on
{% if left_out or not_provable %}

Point in time cannot be proven where a source keeps no history.
{% for found in not_provable %}
- used as it stands: `{{ found.source }}` {{ found.why }}: {{ found.columns | join(", ") }}
{% endfor %}
{% for found in left_out %}
- left out, in training as in scoring: `{{ found.source }}` {{ found.why }}: {{ found.columns | join(", ") }}
{% endfor %}
{% else %}

Sources with a history: `affinity features --audit` proves every input in time.
{% endif %}

## What it is for

Ranking accounts for people who decide whom to talk to, and weighing that by expected ARR. It is not for prices, for
credit, for judging people, or for contacting anybody without a person's look. It scores only with the feature
definitions whose fingerprints it carries, and it ages: `affinity promote` refuses it when it is old.

## What it cannot know

Past adopters were pitched by people who chose whom to pitch; the model learns that choice with the need behind it.
A probability is a chance of adopting, not readiness, and not the effect of calling.
"""
)


def model_card(
    project: Project, manifest: Mapping[str, Any], metrics: Mapping[str, Any], unproven: Sequence[Unproven] = ()
) -> str:
    """Return the model card in Markdown.

    Parameters
    ----------
    project : for its name.
    manifest : of the bundle.
    metrics : of the backtest, empty without one.
    unproven : source columns without a history that inputs rest on.
    """
    estimator, counts = manifest["estimator"], {row["population"]: row for row in metrics.get("counts", [])}
    tested = counts.get("first_time", {"pairs": 0, "adoptions": 0, "base_rate": 0.0})
    return _CARD.render(
        adoptions=f"{tested['adoptions']:,}",
        base_rate=f"{100 * (tested['base_rate'] or 0):.2f}",
        base_rates=manifest["base_rates"],
        candidates=", ".join(estimator["candidates"]),
        families=", ".join(manifest["families"]),
        figure=_figure,
        folds=len(metrics.get("folds", [])),
        horizons=", ".join(str(days) for days in manifest["horizons_days"]),
        launch=manifest["launch_estimates"],
        left_out=[found for found in unproven if found.withheld],
        launch_note="launch estimate: too few adoptions of its own",
        models=metrics.get("models", []),
        n_columns=len(manifest["columns"]),
        n_seeds=estimator["n_seeds"],
        name=project.settings.project.name,
        not_provable=[found for found in unproven if not found.withheld],
        pairs=f"{tested['pairs']:,}",
        seed=estimator["random_state"],
        shown=SHOWN,
        trained_as_of=manifest["trained_as_of"],
    )


def _figure(model: Mapping[str, Any], name: str) -> str:
    low, high = model["intervals"][name]
    if model[name] is None:
        return "–"
    return f"{model[name]:.3f}" if low is None else f"{model[name]:.3f} [{low:.3f}, {high:.3f}]"
