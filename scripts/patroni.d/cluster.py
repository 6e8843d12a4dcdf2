"""A Patroni cluster on loopback: etcd and three nodes with deploy/patroni, and the ways in which a node is killed."""

import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

NODES = ("db1", "db2", "db3")
SAMPLES = pathlib.Path(__file__).parents[2] / "deploy" / "patroni"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, seconds, what):
    """Returns the first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds} s")


def get_json(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


class Node:
    """One Patroni with its Postgres."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.port, self.rest = free_port(), free_port()
        self.data = cluster.folder / name
        self.process = None

    def start(self):
        here = {
            "PATRONI_NAME": self.name,
            "PATRONI_ETCD3_HOSTS": f"127.0.0.1:{self.cluster.etcd_port}",
            "PATRONI_RESTAPI_LISTEN": f"127.0.0.1:{self.rest}",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"127.0.0.1:{self.rest}",
            "PATRONI_POSTGRESQL_LISTEN": f"127.0.0.1:{self.port}",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"127.0.0.1:{self.port}",
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.data),
            "PATRONI_POSTGRESQL_BIN_DIR": self.cluster.bin_folder,
            "PATRONI_POSTGRESQL_PGPASS": str(self.cluster.folder / f"pgpass-{self.name}"),
            "PATRONI_SUPERUSER_PASSWORD": self.cluster.password,
            "PATRONI_REPLICATION_PASSWORD": self.cluster.password,
        }
        sample = dict(
            line.split("=", 1)
            for line in (SAMPLES / "node.env").read_text().splitlines()
            if line and not line.startswith("#")
        )
        # What the sample does not name is not given here either, and the other way round.
        assert set(here) <= set(sample), set(here) - set(sample)
        self.process = self.cluster.spawn(
            self.name, ["patroni", str(self.cluster.folder / "patroni.yml")], sample | here
        )

    def status(self):
        return get_json(f"http://127.0.0.1:{self.rest}/patroni")

    def kill_postgres(self):
        """Kills the postmaster; its children end once they notice."""
        with open(self.data / "postmaster.pid", encoding="ascii") as file:
            os.kill(int(file.readline()), signal.SIGKILL)

    def kill_both(self):
        """Kills Patroni and Postgres, as a lost machine does."""
        self.process.kill()
        self.kill_postgres()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        try:
            self.kill_postgres()
        except (OSError, ValueError):
            pass


class Cluster:
    """The nodes and their etcd. MUST be stopped."""

    def __init__(self, folder, bin_folder, user):
        self.folder, self.bin_folder, self.user = folder, bin_folder, user
        self.password = secrets.token_hex(16)
        self.etcd_port = free_port()
        self.etcd = None
        shutil.copy(SAMPLES / "patroni.yml", folder / "patroni.yml")
        self.nodes = [Node(self, name) for name in NODES]

    def spawn(self, name, command, environment):
        log = open(self.folder / f"{name}.log", "ab")
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"} | environment,
            user=self.user or None,
            start_new_session=True,
        )

    def start(self):
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{free_port()}"
        self.etcd = self.spawn("etcd", [
            "etcd", "--name", "one", "--data-dir", str(self.folder / "etcd"),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"one={peer}",
        ], {})
        wait_for(lambda: get_json(f"{client}/health"), 30, "etcd")
        for node in self.nodes:
            node.start()
        self.wait_whole()

    def members(self):
        for node in self.nodes:
            cluster = get_json(f"http://127.0.0.1:{node.rest}/cluster")
            if cluster:
                return {member["name"]: member for member in cluster["members"]}
        return {}

    def is_whole(self):
        """Whether all nodes run, one of them is the primary, and one confirms its commits."""
        members = self.members().values()
        roles = [member["role"] for member in members]
        return (
            len(members) == len(self.nodes)
            and all(member["state"] in ("running", "streaming") for member in members)
            and len({member.get("timeline") for member in members}) == 1
            and roles.count("leader") == 1
            and "sync_standby" in roles
        )

    def wait_whole(self):
        wait_for(self.is_whole, 180, "a primary and two standbys")

    def primary(self):
        def leader():
            for node in self.nodes:
                status = node.status()
                if status and status.get("role") in ("master", "primary"):
                    return node
            return None

        return wait_for(leader, 60, "a primary")

    def url(self, user, password, database):
        """The URL of all nodes, as libpq and treehead read it."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgres://{user}:{password}@{hosts}/{database}?target_session_attrs=read-write"

    def stop(self):
        for node in self.nodes:
            node.stop()
        if self.etcd:
            self.etcd.kill()
            self.etcd.wait()
