import { fork } from 'node:child_process'
import { resolve } from 'node:path'
import { Random } from 'meteor/random'
import type { TaskMap } from '../../common/ipc'
import type { Log } from '../../common/log'
import type { ResolvedOptions } from '../../common/options'
import { Claims } from '../queue/claims'
import { currentOwner } from '../queue/owner'
import { TaskQueue, listeners, memoryQueue, wakeUp } from '../queue/task-queue'
import { Dispatcher } from './dispatcher'
import { Leases } from './leases'
import { forkOptions } from './fork-options'
import { Pool } from './pool'
import { Upkeep } from './upkeep'

/** What Meteor's boot.js knows of this server; in no type package. */
declare const __meteor_bootstrap__: { readonly serverDir: string }

/** Puts a master together; nothing runs before its `start`. */
export function createMaster(taskMap: TaskMap, options: ResolvedOptions, log: Log): Dispatcher {
  memoryQueue.open()
  const { leaseDuration } = options
  const claims = new Claims(TaskQueue.rawCollection(), currentOwner(), Object.keys(taskMap), leaseDuration)
  return new Dispatcher({
    claims,
    leases: new Leases(claims, leaseDuration, () => Random.id(), log),
    upkeep: new Upkeep(claims, log),
    memory: memoryQueue,
    listeners,
    wakeUp,
    options,
    log,
    createPool: events =>
      new Pool({ port: options.port, size: options.maxAvailableWorkers, fork: forkServer, log }, events),
  })
}

/** The server's own entry: the same file under `meteor run`, `meteor test-packages`, a bundle and PM2. */
function forkServer(port: number): ReturnType<typeof fork> {
  const main = resolve(__meteor_bootstrap__.serverDir, '../../main.js')
  // main.js inserts 'program.json' itself.
  return fork(main, process.argv.slice(3), forkOptions(process, port))
}
