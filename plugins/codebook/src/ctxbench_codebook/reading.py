"""Reading a carrier: its pictures, the code words that pages share, and the document."""

from __future__ import annotations

from ctxbench import Carrier, DecodeError
from ctxbench_codebook import document, shared
from ctxbench_codebook.document import Part
from ctxbench_codebook.page_reader import read_page
from ctxbench_codebook.shared import Sighting


def decode(carrier: Carrier) -> str:
    """The text of compressed pages, in any order, turned or mirrored.

    Raises:
        DecodeError: a page cannot be read or is missing (named), or the pages are not of one document.
    """
    parts: list[Part] = []
    sightings: list[Sighting] = []
    unreadable: list[str] = []
    for i, page in enumerate(carrier.pages):
        try:
            found = read_page(page)
        except DecodeError as error:
            unreadable.append(f"picture {i + 1}: {error}")
            continue
        if isinstance(found, Part):
            parts.append(found)
        else:
            sightings.append(found)
    joined, failed = shared.join(sightings)
    return document.join([*parts, *joined], [*failed, *unreadable])
