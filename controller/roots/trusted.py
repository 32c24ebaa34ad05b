"""Whom a Sigstore instance asks to be trusted, as frozen values (sigstore_trustroot.proto, `TrustedRoot`)."""

from dataclasses import dataclass

from controller.certificates import Certificate
from controller.keys import PublicKey
from controller.validity import Window


@dataclass(frozen=True, slots=True)
class Log:
    """A transparency log, or a certificate transparency log. `window` is when its key was in use.

    `ids` are the identifiers under which it is found: those the root states, and the SHA-256 of its key (RFC 6962 section
    3.2). `key` is None where it is of a kind that cannot be used here: such a log is known and proves nothing.
    """

    url: str
    ids: frozenset[bytes]
    key: PublicKey | None
    window: Window


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate or timestamp authority: `chain` from the issuing (or signing) certificate to the anchor, last."""

    uri: str
    chain: tuple[Certificate, ...]
    window: Window

    @property
    def anchor(self) -> Certificate:
        """The certificate trusted by itself."""
        return self.chain[-1]


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """Everything one instance vouches for. `fingerprint` changes when, and only when, any of it does.

    `name` is empty where it stands for nothing but a policy's own stores.
    """

    name: str
    logs: tuple[Log, ...]
    ct_logs: tuple[Log, ...]
    authorities: tuple[Authority, ...]
    timestamp_authorities: tuple[Authority, ...]
    fingerprint: str

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"trusted root {self.name}" if self.name else "the policy's stores"

    def find_log(self, key_id: bytes) -> tuple[Log, ...]:
        """The transparency logs known under `key_id`."""
        return tuple(log for log in self.logs if key_id in log.ids)

    def find_ct_log(self, key_id: bytes) -> tuple[Log, ...]:
        """The certificate transparency logs known under `key_id`."""
        return tuple(log for log in self.ct_logs if key_id in log.ids)
