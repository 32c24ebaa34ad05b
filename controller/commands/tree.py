"""`sigward tree`: what is attached to an image, and what of it is proved?"""

import argparse
import asyncio
import time
from collections.abc import Set as AbstractSet
from typing import Final, Literal

from controller.commands import attachments, exits, judging, options, session
from controller.commands.attachments import Attached, Inventory, Proof
from controller.commands.saying import say, style
from controller.compile.compiled import Snapshot
from controller.errors import Code, Undecided
from controller.reference import Digest, Reference
from controller.render import json, output
from controller.render.tree import Branch, Field, Mark, draw
from controller.settings import Limits, Settings

_EXAMPLES: Final = """\
  sigward tree registry.example.com/shop/web:1.4
  sigward tree registry.example.com/shop/web:1.4 --key cosign.pub
  sigward tree registry.example.com/shop/web:1.4 --policy policies/ --output json

Without --key or --policy everything is only found: anybody who may push can attach anything.

exit status: 0 everything was listed, 1 the image is not there or may not be believed, 2 wrong usage or input,
             3 a place could not be read
"""
_TITLES: Final = {
    "Signature": "signature",
    "Attestation": "attestation",
    "UnsignedAttestation": "unsigned attestation",
    "Other": "other",
    "Unreadable": "unreadable",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options.describe(
        parser,
        "List everything attached to an image: signatures, attestations, other artifacts, each proved or only found.",
        _EXAMPLES,
    )
    parser.add_argument("image", metavar="IMAGE", help="image reference, by tag or digest")
    options.add_trust(parser)
    options.add_registry(parser)
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """List; returns the exit status.

    Raises:
        SigwardError: The image could not be resolved, or the policies not be used.
    """
    settings = options.settings(arguments)
    reference = Reference.parse(arguments.image)
    policies = _policies(arguments, settings.limits)
    named = {reference.repository.registry} | (session.literal_registries(policies) if policies else frozenset())
    found = asyncio.run(_take(settings, arguments.timeout, named, reference, policies))
    code: Literal[0, 3] = exits.UNDECIDED if any(not gap.settled for gap in found.gaps) else exits.PASS
    say(_document(arguments.image, found, code), draw(_tree(arguments.image, found), style()), arguments)
    return code


def _policies(arguments: argparse.Namespace, limits: Limits) -> Snapshot | None:
    """Whom to trust; None where nothing was said of it."""
    if not (arguments.policy or options.says_whom(arguments)):
        return None
    trusted = options.trusted(arguments, limits)
    if trusted is None:
        return session.by_policies(arguments.policy, limits)
    return session.by_flags(trusted, judging.patterns([arguments.image]), limits)


async def _take(
    settings: Settings, patience: float, named: AbstractSet[str], reference: Reference, policies: Snapshot | None
) -> Inventory:
    try:
        async with asyncio.timeout(patience), session.session(settings, patience, named) as gate:
            origin = settings.origin(reference)
            return await attachments.take(gate.source, reference, origin, policies, settings.limits, time.time())
    except TimeoutError:
        raise Undecided(Code.DEADLINE, f"{reference} was not listed in time", source=reference.repository.registry) from None


def _tree(image: str, found: Inventory) -> Branch:
    fields = [Field("digest", str(found.digest)), Field("type", found.media_type)]
    if found.platforms:
        fields.append(Field("platforms", ", ".join(found.platforms)))
    if not found.judged:
        fields.append(Field("proved", "nothing: no --key or --policy about this image says whom to trust"))
    children = [_attached(entry, found.digest) for entry in found.attached]
    children += [
        Branch(f"{gap.place}: could not be read", Mark.OPEN, (Field("why", str(gap.reason)),)) for gap in found.gaps
    ]
    if not children:
        children = [Branch("nothing is attached", Mark.NOTE)]
    return Branch(image, Mark.NONE, tuple(fields), tuple(children))


def _attached(entry: Attached, digest: Digest) -> Branch:
    said = f" of type {entry.predicate_type}" if entry.predicate_type else ""
    title = f"{_TITLES[entry.what]}{said}: {entry.format or entry.type} at {entry.place}"
    fields = []
    if entry.about:
        fields.append(Field("about", entry.about))
    if entry.what == "UnsignedAttestation":
        fields.append(Field("trust", f"only through a signature on {digest.short}… itself"))
    if entry.reason:
        fields.append(Field("why", str(entry.reason)))
    proofs = tuple(map(_proof, entry.proofs))
    return Branch(title, _mark(entry), tuple(fields), proofs)


def _mark(entry: Attached) -> Mark:
    if entry.what == "Unreadable":
        return Mark.BAD
    if not entry.proofs:
        return Mark.NOTE
    return Mark.GOOD if entry.proved else Mark.BAD


def _proof(proof: Proof) -> Branch:
    name = f"{proof.authority} (policy {proof.policy})"
    if proof.reason is None:
        return Branch(f"{name}: proved, by {proof.signer}", Mark.GOOD)
    return Branch(f"{name}: {proof.reason} ({proof.reason.code})", Mark.NOTE)


def _document(image: str, found: Inventory, code: Literal[0, 3]) -> output.Tree:
    return output.Tree(
        version=1,
        exit_code=code,
        image=image,
        reference=str(found.reference),
        digest=str(found.digest),
        media_type=found.media_type,
        platforms=list(found.platforms),
        judged=found.judged,
        attachments=[_attachment(entry) for entry in found.attached],
        gaps=[output.Gap(gap.place, json.given(gap.reason)) for gap in found.gaps],
    )


def _attachment(entry: Attached) -> output.Attachment:
    proofs = [
        output.Proof(proof.policy, proof.authority, proof.reason is None, proof.signer, json.reason(proof.reason))
        for proof in entry.proofs
    ]
    return output.Attachment(
        what=entry.what,
        format=entry.format,
        place=entry.place,
        manifest=entry.manifest,
        type=entry.type,
        predicate_type=entry.predicate_type,
        about=entry.about,
        proved=entry.proved,
        proofs=proofs,
        reason=json.reason(entry.reason),
    )
