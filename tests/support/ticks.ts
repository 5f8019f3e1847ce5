import { Random } from 'meteor/random'
import type { TestDatabase } from './database'
import { eventually } from './wait'

/** Until the master has looked at the queue twice: the first look may still be at its beginning when it is noticed. */
export async function ticks(database: TestDatabase): Promise<void> {
  await tick(database)
  await tick(database)
}

/** Until the master is looking at the queue: it schedules a task again whose state is not true to its due date. */
async function tick({ tasks }: TestDatabase): Promise<void> {
  const probe = {
    _id: Random.id(),
    taskType: 'echo',
    state: 'waiting',
    dueDate: new Date(Date.now() + 3_600_000),
    data: {},
    priority: 1,
  }
  await tasks.insertOne({ ...probe, createdAt: new Date(), sequence: 0 })
  await eventually(
    'the master has looked',
    async () => (await tasks.countDocuments({ _id: probe._id, state: 'scheduled' })) === 1,
  )
}
