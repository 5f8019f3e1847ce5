import type { TaskSignal } from '../../../common/task'

/**
 * For each type: the task with the highest priority of those that are due, and the earliest of those that are not. The
 * others need no signal of their own.
 */
export function firstOfEachType(tasks: readonly TaskSignal[]): Iterable<TaskSignal> {
  const first = new Map<string, TaskSignal>()
  for (const task of tasks) {
    const isDue = task.state !== 'scheduled'
    const key = `${isDue ? 'due' : 'later'}:${task.taskType}`
    const known = first.get(key)
    const isFirst = known === undefined || (isDue ? task.priority > known.priority : task.dueDate < known.dueDate)
    if (isFirst) first.set(key, task)
  }
  return first.values()
}
