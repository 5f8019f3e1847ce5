/**
 * The checker of the crash suite: a history in which all is well passes, and the same history with one thing wrong is
 * caught by exactly the rule for it. Run by Node's own runner, since it is no part of the package.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLANNED_ERROR } from '../../chaos/planned'
import { DRIVER, type Story, WALL, caught, goodStory, passes, rulesBroken } from './story'

passes('a history in which all is well', () => undefined)
passes('the same without attacks', () => undefined, { hasNemesis: false })

/** A second job starts at 9000, while the first, from 6000 on, shows signs of life until 9500. */
function sideBySide(story: Story, lasts = 3500): void {
  const plan = story.add(5000, 'twice', 'long')
  story.job(plan, 6000, lasts)
  const token = story.job(plan, 9000, 100, 'done', 20)
  story.event(9200, plan, 'done', { token }, 20)
}
caught('overlapping', 'jobs side by side', story => {
  sideBySide(story)
})
passes('jobs one after the other, since the first lost its worker', story => {
  sideBySide(story, 2900)
  story.attack('kill-worker', [11], 8901)
})
passes('jobs side by side, whose master was stopped for the lease', story => {
  sideBySide(story)
  story.attack('stop-master', [10], 6500, 9400)
})
passes('jobs side by side, while the database was away for the lease', story => {
  sideBySide(story)
  story.attack('kill-mongod', [2], 6100, 8800)
})
passes('jobs side by side, whose master was stopped twice, with no time for a renewal in between', story => {
  sideBySide(story)
  story.attack('stop-master', [10], 6500, 7500).attack('kill-mongod', [2], 8000, 8900)
})
passes('a job that was long on its way before it started, while its master was stopped', story => {
  const plan = story.add(3500, 'twice', 'long')
  story.stored(3600, plan, 'running', { token: 'slow', owner: 10 })
  story.say(6050, 11, { what: 'start', ...plan, token: 'slow', attempt: 1 })
  story.say(6500, 11, { what: 'beat', token: 'slow' })
  story.skipAttempt(plan)
  const token = story.job(plan, 6150, 100, 'done', 20)
  story.event(6300, plan, 'done', { token }, 20)
  story.attack('stop-master', [10], 3500, 6600)
})
caught('overlapping', 'although its master was stopped, but too short', story => {
  sideBySide(story)
  story.attack('stop-master', [10], 7000, 8700)
})
caught('overlapping', 'although the master was stopped, but too late', story => {
  sideBySide(story)
  story.attack('stop-master', [10], 8000, 12_000)
})
caught('overlapping', 'although the other master was stopped', story => {
  sideBySide(story)
  story.attack('stop-master', [20], 6500, 9400)
})
caught('overlapping', 'although its worker was stopped', story => {
  sideBySide(story)
  story.attack('stop-worker', [11], 6500, 9400)
})
passes('jobs side by side, whose worker was stopped when its master was killed', story => {
  sideBySide(story)
  story.attack('kill-master', [10], 6500, 9400).exit(6501, 10).attack('stop-worker', [11], 6500, 9400)
})
caught('overlapping', 'although its master was killed', story => {
  sideBySide(story)
  story.attack('kill-master', [10], 6500, 7500).exit(6501, 10)
})
caught('overlapping', 'although its master was stopped, but signs of life went on for long', story => {
  sideBySide(story, 9000)
  story.attack('stop-master', [10], 6500, 9400)
})
caught('overlapping', 'although it was stopped twice, but with time for a renewal in between', story => {
  sideBySide(story)
  story.attack('stop-master', [10], 6100, 7200).attack('stop-master', [10], 8300, 8900)
})

caught('late', 'a job that was received too late and started', story => {
  const plan = story.add(5000, 'late')
  const { id, incarnation } = plan
  story.say(9000, 11, { what: 'received', id, incarnation, token: 'late', startBefore: 9000 })
  story.say(9001, 11, { what: 'start', id, incarnation, token: 'late', attempt: 1 })
  story.say(9002, 11, { what: 'end', token: 'late', how: 'done' })
  story.event(9010, plan, 'done', { token: 'late' })
})
passes('a job that was received too late, and once more in time', story => {
  const plan = story.add(5000, 'again')
  const { id, incarnation } = plan
  story.say(9000, 11, { what: 'received', id, incarnation, token: 'again', startBefore: 8000 })
  story.say(9001, 11, { what: 'received', id, incarnation, token: 'again', startBefore: 10_000 })
  story.say(9002, 11, { what: 'start', id, incarnation, token: 'again', attempt: 1 })
  story.say(9003, 11, { what: 'end', token: 'again', how: 'done' })
  story.event(9010, plan, 'done', { token: 'again' })
})
passes('a job that was received too late and not started', story => {
  const { id, incarnation } = story.done(5000, 'late')
  story.say(9000, 11, { what: 'received', id, incarnation, token: 'late', startBefore: 9000 })
})

caught('completed twice', 'done on two masters', story => {
  const plan = story.done(5000, 'twice')
  const token = story.job(plan, 6000, 10, 'done', 20)
  story.event(6020, plan, 'done', { token }, 20)
})
caught('completed twice', 'done and failed', story => {
  const plan = story.add(5000, 'both', 'failing')
  story.job(plan, 5100, 10, 'failed')
  story.failed(5120, plan, PLANNED_ERROR)
  story.event(5130, plan, 'done')
})

caught('completed twice', 'cancelled on two masters', story => {
  const plan = story.add(5000, 'cancelled')
  const { id, incarnation } = plan
  story.say(5010, 20, { what: 'cancelling', id, incarnation })
  story.event(5020, plan, 'cancelled').event(5030, plan, 'cancelled', {}, 20)
})

caught('early', 'a start before the due date', story => {
  story.done(5000, 'early', 'short', { due: WALL + 5056 })
})
passes('a start within the tolerance', story => {
  story.done(5000, 'early', 'short', { due: WALL + 5054 })
})

caught('attempts', 'the same number twice', story => {
  const plan = story.add(5000, 'counted', 'retrying', { retries: 1, failures: 1 })
  story.job(plan, 5100, 10, 'failed')
  const { id, incarnation } = plan
  story.say(6000, 11, { what: 'start', id, incarnation, token: 'again', attempt: 1 })
  story.say(6010, 11, { what: 'end', token: 'again', how: 'done' })
  story.event(6020, plan, 'done', { token: 'again' })
})
caught('attempts', 'a retry too many', story => {
  const plan = story.done(5000, 'retried', 'retrying', { retries: 1, failures: 1 })
  story.event(5060, plan, 'retry').event(5070, plan, 'retry')
})
caught('withdrawn', 'a job that was claimed after its task was removed', story => {
  const plan = story.add(5000, 'removed')
  story.act(5190, plan, 'remove')
  story.job(plan, 5216, 10, 'done')
})
passes('a job that was claimed before its task was removed', story => {
  const plan = story.add(5000, 'removed')
  story.act(5190, plan, 'remove')
  story.job(plan, 5209, 10, 'aborted')
})

caught('orphans', 'a worker that outlives its master', story => {
  story.say(90_000, DRIVER, { what: 'survivor', target: 11, command: 'node main.js' })
})
caught('ended', 'a master that ended by itself', story => {
  story.exit(5000, 10, false)
})
caught('stuck', 'a queue that did not get empty', story => {
  story.say(90_000, DRIVER, { what: 'drain', milliseconds: 60_000, isComplete: false })
})

const quiet = { hasNemesis: false }
caught(
  'undisturbed',
  'a task that is to kill its worker once, and did not',
  story => {
    story.done(5000, 'harmless', 'dyingOnce')
  },
  quiet,
)
caught(
  'undisturbed',
  'a stall without a reason',
  story => {
    story.event(5300, story.done(5000, 'stalled'), 'stalled')
  },
  quiet,
)

void test('a pid that is used again is another process', () => {
  const story = goodStory()
  story.attack('kill-worker', [11], 4000)
  story.say(4900, 11, { what: 'process', role: 'worker', parent: 10 })
  const plan = story.add(5000, 'accused', 'long')
  for (const at of [6000, 7000, 8000]) story.job(plan, at, 500)
  story.failed(8700, plan, 'WorkerCrashError')
  assert.deepEqual(rulesBroken(story), ['lost', 'unexplained'])
})
passes(
  'a task that runs again, since its worker was killed by the job beside it',
  story => {
    const killer = story.add(5000, 'killer', 'dyingOnce')
    const plan = story.add(5000, 'beside')
    story.job(plan, 6000, 5)
    story.job(killer, 6010, 5)
    story.replaceWorker(6020)
    for (const task of [killer, plan]) {
      const token = story.job(task, 6500, 10, 'done')
      story.event(6520, task, 'done', { token })
    }
  },
  quiet,
)
