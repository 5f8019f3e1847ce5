import type { ChangeStream, Collection } from 'mongodb'
import { now } from '../../clock'
import type { Operations } from '../../protocol'
import { TASK_ORDER } from '../../../common/order'
import { CLAIM, DUE, type FloorTask } from './claims'

/** From the insert in another process to the claim here, which a change stream's event sets off. */
export function events(tasks: Collection<FloorTask>): Partial<Operations> {
  let told: (latency: number) => void = () => undefined
  return {
    // Not before: the database would be slower for all else.
    listen: async () => {
      const stream = tasks.watch([{ $match: { operationType: 'insert' } }])
      // Opens it.
      await stream.tryNext()
      void follow(stream, async () => {
        told(await claim(tasks))
      })
    },
    nextLatency: () =>
      new Promise<number>(resolve => {
        told = resolve
      }),
  }
}

async function follow(stream: ChangeStream, happened: () => Promise<void>): Promise<never> {
  for (;;) {
    await stream.next()
    await happened()
  }
}

async function claim(tasks: Collection<FloorTask>): Promise<number> {
  const task = await tasks.findOneAndUpdate(DUE, CLAIM, { sort: TASK_ORDER })
  const latency = now() - (task?.data as { addedAt: number }).addedAt
  await tasks.deleteMany({})
  return latency
}
