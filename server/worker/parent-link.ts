import type { ToMaster, ToWorker } from '../../common/protocol'
import { isToWorker, unwrap, wrap } from '../../common/protocol'
import { startWatchdog } from './watchdog'

/** A worker's end of the pipe to its master: the only place that touches it. */
export class ParentLink {
  /** Called once, in a worker, as early as possible: a master that dies while its worker boots must take it along. */
  constructor() {
    process.on('disconnect', () => {
      process.exit(0)
    })
    // A terminal, systemd and PM2 signal all processes of a service at once; a worker follows its master instead, which may want
    // its job to end first.
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined)
    if (!process.connected) process.exit(0)
    startWatchdog()
  }

  onMessage(receive: (message: ToWorker) => void): void {
    process.on('message', raw => {
      const message = unwrap(raw, isToWorker)
      if (message !== undefined) receive(message)
    })
  }

  /** @throws when the message holds what cannot be cloned; a master that is gone is told by `disconnect` */
  send(message: ToMaster): void {
    if (process.connected) process.send?.(wrap(message), undefined, undefined, () => undefined)
  }
}
