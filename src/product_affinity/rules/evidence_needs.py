"""Evidence about the need behind a pair: features next to the target, problems, stakeholders, requests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.features.overwritten import Read, as_it_stands
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.readiness import Definitions

_ORDER = ["spine_row", "product"]


def need_evidence(
    facts: Facts, catalog: Catalog, definitions: Definitions, at: np.ndarray, product: np.ndarray, read: Read
) -> pd.DataFrame:
    """Build the columns about need, one row a pair.

    Needs the temp tables `as_of_dates` and `evidence_spine`.

    Parameters
    ----------
    facts : checked source tables.
    catalog : products with the problems they solve and the features next to them.
    definitions : look-backs and areas of problems.
    at, product : spine row and catalogue position of each pair's target.
    read : where tables with overwritten columns are read from.
    """
    as_of = facts.connection.execute("select as_of from evidence_spine order by spine_row").df()["as_of"]
    days = as_of.to_numpy().astype("datetime64[D]")[at]
    keys = pd.DataFrame({"spine_row": at, "product": product})
    problems = _spread(keys, _problems(facts, catalog))
    problems["problems"] = _none_unless(problems["problems"], days, _first_days(facts, "problems"))
    areas = _areas(catalog, definitions, problems["problem_tag"], product)
    return pd.concat(
        [
            _adjacent_uses(facts, catalog, definitions, keys, days),
            problems,
            _stakeholders(facts, keys, areas, days, read),
            _spread(keys, _requests(facts, catalog, definitions)),
        ],
        axis=1,
    )


def _spread(keys: pd.DataFrame, found: pd.DataFrame, on: list[str] | None = None) -> pd.DataFrame:
    on = on or _ORDER
    return keys[on].merge(found, on=on, how="left", validate="m:1").drop(columns=on)


def _first_days(facts: Facts, table: str, told: str = "true", read: Read = as_it_stands) -> pd.Series:
    """The first day a table tells of, per as-of date and as known then."""
    return (
        facts.connection.execute(
            f"select dates.as_of, min(fact._event_on) as first_on from {read(table)} as fact "
            f"join as_of_dates as dates on {usable('fact', 'dates.as_of')} where {told} group by all"
        )
        .df()
        .set_index("as_of")["first_on"]
    )


def _none_unless(count: pd.Series, days: np.ndarray, first: pd.Series) -> pd.Series:
    """A count: 0 where the source has begun and tells of none, unknown before."""
    begun = np.isin(days, first.index.to_numpy().astype("datetime64[D]"))
    filled = count.astype("float64")
    return filled.where(filled.notna() | ~begun, 0.0)


def _positions(catalog: Catalog, listed: str) -> pd.DataFrame:
    """Catalogue position of each product and each entry of one of its lists."""
    rows = [(position, entry) for position, product in enumerate(catalog) for entry in getattr(product, listed)]
    return pd.DataFrame(rows, columns=["product", "entry"]).astype({"product": "int64", "entry": "str"})


def _problems(facts: Facts, catalog: Catalog) -> pd.DataFrame:
    """Unsolved problems that a product solves: how many, and the last noted."""
    solved = as_known("problems", "solved_on", "fact", "dates.as_of")
    facts.connection.register("solves_frame", _positions(catalog, "solves").drop_duplicates())
    frame = facts.connection.execute(
        f"""
        -- grain: spine row × product with a problem
        select
            spine_row, solves.product, fact.problem_id, fact.tag as problem_tag, fact.statement as problem_statement,
            fact.source as problem_source, fact.noted_on as problem_noted_on,
            count(*) over (partition by spine_row, solves.product) as problems
        from facts.problems as fact
        join as_of_dates as dates on {usable("fact", "dates.as_of")}
        join evidence_spine as spine on spine.account_id = fact.account_id and spine.as_of = dates.as_of
        join solves_frame as solves on solves.entry = fact.tag
        where ({solved}) is null
        qualify row_number() over (
            partition by spine_row, solves.product order by fact.noted_at desc, fact.problem_id
        ) = 1
        """
    ).df()
    facts.connection.unregister("solves_frame")
    return frame


def _areas(catalog: Catalog, definitions: Definitions, tag: pd.Series, product: np.ndarray) -> pd.Series:
    """Area that owns the problem: as configured for its tag, else the category of the product."""
    category = pd.Series([each.category or None for each in catalog], dtype="str")
    area = category.take(product).reset_index(drop=True)
    configured = pd.Series(definitions.problem_areas, dtype="str").reindex(tag).reset_index(drop=True)
    return configured.fillna(area).astype("str").str.strip().str.lower()


def _stakeholders(facts: Facts, keys: pd.DataFrame, area: pd.Series, days: np.ndarray, read: Read) -> pd.DataFrame:
    """Named current contacts of the area: how many, and whom to speak to.

    Champions first, then sponsors, then who was spoken to last, then contact_id.
    """
    left = as_known("contacts", "to_on", "fact", "dates.as_of")
    touched = as_known("contacts", "last_touch_on", "fact", "dates.as_of")
    frame = facts.connection.execute(
        f"""
        -- grain: spine row × area with a named contact
        select
            spine_row, lower(trim(fact.area)) as stakeholder_area, fact.contact_id as stakeholder_id,
            fact.name as stakeholder_name, fact.role as stakeholder_role,
            count(*) over (partition by spine_row, lower(trim(fact.area))) as stakeholders
        from {read("contacts")} as fact
        join as_of_dates as dates on {usable("fact", "dates.as_of")}
        join evidence_spine as spine on spine.account_id = fact.account_id and spine.as_of = dates.as_of
        where ({left}) is null and trim(fact.name) <> '' and trim(fact.area) <> ''
            and not coalesce(fact.opted_out, false)
        qualify row_number() over (
            partition by spine_row, lower(trim(fact.area))
            order by coalesce(fact.is_champion, false) desc, coalesce(fact.is_sponsor, false) desc,
                ({touched}) desc nulls last, fact.contact_id
        ) = 1
        """
    ).df()
    frame["stakeholder_area"] = frame["stakeholder_area"].astype("str")
    asked = keys[["spine_row"]].assign(stakeholder_area=area)
    found = _spread(asked, frame, ["spine_row", "stakeholder_area"]).assign(stakeholder_area=area)
    counted = _none_unless(found["stakeholders"], days, _first_days(facts, "contacts", "fact.area is not null", read))
    return found.assign(stakeholders=counted.where(area.notna()))


def _adjacent_uses(
    facts: Facts, catalog: Catalog, definitions: Definitions, keys: pd.DataFrame, days: np.ndarray
) -> pd.DataFrame:
    """Uses of features next to the target in the look-back; unknown where no customer's use of any is tracked."""
    facts.connection.register("adjacent_frame", _positions(catalog, "adjacent_features").drop_duplicates())
    frame = facts.connection.execute(
        f"""
        -- grain: account × target × as-of date with a use
        select fact.account_id, dates.as_of, adjacent.product, sum(fact.uses) as adjacent_uses, spine.spine_row
        from facts.feature_usage as fact
        join adjacent_frame as adjacent on adjacent.entry = fact.feature
        join as_of_dates as dates
            on {usable("fact", "dates.as_of")} and fact.date >= dates.as_of - {definitions.feature_days}
        left join evidence_spine as spine on spine.account_id = fact.account_id and spine.as_of = dates.as_of
        group by all
        """
    ).df()
    facts.connection.unregister("adjacent_frame")
    tracked = frame[["product", "as_of"]].drop_duplicates().assign(is_tracked=True)
    customers = frame[frame["spine_row"].notna()].astype({"spine_row": "int64"})
    uses = _spread(keys, customers[[*_ORDER, "adjacent_uses"]])["adjacent_uses"].astype("float64")
    asked = keys[["product"]].assign(as_of=days.astype("datetime64[us]"))
    tracked["as_of"] = tracked["as_of"].astype("datetime64[us]")
    is_tracked = asked.merge(tracked, on=["product", "as_of"], how="left", validate="m:1")["is_tracked"].notna()
    return pd.DataFrame({"adjacent_uses": uses.where(uses.notna() | ~is_tracked, 0.0)})


def _requests(facts: Facts, catalog: Catalog, definitions: Definitions) -> pd.DataFrame:
    """The last explicit request for each product."""
    products = pd.DataFrame({"product_id": catalog.product_ids}, dtype="str").reset_index(names="product")
    facts.connection.register("product_frame", products)
    frame = facts.connection.execute(
        f"""
        -- grain: spine row × product with a request
        select spine_row, product.product, max(fact.happened_on) as request_on
        from facts.signals as fact
        join as_of_dates as dates
            on {usable("fact", "dates.as_of")} and fact.happened_on >= dates.as_of - {definitions.request_days}
        join evidence_spine as spine on spine.account_id = fact.account_id and spine.as_of = dates.as_of
        join product_frame as product on product.product_id = fact.product_id
        where fact.kind = 'request'
        group by all
        """
    ).df()
    facts.connection.unregister("product_frame")
    return frame
