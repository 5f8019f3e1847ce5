import { Random } from 'meteor/random'
import type { TestDatabase } from './database'
import { eventually } from './wait'

/** Until the master has looked at the queue twice: the first look may still be at its beginning when it is noticed. */
export async function ticks(database: TestDatabase): Promise<void> {
  await tick(database)
  await tick(database)
}

/** Until the master is looking at the queue: it makes a scheduled task waiting that is due, of another app too. */
async function tick({ tasks }: TestDatabase): Promise<void> {
  const _id = Random.id()
  const due = { taskType: "another app's", state: 'scheduled', dueDate: new Date(0), data: {}, priority: 1 }
  await tasks.insertOne({ _id, ...due, createdAt: new Date(), sequence: 0 })
  await eventually('the master has looked', async () => (await tasks.countDocuments({ _id, state: 'waiting' })) === 1)
}
