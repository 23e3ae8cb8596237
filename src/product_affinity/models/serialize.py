"""A fitted classifier as texts: LightGBM model texts and one JSON file. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from product_affinity.models.calibration import Sigmoid
from product_affinity.models.classifier import PropensityClassifier
from product_affinity.models.encoding import ColumnCode, FrameEncoder
from product_affinity.models.fitted import Candidates, FittedBlend, Head, Offset
from product_affinity.models.linear_terms import LinearTerms
from product_affinity.models.product_prior import ProductPrior
from product_affinity.models.ridge import RidgeModel
from product_affinity.models.structure import canonical_text
from product_affinity.models.trees import load_booster

FORMAT = 4
_JSON = "classifier.json"


def classifier_to_texts(classifier: PropensityClassifier) -> dict[str, str]:
    """File name → text, enough to score exactly like the classifier.

    Parameters
    ----------
    classifier : PropensityClassifier
        Fitted.

    Returns
    -------
    dict
        ``classifier.json``, ``pooled-<seed>.txt`` and ``head-<product code>-<seed>.txt``; names of
        products appear only inside the JSON.

    """
    check_is_fitted(classifier)
    model: FittedBlend = classifier._model
    ensembles = {"pooled": model.candidates.pooled}
    ensembles |= {f"head-{code}": head.boosters for code, head in sorted(model.candidates.heads.items())}
    columns = len(model.encoder.columns)
    texts = {
        f"{stem}-{seed}.txt": canonical_text(booster.model_to_string(), columns)
        for stem, boosters in ensembles.items()
        for seed, booster in enumerate(boosters)
    }
    document = {
        "format": FORMAT,
        "parameters": _parameters(classifier),
        "classes": classifier.classes_.tolist(),
        "columns": _column_names(classifier),
        "column_count": classifier.n_features_in_,
        "model": _model_document(model),
    }
    texts[_JSON] = json.dumps(document, indent=1, sort_keys=True, allow_nan=False, default=_plain) + "\n"
    return texts


def classifier_from_texts(texts: Mapping[str, str]) -> PropensityClassifier:
    """The classifier that :func:`classifier_to_texts` wrote.

    Raises
    ------
    ValueError
        If a text is missing, malformed, or a booster's structure is broken.

    """
    if _JSON not in texts:
        raise ValueError(f"{_JSON} is missing from the texts ({', '.join(sorted(texts)[:3])} …).")
    try:
        document = json.loads(texts[_JSON], parse_constant=_finite, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(f"{_JSON}: no JSON ({error}).") from error
    try:
        if document["format"] != FORMAT:
            raise ValueError(f"{_JSON}: format {document['format']!r} is not {FORMAT}.")
        return _rebuilt(document, texts)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{_JSON}: malformed ({type(error).__name__}: {error}).") from error


def _plain(value: object) -> object:
    """A numpy scalar among the parameters (a grid search passes such) as what JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be written to {_JSON}.")


def _finite(text: str) -> float:
    number = float(text)
    if not np.isfinite(number):
        raise ValueError(f"{_JSON}: {text} is no finite number.")
    return number


def _rebuilt(document: Mapping[str, Any], texts: Mapping[str, str]) -> PropensityClassifier:
    parameters = dict(document["parameters"])
    if parameters["monotone"] is not None:
        parameters["monotone"] = dict(map(tuple, parameters["monotone"]))
    parameters["candidates"] = tuple(parameters["candidates"])
    classifier = PropensityClassifier(**parameters)
    classifier.classes_ = np.array(document["classes"])
    classifier.n_features_in_ = int(document["column_count"])
    if document["columns"] is not None:
        classifier.feature_names_in_ = np.array(document["columns"], dtype=object)
    classifier._model = _model(document["model"], texts)
    _check_columns(classifier._model, document["columns"], classifier.n_features_in_)
    classifier._publish()
    return classifier


def _parameters(classifier: PropensityClassifier) -> dict[str, Any]:
    parameters: dict[str, Any] = classifier.get_params(deep=False)
    monotone = parameters["monotone"]
    # pairs, because a JSON object would turn positions into text
    parameters["monotone"] = None if monotone is None else [list(item) for item in monotone.items()]
    parameters["candidates"] = list(parameters["candidates"])
    if not isinstance(parameters["categorical"], str):
        parameters["categorical"] = list(parameters["categorical"])
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = None
    return parameters


def _column_names(classifier: PropensityClassifier) -> list[str] | None:
    names = getattr(classifier, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _model_document(model: FittedBlend) -> dict[str, Any]:
    candidates = model.candidates
    return {
        "encoder": asdict(model.encoder),
        "offset": None if model.offset is None else asdict(model.offset),
        "products": list(model.products),
        "names": list(model.names),
        "base": candidates.base,
        "levels": list(candidates.levels),
        "pooled": len(candidates.pooled),
        "heads": [
            {"product": code, "base": head.base, "boosters": len(head.boosters)}
            for code, head in sorted(candidates.heads.items())
        ],
        "ridge": None if candidates.ridge is None else _ridge_document(candidates.ridge),
        "sigmoids": [asdict(sigmoid) for sigmoid in model.sigmoids],
        "weights": model.weights.tolist(),
        "unseen": model.unseen.tolist(),
        "blended": asdict(model.blended),
        "recency": model.recency,
        "recent": list(model.recent),
        "later": list(model.later),
    }


def _ridge_document(ridge: RidgeModel) -> dict[str, Any]:
    return {
        "terms": asdict(ridge.terms),
        "pooled": ridge.pooled.tolist(),
        "prior": {"spread": ridge.prior.spread.tolist(), "centre": ridge.prior.centre, "level": ridge.prior.level},
        "products": [[code, beta.tolist()] for code, beta in sorted(ridge.products.items())],
        "levels": list(ridge.levels),
    }


def _model(document: Mapping[str, Any], texts: Mapping[str, str]) -> FittedBlend:
    encoder = _encoder(document["encoder"])
    columns = len(encoder.columns)
    offset = None if document["offset"] is None else Offset(**document["offset"])

    def boosters(stem: str, count: int) -> tuple[Any, ...]:
        if count < 0:
            raise ValueError(f"{_JSON}: {count} boosters of {stem}.")
        return tuple(_booster(texts, f"{stem}-{seed}.txt", columns) for seed in range(count))

    heads = {
        int(head["product"]): Head(float(head["base"]), boosters(f"head-{int(head['product'])}", head["boosters"]))
        for head in document["heads"]
    }
    blend = FittedBlend(
        encoder=encoder,
        offset=offset,
        products=_products(document["products"]),
        names=tuple(document["names"]),
        candidates=Candidates(
            base=float(document["base"]),
            pooled=boosters("pooled", document["pooled"]),
            levels=tuple(map(float, document["levels"])),
            heads=heads,
            ridge=_ridge(document["ridge"], columns),
        ),
        sigmoids=tuple(_sigmoid(sigmoid) for sigmoid in document["sigmoids"]),
        weights=np.array(document["weights"], dtype=np.float64),
        unseen=np.array(document["unseen"], dtype=np.float64),
        blended=_sigmoid(document["blended"]),
        recency=float(document["recency"]),
        recent=tuple(map(float, document["recent"])),
        later=_products(document["later"]),
    )
    _check_sizes(blend)
    return blend


def _products(names: Sequence[Any]) -> tuple[str | int, ...]:
    if not all(isinstance(name, str | int) for name in names):
        raise ValueError(f"{_JSON}: a product is neither text nor a number.")
    return tuple(names)


def _check_columns(model: FittedBlend, names: Sequence[str] | None, count: int) -> None:
    """Refuse what would be missing, or found in another column, only when scoring."""
    encoder, offset = model.encoder, model.offset
    features = [str(at) for at in range(count)] if names is None else list(names)
    if len(set(features)) != count or not all(isinstance(name, str) for name in features):
        raise ValueError(f"{_JSON}: columns are neither null nor {count} different texts.")
    if encoder.named != (names is not None):
        raise ValueError(f"{_JSON}: the encoder's columns are named and the table's are not, or the reverse.")
    if offset is not None and features[offset.position] != offset.column:
        raise ValueError(f"{_JSON}: offset {offset.column!r} is not column {offset.position} of the table.")
    if offset is not None:
        del features[offset.position]
    if sorted((column.position, column.name) for column in encoder.columns) != list(enumerate(features)):
        raise ValueError(f"{_JSON}: the encoder's columns are not those of the table.")


def _check_sizes(blend: FittedBlend) -> None:
    products, names = max(1, len(blend.products)), len(blend.names)
    sigmoids = (*blend.sigmoids, blend.blended)
    ridge = blend.candidates.ridge
    levels = [blend.candidates.levels, ridge.levels if ridge else (), *(part.intercepts for part in sigmoids)]
    optional = [(values, products) for values in levels]
    optional.append((blend.recent, len(blend.products) + len(blend.later)))
    sizes = [
        ("weights", blend.weights.shape, (products, names)),
        ("unseen", blend.unseen.shape, (names,)),
        ("sigmoids", len(blend.sigmoids), names),
        *(("intercepts", len(values), size) for values, size in optional if values),
    ]
    if ridge is not None:
        betas = [ridge.pooled, *ridge.products.values()]
        sizes += [("ridge coefficients", beta.shape, (1 + ridge.terms.size,)) for beta in betas]
        sizes.append(("ridge spread", ridge.prior.spread.shape, (ridge.terms.size,)))
    for what, found, expected in sizes:
        if found != expected:
            raise ValueError(f"{_JSON}: {what} of size {found}, not {expected}.")


def _booster(texts: Mapping[str, str], name: str, columns: int) -> Any:
    if name not in texts:
        raise ValueError(f"{name} is missing.")
    try:
        return load_booster(texts[name], columns)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _encoder(document: Mapping[str, Any]) -> FrameEncoder:
    columns = tuple(
        ColumnCode(
            str(column["name"]),
            int(column["position"]),
            None if column["levels"] is None else tuple(map(str, column["levels"])),
            None if column["typical"] is None else float(column["typical"]),
        )
        for column in document["columns"]
    )
    return FrameEncoder(columns, bool(document["named"]))


def _sigmoid(document: Mapping[str, Any]) -> Sigmoid:
    return Sigmoid(
        float(document["centre"]), float(document["shift"]), float(document["slope"]),
        tuple(map(float, document["intercepts"])),
    )  # fmt: skip


def _ridge(document: Mapping[str, Any] | None, columns: int) -> RidgeModel | None:
    if document is None:
        return None
    terms, prior = document["terms"], document["prior"]
    linear = LinearTerms(
        numbers=tuple(map(int, terms["numbers"])),
        means=tuple(map(float, terms["means"])),
        scales=tuple(map(float, terms["scales"])),
        logs=tuple(map(float, terms["logs"])),
        missing=tuple(map(int, terms["missing"])),
        levels=tuple((int(column), int(code)) for column, code in terms["levels"]),
    )
    if any(not 0 <= at < columns for at in linear.sources):
        raise ValueError(f"{_JSON}: ridge names a column outside the {columns} of the encoder.")
    return RidgeModel(
        terms=linear,
        pooled=np.array(document["pooled"], dtype=np.float64),
        prior=ProductPrior(np.array(prior["spread"], dtype=np.float64), float(prior["centre"]), float(prior["level"])),
        products={int(code): np.array(beta, dtype=np.float64) for code, beta in document["products"]},
        levels=tuple(map(float, document["levels"])),
    )
