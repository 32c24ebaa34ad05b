"""Pinning images to the digests they were resolved to (JSON patch, RFC 6902)."""

from collections.abc import Iterable
from typing import Any

from controller.admission.subject import Subject
from controller.reference import Digest


def pin(images: Iterable[tuple[Subject, Digest | None]]) -> tuple[dict[str, Any], ...]:
    """The patch that adds each digest to the image text as its author wrote it.

    An image that carries a digest already, and one that was not resolved, stay as they are: validation judges them. Each
    replacement is preceded by a test of what it replaces, so that the patch fails rather than changes something else.
    """
    operations: list[dict[str, Any]] = []
    for subject, digest in images:
        if digest is not None and "@" not in subject.image:
            operations.append({"op": "test", "path": subject.pointer, "value": subject.image})
            operations.append({"op": "replace", "path": subject.pointer, "value": f"{subject.image}@{digest}"})
    return tuple(operations)
