/** What `testing` does, in the process of an application's test. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { inspect, isDeepStrictEqual } from 'node:util'
import { UnknownTaskTypeError, WrongProcessError } from '../../common/errors'
import { checkNames, nameHint, namesOf, wrongValue } from '../../common/invalid'
import { createLog } from '../../common/log'
import { isPlainObject } from '../../common/plain'
import { TIMER_ALLOWED, isTimer } from '../../common/policy'
import { type Task, type TaskState, createTask } from '../../common/task'
import {
  TaskQueue,
  listeners,
  memoryQueue,
  queue,
  results,
  schemas,
  storedPauses,
  storedTasks,
  waiters,
} from '../queue/instances'
import { TASK_STATES, hasEnded, isKnownState } from '../queue/mongo/documents/schema'
import { pausedTypes } from '../queue/mongo/pauses'
import { InProcessWorker } from './in-process-worker'
import { type ClusterUnderTest, testMode } from './mode'
import { performJob } from './perform'

export type TestingMode = 'inline' | 'manual'

/** Fields of a task. Objects within it may have further fields. */
export type TaskMatch = Partial<
  Pick<Task, '_id' | 'taskType' | 'data' | 'priority' | 'dueDate' | 'audience' | 'schedule'>
>

const FIELDS = namesOf<keyof TaskMatch>({
  _id: true,
  taskType: true,
  data: true,
  priority: true,
  dueDate: true,
  audience: true,
  schedule: true,
})

/** How often `drain` asks whether it is done, if no event says so. */
const POLL_EVERY_MS = 25
const DEFAULT_TIMEOUT_MS = 10_000

/** Set while a listener of an event runs. The event waits for it, so it must not wait for the queue. */
const inListener = new AsyncLocalStorage<true>()

/** The tasks that were added since the mode was set, and what became of them. */
let added: Task[] = []
let reached: { readonly state: TaskState; readonly task: Task }[] = []
let workers: InProcessWorker[] = []
let isListening = false
/** Called at each event. */
const watchers = new Set<() => void>()

export async function setMode(mode: unknown): Promise<void> {
  const cluster = clusterUnderTest()
  if (mode !== 'inline' && mode !== 'manual') throw wrongValue('testing.mode', mode, "'inline' or 'manual'")
  await cluster.master.stop(0)
  listenOnce()
  ;[added, reached, workers] = [[], [], []]
  testMode.isManual = mode === 'manual'
  testMode.fork = () => {
    const { definitions, options } = cluster
    const worker = new InProcessWorker(definitions, options.workerConcurrency, createLog(options.logs))
    workers.push(worker)
    return worker.createChild()
  }
  // A job of this process lends its slot while it waits, as one in a worker does.
  const source = () => workers.find(({ isInJob }) => isInJob)?.endSource ?? waiters
  results.useSource({
    get parent() {
      return source().parent
    },
    checkMayWait: () => source().checkMayWait(),
    wait: task => source().wait(task),
  })
  queue.hooks = {
    added: tasks => {
      added.push(...tasks)
    },
    idle: async () => {
      if (mode === 'inline' && !isInJob() && inListener.getStore() === undefined) await untilIdle(cluster)
    },
  }
  listeners.within = call => inListener.run(true, call)
  if (mode === 'inline') cluster.master.start()
}

export async function drain(): Promise<void> {
  const cluster = clusterUnderTest()
  if (testMode.fork === undefined) throw new WrongProcessError('testing.drain: call testing.mode first.')
  if (isInJob()) throw new WrongProcessError('testing.drain: a job cannot wait for all jobs to end.')
  if (!testMode.isManual) return untilIdle(cluster)
  cluster.master.start()
  try {
    await untilIdle(cluster)
  } finally {
    await cluster.master.stop(0)
  }
}

export async function perform(taskType: string, data: unknown): Promise<unknown> {
  const { definitions, options } = clusterUnderTest()
  const task = createTask({ taskType, data }, 'testing.perform')
  if (!definitions.has(taskType)) throw new UnknownTaskTypeError(taskType, [...definitions.keys()])
  await schemas.check([task])
  return performJob(task, definitions, options.messageBroker)
}

export function assertAdded(expected: TaskMatch): Task {
  checkMatch('testing.assertAdded', expected)
  const found = added.find(task => matches(task, expected))
  if (found !== undefined) return found
  const others = added.map(({ data, taskType }) => `\n  ${taskType} ${inspect(data)}`).join('')
  const since = others === '' ? 'none was added' : `added were:${others}`
  throw new Error(`no task like ${inspect(expected)} was added since testing.mode; ${since}`)
}

export async function waitFor(expected: TaskMatch, state: TaskState, timeout = DEFAULT_TIMEOUT_MS): Promise<Task> {
  checkMatch('testing.waitFor', expected)
  if (!isKnownState(state)) {
    throw wrongValue('testing.waitFor: state', state, TASK_STATES.join(', '), nameHint(state, TASK_STATES))
  }
  if (!isTimer(timeout)) throw wrongValue('testing.waitFor: timeout', timeout, TIMER_ALLOWED)
  const deadline = performance.now() + timeout
  for (;;) {
    const found = reached.find(entry => entry.state === state && matches(entry.task, expected))?.task
    const task = found ?? (await unendedTask(expected, state))
    if (task !== undefined) return task
    if (performance.now() > deadline) {
      throw new Error(`no task like ${inspect(expected)} became ${state} within ${String(timeout)} ms`)
    }
    await nextEvent()
  }
}

function clusterUnderTest(): ClusterUnderTest {
  if (testMode.cluster !== undefined) return testMode.cluster
  throw new WrongProcessError('testing needs the cluster: import the module that has `new Cluster(taskMap)` first.')
}

function checkMatch(where: string, expected: unknown): void {
  if (!isPlainObject(expected)) throw wrongValue(where, expected, 'fields of a task: { taskType, data, … }')
  checkNames(`${where}.`, expected, 'field that is compared', FIELDS)
}

/** Whether the code that runs now belongs to a job, which would wait for itself if it waited for all jobs. */
function isInJob(): boolean {
  return workers.some(worker => worker.isInJob)
}

/**
 * Resolves when no task is left that this process could run now, and all events are emitted.
 *
 * @throws WrongProcessError (rejects) if the cluster has stopped, so that no task would ever run
 */
async function untilIdle({ definitions, master, options }: ClusterUnderTest): Promise<void> {
  while (await hasWork([...definitions.keys()], options.inMemoryOnly)) {
    if (!master.isRunning) {
      throw new WrongProcessError(
        'testing: tasks are due, but the cluster does not run: it was stopped, or its mode changed.',
      )
    }
    await nextEvent()
  }
  await master.settled()
}

async function hasWork(types: readonly string[], inMemoryOnly: boolean): Promise<boolean> {
  const paused = inMemoryOnly ? [] : await pausedTypes(storedPauses())
  const runnable = types.filter(type => !paused.includes(type))
  // A job that runs goes on while its type is paused.
  const isActive = ({ state, taskType }: Task) =>
    (state === 'running' && types.includes(taskType)) || (state === 'waiting' && runnable.includes(taskType))
  if (memoryQueue.countDue(1) > 0 || memoryQueue.tasks().some(isActive)) return true
  if (inMemoryOnly) return false
  const isDue = { state: 'scheduled' as const, $expr: { $lte: ['$dueDate', '$$NOW'] } }
  const running = { state: 'running' as const, taskType: { $in: [...types] } }
  const ready = { taskType: { $in: runnable }, $or: [{ state: 'waiting' as const }, isDue] }
  return (await storedTasks().findOne({ $or: [running, ready] }, { projection: { _id: 1 } })) !== null
}

/** One that has not ended. How tasks have ended is known from their events. */
async function unendedTask(expected: TaskMatch, state: TaskState): Promise<Task | undefined> {
  if (hasEnded(state)) return undefined
  const { _id, taskType } = expected
  const known = { state, ...(_id === undefined ? {} : { _id }), ...(taskType === undefined ? {} : { taskType }) }
  const inMemory = memoryQueue.tasks().filter(task => task.state === state)
  return [...inMemory, ...(await TaskQueue.find(known).fetchAsync())].find(task => matches(task, expected))
}

function listenOnce(): void {
  if (isListening) return
  isListening = true
  const note = (state: TaskState) => (event: { readonly task: Task; readonly value?: unknown }) => {
    // The event of a done task has the task as it ran.
    const task: Task = state === 'done' ? { ...event.task, state, result: event.value } : event.task
    reached.push({ state, task })
    for (const watcher of watchers) watcher()
  }
  for (const [event, state] of [
    ['start', 'running'],
    ['done', 'done'],
    ['error', 'failed'],
    ['cancelled', 'cancelled'],
  ] as const) {
    TaskQueue.on(event, note(state))
  }
}

function nextEvent(): Promise<void> {
  return new Promise(resolve => {
    const next = () => {
      clearTimeout(timer)
      watchers.delete(next)
      resolve()
    }
    const timer = setTimeout(next, POLL_EVERY_MS)
    watchers.add(next)
  })
}

/** Objects match if they have at least the expected fields. */
function matches(actual: unknown, expected: unknown): boolean {
  if (!isPlainObject(expected) || !isPlainObject(actual)) return isDeepStrictEqual(actual, expected)
  return Object.entries(expected).every(([field, value]) => matches(actual[field], value))
}
