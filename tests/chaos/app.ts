/**
 * The server of a crash run. As a master, or without a cluster, it obeys the driver. Masters and workers log what they
 * do.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Meteor } from 'meteor/meteor'
import { Cluster, TaskQueue, type ClusterOptions, type NewTask, type Task } from 'meteor/nschwarz:cluster'
import { toError } from '../../common/errors'
import { unwrap } from '../../common/pipe/envelope'
import { type ToMaster, isToWorker, jobFromWire } from '../../common/pipe/protocol'
import { OPTIONS_VARIABLE } from '../support/remote-protocol'
import { isPayload, payloadOf } from './bulk'
import type { Call, Reply, Request } from './calls'
import { type Act, type Failure, LOG_VARIABLE, type Plan, type TaskEventName, WEB_VARIABLE, openLog } from './log'
import { type Data, type Result, createTasks } from './tasks'

const BACKOFF_MS = 200

/** What is logged before a call. */
const BEFORE = {
  remove: 'removing',
  cancel: 'cancelling',
  retry: 'retrying',
  pause: 'pausing',
  resume: 'resuming',
} as const
const AFTER = {
  remove: 'removed',
  cancel: 'cancelled',
  retry: 'retried',
  pause: 'paused',
  resume: 'resumed',
} as const

const folder = process.env[LOG_VARIABLE] ?? ''
const isWeb = process.env[WEB_VARIABLE] !== undefined
const write = openLog(folder, isWeb ? 'web' : Cluster.isMaster() ? 'master' : 'worker')
const options = JSON.parse(process.env[OPTIONS_VARIABLE] ?? '{}') as ClusterOptions & { leaseDuration: number }

// Listens before the package does, so that this entry precedes whatever the package does with a job.
if (!Cluster.isMaster()) {
  process.on('message', logReceived)
  logReportedStarts()
}
if (!isWeb) new Cluster(createTasks({ write, folder, lease: options.leaseDuration, add, act }), options)
if (Cluster.isMaster()) obeyDriver()
if (!isWeb) Meteor.startup(logReady)

function logReceived(raw: unknown): void {
  for (const message of unwrap(raw, isToWorker)) {
    if (message.kind !== 'run' || isTick(message.job)) continue
    const { token, startBefore = null } = message
    const { _id, data } = jobFromWire(message.job)
    const { incarnation } = data as Data
    write({ what: 'received', id: _id, incarnation, token, startBefore })
  }
}

/** Logs a start before the master can hear of it: the master's timer for the job's timeout runs from then. */
function logReportedStarts(): void {
  const send = process.send?.bind(process) as ((...args: unknown[]) => boolean) | undefined
  process.send = (raw: unknown, ...more: unknown[]) => {
    for (const message of unwrap(raw, (_message): _message is ToMaster => true))
      if (message.kind === 'started') write({ what: 'told', token: message.token })
    return send?.(raw, ...more) ?? false
  }
}

function logReady(): void {
  const { maxAvailableWorkers = 1, workerConcurrency = 1, maxJobsPerWorker = null } = options
  const workers = Math.min(maxAvailableWorkers, Cluster.maxWorkers())
  const bootedIn = process.uptime() * 1000
  write({ what: 'ready', bootedIn, workers, slots: workerConcurrency, maxJobs: maxJobsPerWorker })
}

function obeyDriver(): void {
  for (const type of ['done', 'error', 'retry', 'stalled', 'cancelled'] as const) listen(type)
  process.on('message', (message: Partial<Request>) => {
    const { request, call } = message
    if (request === undefined || call === undefined) return
    void obey(call).then(found => {
      answer({ reply: 'returned', request, found })
    })
  })
  Meteor.startup(async () => {
    // With this query, Meteor itself waits for its connection.
    await TaskQueue.find({}, { limit: 1 }).countAsync()
    answer({ reply: 'started' })
  })
}

/** The task of a schedule, which no driver has added. */
function isTick({ taskType }: { readonly taskType: string }): boolean {
  return taskType === 'tick' || taskType === 'fresh'
}

function listen(type: TaskEventName): void {
  TaskQueue.addEventListener(type as 'error', (event: { value?: unknown; task: Task }) => {
    const { value, task } = event
    if (isTick(task)) return
    const data = task.data as Data
    const error = value instanceof Error ? failureOf(value) : null
    const token = type === 'done' ? tokenIn(value as Result, data) : null
    write({ what: 'event', type, id: task._id, incarnation: data.incarnation, token, error })
  })
}

/** The token that a job returned. If its result arrived changed, a token that no job has. */
function tokenIn({ token, payload }: Result, { bytes }: Data): string {
  return bytes === undefined || isPayload(payload, bytes.result) ? token : 'a changed result'
}

function obey(call: Call): Promise<boolean> {
  if (call.method !== 'add') return act(call)
  const [plan] = call.plans
  return plan?.isAwaited === true ? runTwice(plan) : add(call.plans)
}

/** A waiter that has been told nothing for this long, while masters run, is forgotten. */
const SETTLES_WITHIN_MS = 60_000

/** Two waiters for one task. */
async function runTwice(plan: Plan): Promise<boolean> {
  write({ what: 'adding', ...plan })
  const learned = await Promise.all([1, 2].map(wait => runAndTell(plan, wait)))
  return learned.includes(true)
}

/** @returns whether the task is done */
async function runAndTell(plan: Plan, wait: number): Promise<boolean> {
  const { id, incarnation } = plan
  write({ what: 'awaiting', wait, id, incarnation })
  try {
    const task = toTask(plan)
    const result = await Promise.race([
      TaskQueue.run<Result>(task),
      pause(SETTLES_WITHIN_MS, undefined, { ref: false }),
    ])
    if (result === undefined) throw Object.assign(new Error('not settled'), { name: 'Unsettled' })
    write({ what: 'learned', wait, id, incarnation, token: tokenIn(result, task.data), error: null })
    write({ what: 'added', ...plan })
    return true
  } catch (thrown) {
    write({ what: 'learned', wait, id, incarnation, token: null, error: failureOf(thrown) })
    return false
  }
}

/** Adds all of them in one call. */
async function add(plans: readonly Plan[]): Promise<boolean> {
  for (const plan of plans) write({ what: 'adding', ...plan })
  try {
    const [first, ...others] = plans.map(toTask)
    if (first !== undefined && others.length === 0) await TaskQueue.addTask(first)
    else await TaskQueue.addTasks(plans.map(toTask))
    for (const plan of plans) write({ what: 'added', ...plan })
    return true
  } catch (thrown) {
    for (const plan of plans) logRefusal(plan, toError(thrown))
    return false
  }
}

/** If only some of the tasks that were added together are duplicates, the others are stored. */
function logRefusal(plan: Plan, error: Error & { readonly taskIds?: readonly string[] }): void {
  if (error.name !== 'DuplicateTaskError') {
    write({ what: 'unclear', call: 'add', incarnation: plan.incarnation, error: failureOf(error) })
  } else if (error.taskIds?.includes(plan.id) === true) write({ what: 'refused', ...plan })
  else write({ what: 'added', ...plan })
}

function toTask({ id, due, ...data }: Plan): NewTask<Data> {
  const { kind, retries, priority, timeout, bytes } = data
  return {
    taskType: kind,
    _id: id,
    data: { ...data, due, ...(bytes === undefined ? {} : { payload: payloadOf(bytes.data) }) },
    ...(due === null ? {} : { dueDate: new Date(due) }),
    ...(retries === 0 ? {} : { retries, backoff: BACKOFF_MS }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeout === undefined ? {} : { timeout }),
  }
}

async function act({ method, name }: Act): Promise<boolean> {
  write({ what: BEFORE[method], ...name })
  try {
    const found = await perform(method, name)
    write({ what: AFTER[method], ...name, found })
    return found
  } catch (thrown) {
    write({ what: 'unclear', call: BEFORE[method], incarnation: name.incarnation, error: failureOf(thrown) })
    return false
  }
}

async function perform(method: Act['method'], { id, incarnation }: Act['name']): Promise<boolean> {
  switch (method) {
    case 'remove':
      // Only this incarnation: if the call is late, another one may have the same `_id`.
      return (await TaskQueue.removeAsync({ _id: id, 'data.incarnation': incarnation })) > 0
    case 'cancel':
      return TaskQueue.cancel(id)
    case 'retry':
      return TaskQueue.retry(id)
    case 'pause':
    case 'resume':
      return TaskQueue[method]('pausable')
  }
}

function failureOf(thrown: unknown): Failure {
  const { name, message } = toError(thrown)
  return { name, message }
}

function answer(reply: Reply): void {
  if (process.connected) process.send?.(reply, undefined, undefined, () => undefined)
}
