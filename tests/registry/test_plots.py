from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from product_affinity.models import classifier_to_texts
from product_affinity.registry.gains import chance_of_largest, gain_shares
from product_affinity.registry.plots import backtest_plots
from tests.registry.evidences import evidence


def test_plots_are_the_same_bytes_and_name_every_model():
    rows = evidence().predictions
    first, again = (backtest_plots(rows, ("blend", "popularity")) for _ in range(2))
    assert first == again
    assert sorted(first) == ["gain.svg", "reliability.svg"]
    for content in first.values():
        assert ET.fromstring(content).tag.endswith("svg")
    assert b"popularity" in first["gain.svg"]
    assert b"popularity" not in first["reliability.svg"]


def test_no_rows_no_plots():
    rows = evidence().predictions.assign(status="in_pipeline")
    assert backtest_plots(rows, ("blend",)) == {}


def test_gain_shares_sum_to_one_and_find_what_drives_adoption(classifiers):
    shares = gain_shares(classifiers[90])
    assert abs(sum(share for _, share in shares) - 1) < 1e-12
    assert shares[0][0] == "usage_active_users_mean_28d"
    assert shares[0][1] > 0.5
    assert [share for _, share in shares] == sorted((share for _, share in shares), reverse=True)


def test_inputs_without_gain_are_counted(classifiers):
    shares = gain_shares(classifiers[90])
    inputs = json.loads(classifier_to_texts(classifiers[90])["classifier.json"])["model"]["encoder"]["columns"]
    assert len(shares) == len(inputs)


@pytest.mark.parametrize(("share", "count"), [(0.45, 4), (0.3, 8), (0.6, 3)])
def test_chance_of_the_largest_share_is_that_of_a_broken_stick(share, count):
    cuts = np.sort(np.random.default_rng(0).random((200_000, count - 1)), axis=1)
    pieces = np.diff(cuts, axis=1, prepend=0, append=1)
    assert abs((pieces.max(axis=1) >= share).mean() - chance_of_largest(share, count)) < 0.005
