import { Batch } from '../../common/batch'
import { type Unreadable, sendTogether, unwrap } from '../../common/pipe/envelope'
import { type ToMaster, type ToWorker, isToWorker } from '../../common/pipe/protocol'
import { startWatchdog } from './watchdog'

export interface LinkEvents {
  readonly message: (message: ToWorker | Unreadable) => void
  /** This message could not be sent. */
  readonly unsent: (message: ToMaster, error: unknown) => void
}

/** A worker's end of the pipe to its master: the only place that touches it. */
export class ParentLink {
  readonly #outgoing = new Batch<ToMaster>(messages => {
    sendTogether(messages, this.#write, this.#unsent)
  })
  #events: LinkEvents | undefined
  /** How many messages were written, and how many of them have left this process. */
  #written = 0
  #left = 0
  /** Who waits until so many have left. */
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = []

  readonly #unsent = (message: ToMaster, error: unknown) => this.#events?.unsent(message, error)

  /** A master that is gone is told by `disconnect`. */
  readonly #write = (message: object) => {
    if (!process.connected) return
    process.send?.(message, undefined, undefined, this.#countLeft)
    this.#written++
  }

  readonly #countLeft = () => {
    this.#left++
    while (this.#left >= (this.#waiting[0]?.count ?? Infinity)) this.#waiting.shift()?.resolve()
  }

  /** Called once, in a worker, as early as possible: a master that dies while its worker boots must take it along. */
  constructor() {
    process.on('disconnect', () => {
      process.exit(0)
    })
    // A terminal, systemd and PM2 signal all processes of a service at once; a worker follows its master instead, which
    // may want its job to end first.
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

  /** Sends a message, with others of this turn; at the latest when it ends. */
  send(message: ToMaster): void {
    this.#outgoing.add(message)
  }

  /** Whether something that was written has not left this process yet. */
  get isBusy(): boolean {
    return this.#left < this.#written
  }

  /**
   * Sends what is still to be sent, before something that may block this process, or end it.
   *
   * @returns until all of it has left this process, which takes as long as the master takes to read what is large
   */
  async flush(): Promise<void> {
    this.#outgoing.flush()
    while (this.isBusy) {
      await new Promise<void>(resolve => this.#waiting.push({ count: this.#written, resolve }))
      // What was sent meanwhile.
      this.#outgoing.flush()
    }
  }
}
