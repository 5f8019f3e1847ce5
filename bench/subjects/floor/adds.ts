import type { Collection } from 'mongodb'
import { now, timed } from '../../clock'
import type { Operations } from '../../protocol'
import { type FloorTask, fill, makeTask } from './claims'

export function adds(tasks: Collection<FloorTask>): Partial<Operations> {
  return {
    warmUp: async () => {
      await tasks.findOne({})
    },
    addOne: count =>
      timed(async () => {
        for (let index = 0; index < count; index++) await tasks.insertOne(makeTask(index))
      }),
    addMany: (count, size) => timed(() => fill(tasks, count, size)),
    addProbe: async () => {
      await tasks.insertOne(makeTask(0, { addedAt: now() }))
    },
  }
}
