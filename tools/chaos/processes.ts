/** Every process of a run, however it was forked: all inherit one variable. Linux only. */
import { readFileSync, readdirSync } from 'node:fs'
import { WORKER_VARIABLE } from '../../common/protocol'
import { RUN_VARIABLE } from '../../tests/chaos/log'
import { isAlive } from '../../tests/support/processes'

/** Those that live; a zombie only waits to be read. */
export function processesOf(run: string): number[] {
  const mark = `${RUN_VARIABLE}=${run}`
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => read(pid, 'environ').includes(mark) && isAlive(pid))
}

/** Of a master's children: it may have others, tsx has one. */
export function isWorker(pid: number): boolean {
  return isAlive(pid) && read(pid, 'environ').some(entry => entry.startsWith(`${WORKER_VARIABLE}=`))
}

export function commandOf(pid: number): string {
  return read(pid, 'cmdline').join(' ')
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

function read(pid: number, file: 'environ' | 'cmdline'): string[] {
  try {
    return readFileSync(`/proc/${String(pid)}/${file}`, 'utf8').split('\0')
  } catch {
    return []
  }
}
