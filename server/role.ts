import { WORKER_VARIABLE } from '../common/pipe/protocol'

export type Role = 'master' | 'worker'

/** The key under which all copies of this module share the role: an app or its tests may bundle a second copy. */
const ROLE = Symbol.for('nschwarz:cluster:role')

/**
 * The role of this process: read from the environment once, and kept in `shared`. The variable is then deleted, so that
 * a process which a task forks does not count as a worker. `process.send` would not tell the roles apart: Meteor's
 * development server and PM2 give it to the master too.
 */
export function takeRole(shared: { [ROLE]?: Role }, env: NodeJS.ProcessEnv): Role {
  shared[ROLE] ??= env[WORKER_VARIABLE] === undefined ? 'master' : 'worker'
  delete env[WORKER_VARIABLE]
  return shared[ROLE]
}

export const role = takeRole(globalThis as object, process.env)
