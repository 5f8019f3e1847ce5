import { execFileSync } from 'node:child_process'
import { existsSync, writeSync } from 'node:fs'
import { inspect } from 'node:util'
import { foreign, forged } from './forgeries'
import { faultyTasks } from './faulty-tasks'
import { blockFor } from './block-for'
import { limitTasks } from './limit-tasks'
import { reportedTasks } from './reported-tasks'
import { hasMasterImports } from './has-master-imports'
import { attemptTasks, hold } from './attempt-tasks'
import { nestedList } from './nested-list'
import { reportTasks } from './report-tasks'
import { resultTasks } from './result-tasks'
import { Cluster, TaskQueue, type Job, type NewTask, type TaskMap, type ToggleIPC } from 'meteor/nschwarz:cluster'

const isMasterBeforeCluster = Cluster.isMaster()

/** What `fail` throws. */
export class ApplicationError extends Error {
  readonly code = 'E_APPLICATION'
  readonly details = { at: new Date(0) }
  constructor(message: string) {
    super(message, { cause: new RangeError('the reason') })
    this.name = 'ApplicationError'
  }
}

/** Blocks the event loop until a file is there. */
function blockUntilExists({ data }: Job): void {
  while (!existsSync((data as { file: string }).file)) blockFor(5)
}

function converse(
  job: Job<{ messages: { status: number; data?: unknown }[] }>,
  toggleIPC: ToggleIPC,
): Promise<unknown> {
  return toggleIPC(
    answer => answer,
    send => {
      for (const message of job.data.messages) send(message)
    },
  )
}

async function nested(job: Job<{ depth: number }>, toggleIPC: ToggleIPC): Promise<unknown[]> {
  const ask = (depth: number): Promise<unknown[]> =>
    toggleIPC(
      async answer => (depth === 1 ? [answer] : [answer, ...(await ask(depth - 1))]),
      send => {
        send({ status: 4, data: { ask: 'echo', value: depth } })
      },
    )
  return ask(job.data.depth)
}

/** Two conversations at once, the second of which is answered first. */
async function twoAtOnce(_job: Job, toggleIPC: ToggleIPC): Promise<unknown[]> {
  const ask = (value: string) =>
    toggleIPC(
      answer => answer,
      send => {
        send({ status: 2, data: { ask: 'crossed', value } })
      },
    )
  return Promise.all([ask('first'), ask('second')])
}

/** Writes to standard error, and blocks until it is taken: `process.stderr` would keep it in memory. */
function writeOut(text: string): void {
  for (let left = Buffer.from(text); left.length > 0;) {
    try {
      left = left.subarray(writeSync(2, left))
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EAGAIN') throw error
    }
  }
}

/** The values of IPC and results that structured clone keeps and JSON does not. */
export const RICH_VALUES = {
  date: new Date(1_700_000_000_000),
  map: new Map([['key', new Date(0)]]),
  buffer: Buffer.from('bytes'),
  bigint: 12_345_678_901_234_567_890n,
  error: new RangeError('inner', { cause: 'why' }),
}

/** The tasks of every master that the tests start. */
export const taskMap: TaskMap = {
  ...(Cluster.isMaster() ? { onlyOnTheMaster: () => undefined } : {}),
  echo: job => job.data,
  asynchronous: async job => {
    await new Promise(resolve => setImmediate(resolve))
    return job.data
  },
  nothing: () => undefined,
  inspectJob: job => ({ keys: Object.keys(job), data: inspect(job.data), job }),
  process: () => ({
    pid: process.pid,
    port: process.env.PORT,
    address: process.env.BIND_IP,
    workerVariable: process.env.NSCHWARZ_CLUSTER_WORKER,
    isMaster: Cluster.isMaster(),
    isMasterBeforeCluster,
    hasMasterImports: hasMasterImports(),
  }),
  /** @returns which attempt it was */
  blockUntil: (job, _toggleIPC, { attempt }) => {
    blockUntilExists(job)
    return attempt
  },
  /** As `blockUntil`, and then holds without blocking. */
  blockThenHold: async (job, toggleIPC) => {
    blockUntilExists(job)
    await hold(job, toggleIPC)
  },
  holdThenFail: async (job, toggleIPC) => {
    await hold(job, toggleIPC)
    throw new Error('failed after it was held')
  },
  ...attemptTasks,
  ...faultyTasks,
  ...resultTasks,
  ...reportTasks,
  die: async job => {
    process.kill(process.pid, 'SIGKILL')
    await new Promise(resolve => setTimeout(resolve, 60_000))
    return job._id
  },
  /** Ends its worker while it is idle. */
  dieLater: job => {
    setTimeout(() => process.exit(9), (job.data as { milliseconds: number }).milliseconds)
  },
  converse,
  nested,
  twoAtOnce,
  fail: job => {
    throw new ApplicationError(String((job.data as { message?: unknown }).message))
  },
  failWithText: () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- what a task throws may be anything
    throw 'only a text'
  },
  rejectLate: async () => {
    await new Promise(resolve => setImmediate(resolve))
    throw new Error('rejected late')
  },
  unsendable: () => ({ callback: () => undefined }),
  nest: (job: Job<{ levels: number; innermost: unknown }>) => nestedList(job.data.levels, job.data.innermost),
  rich: () => RICH_VALUES,
  richOverIpc: (_job, toggleIPC) =>
    toggleIPC(
      answer => answer,
      send => {
        send({ status: 2, data: { ask: 'echo', value: RICH_VALUES } })
      },
    ),
  errorOverIpc: (_job, toggleIPC) =>
    toggleIPC(
      answer => answer,
      send => {
        send({ status: 2, data: new ApplicationError('sent') })
      },
    ),
  /** Whether other listeners on the pipe are left alone. */
  countListeners: async (_job, toggleIPC) => {
    const count = () => process.listenerCount('message')
    const before = count()
    const during = await toggleIPC(count, send => {
      send({ status: 2, data: {} })
    })
    return { before, during, after: count() }
  },
  unsendableOverIpc: (_job, toggleIPC) =>
    toggleIPC(
      answer => answer,
      send => {
        send({ status: 2, data: () => undefined })
      },
    ),
  /** Blocks the event loop of its worker. */
  block: job => {
    blockFor((job.data as { milliseconds: number }).milliseconds)
    return process.pid
  },
  /** Its worker is idle, and hears nothing any more. */
  hangAfterwards: () => {
    setTimeout(() => {
      for (;;);
    }, 0)
    return process.pid
  },
  deafenWorker: () => {
    process.removeAllListeners('message')
    return process.pid
  },
  /** @returns the entry in /proc of a process that this worker spawns */
  spawn: () => execFileSync('cat', ['/proc/self/stat'], { encoding: 'utf8' }),
  /** Writes megabytes to its standard error, and dies of it, if that is wanted. */
  complain: job => {
    const { megabytes, dies } = job.data as { megabytes: number; dies?: boolean }
    for (let line = 0; line < megabytes * 1024; line++) writeOut(`${'x'.repeat(1019)} ${String(line % 1000)}\n`)
    writeOut('the last words\n')
    if (dies === true) process.kill(process.pid, 'SIGKILL')
  },
  /** Talks with the master when its job has ended. */
  talkAfterwards: (_job, toggleIPC) => {
    setImmediate(() => {
      void toggleIPC(
        () => console.log('this is never called'),
        send => {
          send({ status: 2, data: { ask: 'echo', value: 1 } })
        },
      )
    })
  },
  /** Says something that nobody answers, and does not wait for it. */
  talkWithoutWaiting: (_job, toggleIPC) => {
    void toggleIPC(
      () => console.log('this is never called'),
      send => {
        send({ status: 2, data: { ask: 'hold', pid: process.pid, taskId: 'unused' } })
      },
    )
  },
  /** Says something that is refused, and does not wait for it. */
  talkUnsendably: async (_job, toggleIPC) => {
    void toggleIPC(
      () => undefined,
      send => {
        send({ status: 2, data: () => undefined })
      },
    )
    await new Promise(resolve => setTimeout(resolve, 10))
    return process.pid
  },
  text: job => 'x'.repeat((job.data as { bytes: number }).bytes),
  /** The outcome is in the pipe when the process ends. */
  exitAfterwards: () => {
    setImmediate(() => {
      process.exit(3)
    })
    return 'sent before the exit'
  },
  throwOutside: async () => {
    setImmediate(() => {
      throw new Error('thrown outside of the task')
    })
    await new Promise(() => undefined)
  },
  /** What the application itself may have in the pipe. */
  sendForeign: () => {
    for (const message of foreign()) process.send?.(message)
    return 'done all the same'
  },
  forge: (job, _toggleIPC, { token }) => {
    process.send?.(forged((job.data as { what: string }).what, token))
    return 'too late'
  },
  add: job => TaskQueue.addTask(job.data as NewTask),
  listenInWorker: () => {
    TaskQueue.addEventListener('done', () => undefined)
  },
  lookInMemory: () => TaskQueue.inMemory.tasks(),
  secondCluster: () => {
    new Cluster({})
  },
  /** Adds itself again until it has run as often as its data says. A run that is repeated adds no second successor. */
  recurring: async job => {
    const { left } = job.data as { left: number }
    if (left > 1) {
      const next = { taskType: 'recurring', data: { left: left - 1 }, _id: `recurring-${String(left - 1)}` }
      await TaskQueue.addTask(next).catch((error: unknown) => {
        if ((error as Error).name !== 'DuplicateTaskError') throw error
      })
    }
    return left
  },
}

/** MongoDB sorts the waiting tasks of more types by several queries (`TYPES_PER_QUERY`), which tests do not expect. */
const MAX_TYPES = 100
if (Object.keys(taskMap).length > MAX_TYPES) {
  throw new Error(`the task map of the tests has more than ${String(MAX_TYPES)} types: use one of its own`)
}

const { addMany, block, echo, fail, hold: holdAny, holdThenFail, text } = taskMap

/** The task map of masters that are started `withLimits`. */
export const limitedTaskMap = {
  ...limitTasks,
  ...reportedTasks,
  addMany,
  block,
  echo,
  fail,
  hold: holdAny,
  holdThenFail,
  text,
} as TaskMap
