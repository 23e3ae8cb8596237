"""Frames to matrices."""

import numpy as np
import pandas as pd
import pytest

from product_affinity.models.encoding import BLOCK_ROWS, MAX_LEVELS, fit_encoder, level_key


def encoded(frame, categorical="auto", rows=None):
    return fit_encoder(frame, categorical).encode(frame if rows is None else rows)


def test_columns_come_in_order_of_their_names():
    frame = pd.DataFrame({"b": [1, 2], "a": [3.0, 4.0]})
    np.testing.assert_array_equal(encoded(frame), np.array([[3, 1], [4, 2]], dtype=np.float32))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "float32", "uint8", "object"])
def test_every_kind_of_number_is_a_number(dtype):
    values = pd.array([1, 0, 1], dtype="Int64").astype(dtype)
    matrix = encoded(pd.DataFrame({"a": values}))
    assert matrix.dtype == np.float32
    assert matrix[:, 0].tolist() == [1, 0, 1]


def test_missing_values_of_every_kind_become_nan():
    frame = pd.DataFrame({"a": pd.array([1, pd.NA] * 30, dtype="Int64"), "b": ["x", None] * 30, "c": [None, True] * 30})
    assert np.isnan(encoded(frame)).tolist() == [[False, False, True], [True, True, False]] * 30


@pytest.mark.parametrize(("rows", "gaps", "own"), [(400, 29, False), (400, 30, True), (20_000, 39, False)])
def test_gaps_too_rare_to_learn_from_stand_for_what_is_typical(rows, gaps, own):
    frame = pd.DataFrame({"a": np.append(np.full(gaps, np.nan), np.arange(rows - gaps, dtype=float))})
    typical = fit_encoder(frame, "auto").columns[0].typical
    assert typical == (None if own else (rows - gaps - 1) / 2)
    outage = encoded(frame, rows=pd.DataFrame({"a": pd.array([pd.NA, 7], dtype="Float64")}))[:, 0]
    np.testing.assert_array_equal(outage, np.array([np.nan if own else typical, 7], dtype=np.float32))


@pytest.mark.parametrize("cell", [["x"], {"x": 1}, {"x"}])
def test_collections_are_refused_by_column_and_row(cell):
    frame = pd.DataFrame({"a": ["x", "y", "x"], "tags": ["x", cell, "y"]})
    with pytest.raises(ValueError, match=r"column 'tags': .* in row 1 is a collection"):
        fit_encoder(frame, "auto")
    with pytest.raises(ValueError, match=r"column 'tags': .* in row 1 is a collection"):
        encoded(frame.assign(tags="x"), rows=frame)


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_levels_become_codes_in_order_of_their_text(dtype):
    frame = pd.DataFrame({"a": pd.Series(["z", "y", "z", "x"], dtype=dtype)})
    assert encoded(frame)[:, 0].tolist() == [2, 1, 2, 0]
    unseen = pd.DataFrame({"a": pd.Series(["new", "y"], dtype=dtype)})
    matrix = encoded(frame, rows=unseen)[:, 0]
    assert np.isnan(matrix[0])
    assert matrix[1] == 1


def test_whole_numbers_named_as_levels_match_whether_int_or_float():
    frame = pd.DataFrame({"code": [7, 3, 7]})
    encoder = fit_encoder(frame, ["code"])
    rows = pd.DataFrame({"code": [3.0, np.nan, 7.0]})
    np.testing.assert_array_equal(encoder.encode(rows)[:, 0], np.array([0, np.nan, 1], dtype=np.float32))
    assert level_key(np.float64(3)) == level_key(np.int64(3)) == "3"


def test_only_the_most_frequent_levels_are_kept():
    names = [f"{at:04d}" for at in range(300)]
    frame = pd.DataFrame({"a": names + names[100:]})
    kept = fit_encoder(frame, "auto").columns[0].levels
    assert len(kept) == MAX_LEVELS
    # 200 names occur twice; of the rest the first by name fill up
    assert kept == tuple(names[: MAX_LEVELS - 200] + names[100:])


def test_blocks_are_seamless():
    frame = pd.DataFrame({"a": np.arange(2 * BLOCK_ROWS + 3), "b": -np.arange(2 * BLOCK_ROWS + 3)})
    np.testing.assert_array_equal(encoded(frame), frame.to_numpy(dtype=np.float32))


def test_some_rows_are_encoded_as_they_are_among_all():
    rng = np.random.default_rng(0)
    size = 3 * BLOCK_ROWS
    frame = pd.DataFrame(
        {
            "b": rng.choice(["x", "y", None], size),
            "a": rng.normal(size=size),
            "c": pd.Series(rng.integers(0, 9, size), dtype="Int64").mask(rng.random(size) < 0.1),
        }
    )
    encoder = fit_encoder(frame, "auto")
    rows = np.sort(rng.choice(size, 2 * BLOCK_ROWS + 5, replace=False))
    np.testing.assert_array_equal(encoder.encode(frame, rows), encoder.encode(frame)[rows])


def test_infinity_is_found_in_later_blocks():
    frame = pd.DataFrame({"a": np.zeros(BLOCK_ROWS + 10)})
    frame.loc[BLOCK_ROWS + 7, "a"] = -np.inf
    with pytest.raises(ValueError, match=f"'a': infinity .* in row {BLOCK_ROWS + 7}"):
        encoded(frame)


def test_an_empty_column_named_as_level_encodes_to_missing():
    frame = pd.DataFrame({"a": [None, None], "b": [1, 2]})
    assert np.isnan(encoded(frame, ["a"])[:, 0]).all()
