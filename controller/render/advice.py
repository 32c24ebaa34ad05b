"""What to do about a reason: one sentence for the person who reads the refusal, and a command where one helps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.errors import Code


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do. `command` may hold IMAGE, which stands for the image by digest."""

    text: str
    command: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {self.command}" if self.command else self.text


_SIGN: Final = "cosign sign --key KEY IMAGE"
_ATTEST: Final = "cosign attest --key KEY --type TYPE --predicate FILE IMAGE"

_PLATFORM: Final = "ask the platform team"
_AGAIN: Final = "try again; if it lasts, tell whoever runs"
_REGISTRY_AGAIN: Final = Step(f"{_AGAIN} the registry")
_ENTRY: Final = Step("have the platform team say in the settings how this registry is reached")
_POLICY: Final = Step("the platform team must correct this policy", "kubectl get clustertrustpolicies,trustpolicies -A")
_PUSH_AGAIN: Final = Step("what is stored beside the image may not be believed: push it again")
_REPORT: Final = Step("report this, with the time and what was asked")
_SIGN_THIS: Final = Step("sign this digest with a key the policy trusts", _SIGN)
_SIGN_IN: Final = Step("sign again, in the pipeline that the policy trusts", "cosign sign IMAGE")
_NOTARISE: Final = Step("sign again, with a certificate the policy trusts", "notation sign IMAGE")
_SIGN_AS: Final = Step("sign as the identity that the policy names: in its pipeline, from its branch", "cosign sign IMAGE")
_ATTEST_THIS: Final = Step("attest this digest with a key the policy trusts", _ATTEST)

_SIGN_WITH_OPENPGP: Final = Step(
    "sign this digest, under this name, with an OpenPGP key the policy trusts",
    "skopeo copy --sign-by KEY docker://IMAGE docker://IMAGE",
)
_SIGNING: Final = frozenset({_SIGN, "cosign sign IMAGE"})

_BUILD_AGAIN: Final = Step("build this image where the policy says, and attest that build's provenance", _ATTEST)
_SBOM: Final = Step(
    "attest an SBOM of this digest with a key the policy trusts",
    "cosign attest --key KEY --type cyclonedx --predicate sbom.json IMAGE",
)
_STATEMENTS: Final = frozenset({"attestation", "sbom", "provenance", "vulnerabilities"})

_STEPS: Final[Mapping[Code, Step]] = {
    Code.INVALID_USAGE: Step("correct the command line; --help says more"),
    Code.INVALID_REFERENCE: Step("correct the image's name: registry/repository:tag or @sha256:…"),
    Code.INVALID_KEY: Step("give a public key in PEM", "cosign public-key --key KEY"),
    Code.INVALID_POLICY: _POLICY,
    Code.INVALID_SETTINGS: Step("correct the settings file"),
    Code.INVALID_REVIEW: Step("correct the object; where it came from the API server, report this"),
    Code.INVALID_MANIFEST: Step("correct the manifest"),
    Code.INVALID_FILE: Step("correct the file"),
    Code.UNKNOWN_KIND: Step("have the platform team name this kind's pod template in the setting imagePaths"),
    Code.INVALID_ROOT: Step("the platform team must correct this trusted root"),
    Code.NOT_SUPPORTED_YET: Step("the platform team must leave this field out of the policy, or update Sigward"),
    Code.NOT_INSTALLED: Step("install the extra that this policy needs, or use the image that has it"),
    Code.MALFORMED: _PUSH_AGAIN,
    Code.AMBIGUOUS: _PUSH_AGAIN,
    Code.LIMIT_EXCEEDED: Step("remove what is too much beside the image, or have the platform team raise the limit"),
    Code.DIGEST_MISMATCH: Step("the registry's answer is not what was asked for: tell whoever runs the registry"),
    Code.NOT_FOUND: Step("check name and tag, and that the image was pushed"),
    Code.SIGNATURE_INVALID: _SIGN_THIS,
    Code.WRONG_KEY: _SIGN_THIS,
    Code.WRONG_DIGEST: Step("a signature is for one digest only: sign this one", _SIGN),
    Code.WRONG_PREDICATE_TYPE: _ATTEST_THIS,
    Code.WRONG_PAYLOAD_TYPE: _SIGN_THIS,
    Code.WRONG_FORMAT: _SIGN_THIS,
    Code.WRONG_IDENTITY: Step("the signature is for another image name: sign this name, or have the setting remap say so"),
    Code.WRONG_ANNOTATION: Step(
        "sign with the annotations that the policy asks for", "cosign sign --key KEY -a NAME=VALUE IMAGE"
    ),
    Code.REVOKED: Step("this was revoked: deploy another build, or ask the platform team"),
    Code.LOG_REQUIRED: Step("sign again with an upload to the transparency log", _SIGN),
    Code.NO_CERTIFICATE: _SIGN_IN,
    Code.CERTIFICATE_INVALID: _SIGN_IN,
    Code.CERTIFICATE_UNTRUSTED: _SIGN_IN,
    Code.ROOT_IN_CHAIN: _SIGN_IN,
    Code.OUTSIDE_VALIDITY: _SIGN_IN,
    Code.SCT_MISSING: _SIGN_IN,
    Code.SCT_INVALID: _SIGN_IN,
    Code.LOG_UNTRUSTED: _SIGN_IN,
    Code.LOG_PROOF_MISSING: _SIGN_IN,
    Code.LOG_PROOF_INVALID: _SIGN_IN,
    Code.LOG_ENTRY_MISMATCH: _SIGN_IN,
    Code.CHECKPOINT_INVALID: _SIGN_IN,
    Code.SET_INVALID: _SIGN_IN,
    Code.TIME_NOT_PROVEN: _SIGN_IN,
    Code.TIMESTAMP_INVALID: _SIGN_IN,
    Code.TIMESTAMP_UNTRUSTED: _SIGN_IN,
    Code.WRONG_ALGORITHM: _NOTARISE,
    Code.SIGNATURE_EXPIRED: _NOTARISE,
    Code.UNKNOWN_CRITICAL: _NOTARISE,
    Code.PLUGIN_REQUIRED: _NOTARISE,
    Code.CERTIFICATE_REVOKED: _NOTARISE,
    Code.REVOCATION_UNKNOWN: Step(f"{_AGAIN} the authority that issued the certificate"),
    Code.WRONG_ISSUER: _SIGN_AS,
    Code.WRONG_SUBJECT: _SIGN_AS,
    Code.WRONG_CLAIM: _SIGN_AS,
    Code.NO_EVIDENCE: _SIGN_THIS,
    Code.THRESHOLD_NOT_MET: Step("have another of the named signers sign this digest", _SIGN),
    Code.ROLE_NOT_MET: Step("have a signer of the missing role sign this digest", _SIGN),
    Code.TOO_OLD: _ATTEST_THIS,
    Code.WRONG_BUILDER: _BUILD_AGAIN,
    Code.WRONG_BUILD_TYPE: _BUILD_AGAIN,
    Code.WRONG_SOURCE: _BUILD_AGAIN,
    Code.LEVEL_NOT_MET: _BUILD_AGAIN,
    Code.SBOM_INCOMPLETE: Step("make a complete SBOM of this image, and attest it", _ATTEST),
    Code.PACKAGE_DENIED: Step(
        "build without that package, or with another version of it, and attest the new image's SBOM", _ATTEST
    ),
    Code.LICENSE_DENIED: Step("build without what has that licence, or have the platform team allow it"),
    Code.SUPPLIER_MISSING: Step("make an SBOM that names every supplier, and attest it", _ATTEST),
    Code.CONTENT_CONTRADICTS: Step("make the document from this very image and attest it again", _ATTEST),
    Code.DIGEST_NOT_LISTED: Step("deploy a digest that the policy lists, or have the platform team list this one"),
    Code.UNSIGNED_ALLOWED: Step("have the image signed, then remove unsafeAllowUnsigned from the policy"),
    Code.EXCEPTED: Step("have the cause mended before the exception expires"),
    Code.ANY_SUBJECT: Step("name the subjects that are meant, then remove insecureAnySubject from the policy"),
    Code.UNMATCHED: Step(f"{_PLATFORM} for a ClusterTrustPolicy that matches this image"),
    Code.UNREACHABLE: Step(f"check the registry's name; {_AGAIN} the registry"),
    Code.UNAUTHORIZED: Step("give Sigward a credential that may pull from this repository (imagePullSecret, docker config)"),
    Code.RATE_LIMITED: Step("try again later, or give Sigward a credential with a higher limit"),
    Code.REGISTRY_ERROR: _REGISTRY_AGAIN,
    Code.CLUSTER_ERROR: Step(f"{_AGAIN} the cluster's API server"),
    Code.DEADLINE: Step("try again: the lookup goes on, and the next try may find it done"),
    Code.ADDRESS_NOT_ALLOWED: Step(
        "if this registry is meant to be inside, have the platform team list it in the settings with privateAddress: true"
    ),
    Code.NAMESPACE_UNKNOWN: Step(f"{_AGAIN} the cluster"),
    Code.POLICIES_UNKNOWN: Step(f"{_AGAIN} Sigward"),
    Code.KEY_UNAVAILABLE: Step("have the platform team put the key back where the policy looks for it"),
    Code.ROOT_UNAVAILABLE: Step(f"{_AGAIN} the trusted root's mirror"),
    Code.BUSY: Step("try again in a moment"),
    Code.INTERNAL: _REPORT,
}


def next_step(code: Code, kind: str = "", expected: str = "") -> Step:
    """What to do about `code` in a requirement of `kind` (`signature`, `attestation`, `sbom`, …; empty for none).

    `expected` is what would have been right: OpenPGP keys sign with another tool, settings say how a registry is reached.
    """
    step = _STEPS.get(code, _REPORT)
    if code is Code.UNREACHABLE and "in the settings" in expected:  # it answered, but not as it should
        return _ENTRY
    if kind == "signature" and "OpenPGP key" in expected and "key SHA256:" not in expected and step.command in _SIGNING:
        return _SIGN_WITH_OPENPGP
    if step in {_SIGN_THIS, _ATTEST_THIS}:
        return _SBOM if kind == "sbom" else _ATTEST_THIS if kind in _STATEMENTS else _SIGN_THIS
    if code is Code.WRONG_DIGEST and kind in _STATEMENTS:
        return _STEPS[Code.CONTENT_CONTRADICTS]
    return step
