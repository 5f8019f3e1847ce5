/** The checker of the crash suite: what waiters are told, and what they must not be. */
import type { Plan } from '../../chaos/log'
import { type Story, caught, passes } from './story'

/** A waiter of master 10, which begins to wait; it learns something if `more` says what. */
function waiter(story: Story, plan: Plan, wait: number, more?: { token?: string; error?: string }): void {
  const { id, incarnation } = plan
  story.say(5001, 10, { what: 'awaiting', wait, id, incarnation })
  if (more === undefined) return
  const error = more.error === undefined ? null : { name: more.error, message: '' }
  story.say(5200, 10, { what: 'learned', wait, id, incarnation, token: more.token ?? null, error })
}

/** A task that one job has done. @returns its plan, and the token of the job */
function done(story: Story): { plan: Plan; token: string } {
  const plan = story.add(5000, 'awaited', 'short', { isAwaited: true })
  const token = story.job(plan, 5050, 30, 'done')
  story.event(5090, plan, 'done', { token })
  return { plan, token }
}

passes('two waiters that learn the result', story => {
  const { plan, token } = done(story)
  for (const wait of [1, 2]) waiter(story, plan, wait, { token })
})
passes('a waiter whose process has died', story => {
  waiter(story, done(story).plan, 1)
  story.attack('kill-master', [10], 5100, 6000).exit(5101, 10)
})
passes('a waiter whose task could not be added', story => {
  const { id, incarnation } = { id: 'unclear', incarnation: 'unclear' }
  const plan = { id, incarnation, kind: 'short', due: null, retries: 0, failures: 0, isAwaited: true } as const
  story.say(5000, 10, { what: 'adding', ...plan })
  waiter(story, plan, 1, { error: 'MongoNetworkError' })
})

caught('awaited', 'a waiter that learns nothing', story => {
  waiter(story, done(story).plan, 1)
})
caught('awaited', 'a waiter that was forgotten', story => {
  waiter(story, done(story).plan, 1, { error: 'Unsettled' })
})
caught('awaited', 'a waiter that is told that a done task was removed', story => {
  waiter(story, done(story).plan, 1, { error: 'TaskRemovedError' })
})
caught('awaited', 'a waiter that is told a result that no job has', story => {
  waiter(story, done(story).plan, 1, { token: 'of nobody' })
})
caught('awaited', 'a waiter that is told the result of a job that was not done', story => {
  const plan = story.add(5000, 'awaited', 'retrying', { isAwaited: true, retries: 1, failures: 1 })
  const failed = story.job(plan, 5020, 10, 'failed')
  story.event(5035, plan, 'retry')
  const token = story.job(plan, 5250, 30, 'done')
  story.event(5290, plan, 'done', { token })
  waiter(story, plan, 1, { token: failed })
})
