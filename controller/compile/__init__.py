"""Policies made ready to judge: patterns, keys and requirements parsed once, when a policy changes and never per request."""
