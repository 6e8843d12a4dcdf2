"""Writers, readers and a probe of Postgres itself; each keeps what it saw, with its time."""

import base64
import hashlib
import http.client
import itertools
import json
import random
import threading
import time

import psycopg2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

WRITERS = 24
# Entries of a full tile.
TILE = 256
# The server gives a request that waits for a primary up after 5 s.
PATIENCE = 15


def exchange(port, method, path, body=None, connection=None):
    """One request; on a connection of its own if none is given."""
    one = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        one.request(method, path, body)
        answer = one.getresponse()
        return answer.status, answer.read()
    finally:
        if connection is None:
            one.close()


class Author:
    """Makes entries of Rekor v2, each of them another one."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        self.public = base64.b64encode(self.key.public_key().public_bytes(encoding, form)).decode()
        self.numbers = itertools.count()

    def request(self):
        artifact = f"patroni {next(self.numbers)}".encode()
        signature = self.key.sign(artifact, ec.ECDSA(hashes.SHA256()))
        return json.dumps({"hashedRekordRequestV002": {
            "digest": base64.b64encode(hashlib.sha256(artifact).digest()).decode(),
            "signature": {
                "content": base64.b64encode(signature).decode(),
                "verifier": {"publicKey": {"rawBytes": self.public},
                             "keyDetails": "PKIX_ECDSA_P256_SHA_256"},
            },
        }})


class Load:
    """Writes at a rate, reads, and probes until it is stopped."""

    def __init__(self, ports, rate, probe_url):
        self.ports, self.rate, self.probe_url = ports, rate, probe_url
        self.author = Author()
        self.stopping = threading.Event()
        # Acknowledged entries: (time, index, canonical body, checkpoint).
        self.acknowledged = []
        self.refused = {}
        # Reads: (time of the answer, what, status or name of the error, seconds).
        self.reads = []
        self.reasons = set()
        self.heads = []
        # Times of commits that Postgres acknowledged.
        self.probes = []
        self.unexpected = []
        jobs = [(self.write, number) for number in range(WRITERS)]
        jobs += [(self.read, port) for port in ports] + [(self.probe,)]
        self.threads = [threading.Thread(target=self.watched, args=job, daemon=True) for job in jobs]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(4 * PATIENCE)
            if thread.is_alive():
                self.unexpected.append("a thread of the load did not end")

    def watched(self, job, *arguments):
        try:
            job(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            self.unexpected.append(f"{job.__name__}: {error!r}")

    def write(self, number):
        port = self.ports[number % len(self.ports)]
        interval = WRITERS / self.rate
        due = time.monotonic() + random.random() * interval
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while not self.stopping.wait(max(0, due - time.monotonic())):
            due = max(due + interval, time.monotonic())
            self.write_patiently(connection, port, self.author.request())

    def write_patiently(self, connection, port, request):
        """Sends one entry until it is acknowledged: the same again gives the stored one."""
        while True:
            try:
                status, body = exchange(port, "POST", "/api/v2/log/entries", request, connection)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status, body = type(error).__name__, b""
            if status == 201:
                entry = json.loads(body)
                self.acknowledged.append((
                    time.monotonic(), int(entry["logIndex"]),
                    base64.b64decode(entry["canonicalizedBody"]),
                    entry["inclusionProof"]["checkpoint"]["envelope"],
                ))
                return
            self.refused[status] = self.refused.get(status, 0) + 1
            if status not in (500, 503, 504) and not isinstance(status, str):
                raise ValueError(f"{status}: {body[:300]!r}")
            if self.stopping.wait(0.05):
                return

    def read(self, port):
        # Before that, the first tile is not full.
        while len(self.acknowledged) < 2 * TILE and not self.stopping.wait(0.05):
            pass
        paths = {"checkpoint": lambda: "/checkpoint", "entry": self.some_entry, "tile": lambda: "/tile/0/000"}
        while not self.stopping.wait(0.05):
            for what, path in paths.items():
                begin = time.monotonic()
                try:
                    status, body = exchange(port, "GET", path())
                except (OSError, http.client.HTTPException) as error:
                    status, body = type(error).__name__, b""
                end = time.monotonic()
                self.reads.append((end, what, status, end - begin))
                if status != 200:
                    self.reasons.add((what, status, body[:200].decode()))
                    # Anything else says that something acknowledged is absent or wrong.
                    if status not in (503, 504) and not isinstance(status, str):
                        self.unexpected.append(f"a read of {what}: {status}")
                elif what == "checkpoint":
                    self.heads.append(body.decode())

    def some_entry(self):
        return f"/api/v2/log/entries/{random.choice(self.acknowledged)[1]}"

    def probe(self):
        """Commits a row again and again, by libpq and without treehead."""
        while not self.stopping.is_set():
            try:
                connection = psycopg2.connect(self.probe_url, connect_timeout=2)
                try:
                    connection.autocommit = True
                    cursor = connection.cursor()
                    cursor.execute("CREATE TABLE IF NOT EXISTS probe (number bigserial)")
                    while not self.stopping.wait(0.05):
                        cursor.execute("INSERT INTO probe DEFAULT VALUES")
                        self.probes.append(time.monotonic())
                finally:
                    connection.close()
            except psycopg2.Error:
                self.stopping.wait(0.05)
