"""`manifest.json` of a bundle: what the model was trained for, on which columns, and when."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator

from product_affinity.errors import UsageError
from product_affinity.project.model_spec import EstimatorSpec
from product_affinity.project.reading import StrictModel, validate
from product_affinity.registry.folder import broken

Text = Annotated[str, Field(min_length=1)]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Days = Annotated[int, Field(ge=1, le=730)]


class ManifestColumn(StrictModel):
    """One input of the model.

    Attributes
    ----------
    name : column name.
    kind : number, or category (text levels).
    family : signal family it comes from; None for a column of the spine, such as `is_winback`.
    """

    name: Text
    kind: Literal["number", "category"]
    family: Text | None = None


class Manifest(StrictModel):
    """What a scorer must know about a bundle before it uses the models in it.

    Attributes
    ----------
    schema_version : layout of the bundle.
    product_ids : products trained, in the catalogue's order.
    columns : inputs of every model of the bundle.
    families : signal family to the fingerprint of its definition at training time.
    trained_as_of : as-of date of the training run; nothing later was seen.
    horizons_days : one model each, ascending.
    thresholds : named cut-offs that belong to the models, all finite.
    base_rates : product to the share of its eligible pairs that adopted, in training.
    launch_estimates : products with too few adoptions of their own, ranked from the pooled model.
    estimator : settings of the classifiers, so that the recipe can be tried again beside a later one.
    average_contributions : product to input to its mean contribution in log-odds: what reasons are relative to.
    """

    schema_version: Literal[2] = 2
    product_ids: tuple[Text, ...] = Field(min_length=1)
    columns: tuple[ManifestColumn, ...] = Field(min_length=1)
    families: dict[str, Fingerprint] = Field(default_factory=dict)
    trained_as_of: dt.date
    horizons_days: tuple[Days, ...] = Field(min_length=1)
    thresholds: dict[str, Finite] = Field(default_factory=dict)
    base_rates: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    launch_estimates: tuple[Text, ...] = ()
    estimator: EstimatorSpec | None = None
    average_contributions: dict[str, dict[str, Finite]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        for what, names in (("product_ids", self.product_ids), ("columns", self.column_names)):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"{what}: {repeated[0]} appears twice")
        if list(self.horizons_days) != sorted(set(self.horizons_days)):
            raise ValueError("horizons_days: not ascending")
        for column in self.columns:
            if column.family is not None and column.family not in self.families:
                raise ValueError(f"columns: {column.name}: family {column.family} has no fingerprint")
        return self

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return tuple(column.name for column in self.columns)


AnyManifest = TypeVar("AnyManifest", bound=Manifest)


def manifest_from(content: Mapping[str, object], place: str) -> Manifest:
    """Check the manifest of a bundle and return it typed.

    Raises
    ------
    BundleError : every fault at once.
    """
    return typed_manifest(Manifest, content, place)


def typed_manifest(kind: type[AnyManifest], content: Mapping[str, object], place: str) -> AnyManifest:
    """Check a manifest of a kind and return it typed.

    Raises
    ------
    BundleError : every fault at once.
    """
    try:
        return validate(kind, dict(content), "manifest")
    except UsageError as error:
        raise broken(place, "; ".join(str(error).splitlines())) from None


def json_bytes(content: object) -> bytes:
    r"""Return canonical JSON: sorted keys, indented, floats that read back exactly; NaN and ±inf become null.

    >>> json_bytes({"b": float("nan"), "a": 0.1})
    b'{\n  "a": 0.1,\n  "b": null\n}\n'
    """
    text = json.dumps(_finite(content), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _finite(content: object) -> object:
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def json_object(content: bytes, place: str) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, no repeated key, no NaN.

    Raises
    ------
    BundleError : it is no such object.
    """
    try:
        read = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise broken(place, f"not readable as JSON ({error})") from None
    if not isinstance(read, dict):
        raise broken(place, "not a JSON object")
    return read


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key appears twice")
    return read


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
