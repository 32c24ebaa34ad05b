"""Whether a token service may see a registry's credentials (design, rule 11; CVE-2025-27403)."""

import functools

from publicsuffixlist import PublicSuffixList
from yarl import URL

from controller.reference import DEFAULT_REGISTRY
from controller.registry.endpoints import Endpoint, name_of


def is_trusted(realm: URL, endpoint: Endpoint) -> bool:
    """Whether `realm` belongs to the registry.

    It does where its host is the registry's, where settings list it, or where both are under one registrable domain by the
    Public Suffix List (`auth.docker.io` and `docker.io`; not `a.co.uk` and `b.co.uk`). Addresses are no names: they must be
    equal.
    """
    host = realm.raw_host or ""
    if host == endpoint.url.raw_host or {host, name_of(realm)} & {
        listed.lower() for listed in endpoint.settings.token_realms
    }:
        return True
    own = "docker.io" if endpoint.name == DEFAULT_REGISTRY else endpoint.url.raw_host or ""
    domain = _registrable(own)
    return bool(domain) and domain == _registrable(host)


def _registrable(host: str) -> str:
    if ":" in host or host.replace(".", "").isdigit():
        return ""
    return _suffixes().privatesuffix(host) or ""


@functools.cache
def _suffixes() -> PublicSuffixList:
    # 2.5 MB and a tenth of a second, which most processes never spend: few registries have their tokens elsewhere.
    return PublicSuffixList()
