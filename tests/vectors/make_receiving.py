"""Makes `receiving.json`: what a partner may be sent, and what may be tried on it.

Run by hand, after a change here: `python tests/vectors/make_receiving.py`. It is written from the
standards with bare primitives, and imports neither the product nor a JOSE or signature library, so
that nothing checks itself. Keys, ephemeral keys and nonces are fixed: the same file every time.
"""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

Vector = dict[str, Any]
FILE = Path(__file__).with_name("receiving.json")
RSA_PEM = """\
-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCd2lQuWH5N0yr3
eoeXieNYAxTwuJ6j9fZCY37Yim2odpUZZo405JXmppEdtErplum1ujO81hbzY0Vc
ZI1V1at5MCAlT/sV7dM/G2hpfLLx6PknGdbJ0Z9u+4inqR32WXWW4MTiOLwHyNT8
XIx55Q6K4VgPqUUzi2DhHkewzNDHNDyPLjPzs3KTBIZcCP4ipOo8mXkUnFALhgfs
vgcmuRiJbIqcc7vYhPK1+m+RcIj72I+o9Rgm94XdZTE4LX8wyTDNji5+IgHH9sY+
e4uY8qJ74BNT2K8ZJCg3BrJlaZ65U4DigNdKASZGkZZQeujfbZsUD688tpJ3LTqS
fPM72yG7AgMBAAECggEAFD4js3nNC1qRf6u/6FKvdoxBSt7Ha/amfjxXekTDlpSh
FDZ5oBYm6a2Mndw5YHE7m/66lHR5Uab2Wx3YnhxI4Wv8LgIZYeYzbpFWN3OIAyEW
6nO+0/dvfwJUs6OACyUia5cmyG1GzPzCi3EBjBQwDuaiWLJ4BF8oV6t+vWaBPjpP
ZcHAtW5t8IWXl+fJzyXk2lR85U31ZV/RF9+3ncfFOL1wWrxl6sXKSDGE+MhDmhWM
qOglB6Sih8xKRnMIaYrmDXlO1+6dw2/32aWL6L4TxFBqI0oT3PX5NNpk9Wm6rtFe
8+tNpIOn51y75yVdnJzXXUqnAE+WQf1YZg6KfjkXOQKBgQDRsfMcB1oYnZbuM4a8
U3gLXZgv6Abxc5enrBHTa2UxkWffSZzA8ky3p6goq3iNc3lq065V0A9VTcRc56Mu
nCBxw3D9rYPH3s+Q8BPJV62b747CT+cjlIAaGsNvgUrvo+/BPPu8qmGG/0cq67qx
4ihKEcoJhfBP2cE1ukK9EaDD5wKBgQDAtb1EcNFDU/tFzvQbUb+B3lMTU4v/Ll50
0A5PfIRAypd5x4VlranYuuLTwjig11x4nbEmPGqliVF3qWoh5dET/hoDXE5T11Tw
4irKW9oVaTtXN9JB53WooavmFXmvzt87cwydnonE7+5RuqvyFqFrYjOle0cCbWNB
ObFOMf95DQKBgGVRFoZ3Yue71L34tWPu7HSJX0veTuSAlkjUUbSWEkm12LtBBPUQ
3VJrNkuYNeIaZhLgfj5GDfKIZZUB8o1FsENnTAO1v5Nlq2J7LQQ+UcqjH5XxJ1vA
l3iFb+JDVSKeUexK+9K3e/HPC+LIDOd/vzmyiKy7Q1ZBfyHngfF6P/QHAoGAQ31i
k52PLC01SvV3uDmhADKElbgkx3HN0ssqt9u71ZUeB6BAr6NqYGTTG6ZhfrLtx7Ay
Ylm2X9L/nRDQAp8h4gaTxamGJQa80L/kjIoujmEUTy9Vi48sPaqhMStEOrYQqBla
ybjENxxwMl9V6KrUTW9O9x19ePQmVqmF1wTbm+ECgYBo96T8zkQSmOlA7dLKuqzt
5EYdeqyyfkj0AUQT9kYHe06rOPEN30p58xLO5lz3Z8ipsM9QEuinkz/0whL7p0S9
Loy4prvx7s95Ed7l/5swaYpT9PObkcAbV/Is0iym67In5M2Bj4AzhpuwAu0sDwdu
ByRa4ZQSrdFnGAChpwVNZg==
-----END PRIVATE KEY-----
"""

NOW = 1795463361
ID = "msg_859bd0731d1bde08742f2a1b21a59e9a"
OTHER_ID = "msg_00000000000000000000000000000000"
URL = "https://hooks.acme.example/in?source=north"
TENANT, SUBSCRIBER = "north", "acme-orders"
ENVELOPE = (
    '{"id":"' + ID + '","type":"order.paid","timestamp":"2026-11-23T19:48:44.326761Z",'
    '"data":{"order":{"id":"o-1","note":"für Zoë","total":18446744073709551617}}}'
)
TO_SUBSCRIBER = ENVELOPE.replace(',"data"', f',"subscriber":"{SUBSCRIBER}","data"')
COVERED = (
    "@method",
    "@target-uri",
    "content-type",
    "content-digest",
    "webhook-id",
    "webhook-timestamp",
)


def fixed(name: str, size: int = 32) -> bytes:
    """Bytes that look random and are the same every time."""
    return hashlib.sha512(name.encode()).digest()[:size]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


NEW, OLD, FOREIGN = fixed("secret new"), fixed("secret old", 24), fixed("secret of somebody else")
ED, ED_FOREIGN = (Ed25519PrivateKey.from_private_bytes(fixed(n)) for n in ("ed", "ed foreign"))
P256 = derive_private_key(int.from_bytes(fixed("p256")), SECP256R1())
X25519 = X25519PrivateKey.from_private_bytes(fixed("x25519"))
RSA = load_pem_private_key(RSA_PEM.encode(), None)
assert isinstance(RSA, RSAPrivateKey)


def whsec(secret: bytes) -> str:
    return "whsec_" + b64(secret)


def raw_public(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def whpk(key: Ed25519PrivateKey) -> str:
    return "whpk_" + b64(raw_public(key))


def pem(key: EllipticCurvePrivateKey | X25519PrivateKey | RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def point(key: EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = (url64(n.to_bytes(32)) for n in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def v1(secret: bytes, body: str, webhook_id: str = ID, at: int = NOW) -> str:
    content = f"{webhook_id}.{at}.{body}".encode()
    return "v1," + b64(hmac.digest(secret, content, "sha256"))


def v1a(key: Ed25519PrivateKey, body: str, webhook_id: str = ID, at: int = NOW) -> str:
    return "v1a," + b64(key.sign(f"{webhook_id}.{at}.{body}".encode()))


def standard(
    signature: str, *, webhook_id: str = ID, at: int | str = NOW, media: str = "application/json"
) -> list[list[str]]:
    """The headers of Standard Webhooks."""
    return [
        ["content-type", media],
        ["webhook-id", webhook_id],
        ["webhook-timestamp", str(at)],
        ["webhook-signature", signature],
    ]


def rfc9421(
    key: Ed25519PrivateKey | bytes,
    body: str,
    *,
    alg: str | None = None,
    covered: tuple[str, ...] = COVERED,
    at: int = NOW,
    created: int = NOW,
    lifetime: int = 300,
    media: str = "application/json",
    tag: str = "dispatcher",
    url: str = URL,
    digest: str = "",
    edit: Callable[[str], str] = str,
) -> list[list[str]]:
    """The headers of the two profiles of RFC 9421, with the digest of RFC 9530."""
    digest = digest or f"sha-256=:{b64(hashlib.sha256(body.encode()).digest())}:"
    values = {
        "@method": "POST",
        "@target-uri": url,
        "content-type": media,
        "content-digest": digest,
        "webhook-id": ID,
        "webhook-timestamp": str(at),
    }
    alg = alg or ("hmac-sha256" if isinstance(key, bytes) else "ed25519")
    names = " ".join(f'"{name}"' for name in covered)
    terms = edit(
        f'({names});created={created};expires={created + lifetime};keyid="{KEYID}"'
        f';alg="{alg}";tag="{tag}"'
    )
    lines = [f'"{name}": {values[name]}' for name in covered]
    base = "\n".join([*lines, f'"@signature-params": {terms}']).encode()
    signed = hmac.digest(key, base, "sha256") if isinstance(key, bytes) else key.sign(base)
    return [
        *([name, value] for name, value in values.items() if not name.startswith("@")),
        ["signature-input", f"sig={terms}"],
        ["signature", f"sig=:{b64(signed)}:"],
    ]


KEYID = "2026-11"


def jwe(header: dict[str, Any], wrapped: bytes, cek: bytes, plaintext: str, name: str) -> str:
    protected = url64(json.dumps(header, separators=(",", ":")).encode())
    nonce, content = fixed(f"nonce {name}", 12), plaintext.encode()
    if "zip" in header:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = deflate.compress(content) + deflate.flush()
    sealed = AESGCM(cek).encrypt(nonce, content, protected.encode())
    parts = (wrapped, nonce, sealed[:-16], sealed[-16:])
    return ".".join([protected, *map(url64, parts)])


def ecdh(kid: str, plaintext: str = TO_SUBSCRIBER, tenant: str = TENANT, **more: Any) -> str:
    """ECDH-ES+A256KW (RFC 7518 §4.6) with A256GCM, to the key of that name."""
    name = f"{kid} {plaintext} {more}"
    if kid.startswith("p256"):
        ours = derive_private_key(int.from_bytes(fixed(f"epk {name}")), SECP256R1())
        epk, shared = point(ours.public_key()), ours.exchange(ECDH(), P256.public_key())
    else:
        mine = X25519PrivateKey.from_private_bytes(fixed(f"epk {name}"))
        epk = {"kty": "OKP", "crv": "X25519", "x": url64(raw_public(mine))}
        shared = mine.exchange(X25519.public_key())
    apu, apv = tenant.encode(), f"{SUBSCRIBER}|{ID}".encode()
    info = b"".join(len(part).to_bytes(4) + part for part in (b"ECDH-ES+A256KW", apu, apv)) + (
        256
    ).to_bytes(4)
    kek = hashlib.sha256((1).to_bytes(4) + shared + info).digest()
    cek = fixed(f"cek {name}", 16 if more.get("enc") == "A128GCM" else 32)
    header = {
        "alg": "ECDH-ES+A256KW",
        "enc": "A256GCM",
        "kid": kid,
        "typ": "JOSE",
        "cty": "json",
        **({"apu": url64(apu)} if apu else {}),
        "apv": url64(apv),
        "epk": epk,
    }
    return jwe(header | more, aes_key_wrap(kek, cek), cek, plaintext, name)


def rsa(alg: str = "RSA-OAEP-256") -> str:
    """RSA-OAEP-256 (RFC 8017 §7.1.1), or RSA1_5 (§7.2.1), with A256GCM."""
    numbers = RSA.public_key().public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    cek, seed = fixed(f"cek {alg}"), fixed(f"seed {alg}")
    if alg == "RSA1_5":
        encoded = b"\x00\x02" + b"\x5a" * (size - 3 - 32) + b"\x00" + cek
    else:
        block = hashlib.sha256(b"").digest() + bytes(size - 2 * 32 - 2 - 32) + b"\x01" + cek
        masked = xor(block, mgf1(seed, len(block)))
        encoded = b"\x00" + xor(seed, mgf1(masked, 32)) + masked
    wrapped = pow(int.from_bytes(encoded), numbers.e, numbers.n).to_bytes(size)
    header = {"alg": alg, "enc": "A256GCM", "kid": "rsa-1", "typ": "JOSE", "cty": "json"}
    return jwe(header, wrapped, cek, TO_SUBSCRIBER, alg)


def mgf1(seed: bytes, size: int) -> bytes:
    blocks = (hashlib.sha256(seed + n.to_bytes(4)).digest() for n in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))


def flip(text: str) -> str:
    """Change one byte near the end, and leave the text well formed."""
    return text[:-8] + ("A" if text[-8] != "A" else "B") + text[-7:]


def vector(
    name: str,
    verdict: str,
    headers: list[list[str]],
    *,
    needs: str,
    body: str = ENVELOPE,
    plaintext: str | None = None,
    secrets: tuple[bytes, ...] = (),
    public_keys: tuple[Ed25519PrivateKey, ...] = (),
    private_keys: dict[str, str] | None = None,
    now: int = NOW,
) -> Vector:
    found = {
        "name": name,
        "needs": needs.split(),
        "secrets": [whsec(secret) for secret in secrets],
        "public_keys": [whpk(key) for key in public_keys],
        "private_keys": private_keys or {},
        "subscriber": SUBSCRIBER,
        "url": URL,
        "now": now,
        "method": "POST",
        "headers": headers,
        "body": body,
        "verdict": verdict,
    }
    return found | ({"plaintext": plaintext or body} if verdict == "genuine" else {})


def by_secret() -> list[Vector]:
    """`v1`, and what is tried on every profile."""
    one = {"needs": "v1", "secrets": (NEW,)}
    good = v1(NEW, ENVELOPE)
    old = NOW - 300
    changed = ENVELOPE.replace("o-1", "o-2")
    other = ENVELOPE.replace(ID, OTHER_ID)
    title = [[name.title(), value] for name, value in standard(good)]
    without = [pair for pair in standard(good) if pair[0] != "webhook-id"]
    twice = [*standard(good), ["Webhook-Id", OTHER_ID]]
    spaced = ENVELOPE.replace('":', '": ').replace(",", ",\n ")
    pair = f"{good} {v1(OLD, ENVELOPE)}"
    return [
        vector("v1", "genuine", standard(good), **one),
        vector("v1, header names in capitals", "genuine", title, **one),
        vector("v1, not minified", "genuine", standard(v1(NEW, spaced)), body=spaced, **one),
        vector("rotation: only the old secret is known", "genuine", standard(pair), needs="v1",
               secrets=(OLD,)),
        vector("rotation: only the new secret is known", "genuine", standard(pair), **one),
        vector("rotation: both are known, the old signs", "genuine",
               standard(v1(OLD, ENVELOPE)), needs="v1", secrets=(NEW, OLD)),
        vector("a version nobody knows is skipped", "genuine", standard(f"v9,AAAA {good}"), **one),
        vector("five minutes old", "genuine", standard(v1(NEW, ENVELOPE, at=old), at=old), **one),
        vector("five minutes ahead", "genuine", standard(good), now=NOW - 300, **one),
        vector("a flipped byte", "signature_wrong", standard(good), body=changed, **one),
        vector("an altered webhook-id", "signature_wrong",
               standard(good, webhook_id=OTHER_ID), **one),
        vector("an altered webhook-timestamp", "signature_wrong",
               standard(good, at=NOW + 1), **one),
        vector("a signature by somebody else", "signature_wrong",
               standard(v1(FOREIGN, ENVELOPE)), **one),
        vector("a signature cut short", "signature_wrong", standard(good[:-5] + "="), **one),
        vector("an empty signature", "signature_wrong", standard("v1,"), **one),
        vector("a good signature under another version", "signature_wrong",
               standard("v1a" + good[2:]), needs="v1 v1a", secrets=(NEW,), public_keys=(ED,)),
        vector("no version that we have a key for", "signature_unknown",
               standard(v1a(ED, ENVELOPE)), **one),
        vector("an id swapped before it was signed", "id_mismatch",
               standard(v1(NEW, other)), body=other, **one),
        vector("too old", "timestamp_old", standard(good), now=NOW + 301, **one),
        vector("too far ahead", "timestamp_future", standard(good), now=NOW - 301, **one),
        vector("a timestamp with more than digits", "timestamp_wrong",
               standard(good, at=f"{NOW}.0"), **one),
        vector("no webhook-id", "header_missing", without, **one),
        vector("no signature", "signature_missing", standard(good)[:-1], **one),
        vector("a header twice", "header_repeated", twice, needs="v1 pairs", secrets=(NEW,)),
        vector("not an envelope", "body_wrong", standard(v1(NEW, "[1]")), body="[1]", **one),
    ]  # fmt: skip


def by_public_key() -> list[Vector]:
    """`v1a`."""
    one = {"needs": "v1a", "public_keys": (ED,)}
    good = v1a(ED, ENVELOPE)
    changed = ENVELOPE.replace("o-1", "o-2")
    return [
        vector("v1a", "genuine", standard(good), **one),
        vector("v1 and v1a: only the public key is known", "genuine",
               standard(f"{v1(NEW, ENVELOPE)} {good}"), **one),
        vector("v1a, rotation: two public keys are known", "genuine", standard(good), needs="v1a",
               public_keys=(ED_FOREIGN, ED)),
        vector("v1a, a flipped byte", "signature_wrong", standard(good), body=changed, **one),
        vector("v1a by somebody else", "signature_wrong",
               standard(v1a(ED_FOREIGN, ENVELOPE)), **one),
        vector("v1a, too old", "timestamp_old", standard(good), now=NOW + 301, **one),
        vector("v1a, a signature of the wrong length", "signature_wrong",
               standard("v1a,AAAA"), **one),
    ]  # fmt: skip


def encrypted() -> list[Vector]:
    """JWE in place of the envelope, under the same signatures."""
    keys = {"p256-1": pem(P256), "x25519-1": pem(X25519)}
    rsa_keys = {"rsa-1": pem(RSA)}
    other = TO_SUBSCRIBER.replace(ID, OTHER_ID)
    elsewhere = TO_SUBSCRIBER.replace(SUBSCRIBER, "acme-stock")

    def sealed(name: str, verdict: str, body: str, needs: str = "P-256", **more: Any) -> Vector:
        return vector(
            name,
            verdict,
            standard(v1(NEW, more.pop("signed", body)), media="application/jose"),
            needs=f"v1 jwe {needs}",
            secrets=(NEW,),
            body=body,
            plaintext=TO_SUBSCRIBER,
            **{"private_keys": keys} | more,
        )

    good = ecdh("p256-1")
    without_tag, _, tag = good.rpartition(".")
    off_curve = {"kty": "EC", "crv": "P-256", "x": url64(fixed("x")), "y": url64(fixed("y"))}
    small_order = {"kty": "OKP", "crv": "X25519", "x": url64(bytes(32))}
    return [
        sealed("jwe, ECDH on P-256", "genuine", good),
        sealed("jwe, ECDH on X25519", "genuine", ecdh("x25519-1"), "X25519"),
        sealed("jwe, no tenant named", "genuine", ecdh("p256-1", tenant="")),
        sealed("jwe, RSA-OAEP-256", "genuine", rsa(), "RSA", private_keys=rsa_keys),
        vector("jwe under v1a", "genuine", standard(v1a(ED, good), media="application/jose"),
               needs="v1a jwe P-256", public_keys=(ED,), private_keys=keys, body=good,
               plaintext=TO_SUBSCRIBER),
        sealed("jwe, a flipped byte", "signature_wrong", flip(good), signed=good),
        sealed("jwe, a flipped byte under a fresh signature", "encryption_wrong", flip(good)),
        sealed("jwe to a key we do not have", "key_unknown", ecdh("p256-2")),
        sealed("jwe, another alg than we take", "encryption_wrong", rsa("RSA1_5"), "RSA",
               private_keys=rsa_keys),
        sealed("jwe, compressed", "encryption_wrong", ecdh("p256-1", zip="DEF")),
        sealed("jwe, another enc than we take", "encryption_wrong",
               ecdh("p256-1", enc="A128GCM")),
        sealed("jwe, an id swapped before it was encrypted", "id_mismatch",
               ecdh("p256-1", other)),
        sealed("jwe meant for another subscription", "subscriber_mismatch",
               ecdh("p256-1", elsewhere)),
        sealed("jwe that names no subscription", "subscriber_mismatch",
               ecdh("p256-1", ENVELOPE)),
        sealed("jwe, a header that must be understood", "encryption_wrong",
               ecdh("p256-1", crit=["none-of-ours"])),
        sealed("jwe, a tag cut short", "encryption_wrong", f"{without_tag}.{tag[:8]}"),
        sealed("jwe, a point off the curve", "encryption_wrong",
               ecdh("p256-1", epk=off_curve)),
        sealed("jwe, a point of small order", "encryption_wrong",
               ecdh("x25519-1", epk=small_order), "X25519"),
        sealed("jwe of five parts that are nothing", "encryption_wrong", "a.b.c.d.e"),
    ]  # fmt: skip


def by_http_signature() -> list[Vector]:
    """RFC 9421."""
    one = {"needs": "rfc9421", "public_keys": (ED,), "secrets": (NEW,)}
    good = rfc9421(ED, ENVELOPE)
    changed = ENVELOPE.replace("o-1", "o-2")
    altered = [[n, OTHER_ID if n == "webhook-id" else v] for n, v in good]
    elsewhere = rfc9421(ED, ENVELOPE, url=URL.replace("acme", "other"))
    bare = rfc9421(ED, ENVELOPE, covered=tuple(c for c in COVERED if c != "content-digest"))
    sealed = ecdh("p256-1")
    return [
        vector("rfc9421-ed25519", "genuine", good, **one),
        vector("rfc9421-hmac", "genuine", rfc9421(NEW, ENVELOPE), **one),
        vector("rfc9421 over jwe", "genuine", rfc9421(ED, sealed, media="application/jose"),
               needs="rfc9421 jwe P-256", public_keys=(ED,), body=sealed,
               private_keys={"p256-1": pem(P256)}, plaintext=TO_SUBSCRIBER),
        vector("rfc9421, a flipped byte", "digest_wrong", good, body=changed, **one),
        vector("rfc9421, an altered webhook-id", "signature_wrong", altered, **one),
        vector("rfc9421, sent to another endpoint first", "signature_wrong", elsewhere, **one),
        vector("rfc9421 by somebody else", "signature_wrong",
               rfc9421(ED_FOREIGN, ENVELOPE), **one),
        vector("rfc9421, alg of another key", "signature_wrong",
               rfc9421(ED, ENVELOPE, alg="hmac-sha256"), **one),
        vector("rfc9421, the digest not signed", "signature_incomplete", bare, **one),
        vector("rfc9421, signed for another product", "signature_missing",
               rfc9421(ED, ENVELOPE, tag="other"), **one),
        vector("rfc9421, too old", "timestamp_old", good, now=NOW + 301, **one),
        vector("rfc9421, too far ahead", "timestamp_future", good, now=NOW - 301, **one),
        vector("rfc9421, created long before its webhook-timestamp", "timestamp_old",
               rfc9421(ED, ENVELOPE, created=NOW - 301, lifetime=900), **one),
        vector("rfc9421, created long after its webhook-timestamp", "timestamp_future",
               rfc9421(ED, ENVELOPE, created=NOW + 301), **one),
        vector("rfc9421, expired before its time", "timestamp_old",
               rfc9421(ED, ENVELOPE, lifetime=10), now=NOW + 20, **one),
    ]  # fmt: skip


def make() -> str:
    """The file as it ought to be."""
    vectors = [*by_secret(), *by_public_key(), *encrypted(), *by_http_signature()]
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(make(), encoding="utf-8")
