import type { ToMaster, ToWorker } from '../../common/protocol'
import { unwrap, wrap } from '../../common/protocol'
import { startWatchdog } from './watchdog'

/** A worker's end of the pipe to its master: the only place that touches it. */
export class ParentLink {
  /** Called once, in a worker, as early as possible: a master that dies while its worker boots must take it along. */
  constructor() {
    process.on('disconnect', () => {
      process.exit(0)
    })
    // Ctrl-C reaches the whole process group; a worker follows its master instead.
    process.on('SIGINT', () => undefined)
    if (!process.connected) process.exit(0)
    startWatchdog()
  }

  onMessage(receive: (message: ToWorker) => void): void {
    process.on('message', raw => {
      const message = unwrap<ToWorker>(raw)
      if (message !== undefined) receive(message)
    })
  }

  /** @throws when the message holds what cannot be cloned; a master that is gone is told by `disconnect` */
  send(message: ToMaster): void {
    if (process.connected) process.send?.(wrap(message), undefined, undefined, () => undefined)
  }
}
