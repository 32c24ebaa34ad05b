"""The three ways in which a thing can fail, named by what to do about it.

`Invalid`   the input is wrong: fix it. Carries the field's path and what was expected.
`Refused`   final: the same bytes judged again give the same answer, so it may be remembered.
`Undecided` the question could not be answered now. Never remembered, never a yes.

Every edge (registry, keys, documents) translates foreign exceptions into one of these; nothing else is raised on purpose.
"""

import math
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Why something failed, as a stable word: tests, metrics and JSON output rely on it, people read the message."""

    # The input
    INVALID_USAGE = "InvalidUsage"
    INVALID_REFERENCE = "InvalidReference"
    INVALID_KEY = "InvalidKey"
    INVALID_POLICY = "InvalidPolicy"
    INVALID_SETTINGS = "InvalidSettings"
    INVALID_REVIEW = "InvalidReview"
    INVALID_MANIFEST = "InvalidManifest"
    INVALID_FILE = "InvalidFile"
    UNKNOWN_KIND = "UnknownKind"
    INVALID_ROOT = "InvalidTrustedRoot"
    NOT_SUPPORTED_YET = "NotSupportedYet"
    NOT_INSTALLED = "NotInstalled"
    # Documents from outside
    MALFORMED = "Malformed"
    AMBIGUOUS = "Ambiguous"
    LIMIT_EXCEEDED = "LimitExceeded"
    DIGEST_MISMATCH = "DigestMismatch"
    # Evidence
    NOT_FOUND = "NotFound"
    SIGNATURE_INVALID = "SignatureInvalid"
    WRONG_KEY = "WrongKey"
    WRONG_DIGEST = "WrongDigest"
    WRONG_PREDICATE_TYPE = "WrongPredicateType"
    WRONG_PAYLOAD_TYPE = "WrongPayloadType"
    WRONG_FORMAT = "WrongFormat"
    WRONG_IDENTITY = "WrongIdentity"
    WRONG_ANNOTATION = "WrongAnnotation"
    REVOKED = "Revoked"
    LOG_REQUIRED = "LogRequired"
    # Certificates, logs and time
    NO_CERTIFICATE = "NoCertificate"
    CERTIFICATE_INVALID = "CertificateInvalid"
    CERTIFICATE_UNTRUSTED = "CertificateUntrusted"
    ROOT_IN_CHAIN = "RootInChain"
    OUTSIDE_VALIDITY = "OutsideValidity"
    SCT_MISSING = "SctMissing"
    SCT_INVALID = "SctInvalid"
    LOG_UNTRUSTED = "LogUntrusted"
    LOG_PROOF_MISSING = "LogProofMissing"
    LOG_PROOF_INVALID = "LogProofInvalid"
    LOG_ENTRY_MISMATCH = "LogEntryMismatch"
    CHECKPOINT_INVALID = "CheckpointInvalid"
    SET_INVALID = "SignedEntryTimestampInvalid"
    TIME_NOT_PROVEN = "TimeNotProven"
    TIMESTAMP_INVALID = "TimestampInvalid"
    TIMESTAMP_UNTRUSTED = "TimestampUntrusted"
    WRONG_ISSUER = "WrongIssuer"
    WRONG_SUBJECT = "WrongSubject"
    WRONG_CLAIM = "WrongClaim"
    WRONG_ALGORITHM = "WrongAlgorithm"
    SIGNATURE_EXPIRED = "SignatureExpired"
    UNKNOWN_CRITICAL = "UnknownCriticalHeader"
    PLUGIN_REQUIRED = "PluginRequired"
    CERTIFICATE_REVOKED = "CertificateRevoked"
    REVOCATION_UNKNOWN = "RevocationUnknown"
    # Requirements
    NO_EVIDENCE = "NoEvidence"
    THRESHOLD_NOT_MET = "ThresholdNotMet"
    ROLE_NOT_MET = "RoleNotMet"
    TOO_OLD = "TooOld"
    WRONG_BUILDER = "WrongBuilder"
    WRONG_BUILD_TYPE = "WrongBuildType"
    WRONG_SOURCE = "WrongSource"
    LEVEL_NOT_MET = "LevelNotMet"
    SBOM_INCOMPLETE = "SbomIncomplete"
    PACKAGE_DENIED = "PackageDenied"
    LICENSE_DENIED = "LicenseDenied"
    SUPPLIER_MISSING = "SupplierMissing"
    CONTENT_CONTRADICTS = "ContentContradicts"
    DIGEST_NOT_LISTED = "DigestNotListed"
    UNSIGNED_ALLOWED = "UnsignedAllowed"
    EXCEPTED = "Excepted"
    ANY_SUBJECT = "AnySubjectAllowed"
    UNMATCHED = "Unmatched"
    # Not answered
    UNREACHABLE = "Unreachable"
    UNAUTHORIZED = "Unauthorized"
    RATE_LIMITED = "RateLimited"
    REGISTRY_ERROR = "RegistryError"
    CLUSTER_ERROR = "ClusterError"
    DEADLINE = "Deadline"
    ADDRESS_NOT_ALLOWED = "AddressNotAllowed"
    POLICIES_UNKNOWN = "PoliciesUnknown"
    NAMESPACE_UNKNOWN = "NamespaceUnknown"
    KEY_UNAVAILABLE = "KeyUnavailable"
    ROOT_UNAVAILABLE = "TrustedRootUnavailable"
    BUSY = "Busy"
    INTERNAL = "Internal"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, for a person (`message`, `expected`, `found`) and for a program (`code`).

    `expected` and `found` are short phrases without trailing punctuation; what a foreign server said is quoted in `found`
    and is sanitised where it is rendered, not here.
    """

    code: Code
    message: str
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        text = self.message
        if self.expected:
            text += f": expected {self.expected}"
        if self.found:
            text += f"; found {self.found}" if self.expected else f": found {self.found}"
        return text


class SigwardError(Exception):
    """What all three share: a `Reason`."""

    def __init__(self, code: Code, message: str, *, expected: str = "", found: str = "") -> None:
        self.reason = Reason(code, message, expected, found)
        super().__init__(str(self.reason))


class Invalid(SigwardError):  # noqa: N818 - named by what to do, not by a suffix
    """The input is wrong and must be fixed by whoever wrote it.

    Args:
        code: The stable word.
        message: What is wrong.
        field: Path of the field at fault (`spec.authorities[0].keys[0].pem`), empty where the whole input is meant.
        expected: What would have been right.
        found: What stood there.
    """

    def __init__(self, code: Code, message: str, *, field: str = "", expected: str = "", found: str = "") -> None:
        self.field = field
        super().__init__(code, f"{field}: {message}" if field else message, expected=expected, found=found)


class Refused(SigwardError):  # noqa: N818 - the same
    """Judged and found wanting; final for these bytes under this trust.

    `predicate_type` is set where a statement's signature held and the statement is of that type, but says no about this
    image: that is a failure of the attestation, not its absence. `until` (POSIX seconds) is when to judge again where time
    may turn the no into a yes: a certificate on hold, a validity that has not begun.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        expected: str = "",
        found: str = "",
        predicate_type: str | None = None,
        until: float = math.inf,
    ) -> None:
        self.predicate_type = predicate_type
        self.until = until
        super().__init__(code, message, expected=expected, found=found)


class Undecided(SigwardError):  # noqa: N818 - the same
    """Not answered: a registry, root or namespace was out of reach, or time ran out.

    Args:
        code: The stable word.
        message: What was being asked.
        source: The host or object that did not answer, named to the person.
        expected: What would have been right.
        found: What came instead.
    """

    def __init__(self, code: Code, message: str, *, source: str = "", expected: str = "", found: str = "") -> None:
        self.source = source
        super().__init__(code, message, expected=expected, found=found)
