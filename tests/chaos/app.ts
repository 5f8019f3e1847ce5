/** The server of a crash run: obeys the driver as a master, and logs as a master and as a worker. */
import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type ClusterOptions, type NewTask, type Task } from 'meteor/nschwarz:cluster'
import { toError } from '../../common/errors'
import { isToWorker, jobFromWire, unwrap } from '../../common/protocol'
import { OPTIONS_VARIABLE } from '../support/remote-protocol'
import type { Call, Reply, Request } from './calls'
import { type Failure, LOG_VARIABLE, type Plan, type TaskEventName, type TaskName, openLog } from './log'
import { type Data, createTasks } from './tasks'

const BACKOFF_MS = 200

const folder = process.env[LOG_VARIABLE] ?? ''
const write = openLog(folder, Cluster.isMaster() ? 'master' : 'worker')
const options = JSON.parse(process.env[OPTIONS_VARIABLE] ?? '{}') as ClusterOptions & { leaseDuration: number }

// Before the package listens, so that what it does with a job comes after this entry.
if (!Cluster.isMaster()) process.on('message', logReceived)
const tasks = createTasks({ write, folder, lease: options.leaseDuration, add })
new Cluster(tasks, options)
if (Cluster.isMaster()) obeyDriver()

function logReceived(raw: unknown): void {
  for (const message of unwrap(raw, isToWorker)) {
    if (message.kind !== 'run') continue
    const { token, startBefore = null } = message
    const { _id, data } = jobFromWire(message.job)
    const { incarnation } = data as Data
    write({ what: 'received', id: _id, incarnation, token, startBefore })
  }
}

function obeyDriver(): void {
  for (const type of ['done', 'error', 'retry', 'stalled', 'cancelled'] as const) listen(type)
  process.on('message', (message: Partial<Request>) => {
    const { request, call } = message
    if (request === undefined || call === undefined) return
    void obey(call).then(() => {
      tell({ reply: 'returned', request })
    })
  })
  Meteor.startup(async () => {
    // Meteor itself waits for its connection here.
    await TaskQueue.find({}, { limit: 1 }).countAsync()
    tell({ reply: 'started' })
  })
}

function listen(type: TaskEventName): void {
  TaskQueue.addEventListener(type as 'error', (event: { value?: unknown; task: Task }) => {
    const { value, task } = event
    const { incarnation } = task.data as Data
    const isError = value instanceof Error
    const token = typeof value === 'string' ? value : null
    write({ what: 'event', type, id: task._id, incarnation, token, error: isError ? failureOf(value) : null })
  })
}

async function obey(call: Call): Promise<void> {
  switch (call.method) {
    case 'add':
      await add(call.plan)
      return
    case 'remove':
      await logAround('removing', 'removed', call.name, remove)
      return
    case 'cancel':
      await logAround('cancelling', 'cancelled', call.name, ({ id }) => TaskQueue.cancel(id))
  }
}

async function add(plan: Plan): Promise<void> {
  write({ what: 'adding', ...plan })
  try {
    await TaskQueue.addTask(toTask(plan))
    write({ what: 'added', ...plan })
  } catch (thrown) {
    const error = failureOf(thrown)
    if (error.name === 'DuplicateTaskError') write({ what: 'refused', ...plan })
    else write({ what: 'unclear', call: 'add', incarnation: plan.incarnation, error })
  }
}

function toTask({ id, due, ...data }: Plan): NewTask<Data> {
  const { kind, retries } = data
  return {
    taskType: kind,
    _id: id,
    data: { ...data, due },
    ...(due === null ? {} : { dueDate: new Date(due) }),
    ...(retries === 0 ? {} : { retries, backoff: BACKOFF_MS }),
  }
}

/** Only this incarnation: when the call is late, another may have its `_id`. */
function remove({ id, incarnation }: TaskName): Promise<unknown> {
  return TaskQueue.removeAsync({ _id: id, 'data.incarnation': incarnation })
}

async function logAround(
  before: 'removing' | 'cancelling',
  after: 'removed' | 'cancelled',
  name: TaskName,
  run: (name: TaskName) => Promise<unknown>,
): Promise<void> {
  write({ what: before, ...name })
  try {
    await run(name)
    write({ what: after, ...name })
  } catch (thrown) {
    write({ what: 'unclear', call: before, incarnation: name.incarnation, error: failureOf(thrown) })
  }
}

function failureOf(thrown: unknown): Failure {
  const { name, message } = toError(thrown)
  return { name, message }
}

function tell(reply: Reply): void {
  if (process.connected) process.send?.(reply, undefined, undefined, () => undefined)
}
