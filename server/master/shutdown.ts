/** What a service manager, a container or a terminal sends to end a process. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Runs `stop` when the process is told to end, and then lets it end by the signal, as it would have without us. Whoever else
 * listens for the signal ends the process; then that is left to him. A second signal does not wait for `stop`.
 *
 * @returns a function that takes the listeners off again
 */
export function stopOnSignal(stop: (signal: NodeJS.Signals) => Promise<void>): () => void {
  let isStopping = false
  const receive = (signal: NodeJS.Signals) => {
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
  const endBy = (signal: NodeJS.Signals) => {
    takeOff()
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }
  for (const signal of SIGNALS) process.on(signal, receive)
  return takeOff
}
