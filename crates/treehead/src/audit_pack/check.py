#!/usr/bin/env python3
"""Checks an audit pack with SHA-256 and openssl alone. Usage: python3 check.py [FOLDER]

Exits with 0 if everything holds, and with 1 at the first thing that does not. See README.md for what this means.
"""

import base64
import datetime
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
work = tempfile.TemporaryDirectory()


def need(holds, why):
    if not holds:
        sys.exit(f"FAILED: {why}")


def sha256(data):
    return hashlib.sha256(data).digest()


def der(key):
    """The bytes of a public key in PEM."""
    return base64.b64decode("".join(key.read_text().split("-----")[2].split()))


def path(name):
    """A file of the pack. No name leads out of it."""
    need(".." not in name and not name.startswith("/"), f"the name {name!r}")
    return folder / name


def is_signed(key, message, signature):
    """Asks openssl whether a key (PEM) signed a message: ECDSA over SHA-256, or Ed25519."""
    text, sig = pathlib.Path(work.name, "text"), pathlib.Path(work.name, "sig")
    text.write_bytes(message)
    sig.write_bytes(signature)
    if len(der(key)) == 44:
        how = ["pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", text, "-sigfile", sig]
    else:
        how = ["dgst", "-sha256", "-verify", key, "-signature", sig, text]
    return subprocess.run(["openssl", *how], capture_output=True).returncode == 0


def open_note(note):
    """Returns the text of a signed note, and its signature lines as (name, bytes)."""
    text, _, lines = note.partition("\n\n")
    signatures = [line.split(" ") for line in lines.splitlines()]
    need(all(len(line) == 3 and line[0] == "\u2014" for line in signatures), "a signature line of a head")
    return text + "\n", [(name, base64.b64decode(blob)) for _, name, blob in signatures]


def check_head(tree, witnesses):
    """The head is signed by the log's key. Returns its size, its root and the witnesses that cosigned it."""
    text, signatures = open_note(path(tree["head"]).read_text())
    origin, size, root = text.splitlines()[:3]
    need(origin == tree["origin"], f"the head of {origin} is filed under {tree['origin']}")
    name = origin.rpartition(" - ")[0] if origin.rpartition(" - ")[2].isdigit() else origin
    key = path(tree["key"])
    own = [blob[4:] for signer, blob in signatures if signer == name]
    need(any(is_signed(key, text.encode(), blob) for blob in own), f"the head of {origin} is not signed by {tree['key']}")
    cosigned = []
    for witness in witnesses:
        for signer, blob in signatures:
            # A witness signs the time as well: https://c2sp.org/tlog-cosignature
            message = f"cosignature/v1\ntime {int.from_bytes(blob[4:12], 'big')}\n{text}".encode()
            if signer == witness["name"] and len(blob) == 76 and is_signed(path(witness["key"]), message, blob[12:]):
                cosigned.append(signer)
    return int(size), base64.b64decode(root), cosigned


def subtree(start, end, first, leaves, left, right):
    """The root of the leaves from start to end (RFC 6962). What lies outside the run comes from the proof."""
    if end <= first:
        return left.pop()
    if start >= first + len(leaves):
        return right.pop(0)
    if end - start == 1:
        return leaves[start - first]
    half = 1 << (end - start - 1).bit_length() - 1
    return sha256(b"\1" + subtree(start, start + half, first, leaves, left, right) + subtree(start + half, end, first, leaves, left, right))


def check_time(entry, tree, leaf):
    """The log signed that it took the entry at this time, under this index (Rekor v1)."""
    body = base64.b64encode(leaf).decode()
    log = sha256(der(path(tree["key"]))).hex()
    signed = f'{{"body":"{body}","integratedTime":{entry["time"]},"logID":"{log}","logIndex":{entry["logIndex"]}}}'
    where = f"entry {entry['logIndex']}"
    need(is_signed(path(tree["key"]), signed.encode(), base64.b64decode(entry["timestamp"])), f"the time of {where}")


def check_tree(tree, witnesses):
    """The entries of the pack are these leaves of the tree, side by side. Returns them, and whether they are its last."""
    size, root, cosigned = check_head(tree, witnesses)
    with path(tree["entries"]).open() as lines:
        entries = [json.loads(line) for line in lines]
    leaves = [base64.b64decode(entry["leaf"]) for entry in entries]
    hashes = [sha256(b"\0" + leaf) for leaf in leaves]
    need(len(hashes) == tree["count"] > 0, f"{tree['entries']} has {len(hashes)} entries instead of {tree['count']}")
    need(tree["first"] + len(hashes) <= size, f"the tree of {tree['origin']} ends before the last entry")
    left, right = ([bytes.fromhex(digits) for digits in tree[side]] for side in ("left", "right"))
    try:
        found = subtree(0, size, tree["first"], hashes, left, right)
    except IndexError:
        sys.exit(f"FAILED: the proof of {tree['entries']} is too short")
    need(found == root and not left and not right, f"{tree['entries']} is not what the head of {tree['origin']} covers")
    for place, entry in enumerate(entries):
        need(entry["logIndex"] == tree["logIndex"] + place, f"an index of {tree['entries']}")
        if "time" in entry:
            check_time(entry, tree, leaves[place])
        else:
            # Nothing signs an index of Rekor v2: it is the place in the tree.
            need(entry["logIndex"] == tree["first"] + place, f"an index of {tree['entries']}")
    seen = f", cosigned by {', '.join(sorted(set(cosigned)))}" if cosigned else ""
    end = tree["first"] + len(hashes)
    print(f"ok: entries {tree['first']} to {end - 1} of {size} in {tree['origin']}{seen}")
    return entries, end == size


def main():
    pack = json.loads(path("pack.json").read_text())
    need(pack["format"] == "treehead-audit-pack/1", f"the format {pack['format']}")
    trees = [check_tree(tree, pack["witnesses"]) for tree in pack["trees"]]
    entries = [entry for tree, _ in trees for entry in tree]
    indexes = [entry["logIndex"] for entry in entries]
    need(indexes and indexes == list(range(indexes[0], indexes[0] + len(indexes))), "the entries do not follow one another")
    inside, period, since, until = entries, "", pack["sinceTime"], pack["untilTime"]
    if since is not None:
        # One entry before the period and one behind it show that nothing of the period is left out.
        need(all("time" in entry for entry in entries), "an entry without a time")
        inside = [entry for entry in entries if since <= entry["time"] < until]
        before, behind = entries[0]["time"] < since, entries[-1]["time"] >= until
        need(before or indexes[0] == 0, "no entry before the period shows where it begins")
        need(behind or trees[-1][1], "no entry behind the period shows where it ends")
        need(len(inside) + before + behind == len(entries), "entries of another time lie within the period")
        since, until = (datetime.datetime.fromtimestamp(time, datetime.timezone.utc) for time in (since, until))
        period = f" from {since:%Y-%m-%dT%H:%M:%SZ} to before {until:%Y-%m-%dT%H:%M:%SZ}"
    need(0 < len(inside) == pack["entries"], f"{len(inside)} entries instead of {pack['entries']}")
    print(f"ok: {len(inside)} entries{period}, none left out: log indexes {inside[0]['logIndex']} to {inside[-1]['logIndex']}")


main()
