"""The resources as an API server knows them: CustomResourceDefinitions, made from the models.

Nothing here is written by hand twice: shapes, bounds and descriptions come from the models, and the rules across fields
(`unions`) name the models they belong to. `make crds` writes them; a drift check holds the written files to the models.
"""

from controller.policy.crds.definition import DEFINITIONS, HEAD, Definition

__all__ = ["DEFINITIONS", "HEAD", "Definition"]
