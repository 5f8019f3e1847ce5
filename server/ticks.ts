import { Meteor } from 'meteor/meteor'

/** Calls a function at regular intervals. */
export class Ticks {
  readonly #tick: () => void
  #interval: number | undefined

  constructor(tick: () => void) {
    this.#tick = tick
  }

  get areOn(): boolean {
    return this.#interval !== undefined
  }

  /** Starts the ticks, or changes the pause between them. */
  start(milliseconds: number): void {
    this.stop()
    this.#interval = Meteor.setInterval(this.#tick, milliseconds)
  }

  stop(): void {
    if (this.#interval !== undefined) Meteor.clearInterval(this.#interval)
    this.#interval = undefined
  }
}
