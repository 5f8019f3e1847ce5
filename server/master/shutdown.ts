import { constants } from 'node:os'

/** What a service manager, a container or a terminal sends to end a process. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const
type Signal = (typeof SIGNALS)[number]

/**
 * Runs `stop` when the process is told to end, and then lets it end by the signal, as it would have without us. A
 * second signal does not wait for `stop`.
 *
 * @param isForOthers whether to leave the end of the process to whoever else listens for the signal
 * @returns a function that takes the listeners off again
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

/** The first process of a container is not ended by a signal that it has no listener for. */
function end(signal: Signal): void {
  if (process.pid === 1) exit(signal)
  else process.kill(process.pid, signal)
}

/** With the code of a process that a signal ended. */
function exit(signal: Signal): never {
  process.exit(128 + constants.signals[signal])
}
