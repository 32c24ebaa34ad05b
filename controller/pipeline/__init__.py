"""One request, one page: images, policies, digest, evidence, verification, decision (design, section 1)."""
