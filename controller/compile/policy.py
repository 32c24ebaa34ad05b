"""One policy as written -> one policy ready to judge."""

from pydantic import ValidationError

from controller import problems
from controller.compile.believed import Source, compile_keys, compile_openpgp
from controller.compile.broken import broken, certificate_mark, key_signer
from controller.compile.compiled import CEILING, Authority, CompiledPolicy, Effect, PolicyId, Revoked, Scope
from controller.compile.keyless import compile_keyless, root_problems, time_root, unavailable
from controller.compile.pki import Trust, compile_x509
from controller.compile.roots import Roots
from controller.compile.rules import compile_requirements
from controller.compile.selectors import selector
from controller.errors import Code, Invalid, Reason
from controller.policy import authorities, rules
from controller.policy.model import Match, Spec, TrustPolicyResource
from controller.policy.store import Document
from controller.policy.words import OnUnavailable, Platforms
from controller.problems import Problems
from controller.reference import Digest, ImagePattern
from controller.settings import Limits


def compile_one(document: Document, limits: Limits, roots: Roots | None = None) -> CompiledPolicy:
    """Parse everything in a policy, once.

    Args:
        document: The policy.
        limits: Bounds for what is read.
        roots: The TrustRoots it may name beside the built-in ones.

    Raises:
        Invalid: Naming every field that is wrong: first those of the wrong shape; where the shape is right, everything else.
    """
    known = roots or Roots({}, limits)
    found, resource = _shape(document)
    found.extend(root_problems(resource.spec.authorities, known))
    policy = _compile(resource, document, found, known, limits)
    found.check()
    return policy


def compile_written(document: Document, limits: Limits, roots: Roots) -> CompiledPolicy:
    """The same for a policy that is being written: its trust roots may be written after it.

    Raises:
        Invalid: As `compile_one`, except about trust roots.
    """
    found, resource = _shape(document)
    policy = _compile(resource, document, found, roots, limits)
    found.check()
    return policy


def _shape(document: Document) -> tuple[Problems, TrustPolicyResource]:
    found = Problems()
    try:
        resource = TrustPolicyResource.model_validate(document.value)
    except ValidationError as error:
        found.extend(problems.of_shape(error, TrustPolicyResource))
        found.check()
        raise  # never: a validation error names at least one problem
    found.extend(rules.check(resource))
    return found, resource


def compile_or_break(document: Document, limits: Limits, roots: Roots) -> CompiledPolicy:
    """The same, but a policy that does not compile becomes one that refuses its scope (design, rule 12).

    Neither is one whose trust root is missing or cannot be read: only the authorities that need it are undecided then.
    """
    try:
        return compile_written(document, limits, roots)
    except Invalid as error:
        reason = error.reason
    except Exception as error:  # noqa: BLE001 - a fault of ours must not drop a policy: it refuses like any broken one
        reason = Reason(Code.INTERNAL, "the policy could not be compiled", found=type(error).__name__)
    return broken(identity(document), document.value, reason, document.origin)


def identity(document: Document) -> PolicyId:
    """Which policy a document is. A cluster policy has no namespace, whatever its metadata says."""
    namespace = document.namespace if document.kind == "TrustPolicy" else ""
    return PolicyId(document.kind, namespace, document.name)


def _compile(
    resource: TrustPolicyResource, document: Document, found: Problems, roots: Roots, limits: Limits
) -> CompiledPolicy:
    spec = resource.spec
    ceiling = CEILING[spec.mode]
    believed = _authorities(spec, found, roots, limits, identity(document).namespace)
    return CompiledPolicy(
        id=identity(document),
        mode=spec.mode,
        scope=_scope(spec.match, identity(document).namespace, found),
        on_unavailable=min(ceiling, Effect.DENY if spec.on_unavailable is OnUnavailable.DENY else Effect.WARN),
        authorities=believed,
        requirements=compile_requirements(spec, believed, found, limits),
        revoked=_revoked(spec),
        origin=document.origin,
        each_platform=spec.platforms is Platforms.EACH,
    )


def _revoked(spec: Spec) -> Revoked:
    signers = (*map(key_signer, spec.revoked.keys), *map(certificate_mark, spec.revoked.certificates))
    return Revoked(frozenset(map(Digest.parse, spec.revoked.digests)), frozenset(signers))


def _scope(match: Match, namespace: str, found: Problems) -> Scope:
    return Scope(
        images=_patterns(match.images, "spec.match.images", found),
        exclude_images=_patterns(match.exclude_images, "spec.match.excludeImages", found),
        namespace=namespace,
        namespace_selector=selector(match.namespace_selector),
        object_selector=selector(match.object_selector),
    )


def _patterns(written: tuple[str, ...], field: str, found: Problems) -> tuple[ImagePattern, ...]:
    patterns: list[ImagePattern] = []
    for index, text in enumerate(written):
        with found.at(f"{field}[{index}]"):
            patterns.append(ImagePattern(text))
    return tuple(patterns)


def _authorities(spec: Spec, found: Problems, roots: Roots, limits: Limits, namespace: str) -> tuple[Authority, ...]:
    """As many as were written, in order, or `found` says why not: requirements point at them by index."""
    revoked = frozenset(key_signer(key).rpartition(":")[2] for key in spec.revoked.keys)

    def compiled(item: authorities.Authority, field: str) -> Authority | None:
        if item.keyless:
            return compile_keyless(item, item.keyless, f"{field}.keyless", found, roots, revoked, limits)
        root = time_root(item, roots)
        if isinstance(root, Reason):
            return unavailable(item, item.trust_root or "", root)
        if item.x509:
            trust = Trust(roots.data, namespace, revoked, root, limits)
            return compile_x509(item, item.x509, f"{field}.x509", spec.mode, found, trust)
        source = Source(roots.data, namespace, field, found, limits)
        if item.openpgp:
            return compile_openpgp(item, item.openpgp.keyring, source)
        return compile_keys(item, source, root)

    made = (compiled(item, f"spec.authorities[{index}]") for index, item in enumerate(spec.authorities))
    return tuple(authority for authority in made if authority is not None)
