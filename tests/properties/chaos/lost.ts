/** The checker of the crash suite: what counts as lost, and what does not. */
import { PLANNED_ERROR } from '../../chaos/planned'
import { type Story, caught, passes } from './story'

caught('lost', 'a task that was acknowledged and never ran', story => {
  story.add(5000, 'gone')
})
caught('lost', 'a task that stayed in the queue', story => {
  story.left(story.add(5000, 'waiting'), 'waiting')
})
caught('lost', 'a job that was done, and never told, although its master lived', story => {
  story.job(story.add(5000, 'untold'), 5100, 10, 'done')
})
caught('lost', 'a job that was done, and its master died much later', story => {
  story.job(story.add(5000, 'untold'), 5100, 10, 'done')
  story.attack('kill-master', [10], 40_000, 41_000).exit(40_001, 10)
})
caught('lost', 'a job that was done, and another master died', story => {
  story.job(story.add(5000, 'untold'), 5100, 10, 'done')
  story.attack('kill-master', [20], 5120, 6000).exit(5121, 20)
})
caught('lost', 'a job that was done after the master had died', story => {
  story.attack('kill-master', [10], 5050, 6000).exit(5051, 10)
  story.job(story.add(5000, 'untold'), 5100, 10, 'done')
})
passes('an event that was lost with its master', story => {
  story.job(story.add(5000, 'untold'), 5100, 10, 'done')
  story.attack('kill-master', [10], 5120, 6000).exit(5121, 10)
})
passes('an event that was lost with a master that was stopped in between', story => {
  story.job(story.add(5000, 'untold'), 5100, 10, 'done')
  story.attack('stop-master', [10], 5105, 35_000)
  story.attack('kill-master', [10], 36_000, 37_000).exit(36_001, 10)
})
passes('a task whose adding was never acknowledged', story => {
  const { id, incarnation } = { id: 'unclear', incarnation: 'unclear' }
  const plan = { id, incarnation, kind: 'short', due: null, retries: 0, failures: 0 } as const
  story.say(5000, 10, { what: 'adding', ...plan })
})
passes('a task that was cancelled', story => {
  const { id, incarnation } = story.add(5000, 'cancelled')
  story.say(5010, 20, { what: 'cancelling', id, incarnation })
})

caught('lost', 'a task that failed for no reason', story => {
  story.failed(5100, story.add(5000, 'innocent'), 'Error')
})
caught('lost', 'a failing task that was not retried often enough', story => {
  const plan = story.add(5000, 'unretried', 'failing', { retries: 1 })
  story.job(plan, 5100, 10, 'failed')
  story.failed(5120, plan, PLANNED_ERROR)
})
caught('lost', 'a task that failed as a killer of workers, of which too few died', story => {
  const plan = story.add(5000, 'accused', 'long')
  for (const at of [6000, 7000, 8000]) story.job(plan, at, 500)
  story.attack('kill-worker', [11], 6501).attack('kill-worker', [11], 7501)
  // The third job just stopped showing signs of life.
  story.say(8600, 11, { what: 'process', role: 'worker', parent: 10 })
  story.failed(8700, plan, 'WorkerCrashError')
})
caught('lost', 'a failed task without an event, although its master lived', story => {
  const plan = story.add(5000, 'untold', 'failing')
  story.job(plan, 5100, 10, 'failed')
  story.left(plan, 'failed', PLANNED_ERROR)
})
/**
 * Two jobs whose workers were killed, and a third that was received, and not started, before its worker was killed at
 * `death`.
 */
function thirdCutShort(story: Story, death: number): void {
  const plan = story.add(5000, 'accused', 'long')
  for (const at of [6000, 7000]) {
    story.job(plan, at, 500)
    story.attack('kill-worker', [11], at + 501).say(at + 600, 11, { what: 'process', role: 'worker', parent: 10 })
  }
  const { id, incarnation } = plan
  story.say(8000, 11, { what: 'received', id, incarnation, token: 'cut short', startBefore: 9000 })
  story.attack('kill-worker', [11], death)
  story.failed(death + 100, plan, 'WorkerCrashError')
}
passes('a task that failed as a killer of workers, the last of which died when it was about to start it', story => {
  thirdCutShort(story, 8002)
})
caught('lost', 'a task that failed so, the last of which died long after it should have started it', story => {
  thirdCutShort(story, 9500)
})

/** A task whose only job takes this long, and which fails for its timeout of 200 ms. */
function timedOut(story: Story, lasts: number): void {
  const plan = story.add(5000, 'slow', 'overrunning', { timeout: 200 })
  story.job(plan, 5100, lasts, 'aborted')
  story.failed(5120 + lasts, plan, 'TaskTimeoutError')
}
passes('a task that failed for its timeout', story => {
  timedOut(story, 201)
})
caught('lost', 'a task that failed for its timeout, and took less', story => {
  timedOut(story, 150)
})
caught('lost', 'a task that failed for a timeout, and has none', story => {
  const plan = story.add(5000, 'slow', 'long')
  story.job(plan, 5100, 3000, 'aborted')
  story.failed(8200, plan, 'TaskTimeoutError')
})
caught('lost', 'a task whose value no job of it returned', story => {
  const plan = story.add(5000, 'changed', 'bulky', { bytes: { data: 1, result: 1 } })
  story.job(plan, 5100, 10, 'done')
  story.event(5120, plan, 'done', { token: 'a changed result' })
})
passes('a failed task that was kept for a while, and is gone', story => {
  const plan = story.add(5000, 'kept', 'failing')
  story.job(plan, 5100, 10, 'failed')
  story.stored(5115, plan, 'failed').event(5120, plan, 'error', { error: { name: PLANNED_ERROR, message: '' } })
  story.stored(9000, plan, null)
})
caught('lost', 'a failed task that is gone, and of which nobody was told', story => {
  const plan = story.add(5000, 'kept', 'failing')
  story.job(plan, 5100, 10, 'failed')
  story.stored(5115, plan, 'failed').stored(9000, plan, null)
})
passes('a failed task that was retried, and is done', story => {
  const plan = story.add(5000, 'retried', 'retrying', { failures: 1 })
  story.job(plan, 5100, 10, 'failed')
  story.event(5120, plan, 'error', { error: { name: PLANNED_ERROR, message: '' } }).act(5200, plan, 'retry')
  const token = story.job(plan, 5300, 10, 'done')
  story.event(5320, plan, 'done', { token })
})
caught('lost', 'a failed task that was retried, and did not run again', story => {
  const plan = story.add(5000, 'retried', 'retrying', { failures: 1 })
  story.job(plan, 5100, 10, 'failed')
  story.event(5120, plan, 'error', { error: { name: PLANNED_ERROR, message: '' } }).act(5200, plan, 'retry')
  story.left(plan, 'failed', PLANNED_ERROR)
})
