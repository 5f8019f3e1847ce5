/** The checker of the crash suite: which waits beside an idle worker count. */
import type { Plan } from '../../chaos/log'
import { DRIVER, LEASE, type Story, WALL, caught, passes } from './story'

/** What a task may wait: its lease, two looks at the queue and the repetition of a write. */
const BOUND = LEASE + 500 + 5000
const LONG = BOUND + 2000
/** What a worker may take until it is there. */
const BOOT = 11_000

/** Both masters and their workers are ready from the start. */
function ready(story: Story, workers = [11, 21], slots = 1, maxJobs: number | null = null, bootedIn = 500): void {
  for (const pid of [10, 20, ...workers]) story.say(10, pid, { what: 'ready', bootedIn, workers: 1, slots, maxJobs })
}

/** A task that waits in the queue from 5000 on, and is done after this. */
function waits(story: Story, milliseconds: number, more: Partial<Plan> = {}): Plan {
  const plan = story.add(4990, 'late', 'short', more)
  story.stored(5000, plan, 'waiting')
  const token = story.job(plan, 5000 + milliseconds, 10, 'done')
  story.event(5020 + milliseconds, plan, 'done', { token }).stored(5015 + milliseconds, plan, null)
  return plan
}

/** A job that keeps this worker busy, and says that it ran on. */
function busy(story: Story, from: number, lasts: number, master: 10 | 20, kind: 'long' | 'blocking' = 'long'): void {
  const plan = story.add(from - 50, `busy-${String(master)}-${String(from)}`, kind)
  const token = story.job(plan, from, lasts, 'done', master)
  story.event(from + lasts + 10, plan, 'done', { token }, master).stored(from + lasts + 10, plan, null)
}

caught('waiting', 'a task that waits beside idle workers', story => {
  ready(story)
  waits(story, LONG)
})
passes('a task that waits beside them for less', story => {
  ready(story)
  waits(story, BOUND - 500)
})
passes('a task that waits beside them on a machine that is slow in everything', story => {
  ready(story, [11, 21], 1, null, 4000)
  waits(story, LONG)
})
passes('a task that waits while all workers are busy', story => {
  ready(story)
  busy(story, 4900, LONG, 10)
  busy(story, 4900, LONG, 20)
  waits(story, LONG)
})
caught('waiting', 'a task that waits while one of two workers is busy', story => {
  ready(story)
  busy(story, 4900, LONG, 10)
  waits(story, LONG)
})
passes('a task that waits while workers are idle between short jobs only', story => {
  ready(story)
  for (const master of [10, 20] as const) for (let at = 4900; at < 5000 + LONG; at += 900) busy(story, at, 100, master)
  waits(story, LONG)
})
caught('waiting', 'a task that waits beside a worker that could run a second job at once', story => {
  ready(story, [11, 21], 2)
  busy(story, 4900, LONG, 10)
  busy(story, 4900, LONG, 20)
  waits(story, LONG)
})
passes('a task that waits beside workers that could, were they not blocked', story => {
  ready(story, [11, 21], 2)
  busy(story, 4900, LONG, 10, 'blocking')
  busy(story, 4900, LONG, 20, 'blocking')
  waits(story, LONG)
})
/** A task that killed its worker, and that master 10 holds from 5000 on, until a worker has no other job. */
function suspect(story: Story, waitsFor: number): void {
  const plan = story.add(3000, 'suspect', 'dying')
  story.job(plan, 3100, 10)
  story.replaceWorker(3200)
  story.say(3300, 11, { what: 'ready', bootedIn: 500, workers: 1, slots: 2, maxJobs: null })
  story.stored(5000, plan, 'running', { token: 'alone', owner: 10 })
  const { id, incarnation } = plan
  story.say(5000 + waitsFor, 11, { what: 'start', id, incarnation, token: 'alone', attempt: 2 })
  story.say(5010 + waitsFor, 11, { what: 'end', token: 'alone', how: 'done' })
  story.event(5020 + waitsFor, plan, 'done', { token: 'alone' }).stored(5015 + waitsFor, plan, null)
}
passes('a task that waits while a worker is kept for a task that must run alone', story => {
  ready(story, [11, 21], 2)
  for (const master of [10, 20] as const) busy(story, 4900, LONG, master)
  busy(story, 4950, LONG, 20)
  suspect(story, LONG)
  waits(story, LONG)
})
caught('waiting', 'a task that must run alone and waits beside a worker without jobs', story => {
  ready(story, [11, 21], 2)
  for (const from of [4900, 4950]) busy(story, from, LONG, 20)
  suspect(story, LONG)
})

passes('a task that waits beside workers that were stopped', story => {
  ready(story)
  waits(story, LONG)
  for (const worker of [11, 21]) story.attack('stop-worker', [worker], 5000, 5000 + LONG)
})
passes('a task that waits while both masters were stopped', story => {
  ready(story)
  waits(story, LONG)
  for (const master of [10, 20]) story.attack('stop-master', [master], 5000, 5000 + LONG)
})
caught('waiting', 'a task that waits while only one master was stopped', story => {
  ready(story)
  waits(story, LONG)
  story.attack('stop-master', [10], 5000, 5000 + LONG)
})
passes('a task that waits while the database was away', story => {
  ready(story)
  waits(story, LONG)
  story.attack('kill-mongod', [2], 5000, 8000)
})
caught('waiting', 'a task that waits long after the database was back', story => {
  ready(story)
  waits(story, LONG + 8000)
  story.attack('kill-mongod', [2], 5000, 8000)
})
passes('a task that is due later', story => {
  ready(story)
  const plan = story.add(4990, 'later', 'short', { due: WALL + 5000 + LONG })
  story.stored(5000, plan, 'scheduled')
  const token = story.job(plan, 5020 + LONG, 10, 'done')
  story.event(5040 + LONG, plan, 'done', { token }).stored(5035 + LONG, plan, null)
})
caught('waiting', 'a task that stays scheduled although it is due', story => {
  ready(story)
  const plan = story.add(4990, 'later', 'short', { due: WALL + 6000 })
  story.stored(5000, plan, 'scheduled')
  const token = story.job(plan, 6000 + LONG, 10, 'done')
  story.event(6020 + LONG, plan, 'done', { token }).stored(6015 + LONG, plan, null)
})
caught('waiting', 'a task that waited beside idle workers until it was removed', story => {
  ready(story)
  const plan = story.add(4990, 'removed')
  story.stored(5000, plan, 'waiting')
  story.act(5000 + LONG, plan, 'remove').stored(5005 + LONG, plan, null)
})

/** A task that master 10 claims at 5000, and whose job starts after this. */
function claimedEarly(story: Story, milliseconds: number): void {
  const plan = story.add(4980, 'claimed')
  story.stored(4990, plan, 'waiting').stored(5000, plan, 'running', { token: 'slow', owner: 10 })
  const { id, incarnation } = plan
  story.say(5000 + milliseconds, 11, { what: 'start', id, incarnation, token: 'slow', attempt: 1 })
  story.say(5010 + milliseconds, 11, { what: 'end', token: 'slow', how: 'done' })
  story.event(5020 + milliseconds, plan, 'done', { token: 'slow' }).stored(5015 + milliseconds, plan, null)
}
caught('waiting', 'a claimed task whose job does not start', story => {
  ready(story)
  claimedEarly(story, LONG)
})
passes('a claimed task whose job does not start, since a worker of its master was stopped', story => {
  ready(story)
  claimedEarly(story, LONG)
  story.attack('stop-worker', [11], 5010, 8000)
})
passes('a claimed task whose master was killed, until its lease ended', story => {
  ready(story)
  const plan = story.add(4980, 'claimed')
  story.stored(5000, plan, 'running', { token: 'first', owner: 10 })
  story.attack('kill-master', [10], 5010, 90_000).exit(5011, 10)
  story.stored(5000 + LONG, plan, 'waiting').skipAttempt(plan)
  const token = story.job(plan, 5020 + LONG, 10, 'done', 20)
  story.event(5040 + LONG, plan, 'done', { token }, 20).stored(5035 + LONG, plan, null)
})

caught('waiting', 'a task that waits beside a master that forks no worker in place of one that is gone', story => {
  ready(story)
  for (const [master, worker] of [
    [10, 11],
    [20, 21],
  ] as const) {
    story.say(4000, DRIVER, { what: 'gone', target: worker, aliveAt: 3990 })
    const returns = 7000 + LONG + BOOT
    story.say(returns, worker, { what: 'process', role: 'worker', parent: master })
  }
  waits(story, LONG + BOOT)
})
passes('a task that waits beside masters whose workers were killed as they booted', story => {
  ready(story)
  for (const [master, worker] of [
    [10, 11],
    [20, 21],
  ] as const) {
    story.say(4000, DRIVER, { what: 'gone', target: worker, aliveAt: 3990 })
    for (const at of [5000, 12_000, 18_000]) story.attack('kill-worker', [worker + 100], at)
    story.say(7000 + LONG + 10_000, worker, { what: 'process', role: 'worker', parent: master })
  }
  waits(story, LONG + 12_000)
})
passes('a task that waits while the worker boots that takes the place of one that is gone', story => {
  ready(story, [11, 21])
  for (const master of [10, 20] as const) story.replaceWorker(4900, master)
  waits(story, LONG)
})
passes('a task that waits beside workers that have had as many jobs as they may', story => {
  ready(story, [11, 21], 1, 1)
  busy(story, 1000, 10, 10)
  busy(story, 1000, 10, 20)
  waits(story, LONG)
})
