import { TaskQueue, type NewTask } from 'meteor/nschwarz:cluster'

const ADDED_AT_ONCE = 500

/** Adds so many tasks, so many with each call. */
export async function addAll(
  count: number,
  makeTask: (index: number) => NewTask,
  size: number = ADDED_AT_ONCE,
): Promise<void> {
  for (let added = 0; added < count; added += size) {
    const length = Math.min(size, count - added)
    await TaskQueue.addTasks(Array.from({ length }, (_, index) => makeTask(added + index)))
  }
}
