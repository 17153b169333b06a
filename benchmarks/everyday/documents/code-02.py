from collections import Counter
from pathlib import Path


def extensions(folder: Path, most: int = 10) -> list[tuple[str, int]]:
    """The most frequent file extensions below a folder."""
    found = Counter(path.suffix.lower() for path in folder.rglob("*") if path.is_file())
    found.pop("", None)
    return found.most_common(most)


def rename(path: Path, stamp: str, taken: set[str]) -> Path:
    """A free name for a photo taken at ``stamp``; a letter is added where two were taken in the same second."""
    for letter in ("", *"abcdefghijklmnopqrstuvwxyz"):
        name = f"{stamp}{letter}{path.suffix.lower()}"
        if name not in taken and not path.with_name(name).exists():
            taken.add(name)
            return path.with_name(name)
    raise FileExistsError(f"{path}: 27 photos of {stamp}")
