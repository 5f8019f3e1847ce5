import { Mongo } from 'meteor/mongo'
import type { Task } from '../common/task'

/**
 * The tasks that publications send to this client, by `TaskQueue.findFor` on the server. It is read only: call a method
 * to add or cancel tasks.
 */
class TaskQueueCollection extends Mongo.Collection<Task> {
  constructor() {
    super('taskQueue', { defineMutationMethods: false })
  }
}

for (const name of [
  'insert',
  'update',
  'upsert',
  'remove',
  'insertAsync',
  'updateAsync',
  'upsertAsync',
  'removeAsync',
]) {
  Object.defineProperty(TaskQueueCollection.prototype, name, { value: () => refuse(name) })
}

function refuse(name: string): never {
  throw new Error(`nschwarz:cluster: TaskQueue.${name} is on the server only; call a method that changes the task.`)
}

export const TaskQueue = new TaskQueueCollection()
export type { LogLine, Task, TaskFailure, TaskState } from '../common/task'
