"""Read settings and specifications strictly: a typo stops the run with file, key and closest match."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from product_affinity.errors import UsageError, did_you_mean

Spec = TypeVar("Spec", bound=BaseModel)


class StrictModel(BaseModel):
    """A specification: unknown keys are refused, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    UsageError : the file is missing or is no TOML; the message names the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{path}: not found. Run inside a project folder, pass --project, or make one with `affinity init DIR`."
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: not readable ({error.strerror}). Pass the project folder with --project.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not readable as TOML ({error})") from None


def read_yaml(path: Path) -> Any:
    """Read a YAML 1.2 file (`NO` stays a string); duplicate keys are refused.

    Raises
    ------
    UsageError : the file is missing, is no YAML, or repeats a key; the message names the line.
    """
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: not readable ({error.strerror}). Restore it, or copy it from `affinity init DIR`."
        ) from None
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = (error.problem or "not readable as YAML").splitlines()[0]
        raise UsageError(f"{path}{line}: {problem}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not readable as UTF-8 ({error.reason})") from None
    except (YAMLError, ValueError) as error:
        # a control character, or a date like 2017-13-06
        raise UsageError(f"{path}: not readable as YAML ({' '.join(str(error).split())[:200]})") from None


def validate(model: type[Spec], content: Any, place: str) -> Spec:
    """Check `content` against a specification and return it typed.

    Parameters
    ----------
    model : the specification's class.
    content : what was read from the file.
    place : file name shown in messages.

    Raises
    ------
    UsageError : every fault at once, each with its key and, for unknown keys, the closest known one.
    """
    try:
        return model.model_validate(content if content is not None else {})
    except ValidationError as error:
        faults = [_describe(model, fault) for fault in error.errors(include_url=False)]
        raise UsageError("\n".join(f"{place}: {fault}" for fault in faults)) from None


def read_spec(path: Path, model: type[Spec], place: str) -> Spec:
    """Read a specification that may be absent: a file that is not there says what an empty one says.

    Parameters
    ----------
    path : the YAML file.
    model : the specification's class, every key of which has a default.
    place : file name shown in messages.

    Raises
    ------
    UsageError : as `read_yaml` and `validate`.
    """
    return validate(model, read_yaml(path), place) if path.exists() else model()


def refuse_faults(faults: Iterable[str], place: str) -> None:
    """Stop at what a specification's own form cannot tell, such as names that do not exist.

    Raises
    ------
    UsageError : there are faults; every one, each on a line with its place.
    """
    told = [f"{place}: {fault}" for fault in faults]
    if told:
        raise UsageError("\n".join(told))


def _describe(model: type[BaseModel], fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error" and isinstance(fault.get("input"), dict | BaseModel):
        # a rule of the whole entry: its text names the place, and its content would only bury it
        return f"{key}: {message}" if key else message
    if fault["type"] == "extra_forbidden":
        known = _known_keys(model, fault["loc"][:-1])
        return f"{key}: unknown key{did_you_mean(str(fault['loc'][-1]), known)}"
    if fault["type"] == "missing":
        return f"{key}: missing"
    shown = repr(fault.get("input"))
    return f"{key}: {message} (found {shown[:80]}){_closest(fault)}"


def _closest(fault: Any) -> str:
    """Say what may have been meant: the closest of the words allowed, the number in what is none, a list of one."""
    found, kind = fault.get("input"), fault["type"]
    if kind == "literal_error":
        return did_you_mean(str(found), re.findall(r"'([^']+)'", fault["ctx"]["expected"]))
    if kind in ("int_parsing", "int_from_float", "greater_than") and (number := re.search(r"[1-9]\d*", str(found))):
        return f" (did you mean {number[0]}?)"
    if kind in ("tuple_type", "list_type") and isinstance(found, str | int | float):
        return f" (did you mean [{found}]?)"
    return ""


def _known_keys(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Return the keys allowed where an unknown one was found, following nested models."""
    for part in location:
        field = model.model_fields.get(str(part)) or next(
            (f for f in model.model_fields.values() if f.alias == part), None
        )
        nested = _nested_model(field.annotation) if field is not None else model
        if nested is None:
            return []
        model = nested
    return [field.alias or name for name, field in model.model_fields.items()]


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _nested_model(argument)
        if found is not None:
            return found
    return None
