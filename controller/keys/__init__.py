"""Public keys: read strictly, known by one canonical identity, verifying only in ways decided here.

KMS and Vault keys are used by their exported public half; nothing on the request path calls a key service.
"""

from controller.keys.public import FIELD_MAX_BYTES, Message, NamedKey, PublicKey, Scheme, fingerprint, parse

__all__ = ["FIELD_MAX_BYTES", "Message", "NamedKey", "PublicKey", "Scheme", "fingerprint", "parse"]
