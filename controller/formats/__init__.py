"""Bytes in, `Evidence` out: one module per container format. Nothing is believed here."""
