/**
 * Which task comes next: the one rule of both queues, as a comparison and as a MongoDB sort.
 *
 * Higher priority first, then the earlier due date, then first come, first served. `sequence` tells apart tasks
 * that one process created within the same millisecond.
 */

export const TASK_ORDER = { priority: -1, dueDate: 1, createdAt: 1, sequence: 1 } as const

/** What the order looks at. */
export interface Ordered {
  readonly priority: number
  readonly dueDate: Date
  readonly createdAt: Date
  readonly sequence: number
}

const FIELDS = Object.entries(TASK_ORDER) as [keyof Ordered, 1 | -1][]

/** Negative when `a` comes before `b`. */
export function compareTasks(a: Ordered, b: Ordered): number {
  for (const [field, direction] of FIELDS) {
    const difference = Number(a[field]) - Number(b[field])
    if (difference !== 0) return difference * direction
  }
  return 0
}
