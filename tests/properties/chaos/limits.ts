/** The checker of the crash suite: limits, pauses, and what jobs report. */
import type { Plan } from '../../chaos/log'
import { PLANNED_ERROR } from '../../chaos/planned'
import { type Story, caught, passes } from './story'

/** Two jobs of this kind on master 10, the second of which starts `gap` milliseconds after the end of the first. */
function two(story: Story, kind: 'limited' | 'short', gap: number, master: 10 | 20 = 10): void {
  const plans = ['first', 'second'].map(name => story.add(5000, name, kind))
  let at = 5050
  for (const [index, plan] of plans.entries()) {
    const on = index === 0 ? 10 : master
    const token = story.job(plan, at, 30, 'done', on)
    story.event(at + 40, plan, 'done', { token }, on)
    at += 30 + gap
  }
}

passes('jobs of a limited type, one after another', story => {
  two(story, 'limited', 1)
})
passes('jobs of a limited type at once, on two masters', story => {
  two(story, 'limited', -20, 20)
})
passes('jobs of another type at once', story => {
  two(story, 'short', -20)
})
caught('limited', 'jobs of a limited type at once', story => {
  two(story, 'limited', -20)
})

/** Paused by master 10 at 5010, and resumed by master 20 at `resumedAt`; a job of the type starts. */
function pausedThen(story: Story, startedAt: number, resumedAt: number): Plan {
  const plan = story.add(5000, 'pausable', 'pausable')
  story.act(5010, plan, 'pause')
  story.act(resumedAt, plan, 'resume', { pid: 20 })
  const token = story.job(plan, startedAt, 30, 'done')
  story.event(startedAt + 40, plan, 'done', { token })
  return plan
}

passes('a job of a paused type that starts while the pause is on its way', story => {
  pausedThen(story, 6400, 9000)
})
passes('a job of a paused type that starts after it is resumed', story => {
  pausedThen(story, 9001, 9000)
})
passes('a job of a paused type that starts after its master was stopped', story => {
  pausedThen(story, 8000, 9000)
  story.attack('stop-master', [10], 5015, 7900)
})
caught('paused', 'a job of a paused type', story => {
  pausedThen(story, 8000, 9000)
})
caught('paused', 'a job of a type that was paused again', story => {
  story.act(9100, pausedThen(story, 9050, 9000), 'pause')
  story.done(12_000, 'later', 'pausable')
})

/** A job that runs from 5100 on, and what the database holds of its task in the end. */
function reports(story: Story, progress: (token: string) => string, after: 'running' | 'failed'): void {
  const plan = story.add(5000, 'reporting', 'failing')
  const token = story.job(plan, 5100, 100, 'failed')
  const claim = after === 'running' ? { token, owner: 10 } : {}
  story.stored(5150, plan, after, { ...claim, progress: progress(token) })
  if (after === 'running') story.stored(5210, plan, 'failed', { progress: progress(token) })
  story.failed(5220, plan, PLANNED_ERROR)
}

for (const state of ['running', 'failed'] as const) {
  passes(`progress that is stored when the task is ${state}`, story => {
    reports(story, token => token, state)
  })
  caught('reported', `progress of another job that is stored when the task is ${state}`, story => {
    reports(story, () => 'of a void claim', state)
  })
}
caught('reported', 'progress that comes when the claim is gone', story => {
  const plan = story.add(5000, 'late', 'failing')
  const token = story.job(plan, 5100, 100, 'failed')
  story.stored(5210, plan, 'failed')
  story.stored(5300, plan, 'failed', { progress: token })
  story.failed(5220, plan, PLANNED_ERROR)
})

/** A done task that is kept with this result. */
function kept(story: Story, result: (token: string) => string): void {
  const plan = story.add(5000, 'kept', 'short', { isAwaited: true })
  const token = story.job(plan, 5100, 30, 'done')
  story.stored(5140, plan, 'done', { result: result(token) })
  story.event(5150, plan, 'done', { token })
}

passes('a kept result that was told', story => {
  kept(story, token => token)
})
caught('awaited', 'a kept result that no job has', story => {
  kept(story, () => 'of nobody')
})
