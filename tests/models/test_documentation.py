"""What the page about the classifier shows is what happens."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "propensity-classifier.md"


def test_the_examples_of_the_page_give_what_it_shows():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 25
    assert found.failed == 0
