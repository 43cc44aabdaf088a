"""Octets as base64url without padding (RFC 7515, section 2): how JOSE writes all of them."""

import base64


def encode(octets: bytes) -> str:
    """Write octets."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Read octets, leniently: other characters are passed over. `ValueError` for a torn one."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
