/** Every process of a run, however it was forked: all inherit one variable. Linux only. */
import { RUN_VARIABLE } from '../../tests/chaos/log'
import { allPids, isAlive, readProcess } from '../../tests/support/processes'

/** Those that live; a zombie only waits to be read. */
export function processesOf(run: string): number[] {
  const mark = `${RUN_VARIABLE}=${run}`
  return allPids().filter(pid => readProcess(pid, 'environ').includes(mark) && isAlive(pid))
}

export function commandOf(pid: number): string {
  return readProcess(pid, 'cmdline').join(' ')
}

/** Ends them all, those too that are stopped, or forked meanwhile. */
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
