/** The checker of the crash suite: what a cancellation, and a removal, have to bring about. */
import type { Plan } from '../../chaos/log'
import { DRIVER, type Story, caught, passes } from './story'

const WEB = 30

/** A task that waits, and is cancelled at 5100 by this process. */
function cancelledWaiting(story: Story, pid = 20): Plan {
  const plan = story.add(5000, 'cancelled')
  story.stored(5002, plan, 'waiting').act(5100, plan, 'cancel', { pid }).stored(5105, plan, 'cancelled')
  return plan
}

/** A job of master 10, from 5050 on, whose task is cancelled at 5100 by master 20; it has `lasts` milliseconds. */
function cancelledRunning(story: Story, lasts = 100): Plan {
  const plan = story.add(5000, 'cancelled', 'long')
  const token = story.job(plan, 5050, lasts, 'aborted')
  story.act(5100, plan, 'cancel', { pid: 20 })
  // As a request, which counts once the job has ended.
  story.stored(5105, plan, 'running', { token, owner: 10, isCancelRequested: true })
  story.stored(5050 + lasts + 10, plan, 'cancelled')
  return plan
}

passes('a waiting task that was cancelled, as its canceller tells', story => {
  story.event(5120, cancelledWaiting(story), 'cancelled', {}, 20)
})
passes('a running task that was cancelled, as its holder tells', story => {
  story.event(5170, cancelledRunning(story), 'cancelled')
})
passes('a running task that became cancelled at once, as on older versions', story => {
  const plan = story.add(5000, 'cancelled', 'long')
  story.job(plan, 5050, 100, 'aborted')
  story.act(5100, plan, 'cancel', { pid: 20 }).stored(5105, plan, 'cancelled')
  story.event(5120, plan, 'cancelled')
})
passes('a cancellation that found no task', story => {
  story.act(5200, story.done(5000, 'ended'), 'cancel', { found: false })
})

caught('cancelled', 'a waiting task that was claimed after it was cancelled', story => {
  const plan = cancelledWaiting(story)
  story.event(5120, plan, 'cancelled', {}, 20)
  story.job(plan, 5216, 10, 'aborted')
  story.stored(5230, plan, 'cancelled')
})
caught('cancelled', 'a waiting task whose job started right after it was cancelled', story => {
  const plan = story.add(5000, 'cancelled')
  story.stored(5002, plan, 'waiting').act(5090, plan, 'cancel', { pid: 20 })
  story.stored(5095, plan, 'cancelled').event(5120, plan, 'cancelled', {}, 20)
  const { id, incarnation } = plan
  story.say(5110, 11, { what: 'start', id, incarnation, token: 'never stored', attempt: 1 })
  story.say(5120, 11, { what: 'end', token: 'never stored', how: 'aborted' })
})

/**
 * A claim of master 10 at 5050, whose task is cancelled at 5100, and whose job starts this long after that was
 * acknowledged.
 */
function startedLate(story: Story, after: number): void {
  const plan = story.add(5000, 'cancelled')
  const token = 'sent ahead'
  story.stored(5050, plan, 'running', { token, owner: 10 }).act(5100, plan, 'cancel', { pid: 20 })
  story.stored(5105, plan, 'running', { token, owner: 10, isCancelRequested: true })
  const { id, incarnation } = plan
  story.say(5110 + after, 11, { what: 'start', id, incarnation, token, attempt: 1 })
  story.say(5120 + after, 11, { what: 'end', token, how: 'aborted' })
  story.stored(5130 + after, plan, 'cancelled').event(5140 + after, plan, 'cancelled')
}
passes('a claimed task whose job starts while the news of its cancellation is on the way', story => {
  startedLate(story, 1200)
})
caught('cancelled', 'a claimed task whose job starts later than that', story => {
  startedLate(story, 1300)
})
passes('a claimed task whose job starts later, since its worker was stopped', story => {
  startedLate(story, 3000)
  story.attack('stop-worker', [11], 5150, 7950)
})
caught('cancelled', 'a claimed task whose job starts later, although another worker was stopped', story => {
  startedLate(story, 3000)
  story.attack('stop-worker', [21], 5150, 7950)
})
passes('a claimed task whose job starts later, since the database was away', story => {
  startedLate(story, 3000)
  story.attack('kill-mongod', [2], 5150, 7950)
})

caught('cancelled', 'a task that is done although it was cancelled', story => {
  const plan = story.add(5000, 'both', 'long')
  const token = story.job(plan, 5050, 100, 'done')
  story.act(5100, plan, 'cancel').stored(5160, plan, null).event(5170, plan, 'done', { token })
})
caught('cancelled', 'a task that failed although it was cancelled', story => {
  const plan = story.add(5000, 'both', 'failing')
  story.job(plan, 5050, 100, 'failed')
  story.act(5100, plan, 'cancel').stored(5160, plan, 'failed').failed(5170, plan, 'PlannedError')
})
caught('cancelled', 'a cancelled task that became waiting again without a retry', story => {
  const plan = cancelledRunning(story)
  story.event(5170, plan, 'cancelled').stored(5200, plan, 'waiting').stored(5300, plan, 'cancelled')
})
passes('a cancelled task that was retried, and is done', story => {
  const plan = cancelledRunning(story)
  story.event(5170, plan, 'cancelled')
  story.act(5300, plan, 'retry').stored(5305, plan, 'waiting')
  const token = story.job(plan, 5400, 10, 'done')
  story.event(5420, plan, 'done', { token }).stored(5415, plan, null)
})
caught('lost', 'a cancelled task that was retried, and never ran again', story => {
  const plan = cancelledRunning(story)
  story.event(5170, plan, 'cancelled')
  story.act(5300, plan, 'retry').stored(5305, plan, 'waiting').left(plan, 'waiting')
})
passes('a cancelled task that was removed', story => {
  const plan = cancelledRunning(story)
  story.act(5102, plan, 'remove', { pid: 20 }).stored(5108, plan, null)
})

caught('cancelled', 'a running task that was cancelled, and its holder did not tell', story => {
  cancelledRunning(story)
})
caught('cancelled', 'a waiting task that was cancelled, and its canceller did not tell', story => {
  cancelledWaiting(story)
})
caught('cancelled', 'a waiting task that was cancelled in a worker, whose master did not tell', story => {
  cancelledWaiting(story, 21)
})
for (const [after, judge] of [
  [1900, passes],
  [
    2100,
    (name: string, plant: (story: Story) => void) => {
      caught('cancelled', name, plant)
    },
  ],
] as const) {
  judge(`a waiting task that was cancelled in a worker, which was killed ${String(after)} ms later`, story => {
    cancelledWaiting(story, 21)
    story.attack('kill-worker', [21], 5110 + after)
  })
}
passes('a waiting task that was cancelled by a server without a cluster, which tells nobody', story => {
  story.say(3, WEB, { what: 'process', role: 'web', parent: DRIVER })
  cancelledWaiting(story, WEB)
})
passes('a running task that was cancelled, and whose holder was killed', story => {
  cancelledRunning(story)
  story.attack('kill-master', [10], 5160, 7000).exit(5161, 10)
})
caught('cancelled', 'a running task that was cancelled, and whose holder was killed much later', story => {
  cancelledRunning(story)
  story.attack('kill-master', [10], 16_000, 17_000).exit(16_001, 10)
})
caught('cancelled', 'a running task that was cancelled, and whose canceller was killed', story => {
  cancelledRunning(story)
  story.attack('kill-master', [20], 5160, 7000).exit(5161, 20)
})
passes(
  'a running task that was cancelled, and whose holder was stopped for the lease, so that another may write its end',
  story => {
    cancelledRunning(story)
    story.attack('stop-master', [10], 5120, 9000)
  },
)
caught('completed twice', 'a running task that was cancelled, as two masters tell', story => {
  const plan = cancelledRunning(story)
  story.event(5170, plan, 'cancelled').event(5180, plan, 'cancelled', {}, 20)
})

caught('lost', 'a task that vanished after a removal that found none', story => {
  story.act(5100, story.add(5000, 'gone'), 'remove', { found: false })
})
passes('a task that vanished after a removal that was not acknowledged', story => {
  const { id, incarnation } = story.add(5000, 'gone')
  story.say(5100, 20, { what: 'removing', id, incarnation })
})
passes('a task that was done before a removal that found none', story => {
  story.act(5100, story.done(5000, 'done'), 'remove', { found: false })
})
