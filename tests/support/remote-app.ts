/**
 * A master that a test drives from outside: a server of its own, whose cluster has the options that its environment
 * names, and which obeys the test over its pipe. Its workers load this file too.
 */
import { createServer } from 'node:net'
import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type ClusterOptions, type LogEntry } from 'meteor/nschwarz:cluster'
import { errorToWire, toWire } from '../../common/pipe/wire'
import { held, messageBroker } from './broker'
import { skew } from '../chaos/skew'
import { hasMasterImports } from './has-master-imports'
import {
  type Call,
  type Calls,
  KILLER_VARIABLE,
  OPTIONS_VARIABLE,
  PORT_THIEF_VARIABLE,
  notify,
} from './remote-protocol'
import { taskMap } from './task-map'

const { withoutBroker, withoutCluster, ...given } = JSON.parse(process.env[OPTIONS_VARIABLE] ?? '{}') as Omit<
  ClusterOptions,
  'logs'
> & {
  logs?: 'all' | 'error' | 'function'
  withoutBroker?: true
  withoutCluster?: true
}
const options: ClusterOptions = { ...given, logs: given.logs === 'function' ? writeEntry : given.logs }

const isMasterBeforeCluster = Cluster.isMaster()
const cluster = withoutCluster
  ? undefined
  : new Cluster(taskMap, { ...options, ...(withoutBroker ? {} : { messageBroker }) })

const killer = process.env[KILLER_VARIABLE]
if (killer !== undefined && !Cluster.isMaster()) {
  process.prependListener('message', message => {
    if (JSON.stringify(message).includes(`"_id":"${killer}"`)) process.kill(process.pid, 'SIGKILL')
  })
}

if (process.env[PORT_THIEF_VARIABLE] !== undefined && !Cluster.isMaster()) {
  // It listens before any startup hook runs. Not awaited: Meteor cannot import() a module with `await` at its top level.
  createServer().listen(Number(process.env.PORT), '127.0.0.1').unref()
}

/** As JSON, with the message of its error. */
function writeEntry(entry: LogEntry): void {
  const process = Cluster.isMaster() ? 'master' : 'worker'
  console.log(`entry ${JSON.stringify({ ...entry, in: process, error: entry.error?.message })}`)
}

const calls: Calls = {
  addTask: task => TaskQueue.addTask(task),
  addTasks: tasks => TaskQueue.addTasks(tasks),
  tasks: () => TaskQueue.inMemory.tasks(),
  availableTasks: () => TaskQueue.inMemory.availableTasks(),
  findById: _id => TaskQueue.inMemory.findById(_id),
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
  block: milliseconds => {
    const end = performance.now() + milliseconds
    while (performance.now() < end);
  },
  stop: async options => cluster?.stop(options),
  listen: (type, mode) => {
    TaskQueue.addEventListener(type, event => {
      if (mode === 'throwing') throw new Error('the listener threw')
      notify({ event: type, wire: toWire(event.value), task: event.task, mode })
    })
  },
  stopListening: type => {
    TaskQueue.removeEventListener(type)
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
