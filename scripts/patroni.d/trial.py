"""trial.py FOLDER POSTGRES-BIN USER FAILOVERS REPLICAS PROGRAM...

Kills the primary of a Patroni cluster again and again while treehead is written to and read from; scripts/patroni runs it."""

import pathlib
import re
import signal
import subprocess
import sys
import time

import psycopg2

from audit import audit
from cluster import Cluster, wait_for
from load import Load, exchange

RATE = 200
# How much longer than Postgres's own the pause of the writes may be.
LONGEST_EXTRA = 5
# Load between the moment when the cluster is whole again and the next kill.
CALM = 3


class Replica:
    """One treehead on the cluster."""

    def __init__(self, folder, number, program, url):
        self.output = folder / f"treehead-{number}.out"
        log = open(folder / f"treehead-{number}.log", "wb")
        command = [program, "serve", "--data-dir", str(folder / "ledger"), "--database", url,
                   "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=log)
        self.port = wait_for(self.ready, 60, f"treehead {number}")

    def ready(self):
        if self.process.poll() is not None:
            raise RuntimeError("treehead ended")
        found = re.search(r"^API +http://127\.0\.0\.1:(\d+)$", self.output.read_text(), re.MULTILINE)
        try:
            return int(found[1]) if found and exchange(int(found[1]), "GET", "/readyz")[0] == 200 else None
        except OSError:
            return None

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def longest_pause(times, begin, end):
    """The longest pause between two of `times` that touches the span."""
    inside = [one for one in sorted(times) if begin - 2 <= one <= end]
    return max((later - earlier for earlier, later in zip(inside, inside[1:])), default=end - begin)


def fail_over(cluster, load, number):
    """Kills the primary, waits until all is well again, and returns (kind, begin, end)."""
    old = cluster.primary()
    kind = ("postgres", "machine")[number % 2]
    begin = time.monotonic()
    if kind == "postgres":
        old.kill_postgres()
    else:
        old.kill_both()

    def replaced():
        return any(node is not old and (node.status() or {}).get("role") in ("master", "primary")
                   for node in cluster.nodes)

    wait_for(replaced, 90, "another primary")
    if kind == "machine":
        old.start()
    # Both have to go on by themselves before the next kill.
    after = time.monotonic()
    wait_for(lambda: load.probes and load.probes[-1] > after, 60, "a commit of Postgres")
    wait_for(lambda: load.acknowledged and load.acknowledged[-1][0] > after, 60, "an acknowledged entry")
    end = time.monotonic()
    cluster.wait_whole()
    time.sleep(CALM)
    return kind, begin, end


def report_reads(load, spans):
    """One line for each form of read: how many were answered during the gaps, and the slowest."""
    for what in ("checkpoint", "entry", "tile"):
        inside = [read for read in load.reads if read[1] == what
                  and any(begin <= read[0] <= end for begin, end in spans)]
        good = [read for read in inside if read[2] == 200]
        others = sorted({str(read[2]) for read in inside if read[2] != 200})
        late = max((read[3] for read in inside if read[2] != 200), default=0)
        slowest = max((read[3] for read in good), default=0)
        refused = f", otherwise {' '.join(others)} after up to {late:.1f} s" if others else ""
        print(f"- reads of {what} while Postgres took no writes: {len(good)} of {len(inside)} answered{refused};"
              f" the slowest answer {slowest:.2f} s")


def run(cluster, replicas, folder, failovers, count, programs):
    cluster.start()
    admin = psycopg2.connect(cluster.url("postgres", cluster.password, "postgres"))
    admin.autocommit = True
    admin.cursor().execute(f"CREATE ROLE treehead LOGIN PASSWORD '{cluster.password}'")
    admin.cursor().execute("CREATE DATABASE treehead OWNER treehead")
    admin.close()
    url = cluster.url("treehead", cluster.password, "treehead")
    for number in range(count):
        replicas.append(Replica(folder, number, programs[number % len(programs)], url))
    load = Load([one.port for one in replicas], RATE, cluster.url("postgres", cluster.password, "postgres"))
    load.start()
    wait_for(lambda: len(load.acknowledged) > 2 * RATE, 60, "the first entries")
    faults, gaps = [], []
    for number in range(failovers):
        kind, begin, end = fail_over(cluster, load, number)
        own = longest_pause(load.probes, begin, end)
        gap = longest_pause([one[0] for one in load.acknowledged], begin, end)
        gaps.append((begin, begin + own))
        print(f"  {number + 1}. {kind}: writes of Postgres paused {own:.1f} s, of treehead {gap:.1f} s", flush=True)
        if gap > own + LONGEST_EXTRA:
            faults.append(f"failover {number + 1}: a pause of {gap:.1f} s, Postgres's own {own:.1f} s")
    load.stop()
    faults += load.unexpected
    stored, shown, wrong = audit(replicas[0].port, load.acknowledged, load.heads)
    faults += wrong
    seconds = max(one[0] for one in load.acknowledged) - load.acknowledged[0][0]
    print(f"- {failovers} failovers, {count} servers of {len(programs)} builds: {stored} acknowledged entries"
          f" in {seconds:.0f} s, {len([one for one in wrong if 'missing' in one])} lost, {shown} heads of one history")
    print(f"- refused and sent again: {load.refused}")
    report_reads(load, gaps)
    print(f"- reasons of refused reads: {sorted(load.reasons)}")
    for one in replicas:
        if one.process.poll() is not None:
            faults.append("a treehead ended by itself")
        one.stop()
    fsck = subprocess.run([programs[0], "fsck", "--database", url], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(f"- fsck: exit status {fsck.returncode}")
    if fsck.returncode != 0:
        faults.append(fsck.stdout.decode()[-2000:])
    return faults


def main():
    # Ends in order, so that nothing that it started stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder, bin_folder, user, failovers, count = sys.argv[1:6]
    cluster, replicas = Cluster(pathlib.Path(folder), bin_folder, user), []
    try:
        faults = run(cluster, replicas, pathlib.Path(folder), int(failovers), int(count), sys.argv[6:])
    finally:
        for one in replicas:
            one.stop()
        cluster.stop()
    for fault in faults:
        print(f"FAULT: {fault}")
    sys.exit(1 if faults else 0)


main()
