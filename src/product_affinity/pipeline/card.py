"""The model card that travels in a bundle: what it is for, what it was trained on, what it cannot know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment

from product_affinity.project import Project

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

## Backtest
{% if models %}

| model | AUC | AP | lift@10 % |
|---|---|---|---|
{% for model in models %}
| {{ model.model }} | {{ figure(model.auc) }} | {{ figure(model.ap) }} | {{ figure(model.lift) }} |
{% endfor %}
{% else %}

No backtest was run for this as-of date: `affinity backtest`.
{% endif %}

## What it cannot know

Past adopters were pitched by people who chose whom to pitch; the model learns that choice with the need behind it.
A probability is a chance of adopting, not readiness, and not the effect of calling.
"""
)


def model_card(project: Project, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Return the model card in Markdown."""
    return _CARD.render(
        figure=lambda value: "–" if value is None else f"{value:.3f}",
        launch_note="launch estimate: too few adoptions of its own",
        name=project.settings.project.name,
        horizons=", ".join(str(days) for days in manifest["horizons_days"]),
        trained_as_of=manifest["trained_as_of"],
        n_columns=len(manifest["columns"]),
        base_rates=manifest["base_rates"],
        launch=manifest["launch_estimates"],
        models=metrics.get("models", []),
    )
