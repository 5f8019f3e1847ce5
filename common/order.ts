/**
 * Which task comes next: the one rule of both queues, as a comparison and as a MongoDB sort.
 *
 * Higher priority first, then the earlier due date, then first come, first served. `sequence` tells apart tasks
 * that one process created within the same millisecond.
 */

export const TASK_ORDER = { priority: -1, dueDate: 1, createdAt: 1, sequence: 1 } as const

/** The fields that decide the order. */
export interface Ordered {
  readonly priority: number
  readonly dueDate: Date
  readonly createdAt: Date
  readonly sequence: number
}

/** Negative if `a` comes before `b`. Written out for speed, since heaps call it all the time. */
export function compareTasks(a: Ordered, b: Ordered): number {
  return (
    numberOf(b.priority) - numberOf(a.priority) ||
    timeOf(a.dueDate) - timeOf(b.dueDate) ||
    timeOf(a.createdAt) - timeOf(b.createdAt) ||
    numberOf(a.sequence) - numberOf(b.sequence)
  )
}

// A document that other code wrote may hold any value here.

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN
}

function timeOf(date: unknown): number {
  return date instanceof Date ? date.getTime() : Number.NaN
}
