/** The checker of the crash suite: what explains that a task runs again, and which number its attempts have. */
import type { Plan } from '../../chaos/log'
import { DRIVER, type Story, caught, passes } from './story'

/**
 * Two jobs: one from 6000 to 6100, whose start was told at `toldAt`, and from 6500 on another, after which the task is
 * done.
 */
function runsAgain(story: Story, how?: 'done' | 'failed' | 'aborted', more: Partial<Plan> = {}, toldAt = 6000): Plan {
  const plan = story.add(5000, 'again', 'long', more)
  story.say(toldAt, 11, { what: 'told', token: story.job(plan, 6000, 100, how) })
  const token = story.job(plan, 6500, 10, 'done', 20)
  story.event(6600, plan, 'done', { token }, 20)
  return plan
}

for (const how of ['done', 'failed', 'aborted'] as const) {
  caught('unexplained', `a second job after one that was ${how}`, story => {
    runsAgain(story, how)
  })
}
caught('unexplained', 'a second job after one that just stopped', story => {
  runsAgain(story)
})
passes('a second job after one that failed, and may be retried', story => {
  runsAgain(story, 'failed', { retries: 1 })
})
caught('unexplained', 'a second job after one that was done, and may be retried', story => {
  runsAgain(story, 'done', { retries: 1 })
})
passes('a second job after one that overran its timeout', story => {
  runsAgain(story, 'aborted', { retries: 1, timeout: 100 })
})
caught('unexplained', 'a second job after one that was aborted before its timeout', story => {
  runsAgain(story, 'aborted', { retries: 1, timeout: 150 })
})
passes('a second job after one that overran its timeout since its start was told', story => {
  runsAgain(story, 'aborted', { retries: 1, timeout: 150 }, 5950)
})
passes('a second job after a retry by hand', story => {
  story.act(6200, runsAgain(story, 'failed'), 'retry')
})
caught('unexplained', 'a second job after a retry that found nothing to retry', story => {
  story.act(6200, runsAgain(story, 'failed'), 'retry', { found: false })
})

passes('a second job after one whose worker was killed', story => {
  runsAgain(story)
  story.attack('kill-worker', [11], 6101)
})
caught('unexplained', 'a second job although the worker of the first was killed long after its end', story => {
  runsAgain(story, 'done')
  story.attack('kill-worker', [11], 7200)
})
caught('unexplained', 'a second job although another worker was killed', story => {
  runsAgain(story)
  story.attack('kill-worker', [21], 6101)
})
caught('unexplained', 'a second job after one whose worker ended for no reason', story => {
  runsAgain(story)
  story.replaceWorker(6110).exit(85_000, 10)
})
passes('a second job after one whose worker was killed by the job beside it', story => {
  const neighbour = story.add(5000, 'killer', 'dyingOnce')
  story.job(neighbour, 6050, 40)
  const token = story.job(neighbour, 6700, 10, 'done', 20)
  story.event(6720, neighbour, 'done', { token }, 20)
  runsAgain(story)
  story.replaceWorker(6110)
})
passes('a second job after one whose worker was killed since the job beside it ignored its timeout', story => {
  const neighbour = story.add(5000, 'ignoring', 'ignoring', { timeout: 60 })
  story.job(neighbour, 6020, 70)
  story.failed(6130, neighbour, 'TaskTimeoutError')
  runsAgain(story)
  story.replaceWorker(6110)
})
passes('a second job after one whose worker was killed before the outcome of the job beside it had left', story => {
  const neighbour = story.add(5000, 'overrunning', 'overrunning', { timeout: 60 })
  story.job(neighbour, 6020, 70, 'aborted')
  story.failed(6130, neighbour, 'TaskTimeoutError')
  runsAgain(story)
  story.replaceWorker(6110)
})

passes('a second job after one whose master was killed', story => {
  runsAgain(story, 'done')
  story.attack('kill-master', [10], 6110, 7000).exit(6111, 10)
})
passes('a second job after one whose master stopped cleanly', story => {
  runsAgain(story, 'aborted')
  story.attack('clean-stop', [10], 6050, 7000).exit(6900, 10)
})
caught('unexplained', 'a second job although another master was killed', story => {
  runsAgain(story, 'done')
  story.attack('kill-master', [20], 7110, 8000).exit(7111, 20)
})
passes('a second job after one whose outcome could not be stored', story => {
  runsAgain(story, 'done')
  story.attack('kill-mongod', [2], 6090, 6400)
})
caught('unexplained', 'a second job although the database was away only before the first', story => {
  runsAgain(story, 'done')
  story.attack('kill-mongod', [2], 5000, 5500)
})

/** As above, but the second job comes much later. */
function runsAgainLate(story: Story): void {
  const plan = story.add(5000, 'again', 'long')
  story.job(plan, 6000, 100, 'done')
  const token = story.job(plan, 20_000, 10, 'done', 20)
  story.event(20_100, plan, 'done', { token }, 20)
}
caught('unexplained', 'a second job although the outcome had time to be stored before the master was killed', story => {
  runsAgainLate(story)
  story.attack('kill-master', [10], 17_000, 18_000).exit(17_001, 10)
})
passes('a second job after one whose master was stopped for the lease', story => {
  runsAgainLate(story)
  story.attack('stop-master', [10], 6050, 9500)
})
caught('unexplained', 'a second job after one whose master was stopped for less', story => {
  runsAgainLate(story)
  story.attack('stop-master', [10], 6050, 7500)
})
caught('unexplained', 'a job after one that was told as done', story => {
  const plan = story.done(5000, 'told')
  story.job(plan, 5500, 10, 'aborted')
  story.attack('kill-master', [10], 5200, 7000).exit(5201, 10)
})

/** A claim that is released without a start, and a job with this number. */
function returned(story: Story, attempt: number): void {
  const plan = story.add(5000, 'returned')
  const { id, incarnation } = plan
  story.stored(5100, plan, 'running', { token: 'first', owner: 10 }).stored(5400, plan, 'waiting')
  story.stored(5500, plan, 'running', { token: 'second', owner: 20 })
  story.say(5510, 21, { what: 'start', id, incarnation, token: 'second', attempt })
  story.say(5520, 21, { what: 'end', token: 'second', how: 'done' })
  story.stored(5530, plan, null).event(5540, plan, 'done', { token: 'second' }, 20)
}
passes('the number of a first start, after a claim that was released', story => {
  returned(story, 1)
})
caught('attempts', 'the number of a second start, after a claim that was released', story => {
  returned(story, 2)
})
passes('the number of a second start, after a claim whose worker was killed', story => {
  returned(story, 2)
  story.attack('kill-worker', [11], 5200)
})
caught('attempts', 'the number of a third start, after one claim whose worker was killed', story => {
  returned(story, 3)
  story.attack('kill-worker', [11], 5200)
})
caught('attempts', 'the number of a second start, although a worker of another master was killed', story => {
  returned(story, 2)
  story.attack('kill-worker', [21], 5200)
})
passes('the number of a second start, after a claim that its master, just killed, had on its way', story => {
  returned(story, 2)
  story.say(5150, DRIVER, { what: 'gone', target: 10, aliveAt: 5099 })
})
caught('attempts', 'the number of a second start, after a claim of a master that was killed long before', story => {
  returned(story, 2)
  story.say(5090, DRIVER, { what: 'gone', target: 10, aliveAt: 5080 })
})
caught('attempts', 'a start that was not counted', story => {
  const plan = story.add(5000, 'uncounted', 'retrying', { retries: 1, failures: 1 })
  const { id, incarnation } = plan
  story.stored(5090, plan, 'running', { token: 'first', owner: 10 })
  story.say(5100, 11, { what: 'start', id, incarnation, token: 'first', attempt: 0 })
  story.say(5110, 11, { what: 'end', token: 'first', how: 'failed' })
  const token = story.skipAttempt(plan).job(plan, 5500, 10, 'done')
  story.event(5520, plan, 'done', { token })
})
caught(
  'unexplained',
  'a second job after one whose task had been cancelled and retried before it, and whose worker ended',
  story => {
    const plan = story.add(4500, 'again', 'long')
    story.act(5000, plan, 'cancel').event(5020, plan, 'cancelled').act(5100, plan, 'retry')
    story.job(plan, 6000, 100)
    story.replaceWorker(6110)
    const token = story.job(plan, 6500, 10, 'done', 20)
    story.event(6600, plan, 'done', { token }, 20)
  },
)
