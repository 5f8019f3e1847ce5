/** What `testing` does, in the process of an application's test. */
import diagnostics from 'node:diagnostics_channel'
import { inspect, isDeepStrictEqual } from 'node:util'
import { InvalidArgumentError, UnknownTaskTypeError, WrongProcessError } from '../../common/errors'
import { wrongValue } from '../../common/invalid'
import { createLog } from '../../common/log'
import { isPlainObject } from '../../common/plain'
import { type Task, type TaskState, createTask } from '../../common/task'
import { TaskQueue, memoryQueue, queue, results, schemas, storedPauses, storedTasks, waiters } from '../queue/instances'
import { pausedTypes } from '../queue/mongo/pauses'
import { InProcessWorker } from './in-process-worker'
import { type ClusterUnderTest, testMode } from './mode'
import { performJob } from './perform'

export type TestingMode = 'inline' | 'manual'

/** Fields of a task. Objects within it may have further fields. */
export type TaskMatch = Partial<
  Pick<Task, '_id' | 'taskType' | 'data' | 'priority' | 'dueDate' | 'audience' | 'schedule'>
>

/** How often `drain` asks whether it is done, if no event says so. */
const LOOK_EVERY_MS = 25
const DEFAULT_TIMEOUT_MS = 10_000

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
    return worker.child
  }
  // A job of this process lends its slot while it waits, as one in a worker does.
  results.useSource({ wait: task => (workers.find(({ isInJob }) => isInJob)?.endSource ?? waiters).wait(task) })
  queue.afterAdd = mode === 'inline' ? () => settle(cluster) : undefined
  if (mode === 'inline') cluster.master.start()
}

export async function drain(): Promise<void> {
  const cluster = clusterUnderTest()
  if (testMode.fork === undefined) throw new WrongProcessError('testing.drain: call testing.mode first.')
  if (!testMode.isManual) return settle(cluster)
  cluster.master.start()
  try {
    await settle(cluster)
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
  const deadline = performance.now() + timeout
  for (;;) {
    const found = reached.find(entry => entry.state === state && matches(entry.task, expected))?.task
    const task = found ?? (await storedTask(expected, state))
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
  if (isPlainObject(expected)) return
  throw new InvalidArgumentError(where, expected, 'fields of a task: { taskType, data, … }')
}

/** Resolves when no task is left that this process could run now, and all events are emitted. */
async function settle({ definitions, master }: ClusterUnderTest): Promise<void> {
  // A job that adds a task, and waits until all have ended, would wait for itself.
  if (workers.some(({ isInJob }) => isInJob)) return
  while (await hasWork([...definitions.keys()])) await nextEvent()
  await master.settled()
}

async function hasWork(known: readonly string[]): Promise<boolean> {
  const paused = await pausedTypes(storedPauses())
  const types = known.filter(type => !paused.includes(type))
  const isActive = ({ state, taskType }: Task) =>
    (state === 'running' || state === 'waiting') && types.includes(taskType)
  if (memoryQueue.countDue(1) > 0 || memoryQueue.tasks().some(isActive)) return true
  const isDue = { state: 'scheduled' as const, $expr: { $lte: ['$dueDate', '$$NOW'] } }
  const states = { state: { $in: ['running' as const, 'waiting' as const] } }
  const filter = { taskType: { $in: types }, $or: [states, isDue] }
  return (await storedTasks().findOne(filter, { projection: { _id: 1 } })) !== null
}

async function storedTask(expected: TaskMatch, state: TaskState): Promise<Task | undefined> {
  const inMemory = memoryQueue.tasks().filter(task => task.state === state)
  const stored = await TaskQueue.find({ state }).fetchAsync()
  return [...inMemory, ...stored].find(task => matches(task, expected))
}

function listenOnce(): void {
  if (isListening) return
  isListening = true
  diagnostics.subscribe('nschwarz:cluster:add', message => added.push((message as { task: Task }).task))
  const note = (state: TaskState) => (event: { readonly task: Task }) => {
    reached.push({ state, task: event.task })
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
    const timer = setTimeout(next, LOOK_EVERY_MS)
    watchers.add(next)
  })
}

/** Objects match if they have at least the expected fields. */
function matches(actual: unknown, expected: unknown): boolean {
  if (!isPlainObject(expected) || !isPlainObject(actual)) return isDeepStrictEqual(actual, expected)
  return Object.entries(expected).every(([field, value]) => matches(actual[field], value))
}
