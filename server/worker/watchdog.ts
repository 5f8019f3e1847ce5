import { Worker } from 'node:worker_threads'

const PERIOD_MS = 1000

/**
 * Invariant 8: kills this process when its parent is gone, even while a task blocks the event loop. It runs on a
 * thread, since a blocked loop notices neither the closed pipe nor Meteor's own check of the parent.
 */
export function startWatchdog(): void {
  const parent = process.ppid
  // As text, since a bundle has no file from which a thread could be started.
  const watch = `
    setInterval(() => {
      // An orphan is given to another parent; where it is not, the old one cannot be signalled.
      let isOrphan = process.ppid !== ${String(parent)}
      try { process.kill(${String(parent)}, 0) } catch (error) { isOrphan ||= error.code === 'ESRCH' }
      if (isOrphan) process.kill(process.pid, 'SIGKILL')
    }, ${String(PERIOD_MS)})`
  const thread = new Worker(watch, { eval: true, execArgv: [], env: {} })
  // Without the thread, a blocked worker may outlive its master. Without this listener, an error there would end the
  // worker.
  thread.on('error', error => {
    console.error('nschwarz:cluster: the watchdog of this worker ended:', error)
  })
  thread.unref()
}
