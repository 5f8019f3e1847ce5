import type { RemoteMaster } from './remote-master'

/** For tests that are made once for each queue. */
export const QUEUES = [
  { kind: 'persistent', inMemory: false },
  { kind: 'in-memory', inMemory: true },
] as const

/** How many jobs of this task have asked to be held. */
export function runsOf(master: RemoteMaster, _id: string): number {
  return master.notices('held').filter(({ taskId }) => taskId === _id).length
}

/** How often this process emitted `cancelled` for a task. */
export function cancelledEvents(master: RemoteMaster, _id: string): number {
  return master.notices('cancelled').filter(({ task }) => task._id === _id).length
}
