import { createHash } from 'node:crypto'

/**
 * The value of a worker's `WORKER_VARIABLE`: the key of its master, and a digest of the command line with which it is
 * forked. A process that only inherited the environment of a worker has another command line.
 */
export function workerMark(ownerKey: string, commandLine: readonly string[]): string {
  return `${ownerKey} ${digest(commandLine)}`
}

/** Whether a process with this command line was forked with this mark, and did not just inherit it. */
export function isMarkOf(mark: string, commandLine: readonly string[]): boolean {
  return mark.split(' ').at(-1) === digest(commandLine)
}

function digest(commandLine: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(commandLine)).digest('hex')
}
