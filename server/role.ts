import { WORKER_VARIABLE } from '../common/protocol'

/**
 * Whether this process is a worker. Read from the environment once, then deleted there, so that what a worker's task forks
 * is no worker. `process.send` would be no sign: Meteor's development server and PM2 give it to the master too.
 *
 * The answer is kept where every copy of this module finds it: a test package, or an application that bundles a second
 * copy, loads the file again, after the variable is gone.
 */
const ROLE = Symbol.for('nschwarz:cluster:role')

type Role = 'master' | 'worker'

const shared = globalThis as { [ROLE]?: Role }

shared[ROLE] ??= process.env[WORKER_VARIABLE] === undefined ? 'master' : 'worker'
delete process.env[WORKER_VARIABLE]

export const role: Role = shared[ROLE]
