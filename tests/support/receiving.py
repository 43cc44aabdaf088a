"""The vectors of receiving: what partners may be sent, what is tried on it, and the verdicts."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "vectors" / "receiving.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))


def vectors_for(*abilities: str) -> list[dict[str, Any]]:
    """Give the vectors that need nothing but these abilities."""
    return [vector for vector in VECTORS if set(vector["needs"]) <= set(abilities)]


def write_vectors(folder: Path, vectors: list[dict[str, Any]]) -> Path:
    """Write vectors where a recipe can read them."""
    file = folder / "vectors.json"
    file.write_text(json.dumps(vectors, ensure_ascii=False), encoding="utf-8")
    return file
