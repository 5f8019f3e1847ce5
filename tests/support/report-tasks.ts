import { setTimeout as pause } from 'node:timers/promises'
import { TaskQueue, type Job, type JobContext, type TaskMap, type ToggleIPC } from 'meteor/nschwarz:cluster'
import { hold } from './attempt-tasks'

interface Reported {
  readonly values?: unknown[]
  readonly lines?: string[]
  readonly holds?: boolean
  readonly fails?: boolean
}

async function report(job: Job, toggleIPC: ToggleIPC, { log, progress }: JobContext): Promise<string> {
  const { fails, holds, lines = [], values = [] } = job.data as Reported
  for (const value of values) progress(value)
  for (const line of lines) log(line)
  if (holds === true) await hold(job, toggleIPC)
  if (fails === true) throw new Error('failed after its report')
  return 'reported'
}

/** Reports all the time, and never yields. */
function reportBlocking(job: Job, _toggleIPC: ToggleIPC, { progress }: JobContext): void {
  const start = performance.now()
  const { milliseconds } = job.data as { milliseconds: number }
  while (performance.now() - start < milliseconds) progress(Math.round(performance.now() - start))
}

/** Tasks about what jobs report while they run. */
export const reportTasks: TaskMap = {
  report,
  reportBlocking,
  /** Reports ten times a second. */
  reportOften: async (job, _toggleIPC, { progress }) => {
    const { seconds } = job.data as { seconds: number }
    for (let count = 0; count < 10 * seconds; count++) {
      progress(count)
      await pause(100)
    }
  },
  logTwice: async (job, toggleIPC, { log }) => {
    log('first')
    await pause(300)
    log('second')
    await hold(job, toggleIPC)
  },
  /** @returns the message of the error */
  reportWrongly: (job, _toggleIPC, { log, progress }) => {
    const { what } = job.data as { what: string }
    const wrong: Record<string, () => void> = {
      function: () => {
        progress({ nested: () => undefined })
      },
      large: () => {
        progress('x'.repeat(17 * 1024))
      },
      nothing: () => {
        progress(undefined)
      },
      'no text': () => {
        log(7 as unknown as string)
      },
    }
    try {
      wrong[what]?.()
    } catch (error) {
      return (error as Error).message
    }
    return 'no error'
  },
  /** Reports when its job is over. */
  reportAfterwards: (_job, _toggleIPC, { progress }) => {
    setTimeout(() => {
      progress('too late')
    }, 10)
  },
  /** Reports, then has somebody else run it again while this goes on. */
  reportWhenLost: async (job, toggleIPC, { attempt, log, progress }) => {
    progress(`attempt ${String(attempt)}`)
    await hold(job, toggleIPC)
    progress(`attempt ${String(attempt)} again`)
    log(`attempt ${String(attempt)} again`)
    await hold(job, toggleIPC)
  },
  findFor: job => {
    try {
      TaskQueue.findFor((job.data as { audience: string }).audience)
      return 'a cursor'
    } catch (error) {
      return (error as Error).message
    }
  },
}
