"""Everything that a registry holds beside one image, and what of it is proved by whom.

Found is not proved: what an attachment says it is comes from whoever pushed it, until an authority verified it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from controller import formats
from controller.admission.subject import Workload
from controller.compile.compiled import CompiledPolicy, Snapshot
from controller.decision.applicable import applicable
from controller.decision.findings import Answer, Findings, Piece, opinions
from controller.errors import Reason, Refused, SigwardError, Undecided
from controller.evidence import COSIGN_SIGN_PREDICATE, Envelope, Evidence, Judge
from controller.formats import buildkit, statement
from controller.reference import Digest, Reference
from controller.registry.discovery import Attachment, Gap, Want, cosign_tag, discover
from controller.registry.source import Descriptor, Manifest, Source
from controller.settings import Limits

What = Literal["Signature", "Attestation", "UnsignedAttestation", "Other", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Proof:
    """What one authority says of a piece; `reason` is None where it verified it."""

    policy: str
    authority: str
    signer: str
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Attached:
    """One thing beside an image. `type` and `predicate_type` are what it says of itself; `about` is a platform's digest."""

    what: What
    place: str
    manifest: str
    type: str
    format: str = ""
    predicate_type: str = ""
    about: str = ""
    proofs: tuple[Proof, ...] = ()
    reason: Reason | None = None

    @property
    def proved(self) -> bool:
        """Whether any authority verified it."""
        return any(proof.reason is None for proof in self.proofs)


@dataclass(frozen=True, slots=True)
class Inventory:
    """An image and what is beside it. `judged` says whether anybody was there to prove anything."""

    reference: Reference
    digest: Digest
    media_type: str
    platforms: tuple[str, ...]
    attached: tuple[Attached, ...]
    gaps: tuple[Gap, ...]
    judged: bool


@dataclass(frozen=True, slots=True)
class _Judging:
    """What every piece is judged against: the image under its origin's name, by policies, at a time (POSIX seconds)."""

    image: Manifest
    origin: Reference
    policies: Sequence[CompiledPolicy]
    now: float


async def take(
    source: Source, reference: Reference, origin: Reference, policies: Snapshot | None, limits: Limits, now: float
) -> Inventory:
    """List everything attached to `reference`, and let the authorities of every policy about it judge each piece.

    Args:
        source: The registry.
        reference: The image.
        origin: Its name after remapping: where evidence is looked for, and what OpenPGP signatures must be for.
        policies: Whom to trust; None for nobody.
        limits: Counts and sizes.
        now: POSIX seconds, the time of judgement.

    Raises:
        Refused: The image is not there, or may not be believed.
        Undecided: It could not be resolved.
    """
    image = await source.resolve(reference)
    repository = reference.repository
    discovery, listed, bom, unsigned = await asyncio.gather(
        discover(source, [origin.repository], image.digest, frozenset(Want), limits),
        _listed(source, reference, image),
        _attached_sbom(source, reference, image),
        _unsigned(source, reference, image),
    )
    judges = applicable(policies, Workload(), repository).judged if policies else ()
    judging = _Judging(image, origin, judges, now)
    pieces = [entry for attachment in discovery.attachments for entry in _read(attachment, judging, limits)]
    known = {attachment.origin.manifest for attachment in discovery.attachments}
    named = " ".join(gap.place for gap in discovery.gaps)
    others = [_other(entry) for entry in listed if entry.digest not in known and entry.digest.short not in named]
    platforms = tuple(name for name, _ in buildkit.platforms(image.manifests))
    return Inventory(
        reference,
        image.digest,
        image.media_type,
        platforms,
        (*pieces, *bom, *others, *unsigned),
        discovery.gaps,
        judged=bool(judges),
    )


def _read(attachment: Attachment, judging: _Judging, limits: Limits) -> Iterable[Attached]:
    place, manifest = str(attachment.origin.place), str(attachment.origin.manifest)
    kind = attachment.media_type
    try:
        found = formats.read(attachment, limits)
    except Refused as error:
        yield Attached("Unreadable", place, manifest, kind, reason=error.reason)
        return
    if not found:
        yield Attached("Other", place, manifest, kind)
    for evidence in found:
        what, predicate_type = _claims(evidence, limits)
        proofs = _proofs(formats.with_artifact(evidence, judging.image.raw, judging.image.media_type), judging)
        yield Attached(what, place, manifest, kind, evidence.format.value, predicate_type, proofs=proofs)


def _claims(evidence: Evidence, limits: Limits) -> tuple[What, str]:
    """What a piece says it is, unverified."""
    if not isinstance(evidence.content, Envelope):
        return "Signature", ""
    try:
        kind = statement.parse(evidence.content.payload, limits).predicate_type
    except Refused:
        return "Attestation", ""
    return ("Signature", "") if kind == COSIGN_SIGN_PREDICATE else ("Attestation", kind)


def _proofs(evidence: Evidence, judging: _Judging) -> tuple[Proof, ...]:
    digest, policies = judging.image.digest, judging.policies
    revoked = frozenset(signer for policy in policies for signer in policy.revoked.signers)
    proofs: list[Proof] = []
    for policy in policies:
        for authority in policy.authorities:
            answer = _ask(authority.judge, evidence, digest, judging.now)
            piece = Piece(evidence, {authority.judge.fingerprint: answer})
            seen = Findings(digest, pieces=(piece,), reference=judging.origin)
            for opinion in opinions(seen, authority, revoked):
                reason = None if isinstance(opinion.answer, tuple) else opinion.answer.reason
                signer = ", ".join(sorted({fact.signer.name for fact in opinion.facts}))
                proofs.append(Proof(str(policy.id), authority.judge.name, signer, reason))
    return tuple(proofs)


def _ask(judge: Judge, evidence: Evidence, digest: Digest, now: float) -> Answer:
    try:
        return judge.judge(evidence, digest, now)
    except (Refused, Undecided) as error:
        return error


async def _listed(source: Source, reference: Reference, image: Manifest) -> tuple[Descriptor, ...]:
    """Every referrer; what goes wrong here is a gap of the discovery already, which asks the same."""
    try:
        return await source.referrers(reference.repository, image.digest)
    except SigwardError:
        return ()


def _other(entry: Descriptor) -> Attached:
    kind = entry.artifact_type or entry.media_type
    return Attached("Other", f"referrer {entry.digest.short}", str(entry.digest), kind)


async def _attached_sbom(source: Source, reference: Reference, image: Manifest) -> tuple[Attached, ...]:
    """`cosign attach sbom`: a file that nobody signed."""
    tag = cosign_tag(image.digest, "sbom")
    try:
        manifest = await source.manifest(reference.repository, tag)
    except SigwardError as error:
        return (Attached("Unreadable", f"tag {image.digest.short}….sbom", "", "", reason=error.reason),)
    if manifest is None:
        return ()
    place = f"tag {image.digest.algorithm}-{image.digest.hex[:12]}….sbom"
    return tuple(
        Attached("Other", f"{place}, layer {number}", str(manifest.digest), layer.media_type)
        for number, layer in enumerate(manifest.layers, 1)
    )


async def _unsigned(source: Source, reference: Reference, image: Manifest) -> tuple[Attached, ...]:
    """BuildKit's attestations inside an index: trustworthy only through a signature on the index itself."""
    entries = buildkit.attestations(image)
    found = await asyncio.gather(*(_attestation_manifest(source, reference, entry) for entry in entries))
    return tuple(attached for each in found for attached in each)


async def _attestation_manifest(source: Source, reference: Reference, entry: Descriptor) -> tuple[Attached, ...]:
    place, about = f"manifest {entry.digest.short} of the index", buildkit.about(entry)
    try:
        manifest = await source.manifest(reference.repository, entry.digest)
    except SigwardError as error:
        return (Attached("Unreadable", place, str(entry.digest), entry.media_type, about=about, reason=error.reason),)
    layers = manifest.layers if manifest else ()
    return tuple(
        Attached(
            "UnsignedAttestation",
            f"{place}, layer {number}",
            str(entry.digest),
            layer.media_type,
            predicate_type=layer.annotations.get(buildkit.PREDICATE_TYPE, ""),
            about=about,
        )
        for number, layer in enumerate(layers, 1)
    )
