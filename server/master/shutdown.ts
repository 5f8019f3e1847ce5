import { constants } from 'node:os'

/** The signals with which a service manager, a container or a terminal ends a process. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const
type Signal = (typeof SIGNALS)[number]

/**
 * Runs `stop` on a signal to end the process, then lets the signal end it, as if we had no listener. A second signal
 * does not wait for `stop`.
 *
 * @param isForOthers whether other listeners for the signal, if there are any, decide when the process ends
 * @returns a function that removes our listeners
 */
export function stopOnSignal(stop: (signal: Signal) => Promise<void>, isForOthers: boolean): () => void {
  let isStopping = false
  const receive = (signal: Signal) => {
    if (isStopping) {
      endBy(signal)
      return
    }
    isStopping = true
    void stop(signal).finally(() => {
      endBy(signal)
    })
  }
  const takeOff = () => {
    for (const signal of SIGNALS) process.removeListener(signal, receive)
  }
  const endBy = (signal: Signal) => {
    takeOff()
    if (process.listenerCount(signal) === 0) end(signal)
    else if (!isForOthers) exit(signal)
  }
  for (const signal of SIGNALS) process.on(signal, receive)
  return takeOff
}

/** The kernel ignores a signal to the first process of a container if that has no listener for it. */
function end(signal: Signal): void {
  if (process.pid === 1) exit(signal)
  else process.kill(process.pid, signal)
}

/** Exits with the code of a process that this signal killed. */
function exit(signal: Signal): never {
  process.exit(128 + constants.signals[signal])
}
