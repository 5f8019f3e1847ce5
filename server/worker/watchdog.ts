import { Worker } from 'node:worker_threads'

const PERIOD_MS = 1000

/**
 * Ends this process when its parent is gone, also while a task blocks the event loop: on a thread of its own, since
 * neither the end of the pipe nor Meteor's own look at the parent is noticed on a loop that is blocked.
 */
export function startWatchdog(): void {
  const parent = process.ppid
  // As text, since a bundle has no file that a thread could be started from.
  const watch = `
    setInterval(() => {
      // An orphan is given to another parent; where it is not, the old one cannot be signalled.
      let isOrphan = process.ppid !== ${String(parent)}
      try { process.kill(${String(parent)}, 0) } catch (error) { isOrphan ||= error.code === 'ESRCH' }
      if (isOrphan) process.kill(process.pid, 'SIGKILL')
    }, ${String(PERIOD_MS)})`
  const thread = new Worker(watch, { eval: true, execArgv: [], env: {} })
  // Without the thread a blocked worker may outlive its master; without a listener it would not live at all.
  thread.on('error', error => {
    console.error('nschwarz:cluster: the watchdog of this worker ended:', error)
  })
  thread.unref()
}
