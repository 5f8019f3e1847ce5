/** The tasks of a crash run. Each job logs its start, its signs of life, and its end. */
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Job, JobContext } from 'meteor/nschwarz:cluster'
import { isPayload, payloadOf } from './bulk'
import type { Act, Kind, Plan, ScheduleName, Write } from './log'
import { PLANNED_ERROR } from './planned'

const BEAT_MS = 50
/** How long a long job takes, in leases. */
const LONGER_THAN_LEASE = 1.1

export type Data = Omit<Plan, 'id'> & { readonly payload?: string }

/** What every job returns, so that an event names the job that it is about. */
export interface Result {
  readonly token: string
  readonly payload?: string
}

/** What the function of a job gets. */
interface Run {
  readonly job: Job<Data>
  readonly context: JobContext
  readonly beat: () => void
}

export interface Surroundings {
  readonly write: Write
  /** The folder of the log. */
  readonly folder: string
  /** Milliseconds. */
  readonly lease: number
  readonly add: (plans: readonly Plan[]) => Promise<unknown>
  readonly act: (act: Act) => Promise<unknown>
}

type TaskFunction = (job: Job<Data>, toggleIPC: unknown, context: JobContext) => Promise<Result>

type Entry = TaskFunction | { readonly run: TaskFunction; readonly perMaster: number }

/** The task map. */
export function createTasks(surroundings: Surroundings): Record<Kind | ScheduleName, Entry | (() => Promise<void>)> {
  const { lease, folder, add, act } = surroundings
  const long = lease * LONGER_THAN_LEASE
  const bodies: Record<Kind, (run: Run) => unknown> = {
    short: () => pause(20),
    long: ({ context }) => pause(long, undefined, { signal: context.signal }),
    blocking: run => {
      block(run, long)
    },
    failing: throwPlanned,
    retrying: run => {
      if (run.context.attempt <= run.job.data.failures) throwPlanned(run)
    },
    dying: die,
    dyingOnce: run => dieOnce(run, folder),
    adding: run => add([childOf(run)]),
    bulky: checkPayload,
    overrunning: ({ context }) => pause(long, undefined, { signal: context.signal }),
    ignoring: () => pause(long),
    acting: ({ job }) => job.data.act && act(job.data.act),
    limited: () => pause(60),
    pausable: () => pause(20),
  }
  const entries = Object.entries(bodies).map(([kind, body]) => [kind, logged(body, surroundings)] as const)
  const functions = Object.fromEntries(entries) as Record<Kind, TaskFunction>
  const ticks = { tick: () => pause(20), fresh: () => pause(20) }
  return { ...functions, ...ticks, limited: { run: functions.limited, perMaster: 1 } }
}

/** @returns a task function whose value has the token of its job */
function logged(body: (run: Run) => unknown, { write }: Surroundings): TaskFunction {
  return async (job, _toggleIPC, context) => {
    const { token, attempt } = context
    write({ what: 'start', id: job._id, incarnation: job.data.incarnation, token, attempt })
    context.progress({ token })
    const beat = () => {
      write({ what: 'beat', token })
    }
    const beats = setInterval(beat, BEAT_MS)
    try {
      await body({ job, context, beat })
      const { bytes } = job.data
      const payload = bytes === undefined ? {} : { payload: payloadOf(bytes.result) }
      write({ what: 'end', token, how: 'done' })
      return { token, ...payload }
    } catch (error) {
      write({ what: 'end', token, how: context.signal.aborted ? 'aborted' : 'failed' })
      throw error
    } finally {
      clearInterval(beats)
    }
  }
}

function block({ beat }: Run, milliseconds: number): void {
  const end = performance.now() + milliseconds
  let nextBeat = 0
  while (performance.now() < end) {
    if (performance.now() < nextBeat) continue
    beat()
    nextBeat = performance.now() + BEAT_MS
  }
}

function throwPlanned({ context }: Run): never {
  throw Object.assign(new Error(`planned: ${context.token}`), { name: PLANNED_ERROR })
}

async function die(): Promise<void> {
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => undefined)
}

/** Leaves a mark on the disk, since nothing else is left of the first run. */
async function dieOnce({ job }: Run, folder: string): Promise<void> {
  const mark = path.join(folder, `${job.data.incarnation}.died`)
  if (existsSync(mark)) return
  writeFileSync(mark, '')
  await die()
}

/**
 * A run that is repeated adds the same `_id` again. The first task with it may be there or may have run; either way
 * this is another incarnation.
 */
function childOf({ job, context }: Run): Plan {
  const incarnation = `${context.token}-child`
  return { id: `${job._id}-child`, incarnation, kind: 'short', due: null, retries: 0, failures: 0 }
}

function checkPayload({ job: { data } }: Run): void {
  if (!isPayload(data.payload, data.bytes?.data ?? 0)) throw new Error('the data arrived changed')
}
