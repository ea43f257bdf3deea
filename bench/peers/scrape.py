# Scrapes what so many processes of client_python's multiprocess mode have counted: SHAPE PROCESSES SERIES DEAD ROUNDS
# DIR. The dead had ten series each. It prints the nanoseconds of each scrape; of the shape "inc" those of an increment.
import os
import sys
import time

shape, processes, series, dead, rounds, directory = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess


if shape == "inc":
    c = Counter("requests", "Requests.", ["path"])
    for _ in range(rounds):
        begin = time.perf_counter_ns()
        for _ in range(20000):
            c.labels("/path/7").inc()
        print((time.perf_counter_ns() - begin) / 20000)
    sys.exit()


def count(series):
    if shape == "counters":
        c = Counter("requests", "Requests.", ["path"])
        for i in range(series):
            c.labels("/path/%d" % i).inc()
    else:
        h = Histogram("duration_seconds", "Durations.", ["path"], buckets=[0.001 * 2**n for n in range(10)])
        for i in range(series):
            h.labels("/path/%d" % i).observe(i / 1000)


for _ in range(dead):
    pid = os.fork()
    if pid == 0:
        count(10)
        os._exit(0)
    os.waitpid(pid, 0)
ready, said = os.pipe()
hold, let_go = os.pipe()
children = []
for _ in range(processes):
    pid = os.fork()
    if pid == 0:
        os.close(let_go)
        count(series)
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
assert want % (processes + dead) in text, text[:2000]
os.close(let_go)
for pid in children:
    os.waitpid(pid, 0)
