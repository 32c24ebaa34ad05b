"""Reports as the decision makes them, for what shows them."""

from dataclasses import replace

from controller.compile.compiled import Effect, PolicyId
from controller.decision.report import Check, Named, Outcome, PolicyResult, Report, RequirementResult, Verdict
from controller.errors import Code, Reason
from controller.policy.words import Mode
from controller.reference import Digest, Reference

CORP = PolicyId("ClusterTrustPolicy", "", "corp")
IMAGE = "registry.example.com/shop/web:1.4"
DIGEST = Digest.of(b"web 1.4")
RELEASE = "key SHA256:ab12cd34ef56…"
INTERN = "key SHA256:9c41aa00bb11…"
WRONG_KEY = Reason(Code.WRONG_KEY, "no trusted key made this signature", RELEASE, f"a signature by {INTERN}")

_TAG = f"registry.example.com/shop/web tag sha256-{DIGEST.hex[:12]}….sig, layer 1"
BY_INTERN = Check("release", RELEASE, _TAG, "cosign signature", reason=WRONG_KEY)
BY_RELEASE = Check("release", RELEASE, f"registry.example.com/shop/web referrer {DIGEST.short}", "sigstore bundle", RELEASE)

SIGNED = RequirementResult("signed", "signature", Outcome.PASS, Effect.IGNORE, None, (BY_RELEASE,))
WRONGLY_SIGNED = RequirementResult(
    "signed",
    "signature",
    Outcome.FAILED,
    Effect.DENY,
    Reason(Code.WRONG_KEY, "not met", f"a signature by release ({RELEASE})", f"1, by {INTERN}"),
    (BY_INTERN,),
)
NO_SBOM = RequirementResult(
    "bill",
    "sbom",
    Outcome.MISSING,
    Effect.WARN,
    Reason(Code.NO_EVIDENCE, "missing", "an SBOM of type https://cyclonedx.org/bom by ci", "none"),
)
UNREACHABLE = Reason(Code.UNREACHABLE, "image: registry.example.com did not answer", found="the connection broke: refused")


def named(number: int = 0, image: str = IMAGE) -> Named:
    return Named(image, f"/spec/containers/{number}/image", "web" if number == 0 else f"web-{number}")


def policy(*requirements: RequirementResult, identity: PolicyId = CORP, mode: Mode = Mode.ENFORCE) -> PolicyResult:
    effect = max((requirement.effect for requirement in requirements), default=Effect.IGNORE)
    worst = max(requirements, key=lambda requirement: requirement.effect)
    return PolicyResult(identity, mode, effect, worst.outcome, requirements)


def failed(reason: Reason, outcome: Outcome = Outcome.FAILED, identity: PolicyId = CORP) -> PolicyResult:
    return PolicyResult(identity, Mode.ENFORCE, Effect.DENY, outcome, reason=reason)


def report(verdict: Verdict, *policies: PolicyResult, number: int = 0, image: str = IMAGE) -> Report:
    return Report(named(number, image), verdict, Reference.parse(image), DIGEST, policies)


def allowed() -> Report:
    return report(Verdict.ALLOW, policy(SIGNED))


def refused(number: int = 0, image: str = IMAGE) -> Report:
    return report(Verdict.DENY, policy(WRONGLY_SIGNED), number=number, image=image)


def warned() -> Report:
    return report(Verdict.WARN, policy(SIGNED, NO_SBOM))


def undecided() -> Report:
    return replace(report(Verdict.DENY, failed(UNREACHABLE, Outcome.UNDECIDED)), digest=None)
