import pytest

from product_affinity.models import PropensityClassifier

from .tables import pairs, single


@pytest.fixture(scope="package")
def pair_table():
    return pairs()


@pytest.fixture(scope="package")
def pair_model(pair_table):
    model = PropensityClassifier(n_seeds=1, monotone={"adjacent": 1})
    return model.fit(pair_table.X, pair_table.y, **pair_table.keys)


@pytest.fixture(scope="package")
def single_table():
    return single()


@pytest.fixture(scope="package")
def single_model(single_table):
    return PropensityClassifier(n_seeds=2).fit(single_table.X, single_table.y)
