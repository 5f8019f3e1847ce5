/**
 * A master that a test drives from outside: a server of its own, whose cluster has the options that its environment
 * names, and which obeys the test over its pipe. Its workers load this file too.
 */
import diagnostics from 'node:diagnostics_channel'
import { createServer } from 'node:net'
import { Meteor } from 'meteor/meteor'
import {
  Cluster,
  TaskQueue,
  type ClusterOptions,
  type Job,
  type JobContext,
  type LogEntry,
  type Task,
  type WaitOptions,
  testing,
} from 'meteor/nschwarz:cluster'
import { errorToWire, toWire } from '../../common/pipe/wire'
import { held, messageBroker } from './broker'
import { skew } from '../chaos/skew'
import { blockFor } from './block-for'
import { hasMasterImports } from './has-master-imports'
import {
  type Call,
  type Calls,
  KILLER_VARIABLE,
  LOG_IN,
  OPTIONS_VARIABLE,
  OWN_TASKS,
  PORT_THIEF_VARIABLE,
  type RemoteWaitOptions,
  STOPPING_HOOK_VARIABLE,
  RUNNING_HOOK_VARIABLE,
  WAITING_HOOK_VARIABLE,
  notify,
} from './remote-protocol'
import { limitedTaskMap, taskMap } from './task-map'
import { currentUser, user } from './user'

const { withLimits, withoutBroker, withoutCluster, ...given } = JSON.parse(
  process.env[OPTIONS_VARIABLE] ?? '{}',
) as Omit<ClusterOptions, 'logs'> & {
  logs?: 'all' | 'error' | 'function'
  withLimits?: true
  withoutBroker?: true
  withoutCluster?: true
}
const options: ClusterOptions = { ...given, logs: given.logs === 'function' ? writeEntry : given.logs }

const isMasterBeforeCluster = Cluster.isMaster()
const cluster = withoutCluster
  ? undefined
  : new Cluster(withLimits ? limitedTaskMap : taskMap, { ...options, ...(withoutBroker ? {} : { messageBroker }) })

if (process.env[STOPPING_HOOK_VARIABLE] !== undefined) Meteor.startup(() => cluster?.stop())

const killer = process.env[KILLER_VARIABLE]
if (killer !== undefined && !Cluster.isMaster()) {
  process.prependListener('message', message => {
    if (JSON.stringify(message).includes(`"_id":"${killer}"`)) process.kill(process.pid, 'SIGKILL')
  })
}

if (process.env[PORT_THIEF_VARIABLE] !== undefined && !Cluster.isMaster()) {
  // It listens before any startup hook runs. Not awaited: Meteor cannot import() a module with `await` at its top
  // level.
  createServer().listen(Number(process.env.PORT), '127.0.0.1').unref()
}

type Listener = (event: { readonly value: unknown; readonly task: Task }) => unknown

/** By event type and mode. */
const listeners = new Map<string, Listener>()

function listenerFor(type: 'done' | 'error' | 'retry', mode: string): Listener {
  return ({ value, task }) => {
    if (mode === 'throwing') throw new Error('the listener threw')
    notify({ event: type, wire: toWire(value), task, mode })
    if (mode !== 'adding' || task.taskType !== 'echo') return undefined
    return TaskQueue.addTask({ taskType: 'nothing', data: {} })
  }
}

/** As JSON, with the message of its error. */
function writeEntry(entry: LogEntry): void {
  const process = Cluster.isMaster() ? 'master' : 'worker'
  console.log(`entry ${JSON.stringify({ ...entry, in: process, error: entry.error?.message })}`)
}

if (process.env[WAITING_HOOK_VARIABLE] !== undefined && Cluster.isMaster()) {
  Meteor.startup(async () => {
    const result = new Promise<unknown>(resolve => {
      TaskQueue.addEventListener('done', ({ value }) => {
        resolve(value)
      })
    })
    await TaskQueue.addTask({ taskType: 'text', data: { bytes: 3 } })
    notify({ event: 'started' })
    // As the warning says.
    setTimeout(() => cluster?.initialize(), 11_000)
    console.log(`the hook has its result: ${String(await result)}`)
  })
}

if (process.env[RUNNING_HOOK_VARIABLE] !== undefined) {
  Meteor.startup(async () => {
    try {
      console.log(`the hook has ${String(await TaskQueue.run({ taskType: 'text', data: { bytes: 3 } }))}`)
    } catch (error) {
      console.log(`the hook was refused: ${(error as Error).name}`)
    }
  })
}

// The stand-in for Meteor has no DDP.
if ('publish' in Meteor) {
  Meteor.publish(OWN_TASKS, function (fields: Record<string, 1>) {
    return TaskQueue.findFor(this.userId, { fields: fields })
  })
  Meteor.methods({
    [LOG_IN](this: { setUserId(userId: string | null): void }, userId: string | null) {
      this.setUserId(userId)
    },
  })
}

const recordings = new Map<string, { stop(): void }[]>()

if (!Cluster.isMaster()) {
  diagnostics.subscribe('nschwarz:cluster:run', message => {
    const { job, context } = message as { job: Job; context: JobContext }
    if (job.taskType === 'traced') console.log(`traced ${job._id}, attempt ${String(context.attempt)}`)
  })
}

/** What the call `abort` aborts. */
const abortables: AbortController[] = []

function waitOptions({ timeout, abortAfter, abortable }: RemoteWaitOptions = {}): WaitOptions {
  if (abortAfter === undefined && abortable === undefined) return { timeout }
  const controller = new AbortController()
  if (abortable) abortables.push(controller)
  else setTimeout(abort, abortAfter, controller)
  return { timeout, signal: controller.signal }
}

function abort(controller: AbortController): void {
  controller.abort(new Error('aborted by the test'))
}

function classesOf(error: unknown): string[] {
  const classes: string[] = []
  for (let at = Object.getPrototypeOf(error) as object | null; at !== null; at = Object.getPrototypeOf(at) as object) {
    classes.push(at.constructor.name)
  }
  return classes
}

const calls: Calls = {
  run: (task, options) => TaskQueue.run(task, waitOptions(options)),
  result: (_id, options) => TaskQueue.result(_id, waitOptions(options)),
  abort: () => {
    abortables.forEach(abort)
  },
  runAll: async tasks => {
    const outcomes = await Promise.allSettled(tasks.map(task => TaskQueue.run(task)))
    return outcomes.map(outcome =>
      outcome.status === 'fulfilled' ? { value: outcome.value } : { error: (outcome.reason as Error).name },
    )
  },
  errorOfRun: async task => {
    try {
      return { classes: [], message: `no error, but ${String(await TaskQueue.run(task))}`, fields: {}, cause: '' }
    } catch (thrown) {
      const error = thrown as Error
      return {
        classes: classesOf(error),
        message: error.message,
        fields: Object.fromEntries(Object.entries(error)),
        cause: (error.cause as Error | undefined)?.message,
      }
    }
  },

  addTask: task => TaskQueue.addTask(task),
  addAs: (name, task) => user.run(name, () => TaskQueue.addTask(task)),
  tellUsers: () => {
    for (const event of ['added', 'start', 'done'] as const) {
      TaskQueue.on(event, ({ task }) => {
        console.log(`${event} ${task._id} is heard as ${currentUser()}`)
      })
    }
  },
  addTasks: tasks => TaskQueue.addTasks(tasks),
  tasks: () => TaskQueue.inMemory.tasks(),
  availableTasks: () => TaskQueue.inMemory.availableTasks(),
  findById: _id => TaskQueue.inMemory.findById(_id),
  print: text => console.log(text),
  removeById: _id => TaskQueue.inMemory.removeById(_id),
  release: (taskId, answer) => {
    const respond = held.get(taskId)
    held.delete(taskId)
    respond?.(answer)
    return respond !== undefined
  },
  setRefreshRate: refreshRate => {
    cluster?.setRefreshRate(refreshRate)
  },
  initialize: () => {
    cluster?.initialize()
  },
  findFor: (audience, options) => TaskQueue.findFor(audience as string | null, options).fetchAsync(),
  counts: options => TaskQueue.counts(options),
  stats: async () => cluster?.stats(),
  record: (name, types, options) => {
    const stops = types.map(type =>
      TaskQueue.on(type, (payload: unknown) => notify({ event: 'recorded', name, type, payload }), options),
    )
    recordings.set(name, stops)
  },
  stopRecording: name => {
    for (const recording of recordings.get(name) ?? []) recording.stop()
  },
  traceAdds: () => {
    diagnostics.subscribe('nschwarz:cluster:add', message => {
      notify({ event: 'traced', taskType: (message as { task: Task }).task.taskType })
    })
  },
  pause: taskType => TaskQueue.pause(taskType),
  resume: taskType => TaskQueue.resume(taskType),
  schedules: () => TaskQueue.schedules(),
  onSchedule: (method, name) => TaskQueue[method](name),
  testing: (method, ...args) => (testing[method] as (...given: readonly unknown[]) => Promise<unknown>)(...args),
  cancel: _id => TaskQueue.cancel(_id),
  retry: _id => TaskQueue.retry(_id),
  remove: _id => TaskQueue.removeAsync(_id),
  replace: async task => {
    if (TaskQueue.inMemory.removeById(task._id) === undefined) await TaskQueue.removeAsync(task._id)
    return TaskQueue.addTask(task)
  },
  addThenCancel: async tasks => {
    const ids = await TaskQueue.addTasks(tasks)
    return [ids, await Promise.all(ids.map(_id => TaskQueue.cancel(_id)))]
  },
  cancelThenRetry: async _id => [await TaskQueue.cancel(_id), await TaskQueue.retry(_id)],
  block: blockFor,
  stop: async options => cluster?.stop(options),
  listen: (type, mode, options) => {
    const listener = listeners.get(type + mode) ?? listenerFor(type, mode)
    listeners.set(type + mode, listener)
    TaskQueue.addEventListener(type, listener, options)
  },
  stopListening: (type, mode) => {
    TaskQueue.removeEventListener(type, mode === undefined ? undefined : listeners.get(type + mode))
  },
  secondCluster: () => {
    new Cluster(taskMap)
  },
  whatAmI: () => ({
    isMasterBeforeCluster,
    hasMasterImports: hasMasterImports(),
    maxWorkers: Cluster.maxWorkers(),
  }),
  addAndChange: async () => {
    const data = { nested: { value: 'as added' } }
    const _id = await TaskQueue.addTask({ taskType: 'echo', data, inMemory: true })
    data.nested.value = 'changed by the caller'
    return _id
  },
  setClock: milliseconds => {
    skew(milliseconds)
  },
}

if (Cluster.isMaster()) {
  for (const type of ['done', 'error', 'retry'] as const) calls.listen(type, 'usual')
  TaskQueue.addEventListener('progress', ({ value, task }) => {
    notify({ event: 'progress', value, task })
  })
  for (const event of ['stalled', 'cancelled'] as const) {
    TaskQueue.addEventListener(event, ({ task }) => {
      notify({ event, task })
    })
  }
  process.on('message', (message: { call?: Call }) => {
    if (message.call !== undefined) void obey(message.call)
  })
  Meteor.startup(() => {
    notify({ event: 'started' })
  })
}

async function obey({ id, method, args }: Call): Promise<void> {
  try {
    const call = calls[method] as (...args: unknown[]) => unknown
    notify({ event: 'returned', id, value: await call(...args) })
  } catch (error) {
    notify({ event: 'threw', id, error: errorToWire(error as Error) })
  }
}
