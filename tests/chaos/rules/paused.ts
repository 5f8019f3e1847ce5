import { type ActCall, type History, type Job, type Rule, only } from '../history'
import { type Pause, endingOf, outages, overlap, pausedWithin, stopsOf } from './pauses'

/** How long a pause may take to reach a job, in addition to two polls. */
const HEARD_WITHIN_MS = 1000

/** How long a master may need to find that the database is back, before it polls. */
const RECONNECTED_WITHIN_MS = 5000

/**
 * A paused type starts nothing, once the pause was acknowledged and every master has had the time to read it, until
 * somebody resumes it.
 */
export const paused: Rule = history => {
  const pauses = surelyPaused(history)
  return history.jobs
    .filter(({ kind }) => kind === 'pausable')
    .flatMap(job =>
      pauses
        .filter(({ from, until }) => job.startedAt > from && job.startedAt < until)
        .filter(({ from }) => job.startedAt - from > maxDelay(history, job, from))
        .map(pause => ({
          rule: 'paused',
          text: `${job.id} was started ${(job.startedAt - pause.from).toFixed(0)} ms after its type was paused`,
          evidence: [pause, job, ...history.acts.filter(({ method }) => method === 'pause' || method === 'resume')],
        })),
    )
}

/** When the type may be paused, as far as any master knows: a task may wait then. */
export function maybePaused(history: History): Pause[] {
  const calls = callsOf(history)
  const heardWithin = delay(history)
  return calls
    .filter(({ method }) => method === 'pause')
    .map(({ from, until }) => {
      const resumes = calls.filter(call => call.method === 'resume' && call.found !== undefined && call.from >= until)
      return { from, until: Math.min(...resumes.map(resume => resume.until)) + heardWithin }
    })
}

/** From the acknowledgement of a pause until a resume may take effect. */
function surelyPaused(history: History): Pause[] {
  const calls = callsOf(history)
  return calls
    .filter(({ method, found }) => method === 'pause' && found !== undefined)
    .map(({ from, until }) => {
      const resumes = calls.filter(call => call.method === 'resume' && call.until >= from)
      return { from: until, until: Math.min(...resumes.map(resume => resume.from)) }
    })
    .filter(({ from, until }) => until > from)
}

/**
 * The calls that pause and resume. One that was not acknowledged is over once it has thrown, or its process is gone.
 */
function callsOf(history: History): ActCall[] {
  return history.acts
    .filter(({ method }) => method === 'pause' || method === 'resume')
    .map(call => (call.until < Infinity ? call : { ...call, until: endOf(history, call) }))
}

function endOf(history: History, { method, pid, from }: ActCall): number {
  const name = `${method.replace(/e$/, '')}ing`
  const thrown = only(history.entries, 'unclear').find(one => one.call === name && one.pid === pid && one.at >= from)
  const life = history.lives.at(pid, from)
  const gone = life === undefined ? Infinity : Math.min(endingOf(history, life) ?? Infinity, life.goneAt)
  return Math.min(thrown?.at ?? Infinity, gone)
}

function delay({ settings, slowness }: History): number {
  return 2 * settings.refreshRate + HEARD_WITHIN_MS * slowness
}

/** How many milliseconds may pass until this job's master and worker know. */
function maxDelay(history: History, { master, worker, startedAt }: Job, from: number): number {
  const stops = [...(master === undefined ? [] : stopsOf(history, master)), ...stopsOf(history, worker)]
  const isDisturbed = outages(history).some(({ from: lost, until }) =>
    overlap({ from: lost, until: until + RECONNECTED_WITHIN_MS * history.slowness }, { from, until: startedAt }),
  )
  const reconnecting = isDisturbed ? RECONNECTED_WITHIN_MS * history.slowness : 0
  return delay(history) + reconnecting + pausedWithin([...stops, ...outages(history)], from, startedAt)
}
