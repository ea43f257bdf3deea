# Scrapes what so many processes of client_python's multiprocess mode have counted: SHAPE PROCESSES ROUNDS DIR. It
# prints the nanoseconds of each scrape.
import os
import sys
import time

shape, processes, rounds, directory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess


def count():
    if shape == "counters":
        c = Counter("requests", "Requests.", ["path"])
        for i in range(1000):
            c.labels("/path/%d" % i).inc()
    else:
        h = Histogram("duration_seconds", "Durations.", ["path"], buckets=[0.001 * 2**n for n in range(10)])
        for i in range(100):
            h.labels("/path/%d" % i).observe(i / 1000)


ready, said = os.pipe()
hold, let_go = os.pipe()
children = []
for _ in range(processes):
    pid = os.fork()
    if pid == 0:
        os.close(let_go)
        count()
        os.write(said, b".")
        os.read(hold, 1)  # until the parent ends
        os._exit(0)
    children.append(pid)
os.close(hold)
seen = 0
while seen < processes:
    seen += len(os.read(ready, processes))

registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
generate_latest(registry)
for _ in range(rounds):
    begin = time.perf_counter_ns()
    text = generate_latest(registry)
    print(time.perf_counter_ns() - begin)
want = b"requests_total{path=\"/path/7\"} %.1f" if shape == "counters" else b"duration_seconds_count{path=\"/path/7\"} %.1f"
assert want % processes in text, text[:2000]
os.close(let_go)
for pid in children:
    os.waitpid(pid, 0)
