import { TaskQueue, type Job, type ToggleIPC } from 'meteor/nschwarz:cluster'
import { burn } from '../../burn'
import { now } from '../../clock'

const startedAt = now() - process.uptime() * 1000

export const taskMap = {
  noop: () => undefined,
  burn: ({ data }: Job<{ iterations: number; resultBytes: number }>) =>
    String(burn(data.iterations)).padEnd(data.resultBytes, '.'),
  /** Returns how long ago it was added. */
  probe: (job: Job<{ addedAt: number }>) => now() - job.data.addedAt,
  addProbe: async () => {
    await addProbe()
  },
  /** Returns how long its process has lived. */
  age: () => ({ pid: process.pid, age: now() - startedAt }),
  /** Keeps a worker busy until the master answers. */
  hold: (_job: Job, toggleIPC: ToggleIPC) =>
    toggleIPC(
      () => undefined,
      send => {
        send({ status: 2, data: process.pid })
      },
    ),
}

export async function addProbe(inMemory = false): Promise<void> {
  await TaskQueue.addTask({ taskType: 'probe', data: { addedAt: now() }, inMemory })
}
