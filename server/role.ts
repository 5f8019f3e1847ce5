import { WORKER_VARIABLE } from '../common/pipe/protocol'

export type Role = 'master' | 'worker'

/** Where every copy of this module finds the answer: an app, or its tests, may have bundled a second one. */
const ROLE = Symbol.for('nschwarz:cluster:role')

/**
 * Whether this process is a worker. Read from the environment once, then deleted there, so that what a worker's task
 * forks is no worker; the answer is kept in `shared`. `process.send` would be no sign: Meteor's development server and
 * PM2 give it to the master too.
 */
export function takeRole(shared: { [ROLE]?: Role }, env: NodeJS.ProcessEnv): Role {
  shared[ROLE] ??= env[WORKER_VARIABLE] === undefined ? 'master' : 'worker'
  delete env[WORKER_VARIABLE]
  return shared[ROLE]
}

export const role = takeRole(globalThis as object, process.env)
