/** The queue of this process, and what its cluster connects to: there is one of each. */
import { OUTSIDE_OF_JOBS } from '../../common/ending'
import { createId } from '../../common/id'
import { role } from '../role'
import { Listeners } from './listeners'
import { MemoryQueue } from './memory/memory-queue'
import { MongoEndFeed } from './mongo/feeds/end-feed'
import type { PauseCollection, StoredPause } from './mongo/pauses'
import type { RawCollection, StoredTask } from './mongo/documents/schema'
import { Queue } from './queue'
import { Results } from './results/results'
import { Waiters } from './results/waiters'
import { Retention } from './retention'
import { Schemas } from './schemas'
import type { ScheduleSet } from './schedules/schedule-set'
import { Schedules } from './schedules/schedules'
import { type SetCollection, StoredSets } from './schedules/stored-sets'
import { Signals } from './signals'
import { TaskQueueCollection } from './task-queue'

const QUEUE_NAME = 'taskQueue'
const PAUSES_NAME = 'taskQueuePauses'
const SCHEDULES_NAME = 'taskQueueSchedules'
/** Whatever the connection string prefers, reads go to the primary, so that they see what was just written. */
const FROM_PRIMARY = { readPreference: 'primary' } as const

/** Configured by the cluster of this process, if there is one. */
export const retention = new Retention()
export const memoryQueue = new MemoryQueue(createId(), retention)
export const listeners = new Listeners()
export const signals = new Signals()
export const schemas = new Schemas()
export const queue = new Queue({ memory: memoryQueue, pauses: storedPauses, retention, signals, tasks: storedTasks })
export const waiters = new Waiters(queue, new MongoEndFeed(storedTasks))
export const results = new Results(queue, role === 'worker' ? OUTSIDE_OF_JOBS : waiters)
export const scheduleSets = new StoredSets(storedSets, storedTasks)
export const schedules = new Schedules(
  { add: task => queue.add(task, false), schemas, sets: scheduleSets, signals },
  // Meteor sets it alike in all instances and builds of an app.
  process.env.APP_ID,
)
export const TaskQueue = new TaskQueueCollection(QUEUE_NAME, {
  listeners,
  memory: memoryQueue,
  queue,
  results,
  schedules,
  schemas,
  tasks: storedTasks,
})

/** The documents of the persistent tasks. */
export function storedTasks(): RawCollection {
  return TaskQueue.rawDatabase().collection<StoredTask>(QUEUE_NAME, FROM_PRIMARY)
}

/** The documents of the paused types. */
export function storedPauses(): PauseCollection {
  return TaskQueue.rawDatabase().collection<StoredPause>(PAUSES_NAME, FROM_PRIMARY)
}

/** The schedules, one document for each app. */
function storedSets(): SetCollection {
  return TaskQueue.rawDatabase().collection<ScheduleSet>(SCHEDULES_NAME, FROM_PRIMARY)
}
