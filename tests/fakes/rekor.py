"""Transparency logs as Rekor 1 and Rekor 2 run them: a tree, entries, promises, proofs and checkpoints."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from controller.demo import payloads
from controller.demo.signingkeys import KeyType, SigningKey
from tests.fakes.authorities import T0, b64
from tests.fakes.keys import signing_key

_OTHERS: Final = 6  # entries of other people, so that a proof is longer than nothing


def canonical(document: object) -> bytes:
    """RFC 8785 for what stands in entries: ASCII without escapes, integers."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def root_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_hash(leaves[:split]) + root_hash(leaves[split:])).digest()


def audit_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1, as it is written there."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*audit_path(index, leaves[:split]), root_hash(leaves[split:])]
    return [*audit_path(index - split, leaves[split:]), root_hash(leaves[:split])]


def note(body: str, *lines: tuple[str, bytes]) -> str:
    """A signed note of `body` with signature lines: name, and key hint with signature."""
    return body + "\n" + "".join(f"\u2014 {name} {b64(raw)}\n" for name, raw in lines)


class TransparencyLog:
    def __init__(self, name: str, kind: KeyType) -> None:
        self.name = name
        self.key: SigningKey = signing_key(f"sigstore {name}", kind)
        self.leaves = [f"entry {number} of {name}".encode() for number in range(_OTHERS)]

    def hint(self) -> bytes:
        raise NotImplementedError

    def checkpoint(self, *cosigned: tuple[str, bytes], origin: str = "") -> str:
        body = f"{origin or self.name}\n{len(self.leaves)}\n{b64(root_hash(self.leaves))}\n"
        return note(body, (self.name, self.hint() + self.key.sign(body.encode())), *cosigned)

    def _proof(self, body: bytes, origin: str, *cosigned: tuple[str, bytes]) -> dict[str, Any]:
        self.leaves.append(body)
        index = len(self.leaves) - 1
        return {
            "logIndex": str(index),
            "rootHash": b64(root_hash(self.leaves)),
            "treeSize": str(len(self.leaves)),
            "hashes": [b64(value) for value in audit_path(index, self.leaves)],
            "checkpoint": {"envelope": self.checkpoint(*cosigned, origin=origin)},
        }


class RekorV1(TransparencyLog):
    """ECDSA, promises with a time, global log indices."""

    def __init__(self, name: str = "rekor.example.com") -> None:
        super().__init__(name, KeyType.P256)

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.key.public_der).digest()

    def hint(self) -> bytes:
        return self.id[:4]

    def promise(self, body: bytes, time: int, index: int) -> bytes:
        """The signed entry timestamp."""
        payload = {"body": b64(body), "integratedTime": time, "logID": self.id.hex(), "logIndex": index}
        return self.key.sign(canonical(payload))

    def entry(self, document: Mapping[str, Any], time: int = T0 + 1) -> dict[str, Any]:
        """A TransparencyLogEntry with promise, proof and checkpoint."""
        body = canonical(document)
        proof = self._proof(body, f"{self.name} - 1193050959916656506")
        index = 5_000_000 + int(proof["logIndex"])
        return {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.id)},
            "kindVersion": {"kind": document["kind"], "version": document["apiVersion"]},
            "integratedTime": str(time),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.promise(body, time, index))},
            "inclusionProof": proof,
            "canonicalizedBody": b64(body),
        }

    def annotation(self, document: Mapping[str, Any], time: int = T0 + 1) -> str:
        """The same as cosign keeps it beside a signature: promise only."""
        body, index = canonical(document), 6_000_000
        payload = {"body": b64(body), "integratedTime": time, "logIndex": index, "logID": self.id.hex()}
        return json.dumps({"SignedEntryTimestamp": b64(self.promise(body, time, index)), "Payload": payload})


class RekorV2(TransparencyLog):
    """Ed25519, no time, witnessed checkpoints."""

    def __init__(self, name: str = "log2025-1.rekor.example.com") -> None:
        super().__init__(name, KeyType.ED25519)
        self.witness = signing_key("sigstore witness", KeyType.ED25519)

    @property
    def id(self) -> bytes:
        raw = self.key.public_der[-32:]
        return hashlib.sha256(self.name.encode() + b"\n\x01" + raw).digest()

    def hint(self) -> bytes:
        return self.id[:4]

    def entry(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A TransparencyLogEntry with proof and a checkpoint that a witness cosigned."""
        body = canonical(document)
        proof = self._proof(
            body, self.name, ("witness.example.com/w1", b"wits" + b"\0" * 8 + self.witness.sign(b"cosigned"))
        )
        return {
            "logIndex": proof["logIndex"],
            "logId": {"keyId": b64(self.id)},
            "kindVersion": {"kind": document["kind"], "version": document["apiVersion"]},
            "inclusionProof": proof,
            "canonicalizedBody": b64(body),
        }


def hashedrekord(message: bytes, signature: bytes, verifier: bytes, algorithm: str = "sha256") -> dict[str, Any]:
    """Rekor 1: `verifier` is PEM."""
    return {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": algorithm, "value": hashlib.new(algorithm, message).hexdigest()}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(verifier)}},
        },
    }


def dsse(stored: bytes, envelope: Mapping[str, Any], verifier: bytes) -> dict[str, Any]:
    """Rekor 1: about an envelope stored as `stored`."""
    payload = raw(envelope["payload"])
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(stored).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": entry["sig"], "verifier": b64(verifier)} for entry in envelope["signatures"]],
        },
    }


def intoto(envelope: Mapping[str, Any], verifier: bytes) -> dict[str, Any]:
    """Rekor 1: base64 around the envelope's own base64."""
    payload = raw(envelope["payload"])
    recorded = {
        "payload": b64(envelope["payload"].encode()),
        "payloadType": envelope["payloadType"],
        "signatures": [{"publicKey": b64(verifier), "sig": b64(entry["sig"].encode())} for entry in envelope["signatures"]],
    }
    return {
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": {
            "content": {
                "envelope": recorded,
                "hash": {"algorithm": "sha256", "value": hashlib.sha256(payloads.encode(envelope)).hexdigest()},
                "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            }
        },
    }


def hashedrekord_2(message: bytes, signature: bytes, certificate: bytes, details: str) -> dict[str, Any]:
    """Rekor 2: `certificate` is DER."""
    inner = {
        "data": {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(message).digest())},
        "signature": {"content": b64(signature), "verifier": _verifier_2(certificate, details)},
    }
    return {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": inner}}


def dsse_2(envelope: Mapping[str, Any], certificate: bytes, details: str) -> dict[str, Any]:
    """Rekor 2, about an envelope."""
    digest = hashlib.sha256(raw(envelope["payload"])).digest()
    signatures = [
        {"content": entry["sig"], "verifier": _verifier_2(certificate, details)} for entry in envelope["signatures"]
    ]
    inner = {"payloadHash": {"algorithm": "SHA2_256", "digest": b64(digest)}, "signatures": signatures}
    return {"apiVersion": "0.0.2", "kind": "dsse", "spec": {"dsseV002": inner}}


def _verifier_2(certificate: bytes, details: str) -> dict[str, Any]:
    return {"keyDetails": details, "x509Certificate": {"rawBytes": b64(certificate)}}


def raw(encoded: str) -> bytes:
    return base64.b64decode(encoded)
