// p-queue, given the workloads of the group "limits": lists the cases and runs one of them, as the
// programs of the other languages do.

import process from "node:process";
import PQueue from "p-queue";

const NEVER_REACHED = 10_000_000;
const STRICT = 40;
const MOST_PASSING = 20_000;
const PAIRS = 30;

const kinds = {
  "p-queue.interval": (limit) => ({ intervalCap: limit, interval: 1000 }),
  "p-queue.strict": (limit) => ({ intervalCap: limit, interval: 1000, strict: true }),
};

const workloads = { rate, strictness, levels };

async function rate(subject, jobs, slots) {
  const added = [];
  const times = [];
  const costs = [];
  for (let pair = 0; pair <= PAIRS; pair++) {
    const cpu = {};
    for (const limited of pair % 2 ? [true, false] : [false, true]) {
      const options = limited ? kinds[subject](NEVER_REACHED) : {};
      const queue = new PQueue({ concurrency: slots, ...options });
      let done = 0;
      const stop = meter(jobs);
      for (let n = 0; n < jobs; n++) {
        queue.add(async () => {
          await null;
          done++;
        });
      }
      await queue.onIdle();
      const cost = stop();
      check(done, jobs);
      cpu[limited] = cost.cpu;
      if (limited) costs.push(cost);
    }
    if (pair) {
      added.push(cpu.true - cpu.false);
      times.push(cpu.true / cpu.false);
    }
  }
  costs.sort((a, b) => a.cpu - b.cpu);
  return { ...costs[costs.length >> 1], added: median(added), times: median(times) };
}

// The most starts in any second, by the first line of each job.
async function strictness(subject, jobs, slots) {
  const queue = new PQueue({ concurrency: slots, ...kinds[subject](STRICT) });
  const begun = [];
  const stop = meter(jobs);
  let next = 0;
  while (next < jobs) {
    const burst = 1 + Math.floor(Math.random() * 2 * STRICT);
    for (const end = Math.min(jobs, next + burst); next < end; next++) {
      const blocks = next % 4 === 0;
      queue.add(async () => {
        begun.push(performance.now());
        const end = performance.now() + Math.random() * 3;
        while (blocks && performance.now() < end);
        await sleep(Math.random() * 50);
      });
    }
    // As long as they take, give or take half: at times the limiter has had a rest.
    await sleep((burst / STRICT) * 1000 * (0.5 + Math.random()));
  }
  await queue.onIdle();
  const cost = stop();
  check(begun.length, jobs);
  let most = 0;
  for (let first = 0, last = 0; last < begun.length; last++) {
    while (begun[last] - begun[first] >= 1000) first++;
    most = Math.max(most, last - first + 1);
  }
  return { ...cost, most_starts: most, most_lines: most };
}

// A flood on all levels but the lowest, 0, and one job there.
async function levels(_subject, count) {
  const queue = new PQueue({ concurrency: 1, autoStart: false });
  const started = [];
  let ended = false;
  const hand_in = (level) =>
    queue.add(
      async () => {
        if (ended) return;
        started.push(level);
        ended = level === 0 || started.length === MOST_PASSING;
        hand_in(level);
      },
      { priority: level },
    );
  hand_in(0);
  for (let level = 1; level < count; level++) {
    hand_in(level);
    hand_in(level);
  }
  const stop = meter(count);
  queue.start();
  await queue.onIdle();
  const highest = started.filter((level) => level === count - 1).length / started.length;
  return { ...stop(), starts: started.length, highest };
}

function meter(jobs) {
  globalThis.gc?.();
  const resident = process.memoryUsage.rss();
  const cpu = process.cpuUsage();
  const wall = performance.now();
  return () => {
    const used = process.cpuUsage(cpu);
    return {
      jobs,
      wall: (performance.now() - wall) / 1e3,
      cpu: (used.user + used.system) / 1e6,
      peak: Math.max(0, process.memoryUsage.rss() - resident),
    };
  };
}

function check(found, expected) {
  if (found !== expected) throw new Error(`${found} jobs have run and not ${expected}`);
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function* cases() {
  for (const subject of Object.keys(kinds)) {
    yield { subject, workload: "strictness", jobs: 400, slots: 1000 };
    yield { subject, workload: "rate", jobs: 4_000, slots: 1000 };
  }
  for (const jobs of [2, 3, 32, 201]) {
    yield { subject: "p-queue.interval", workload: "levels", jobs, slots: 1 };
  }
}

const [command, subject, workload, , , jobs, , slots] = process.argv.slice(2);
if (command === "list") {
  for (const found of cases()) console.log(JSON.stringify({ flavor: "node", ...found }));
} else {
  console.log(JSON.stringify(await workloads[workload](subject, Number(jobs), Number(slots))));
}
