"""Reads the whole log, and compares it with what was acknowledged and shown."""

import base64
import hashlib

from load import exchange

BUNDLE = 256


def parse(checkpoint):
    """The size and the root of a checkpoint."""
    lines = checkpoint.split("\n")
    return int(lines[1]), base64.b64decode(lines[2])


def read_entries(port, size):
    """All entries below `size`, from the tiles."""
    entries = []
    while len(entries) < size:
        number, width = len(entries) // BUNDLE, min(BUNDLE, size - len(entries))
        digits = f"{number % 1000:03}"
        while number >= 1000:
            number //= 1000
            digits = f"x{number % 1000:03}/{digits}"
        path = f"/tile/entries/{digits}" + (f".p/{width}" if width < BUNDLE else "")
        status, bundle = exchange(port, "GET", path)
        if status != 200:
            raise ValueError(f"{path}: {status}")
        place = 0
        while place < len(bundle):
            length = int.from_bytes(bundle[place:place + 2], "big")
            entries.append(bundle[place + 2:place + 2 + length])
            place += 2 + length
    return entries


def roots(entries, sizes):
    """The roots of the tree of `entries` at each of `sizes` (RFC 6962)."""
    edge, found = [], {}
    for size, entry in enumerate(entries, 1):
        node = hashlib.sha256(b"\0" + entry).digest()
        level = size
        while level % 2 == 0:
            node = hashlib.sha256(b"\1" + edge.pop() + node).digest()
            level //= 2
        edge.append(node)
        if size in sizes:
            root = edge[-1]
            for left in reversed(edge[:-1]):
                root = hashlib.sha256(b"\1" + left + root).digest()
            found[size] = root
    return found


def audit(port, acknowledged, heads):
    """Returns the count of acknowledged entries, of heads, and a list of faults."""
    status, newest = exchange(port, "GET", "/checkpoint")
    if status != 200:
        raise ValueError(f"/checkpoint: {status}")
    newest = newest.decode()
    size, _ = parse(newest)
    entries = read_entries(port, size)
    shown = {parse(text) for text in {newest, *heads, *(one[3] for one in acknowledged)}}
    computed = roots(entries, {size for size, _ in shown})
    faults = [f"a head of {size} that the log does not extend"
              for size, root in shown if size > 0 and computed.get(size) != root]
    for _, index, body, _ in acknowledged:
        if index >= len(entries) or entries[index] != body:
            faults.append(f"entry {index} was acknowledged and is missing")
    indexes = {index for _, index, _, _ in acknowledged}
    if len(indexes) != len(acknowledged):
        faults.append("an index was given twice")
    return len(acknowledged), len(shown), faults
