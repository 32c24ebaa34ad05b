"""What every part of a trust policy's model shares."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Part(BaseModel):
    """A part of a resource: camelCase, no unknown field, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=False)


@dataclass(frozen=True, slots=True)
class Later:
    """Marks a field whose judgement does not exist yet: a policy that sets it is refused, it is never silently ignored."""


LATER: Final = Later()
