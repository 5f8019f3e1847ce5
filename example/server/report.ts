/** A recurring task: it writes down how far the work is, and adds itself again. */
import { Mongo } from 'meteor/mongo'
import { DuplicateTaskError, type Job, type TaskState, TaskQueue } from 'meteor/nschwarz:cluster'
import { GALLERY, countRendered } from './output'

export interface Report {
  readonly _id: string
  readonly at: Date
  /** The worker that wrote it. */
  readonly pid: number
  readonly rendered: number
  readonly waiting: number
  readonly running: number
  readonly failed: number
}

const EVERY_MS = 3000

/** The last report is the only one that is kept. */
const LAST = 'last'

const Reports = new Mongo.Collection<Report>('flagReports')

export function lastReport(): Promise<Report | undefined> {
  return Reports.findOneAsync(LAST)
}

export async function report(job: Job): Promise<void> {
  // First of all, so that a report that fails is not the last one.
  await addNextReport(job.dueDate)
  const [rendered, waiting, running, failed] = await Promise.all([
    countRendered(GALLERY),
    countFlags('waiting'),
    countFlags('running'),
    countFlags('failed'),
  ])
  const fields = { at: new Date(), pid: process.pid, rendered, waiting, running, failed }
  await Reports.updateAsync(LAST, { $set: fields }, { upsert: true })
}

/**
 * Adds the report that comes next after a date, and after now. Its `_id` is that of the tick, so there is one report for
 * each, whoever adds it: the report before, one that runs a second time, or the app when it starts.
 */
export async function addNextReport(after = new Date()): Promise<void> {
  const tick = Math.floor(Math.max(Date.now(), after.getTime()) / EVERY_MS) + 1
  try {
    await TaskQueue.addTask({
      taskType: 'report',
      _id: `report-${String(tick)}`,
      data: {},
      dueDate: new Date(tick * EVERY_MS),
      // Ahead of all the flags that were due before.
      priority: 10,
    })
  } catch (error) {
    if (!(error instanceof DuplicateTaskError)) throw error
  }
}

function countFlags(state: TaskState): Promise<number> {
  return TaskQueue.find({ taskType: 'render', state }).countAsync()
}
