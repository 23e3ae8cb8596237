"""A checksummed folder: written whole or not at all, and read only if every byte is the one written."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from product_affinity.errors import BundleError
from product_affinity.storage import sync

SUMS = "SHA256SUMS"
MAX_FILES = 20_000
MAX_FILE_BYTES = 256 * 1024**2
MAX_TOTAL_BYTES = 1024**3

_NEXT = "Copy the bundle again from an intact one, or make a new one with `affinity train`."
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_PATH = re.compile(rf"{_NAME}(/{_NAME})?")
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_PATH.pattern})")


def broken(place: Path | str, problem: str) -> BundleError:
    """Return the error for a bundle that must not be used: the place, what is wrong, what to do."""
    return BundleError(f"{place}: {problem}. {_NEXT}")


def checksums(files: Mapping[str, bytes]) -> bytes:
    r"""Return the content of `SHA256SUMS`: one line a file, sorted by path, as `sha256sum` writes it.

    >>> checksums({"b": b"", "a": b"x"}).decode().splitlines()[0][:12]
    '2d711642b726'
    """
    lines = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files)]
    return "".join(lines).encode()


def version_of(files: Mapping[str, bytes]) -> str:
    """Return the version of a folder: the first 12 hex digits of the SHA-256 of its `SHA256SUMS`."""
    return hashlib.sha256(checksums(files)).hexdigest()[:12]


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files and their `SHA256SUMS` to a new folder, which appears whole or not at all.

    Parameters
    ----------
    folder : where to write; an existing folder is kept if it holds the same bytes.
    files : content by path inside the folder, at most one level deep.

    Raises
    ------
    BundleError : the folder already holds something else, or a path is not allowed.
    """
    wrong = next((path for path in files if not _PATH.fullmatch(path) or path == SUMS), None)
    if wrong is not None:
        raise broken(folder, f"file name {wrong!a} is not allowed")
    if os.path.lexists(folder):
        if read_folder(folder) != dict(files):
            raise BundleError(f"{folder}: holds another bundle and keeps it. Choose a new folder.")
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(folder)
    try:
        _write_all(partial, {**files, SUMS: checksums(files)})
        partial.replace(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_file(path: Path, content: bytes) -> None:
    """Replace one file by new content, so that a reader sees the old bytes or the new ones."""
    partial = partial_path(path)
    try:
        _write_synced(partial, content)
        partial.replace(path)
        sync(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def partial_path(path: Path) -> Path:
    """Return a hidden name beside `path` under which it is prepared before it is moved into place."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        _write_synced(folder / path, content)
    for inner in sorted({(folder / path).parent for path in files} | {folder}):
        sync(inner)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_folder(folder: Path) -> dict[str, bytes]:
    """Read a folder made by `write_folder`; the returned bytes are the ones that were verified.

    Raises
    ------
    BundleError : something is missing, altered, unlisted, too large, a link or not readable.
    """
    try:
        if not folder.is_dir():
            raise broken(folder, "there is no bundle here")
        present = dict(sorted(_present(folder)))
        listed = _listed(folder, present)
        _check_names(folder, set(listed), set(present) - {SUMS})
        return {path: _verified(folder / path, digest) for path, digest in listed.items()}
    except OSError as error:
        raise broken(folder, f"not readable ({error.strerror})") from None


def _present(folder: Path, prefix: str = "") -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{prefix}{entry.name}"
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                yield path, status.st_size
            elif stat.S_ISDIR(status.st_mode) and not prefix:
                yield from _present(folder / entry.name, f"{path}/")
            else:
                raise broken(f"{folder / ascii(entry.name)}", "links, devices and nested folders are refused")


def _listed(folder: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    if SUMS not in sizes:
        raise broken(folder / SUMS, "missing")
    largest, total = max(sizes.values()), sum(sizes.values())
    if len(sizes) > MAX_FILES or largest > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
        limits = f"{MAX_FILES:,} files, {MAX_FILE_BYTES:,} bytes a file, {MAX_TOTAL_BYTES:,} bytes in all"
        raise broken(folder, f"larger than a bundle may be ({limits})")
    lines = (folder / SUMS).read_bytes().decode("ascii", "replace").split("\n")
    matches = [_LINE.fullmatch(line) for line in lines[:-1]]
    listed = {match[2]: match[1] for match in matches if match}
    if lines[-1] or len(listed) != len(matches) or list(listed) != sorted(listed):
        raise broken(folder / SUMS, "not a sorted list of checksums and plain paths")
    return listed


def _check_names(folder: Path, listed: set[str], present: set[str]) -> None:
    for path in sorted(listed - present):
        raise broken(folder / path, f"missing, though {SUMS} lists it")
    for path in sorted(present - listed):
        raise broken(folder, f"{path!a} is not listed in {SUMS}")


def _verified(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise broken(path, f"altered: its checksum is not the one in {SUMS}")
    return content
