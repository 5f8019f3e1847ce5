/**
 * Nudges: hints that there may be work now, so that nobody waits for the next tick. A nudge is never the truth, and
 * nothing is lost when nobody listens.
 */
export class WakeUp {
  #listener: ((taskType: string) => void) | undefined

  /** One listener: the dispatcher of this process. */
  onNudge(listener: (taskType: string) => void): void {
    this.#listener = listener
  }

  /** A task of this type was added. */
  nudge(taskType: string): void {
    this.#listener?.(taskType)
  }
}
