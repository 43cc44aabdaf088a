"""How a registry lies in a row: the same bytes for the same content, so that its hash names it."""

import msgspec

from dispatcher.model.registry import Registry

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Registry)


def encode_registry(registry: Registry) -> bytes:
    """Write a registry as JSON text, in a fixed order."""
    return _encoder.encode(registry)


def decode_registry(text: str) -> Registry:
    """Read what `encode_registry` wrote."""
    return _decoder.decode(text)
