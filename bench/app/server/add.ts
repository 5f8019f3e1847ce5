import { inBatches } from '../../batches'
import { TaskQueue, type NewTask } from 'meteor/nschwarz:cluster'

const ADDED_AT_ONCE = 500

/** Adds `count` tasks, `size` with each call. */
export async function addAll(
  count: number,
  makeTask: (index: number) => NewTask,
  size: number = ADDED_AT_ONCE,
): Promise<void> {
  await inBatches(count, size, (length, before) =>
    TaskQueue.addTasks(Array.from({ length }, (_, index) => makeTask(before + index))),
  )
}
