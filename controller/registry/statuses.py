"""What an error status means: never "there is nothing", always "we do not know" (design, rule 10)."""

import json
from typing import Final

from controller.errors import Code, Undecided
from controller.registry.calls import Answer

_CODES: Final = {401: Code.UNAUTHORIZED, 403: Code.UNAUTHORIZED, 429: Code.RATE_LIMITED}
_LONGEST_QUOTE: Final = 200


def undecided(answer: Answer, what: str, *, hint: str = "") -> Undecided:
    """The error for an answer that is neither good nor "not found".

    Docker Hub and GitHub answer 401 and 403 for repositories that do not exist, so these say nothing about what is there.
    `hint` says whether a credential was sent, and why not.
    """
    code = _CODES.get(answer.status, Code.REGISTRY_ERROR)
    found = " ".join(part for part in (f"HTTP {answer.status}", said(answer)) if part)
    message = f"{what}: {answer.host} did not let us in" if code is Code.UNAUTHORIZED else f"{what}: {answer.host} failed"
    if code is Code.RATE_LIMITED:
        message = f"{what}: {answer.host} limits how often we may ask"
    return Undecided(code, f"{message} ({hint})" if hint else message, source=answer.host, found=found)


def said(answer: Answer) -> str:
    """The registry's own words: the first error of an OCI error document, else nothing."""
    try:
        error = json.loads(answer.body)["errors"][0]
        text = f"{error['code']}: {error.get('message') or ''}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    return text[:_LONGEST_QUOTE]
