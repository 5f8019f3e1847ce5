import type { ChangeStream, Collection } from 'mongodb'
import { now } from '../../clock'
import type { Operations } from '../../protocol'
import { TASK_ORDER } from '../../../common/order'
import { CLAIM, DUE, type FloorTask } from './claims'

/** Measures from the insert in another process to the claim here, which a change stream's event triggers. */
export function events(tasks: Collection<FloorTask>): Partial<Operations> {
  let report: (latency: number) => void = () => undefined
  return {
    // Not earlier: an open change stream makes the database slower for everything else.
    listen: async () => {
      const stream = tasks.watch([{ $match: { operationType: 'insert' } }])
      // The first read opens the stream.
      await stream.tryNext()
      void follow(stream, async () => {
        report(await claim(tasks))
      })
    },
    nextLatency: () =>
      new Promise<number>(resolve => {
        report = resolve
      }),
  }
}

async function follow(stream: ChangeStream, onEvent: () => Promise<void>): Promise<never> {
  for (;;) {
    await stream.next()
    await onEvent()
  }
}

async function claim(tasks: Collection<FloorTask>): Promise<number> {
  const task = await tasks.findOneAndUpdate(DUE, CLAIM, { sort: TASK_ORDER })
  const latency = now() - (task?.data as { addedAt: number }).addedAt
  await tasks.deleteMany({})
  return latency
}
