"""The model card: what a reader must not have to look for elsewhere."""

from __future__ import annotations

from types import SimpleNamespace

from product_affinity.pipeline.card import SHOWN, model_card

PROJECT = SimpleNamespace(settings=SimpleNamespace(project=SimpleNamespace(name="Acme")))
MANIFEST = {
    "horizons_days": [30, 90],
    "trained_as_of": "2026-06-30",
    "columns": [{"name": "a"}, {"name": "b"}],
    "base_rates": {"crm": 0.0123, "new": 0.02},
    "launch_estimates": ["new"],
    "estimator": {"candidates": ["pooled", "ridge"], "n_seeds": 3, "random_state": 7},
    "families": {"usage": "ab", "health": "cd"},
}
METRICS = {
    "folds": [{}, {}],
    "counts": [{"population": "first_time", "pairs": 1234, "adoptions": 56, "base_rate": 0.0454}],
    "models": [
        {"model": "blend", **dict.fromkeys(SHOWN, 0.7), "intervals": dict.fromkeys(SHOWN, (0.6, 0.8))},
        {"model": "popularity", **dict.fromkeys(SHOWN), "intervals": dict.fromkeys(SHOWN, (None, None))},
    ],
}


def test_figures_stand_beside_a_baseline_and_a_base_rate():
    card = model_card(PROJECT, MANIFEST, METRICS)
    assert "30, 90 days. Trained as of 2026-06-30 with 2 inputs" in card
    assert "| crm | 1.23 % |  |" in card
    assert "| new | 2.00 % | launch estimate: too few adoptions of its own |" in card
    assert "| blend | " + " | ".join(["0.700 [0.600, 0.800]"] * 5) + " |" in card
    assert "| popularity | " + " | ".join(["–"] * 5) + " |" in card
    assert "1,234 pairs, 56 first-time adoptions, base rate\n4.54 %" in card
    assert "pooled, ridge, bagged fits each: 3, seed 7" in card


def test_without_a_backtest_it_says_so():
    card = model_card(PROJECT, MANIFEST, {})
    assert "cannot be promoted" in card
    assert "| blend |" not in card
