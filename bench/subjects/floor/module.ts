/** The same work without a queue: the best that the database, the pipe and the cpus can do. */
import { MongoClient } from 'mongodb'
import type { Operations, Settings } from '../../protocol'
import { adds } from './adds'
import { Children } from './children'
import { TASK_INDEX, batchedClaims, type FloorTask } from './claims'
import { events } from './events'
import { burnInChildren, pipe } from './pipe'

export async function open({ databaseUrl, workers, runsJobs }: Settings): Promise<Partial<Operations>> {
  const client = await MongoClient.connect(databaseUrl)
  const tasks = client.db().collection<FloorTask>('tasks')
  await tasks.createIndex(TASK_INDEX)
  if (!runsJobs) return adds(tasks)
  const children = await Children.fork(workers)
  const drainQueue = batchedClaims(tasks)
  return {
    ...adds(tasks),
    ...events(tasks),
    ...pipe(tasks, children),
    drain: request =>
      request.job.name === 'noop'
        ? drainQueue(request)
        : burnInChildren(children, request.count, request.job.iterations),
  }
}
