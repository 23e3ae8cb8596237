"""Read CSV files as text, exactly as written: `00012`, `NA` and `1E5` stay what they are.

Only an empty cell is missing. The delimiter comes from the header line and all else is fixed (RFC 4180, UTF-8
with or without byte order mark): guessing from a sample would make the result depend on the sample.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from product_affinity.errors import ContractError
from product_affinity.schema.sql import quote_text

DELIMITERS = ",;\t|"


def csv_relation(path: Path) -> str:
    """SQL relation of a CSV file with every column as text.

    Raises
    ------
    ContractError : the file has no header, an unnamed or repeated column, or is not UTF-8.
    """
    names, delimiter = read_header(path)
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({quote_text(str(path))}, auto_detect = false, header = true, "
        f"""delim = {quote_text(delimiter)}, quote = '"', escape = '"', columns = {{{columns}}})"""
    )


def read_header(path: Path) -> tuple[tuple[str, ...], str]:
    """Return the column names and the delimiter of a CSV file.

    Raises
    ------
    ContractError : the file has no header, an unnamed or repeated column, or is not UTF-8.
    """
    try:
        # Faults below the header are the engine's to find, because it knows their line.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            line = file.readline()
            delimiter = _delimiter(line)
            file.seek(0)
            names = next(csv.reader(file, delimiter=delimiter), [])
            "".join(names).encode()
    except UnicodeEncodeError:
        raise ContractError(f"{path.name}:1: not UTF-8. Save the file as UTF-8.") from None
    except (csv.Error, OSError) as error:
        raise ContractError(f"{path.name}: header not readable ({error})") from None
    _check_header(path, names)
    return tuple(names), delimiter


def _delimiter(header: str) -> str:
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=unquoted.count)


def _check_header(path: Path, names: list[str]) -> None:
    if not names:
        raise ContractError(f"{path.name}: empty file, not even a header line with column names")
    lowered = [name.strip().lower() for name in names]
    if "" in lowered:
        raise ContractError(f"{path.name}:1: column {lowered.index('') + 1} has no name")
    repeated = next((name for name in lowered if lowered.count(name) > 1), None)
    if repeated is not None:
        raise ContractError(f"{path.name}:1: column {names[lowered.index(repeated)]} appears twice")


def engine_message(error: Exception) -> str:
    r"""Say in one line what the engine says in many; a CSV fault keeps its line number.

    >>> engine_message(Exception("Binder Error: no column x\n\nLINE 1: select x"))
    'no column x'
    >>> engine_message(Exception("Invalid Input Error: CSV Error on Line: 3\nOriginal Line: a,b\nToo many"))
    'line 3: Too many'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", lines[0]) if lines else type(error).__name__
    on_line = re.search(r"CSV Error on Line: (\d+)", text)
    if on_line:
        detail = next((line for line in lines[1:] if not line.startswith("Original Line")), "not readable")
        return f"line {on_line.group(1)}: {detail}"
    return text
