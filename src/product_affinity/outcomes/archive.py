"""Is a workbook safe to open? Decided from the archive alone, before any of its XML is parsed."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib

from product_affinity.errors import UsageError

FILE_BYTES, UNPACKED_BYTES, MOST_PARTS = 20_000_000, 200_000_000, 1_000
_OLD_OR_LOCKED = b"\xd0\xcf\x11\xe0"
_CHUNK = 1 << 20
#: what deflate, bzip2 and LZMA raise, which zipfile lets through
_DAMAGED_DATA = (zlib.error, OSError, lzma.LZMAError)
_REFUSED = (
    ("vbaproject", "holds macros"),
    ("xl/macrosheets/", "holds macros"),
    ("xl/externallinks/", "links to other files"),
    ("xl/connections", "links to a data source"),
    ("xl/querytables/", "links to a data source"),
    ("xl/embeddings/", "holds embedded files"),
    ("xl/activex/", "holds controls"),
)


def check_archive(name: str, content: bytes) -> None:
    """Refuse a workbook with macros, links to elsewhere, embedded files or more in it than a list can have.

    Parameters
    ----------
    name : the file's name, for the message.
    content : its bytes.

    Raises
    ------
    UsageError : why the file is refused, and what to send instead.
    """
    if not name.lower().endswith(".xlsx"):
        raise UsageError(f"{name}: not an .xlsx file. Save it as .xlsx, which holds no macros, and send that.")
    if content.startswith(_OLD_OR_LOCKED):
        raise UsageError(f"{name}: protected by a password or in the old format. Save it as plain .xlsx.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            fault = _fault(archive)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError, *_DAMAGED_DATA):
        # what zipfile raises for a damaged, encrypted or unknown archive: all is one to the sender
        fault = "no readable .xlsx file"
    if fault:
        raise UsageError(
            f"{name}: refused, {fault}. Send the workbook that was published, with only its status filled in."
        )


def _fault(archive: zipfile.ZipFile) -> str | None:
    parts = archive.infolist()
    if len(parts) > MOST_PARTS:
        return f"{len(parts):,} parts in it, at most {MOST_PARTS:,}"
    # A part unpacks to what its entry declares and no byte more, so the sum of what is declared is a bound.
    unpacked = sum(part.file_size for part in parts)
    if unpacked > UNPACKED_BYTES:
        return f"it unpacks to {unpacked / 1e6:,.0f} MB, at most {UNPACKED_BYTES / 1e6:,.0f} MB"
    for part in parts:
        lowered = part.filename.lower().lstrip("/")
        found = next((why for sign, why in _REFUSED if sign in lowered), None)
        if found:
            return f"it {found}"
        if lowered.endswith((".xml", ".rels", ".vml")):
            found = _xml_fault(archive, part)
            if found:
                return found
    return None


def _xml_fault(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> str | None:
    """Look for what no spreadsheet writes: definitions of entities, and encodings that would hide them."""
    tail = b""
    with archive.open(part) as file:
        while chunk := file.read(_CHUNK):
            text = tail + chunk
            if (not tail and b"\x00" in text[:4]) or text[:2] in (b"\xff\xfe", b"\xfe\xff"):
                return f"{part.filename[:60]} is not UTF-8"
            if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
                return f"{part.filename[:60]} defines entities"
            if b"macroEnabled" in text and part.filename == "[Content_Types].xml":
                return "it holds macros"
            tail = text[-16:]
    return None
