"""The scenarios of the demonstration: what happened, what a person should learn from it, and how it must come out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from controller.decision.report import Verdict
from controller.demo import openpgp, predicates
from controller.demo.notary import Notary
from controller.demo.signer import Style
from controller.demo.stage import COMPANY, OTHER_WORKFLOW, RELEASE_WORKFLOW, Document, Stage
from controller.errors import Code
from controller.formats import notation

CYCLONEDX: Final = "https://cyclonedx.org/bom"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story. `arrange` makes it happen and returns the object that somebody then creates in the cluster.

    `code` is the reason behind a verdict that is not Allow. `needs` says whether what it needs is installed.
    """

    name: str
    happened: str
    lesson: str
    arrange: Callable[[Stage], Document]
    verdict: Verdict
    code: Code | None = None
    needs: Callable[[], bool] = lambda: True

    @property
    def expected(self) -> str:
        """Verdict and reason in two words."""
        return f"{self.verdict} {self.code}" if self.code else str(self.verdict)


def pod(*images: str) -> Document:
    """A Pod that runs the images."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": _containers(images)},
    }


def deployment(*images: str, init: str) -> Document:
    """A Deployment with an init container."""
    spec = {"initContainers": [{"name": "init", "image": init}], "containers": _containers(images)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": spec}},
    }


def _containers(images: Sequence[str]) -> list[Document]:
    names = ["web", *(f"web-{number}" for number in range(1, len(images)))]
    return [{"name": name, "image": image} for name, image in zip(names, images, strict=True)]


def _signed_by_cosign_2(stage: Stage) -> Document:
    stage.signer.sign(stage.image("shop/web:1.0"), stage.release, style=Style.TAG)
    return pod(stage.name("shop/web:1.0"))


def _signed_by_cosign_3(stage: Stage) -> Document:
    stage.signer.sign(stage.image("shop/web:2.0"), stage.release, style=Style.BUNDLE)
    return pod(stage.name("shop/web:2.0"))


def _keyless(stage: Stage) -> Document:
    stage.sigstore.sign(stage.signer, stage.image("platform/agent:1.0"), RELEASE_WORKFLOW)
    return pod(stage.name("platform/agent:1.0"))


def _other_workflow(stage: Stage) -> Document:
    stage.sigstore.sign(stage.signer, stage.image("platform/agent:2.0"), OTHER_WORKFLOW)
    return pod(stage.name("platform/agent:2.0"))


def _unsigned(stage: Stage) -> Document:
    stage.image("shop/web:3.0")
    return pod(stage.name("shop/web:3.0"))


def _wrong_key(stage: Stage) -> Document:
    stage.signer.sign(stage.image("shop/web:4.0"), stage.intern, style=Style.BUNDLE)
    return pod(stage.name("shop/web:4.0"))


def _copied(stage: Stage) -> Document:
    good, evil = stage.image("shop/good:1.0"), stage.image("shop/evil:1.0")
    stage.signer.sign(good, stage.release)
    stage.signer.copy(good, evil)
    return pod(stage.name("shop/evil:1.0"))


def _hidden(stage: Stage) -> Document:
    stage.signer.sign(stage.image("shop/app:1.0"), stage.release)
    stage.image("shop/helper:1.0")
    return deployment(stage.name("shop/app:1.0"), init=stage.name("shop/helper:1.0"))


def _notation(stage: Stage) -> Document:
    stage.notary.sign(stage.signer, stage.image("tools/lint:1.0"))
    stage.notary.sign(stage.signer, stage.image("tools/format:1.0"), notation.COSE)
    return pod(stage.name("tools/lint:1.0"), stage.name("tools/format:1.0"))


def _other_certificate(stage: Stage) -> Document:
    Notary(f"{COMPANY}, CN=release").sign(stage.signer, stage.image("tools/lint:2.0"))
    return pod(stage.name("tools/lint:2.0"))


def _openpgp(stage: Stage) -> Document:
    image = stage.image("vendor/agent:1.0")
    if stage.vendor is not None:
        stage.registry.add(image, stage.vendor.signature(image))
    return pod(stage.name("vendor/agent:1.0"))


def _renamed(stage: Stage) -> Document:
    image = stage.image("vendor/agent:2.0")
    if stage.vendor is not None:
        stage.registry.add(image, stage.vendor.signature(image, stage.name("vendor/agent:1.0")))
    return pod(stage.name("vendor/agent:2.0"))


def _two_of_three(stage: Stage) -> Document:
    stage.signer.sign(stage.image("payments/ledger:1.0"), stage.alice, stage.carol)
    return pod(stage.name("payments/ledger:1.0"))


def _one_of_three(stage: Stage) -> Document:
    stage.signer.sign(stage.image("payments/ledger:2.0"), stage.bob)
    return pod(stage.name("payments/ledger:2.0"))


def _no_sbom(stage: Stage) -> Document:
    stage.signer.sign(stage.image("catalog/search:1.0"), stage.release)
    return pod(stage.name("catalog/search:1.0"))


def _other_sbom(stage: Stage) -> Document:
    image, other = stage.image("catalog/search:2.0"), stage.image("catalog/index:1.0")
    stage.signer.sign(image, stage.release)
    document = predicates.cyclonedx(other, datetime.now(UTC))
    stage.signer.attest(other, stage.scanner, predicate_type=CYCLONEDX, predicate=document)
    stage.signer.copy(other, image)
    return pod(stage.name("catalog/search:2.0"))


def _with_sbom(stage: Stage) -> Document:
    image = stage.image("catalog/search:3.0")
    stage.signer.sign(image, stage.release)
    document = predicates.cyclonedx(image, datetime.now(UTC))
    stage.signer.attest(image, stage.scanner, predicate_type=CYCLONEDX, predicate=document)
    return pod(stage.name("catalog/search:3.0"))


def _moved(stage: Stage) -> Document:
    stage.signer.sign(stage.image("shop/cart:1.0"), stage.release)
    stage.image("shop/cart:1.0", content="pushed again, with something else inside")
    return pod(stage.name("shop/cart:1.0"))


def _out_of_reach(stage: Stage) -> Document:
    return pod(f"{stage.away.host}/partner/api:1.0")


SCENARIOS: Final = (
    Scenario(
        "signed with cosign 2",
        "The release pipeline pushed shop/web:1.0 and signed it; cosign 2 keeps the signature under a tag beside the image.",
        "A signature by a key of the policy admits.",
        _signed_by_cosign_2,
        Verdict.ALLOW,
    ),
    Scenario(
        "signed with cosign 3",
        "The same with cosign 3, which attaches a Sigstore bundle that the registry lists as a referrer.",
        "Every format counts the same; nobody has to say which one is used.",
        _signed_by_cosign_3,
        Verdict.ALLOW,
    ),
    Scenario(
        "unsigned",
        "Somebody pushed shop/web:3.0 from a laptop.",
        "No signature, no start; the refusal says who should have signed.",
        _unsigned,
        Verdict.DENY,
        Code.NO_EVIDENCE,
    ),
    Scenario(
        "signed with the wrong key",
        "An intern signed shop/web:4.0 with a key of their own.",
        "A signature counts for what its signer is trusted with: here nothing.",
        _wrong_key,
        Verdict.DENY,
        Code.WRONG_KEY,
    ),
    Scenario(
        "another image's signature",
        "Somebody copied the good signature of shop/good to shop/evil.",
        "A signature is about one digest; the name it lies under proves nothing.",
        _copied,
        Verdict.DENY,
        Code.WRONG_DIGEST,
    ),
    Scenario(
        "hidden in an init container",
        "A Deployment runs a signed image, and an unsigned one in an init container.",
        "Every place that can hold an image is judged, and the refusal points at the one.",
        _hidden,
        Verdict.DENY,
        Code.NO_EVIDENCE,
    ),
    Scenario(
        "keyless",
        "The release workflow signed platform/agent:1.0 without a key: the company's Sigstore certified the workflow, and "
        "its log took the signature in.",
        "A policy names the workflow, not a key; the certificate soon expires, and the log proves that it was valid then.",
        _keyless,
        Verdict.ALLOW,
    ),
    Scenario(
        "keyless, another workflow's identity",
        "Another workflow of the same repository, on a branch, signed platform/agent:2.0 the same way.",
        "A certificate says who signed, not that they may: the identity must be the policy's, all of it.",
        _other_workflow,
        Verdict.DENY,
        Code.WRONG_SUBJECT,
    ),
    Scenario(
        "signed with notation",
        "The tools team signed with a certificate of the company's own authority: tools/lint as JWS, tools/format as COSE.",
        "Notary Project signatures count as well: the policy holds the authority's root and the subject it trusts.",
        _notation,
        Verdict.ALLOW,
    ),
    Scenario(
        "signed with notation, under another root",
        "Somebody made an authority of the same name, and signed tools/lint:2.0 with a certificate of it.",
        "Names are for people; what counts is the key at the end of the chain.",
        _other_certificate,
        Verdict.DENY,
        Code.CERTIFICATE_UNTRUSTED,
    ),
    Scenario(
        "signed with OpenPGP",
        "A vendor signed vendor/agent:1.0 as podman does; the registry hands its signatures out through an extension.",
        "A vendor's key ring in the policy is enough, and where the signatures are kept is looked up.",
        _openpgp,
        Verdict.ALLOW,
        needs=openpgp.installed,
    ),
    Scenario(
        "signed with OpenPGP, under another name",
        "The vendor's signature on vendor/agent:2.0 says that the image is vendor/agent:1.0.",
        "OpenPGP signs the name, too: a good image under a wrong name is refused.",
        _renamed,
        Verdict.DENY,
        Code.WRONG_IDENTITY,
        needs=openpgp.installed,
    ),
    Scenario(
        "two of three signers",
        "Payments wants two of alice, bob and carol; alice and carol signed.",
        "A threshold counts distinct signers.",
        _two_of_three,
        Verdict.ALLOW,
    ),
    Scenario(
        "one of three signers",
        "Only bob signed the next release.",
        "The refusal says who signed and how many are missing.",
        _one_of_three,
        Verdict.DENY,
        Code.THRESHOLD_NOT_MET,
    ),
    Scenario(
        "no SBOM",
        "catalog/search:1.0 is signed, but nobody attested what is in it.",
        "A missing SBOM warns by default: signing first, bills of materials when teams are ready.",
        _no_sbom,
        Verdict.WARN,
        Code.NO_EVIDENCE,
    ),
    Scenario(
        "another image's SBOM",
        "Somebody attached the SBOM of catalog/index, validly attested, to catalog/search:2.0.",
        "A document that contradicts the image is worse than none: it denies.",
        _other_sbom,
        Verdict.DENY,
        Code.WRONG_DIGEST,
    ),
    Scenario(
        "an SBOM of its own",
        "catalog/search:3.0 is signed, and the scanner attested its SBOM.",
        "Different people may be trusted with different statements.",
        _with_sbom,
        Verdict.ALLOW,
    ),
    Scenario(
        "a tag moved after signing",
        "shop/cart:1.0 was signed; then somebody pushed something else under the same tag.",
        "What is judged is the digest behind the tag now, not the tag.",
        _moved,
        Verdict.DENY,
        Code.NO_EVIDENCE,
    ),
    Scenario(
        "registry out of reach",
        "The partner's registry is down.",
        "What could not be looked up is never a yes; the answer comes in time and names who did not answer.",
        _out_of_reach,
        Verdict.DENY,
        Code.UNREACHABLE,
    ),
)
"""In the order in which they are told."""
