"""Who is believed: the `authorities` of a trust policy."""

from pydantic import Field

from controller.policy.part import Part
from controller.policy.words import (
    DataKey,
    Flag,
    Level,
    Name,
    ObjectName,
    PatternText,
    Pem,
    PemBundle,
    Revocation,
    Short,
    Text,
    Time,
    TransparencyLog,
    Url,
)


class DataRef(Part):
    """A key in a Secret or ConfigMap."""

    namespace: Name | None = Field(
        default=None,
        description="Namespace of the object. Required in a ClusterTrustPolicy; a TrustPolicy reads its own namespace only.",
    )
    name: ObjectName = Field(description="Name of the object.")
    key: DataKey = Field(description="Key in its data.")


class PemSource(Part):
    """PEM text: exactly one of `pem`, `secretKeyRef` and `configMapKeyRef`."""

    pem: PemBundle | None = Field(default=None, description="PEM, written here.")
    secret_key_ref: DataRef | None = Field(default=None, description="PEM in a Secret.")
    config_map_key_ref: DataRef | None = Field(default=None, description="PEM in a ConfigMap.")


class Key(Part):
    """A public key: exactly one of `pem`, `secretKeyRef` and `configMapKeyRef`."""

    name: Name | None = Field(default=None, description="Name of the key, for people; unique within the authority.")
    pem: Pem | None = Field(
        default=None,
        description="The public key in PEM (SubjectPublicKeyInfo): ECDSA P-256/384/521, Ed25519, RSA >= 2048 bits, ML-DSA.",
    )
    secret_key_ref: DataRef | None = Field(default=None, description="The public key in a Secret.")
    config_map_key_ref: DataRef | None = Field(default=None, description="The public key in a ConfigMap.")
    not_before: Time | None = Field(default=None, description="Signatures proven to be older are not believed.")
    not_after: Time | None = Field(default=None, description="Signatures not proven to be older are not believed.")


class Issuer(Part):
    """Exactly one of `exact`, `glob` and `regex`; each must match the whole value."""

    exact: Url | None = Field(default=None, description="The value itself.")
    glob: PatternText | None = Field(default=None, description="A pattern in which `*` crosses neither `/` nor `@`.")
    regex: PatternText | None = Field(default=None, description="An RE2 expression, matched against the whole value.")


class Identity(Part):
    """A keyless identity: who the issuer says it is."""

    issuer: Issuer = Field(description="The OIDC issuer.")
    subject: Issuer = Field(description="The subject (URI, email, DNS or otherName of the certificate).")
    claims: dict[Short, Text] = Field(
        default_factory=dict, max_length=32, description="Further claims of the certificate by documented name, exact."
    )
    insecure_any_subject: Flag = Field(
        default=False,
        description="Allows a subject pattern that matches everybody with a token of the issuer; warns on use.",
    )


class Keyless(Part):
    """Certificates of a Fulcio that a trust root knows."""

    trust_root: ObjectName = Field(description="public-good, github or the name of a TrustRoot.")
    identities: tuple[Identity, ...] = Field(min_length=1, max_length=32, description="Any one suffices.")


class Stores(Part):
    """The trust stores of the Notary Project."""

    ca: PemSource | None = Field(default=None, description="Anchors of signing certificates.")
    signing_authority: PemSource | None = Field(
        default=None, description="Anchors of signing authorities, whose word is also taken for the time of signing."
    )
    tsa: PemSource | None = Field(
        default=None, description="Anchors of timestamp authorities. Without it timestamps are ignored."
    )


class X509(Part):
    """Certificates under given anchors: the Notary Project, or a company PKI."""

    level: Level = Field(
        default=Level.STRICT,
        description=(
            "What is enforced. Permissive only reports expiry, validity periods and timestamps that do not hold; Audit "
            "also reports signers that nobody trusts, so it is for policies whose mode is Warn or Audit."
        ),
    )
    stores: Stores = Field(description="The trust anchors; `ca` or `signingAuthority` at least.")
    identities: tuple[Text, ...] = Field(
        min_length=1, max_length=32, description="Subjects that are believed: C, ST and O at least, partial match."
    )
    revocation: Revocation | None = Field(
        default=None,
        description=(
            "Strict refuses what is revoked or not known, Soft what is revoked, Skip asks nobody. By default the level "
            "decides: Strict at level Strict, else revocation is only reported. Asked are hosts of settings.revocationHosts."
        ),
    )


class Keyring(Part):
    """OpenPGP public keys: exactly one of `armored`, `secretKeyRef` and `configMapKeyRef`."""

    armored: PemBundle | None = Field(default=None, description="The ASCII-armored key ring, written here.")
    secret_key_ref: DataRef | None = Field(default=None, description="The key ring in a Secret.")
    config_map_key_ref: DataRef | None = Field(default=None, description="The key ring in a ConfigMap.")


class OpenPgp(Part):
    """OpenPGP simple signing."""

    keyring: Keyring = Field(description="The keys that are believed.")


class Authority(Part):
    """Somebody who is believed: exactly one of `keys`, `keyless`, `x509` and `openpgp`."""

    name: Name = Field(description="Name by which requirements refer to it; unique within the policy.")
    role: Name | None = Field(default=None, description="The role it speaks for in `perRole`.")
    keys: tuple[Key, ...] | None = Field(
        default=None, min_length=1, max_length=32, description="Public keys; any one suffices."
    )
    keyless: Keyless | None = Field(default=None, description="Keyless identities.")
    x509: X509 | None = Field(default=None, description="Certificates under given anchors.")
    openpgp: OpenPgp | None = Field(default=None, description="OpenPGP keys: they sign images, never attestations.")
    trust_root: ObjectName | None = Field(
        default=None,
        description=(
            "For keys and x509: whose log entries and timestamps are believed (public-good, github or the name of a "
            "TrustRoot). Without it they are ignored."
        ),
    )
    transparency_log: TransparencyLog | None = Field(
        default=None,
        description=(
            "Whether a signature must stand in a log of the trust root, and its time be proved. Default Optional for keys "
            "and x509, Required for keyless. A trust root without logs (github) can only be Optional."
        ),
    )
