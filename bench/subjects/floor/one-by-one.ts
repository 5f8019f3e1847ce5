/** The floor of a queue that claims and deletes one task at a time, with as few commands as that takes. */
import { MongoClient } from 'mongodb'
import { now } from '../../clock'
import type { Drained, Operations, Settings } from '../../protocol'
import { TASK_ORDER } from '../../../common/order'
import { CLAIM, DUE, TASK_INDEX, type FloorTask, fill } from './claims'

export async function open({ databaseUrl }: Settings): Promise<Partial<Operations>> {
  const client = await MongoClient.connect(databaseUrl)
  const tasks = client.db().collection<FloorTask>('tasks')
  await tasks.createIndex(TASK_INDEX)
  return {
    warmUp: () => Promise.resolve(),
    drain: async ({ count, limit }): Promise<Drained> => {
      await fill(tasks, count)
      const startedAt = now()
      let jobs = 0
      while (jobs < count && now() - startedAt < limit) {
        const task = await tasks.findOneAndUpdate(DUE, CLAIM, { sort: TASK_ORDER })
        if (task === null) throw new Error('the queue became empty too early')
        await tasks.deleteOne({ _id: task._id })
        jobs++
      }
      const ms = now() - startedAt
      await tasks.deleteMany({})
      return { jobs, ms }
    },
  }
}
