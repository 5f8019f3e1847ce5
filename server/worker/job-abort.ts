import { setMaxListeners } from 'node:events'

/** Makes its AbortController on demand, since one costs more than a short job. */
export class JobAbort {
  #controller: AbortController | undefined
  #reason: Error | undefined

  get signal(): AbortSignal {
    this.#controller ??= newController()
    if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  /** The first reason counts. */
  abort(reason: Error): void {
    this.#reason ??= reason
    this.#controller?.abort(this.#reason)
  }
}

function newController(): AbortController {
  const controller = new AbortController()
  // A job may wait for any number of tasks at once. Node warns of a leak from eleven listeners on.
  setMaxListeners(0, controller.signal)
  return controller
}
