/** Finds every process of a run, however it was forked: all inherit one environment variable. Linux only. */
import { RUN_VARIABLE } from '../../tests/chaos/log'
import { allPids, isAlive, readProcess } from '../../tests/support/processes'

/** The live processes. A zombie is not one: it only waits for its parent to read its exit code. */
export function processesOf(run: string): number[] {
  const mark = `${RUN_VARIABLE}=${run}`
  return allPids().filter(pid => readProcess(pid, 'environ').includes(mark) && isAlive(pid))
}

export function commandOf(pid: number): string {
  return readProcess(pid, 'cmdline').join(' ')
}

/** Kills them all, including those that are stopped, or forked in the meantime. */
export function killAllOf(run: string): void {
  for (let pids = processesOf(run); pids.length > 0; pids = processesOf(run)) {
    for (const pid of pids) kill(pid)
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    return
  }
}
