import { Batch } from '../../common/batch'
import { type Unreadable, sendTogether, unwrap } from '../../common/pipe/envelope'
import { type ToMaster, type ToWorker, isToWorker } from '../../common/pipe/protocol'
import { startWatchdog } from './watchdog'

export interface LinkEvents {
  readonly message: (message: ToWorker | Unreadable) => void
  /** This message could not be sent. */
  readonly unsent: (message: ToMaster, error: unknown) => void
}

/** The worker's end of the pipe to its master. Nothing else in this package touches the pipe. */
export class ParentLink {
  readonly #outgoing = new Batch<ToMaster>(messages => {
    sendTogether(messages, this.#write, this.#unsent)
  })
  #events: LinkEvents | undefined
  /** How many messages were written, and how many of them have left this process. */
  #written = 0
  #left = 0
  /** Who waits until `count` messages have left. */
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = []

  readonly #unsent = (message: ToMaster, error: unknown) => this.#events?.unsent(message, error)

  /** Drops the message when the master is gone, which `disconnect` reports. */
  readonly #write = (message: object) => {
    if (!process.connected) return
    process.send?.(message, undefined, undefined, this.#countLeft)
    this.#written++
  }

  readonly #countLeft = () => {
    this.#left++
    while (this.#left >= (this.#waiting[0]?.count ?? Infinity)) this.#waiting.shift()?.resolve()
  }

  /** Called once, in a worker, as early as possible: a worker must exit with its master, even during boot. */
  constructor() {
    // Invariant 8: a worker exits when the pipe to its master closes.
    process.on('disconnect', () => {
      process.exit(0)
    })
    // A terminal, systemd and PM2 signal all processes of a service at once. A worker ignores that and follows its
    // master, which may want its job to finish first.
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined)
    if (!process.connected) process.exit(0)
    startWatchdog()
  }

  /** Called once. */
  listen(events: LinkEvents): void {
    this.#events = events
    process.on('message', raw => {
      for (const message of unwrap(raw, isToWorker)) events.message(message)
    })
  }

  /** Sends a message, together with the others of this turn, at the end of the turn at the latest. */
  send(message: ToMaster): void {
    this.#outgoing.add(message)
  }

  /** Whether a written message has not left this process yet. */
  get isBusy(): boolean {
    return this.#left < this.#written
  }

  /**
   * Sends all that is unsent, before something that may block or end this process.
   *
   * @returns a promise that resolves once all of it has left this process; large messages leave as fast as the master
   * reads
   */
  async flush(): Promise<void> {
    this.#outgoing.flush()
    while (this.isBusy) {
      await new Promise<void>(resolve => this.#waiting.push({ count: this.#written, resolve }))
      // Messages that were added meanwhile.
      this.#outgoing.flush()
    }
  }
}
