/** The task of a schedule: it writes down how far the work is. */
import { Mongo } from 'meteor/mongo'
import { type TaskState, TaskQueue } from 'meteor/nschwarz:cluster'
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

/** The last report is the only one that is kept. */
const LAST = 'last'

const Reports = new Mongo.Collection<Report>('flagReports')

export function lastReport(): Promise<Report | undefined> {
  return Reports.findOneAsync(LAST)
}

export async function report(): Promise<void> {
  const [rendered, waiting, running, failed] = await Promise.all([
    countRendered(GALLERY),
    countFlags('waiting'),
    countFlags('running'),
    countFlags('failed'),
  ])
  const fields = { at: new Date(), pid: process.pid, rendered, waiting, running, failed }
  await Reports.updateAsync(LAST, { $set: fields }, { upsert: true })
}

function countFlags(state: TaskState): Promise<number> {
  return TaskQueue.find({ taskType: 'render', state }).countAsync()
}
