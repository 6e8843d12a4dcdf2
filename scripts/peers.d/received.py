"""received.py RECEIPT LEAF KEY verifies with pycose that a COSE receipt (RFC 9942) is of the bytes in the file LEAF and signed
with the public key in the PEM file KEY."""

import hashlib
import sys

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pycose.keys import EC2Key, OKPKey
from pycose.messages import Sign1Message

STRUCTURE, PROOFS, INCLUSION, RFC9162_SHA256 = 395, 396, -1, 1


def hash_of(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root(leaf, size, index, path):
    """RFC 9162 section 2.1.3.2."""
    if index >= size:
        raise ValueError("the index is beyond the tree")
    first, last, node = index, size - 1, hash_of(b"\0", leaf)
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if first & 1 or first == last:
            node = hash_of(b"\1", sibling, node)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            node = hash_of(b"\1", node, sibling)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise ValueError("the path is too short")
    return node


def cose_key(pem):
    key = load_pem_public_key(pem)
    if isinstance(key, EllipticCurvePublicKey):
        numbers = key.public_numbers()
        return EC2Key(crv="P_256", x=numbers.x.to_bytes(32, "big"), y=numbers.y.to_bytes(32, "big"))
    return OKPKey(crv="ED25519", x=key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def main():
    receipt, leaf, pem = (open(path, "rb").read() for path in sys.argv[1:])
    message = Sign1Message.decode(receipt)
    if message.payload is not None:
        raise ValueError("the payload is not detached")
    if message.phdr.get(STRUCTURE) != RFC9162_SHA256:
        raise ValueError(f"the tree is {message.phdr.get(STRUCTURE)}")
    [proof] = message.uhdr[PROOFS][INCLUSION]
    size, index, path = cbor2.loads(proof)
    message.key = cose_key(pem)
    if not message.verify_signature(detached_payload=root(leaf, size, index, path)):
        raise ValueError("the signature does not verify")
    print("received")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        sys.exit(f"received: {error}")
