// Scrapes what so many workers of a Node cluster have counted with prom-client: SHAPE PROCESSES SERIES DEAD ROUNDS, where
// DEAD is 0: it forgets them. It prints the nanoseconds of each scrape; of the shape "inc" those of an increment.
"use strict";
const cluster = require("node:cluster");
const client = require("prom-client");

const shape = process.argv[2];
const [processes, series, , rounds] = process.argv.slice(3).map(Number);

if (shape === "inc") {
  const c = new client.Counter({name: "requests_total", help: "Requests.", labelNames: ["path"]});
  for (let round = 0; round < rounds; round++) {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < 20000; i++) c.inc({path: "/path/7"});
    console.log(Number(process.hrtime.bigint() - begin) / 20000);
  }
} else if (!cluster.isPrimary) {
  new client.AggregatorRegistry(); // or the worker does not answer
  if (shape === "counters") {
    const c = new client.Counter({name: "requests_total", help: "Requests.", labelNames: ["path"]});
    for (let i = 0; i < series; i++) c.inc({path: `/path/${i}`});
  } else {
    const buckets = Array.from({length: 10}, (_, n) => 0.001 * 2 ** n);
    const h = new client.Histogram({name: "duration_seconds", help: "Durations.", labelNames: ["path"], buckets});
    for (let i = 0; i < series; i++) h.observe({path: `/path/${i}`}, i / 1000);
  }
  process.send("ready");
} else {
  const registry = new client.AggregatorRegistry();
  let ready = 0;
  const scrape = async () => {
    let text = await registry.clusterMetrics();
    for (let i = 0; i < rounds; i++) {
      const begin = process.hrtime.bigint();
      text = await registry.clusterMetrics();
      console.log(String(process.hrtime.bigint() - begin));
    }
    const want = shape === "counters" ? `requests_total{path="/path/7"} ${processes}` : `duration_seconds_count{path="/path/7"} ${processes}`;
    if (!text.includes(want)) throw new Error(text.slice(0, 2000));
    for (const worker of Object.values(cluster.workers)) worker.kill("SIGKILL");
    process.exit(0);
  };
  for (let i = 0; i < processes; i++) {
    cluster.fork().on("message", (m) => {
      if (m === "ready" && ++ready === processes) scrape().catch((e) => { console.error(e); process.exit(1); });
    });
  }
}
