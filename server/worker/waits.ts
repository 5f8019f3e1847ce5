import { type EndSource, type Ending, type Incarnation, type Wait, refuseToWait } from '../../common/ending'
import { OpenWaits } from '../../common/open-waits'
import type { ToWorker } from '../../common/pipe/protocol'
import { errorFromWire, fromWire } from '../../common/pipe/wire'
import type { Job } from '../../common/task'
import { revive } from '../revive'
import type { CurrentJob } from './current-job'
import type { ParentLink } from './parent-link'

/** The waits of this worker's jobs for the ends of other tasks. The master finds out how these end. */
export class Waits implements EndSource {
  readonly #link: Pick<ParentLink, 'send'>
  readonly #current: CurrentJob
  readonly #open = new OpenWaits<(ending: Ending) => void>()
  /** By token. */
  readonly #running = new Map<string, Job>()
  readonly #slotLent: () => void
  #begun = 0

  /** @param slotLent called when a job begins to wait: its slot is free for another */
  constructor(link: Pick<ParentLink, 'send'>, current: CurrentJob, slotLent: () => void) {
    this.#link = link
    this.#current = current
    this.#slotLent = slotLent
  }

  /** How many jobs wait, and lend their slots meanwhile. */
  get lentSlots(): number {
    return this.#open.lentSlots
  }

  jobStarted(job: Job, token: string): void {
    this.#running.set(token, job)
  }

  /** Its waits never end. */
  jobEnded(token: string): void {
    this.#running.delete(token)
    this.#open.takeAll(token)
  }

  get parent(): Job | undefined {
    return this.#running.get(this.#current.token ?? '')
  }

  checkMayWait(): void {
    this.currentToken()
  }

  wait(task: Incarnation): Wait {
    const token = this.currentToken()
    const wait = this.#begun++
    let resolve!: (ending: Ending) => void
    const ending = new Promise<Ending>(settle => (resolve = settle))
    return {
      ending,
      taskAdded: () => {
        this.begin(wait, token, task, resolve)
      },
      stop: () => {
        if (this.#open.take(wait) !== undefined) this.#link.send({ kind: 'stopWaiting', wait })
      },
    }
  }

  receive({ wait, ending }: Extract<ToWorker, { kind: 'ended' }>): void {
    const resolve = this.#open.take(wait)
    if (ending.kind === 'done') resolve?.({ kind: 'done', value: fromWire(ending.value) })
    else resolve?.({ kind: 'failed', error: revive(errorFromWire(ending.error)) })
  }

  /** @throws WrongProcessError outside of jobs */
  private currentToken(): string {
    const { token } = this.#current
    this.#current.track()
    // What a job has left behind, a timer for example, may wait when the job is over.
    if (token === undefined || !this.#running.has(token)) refuseToWait()
    return token
  }

  private begin(wait: number, token: string, task: Incarnation, resolve: (ending: Ending) => void): void {
    if (!this.#running.has(token)) return
    const { _id, createdAt, sequence } = task
    this.#open.add(wait, token, resolve)
    this.#link.send({ kind: 'await', token, wait, _id, createdAt: Number(createdAt), sequence })
    this.#slotLent()
  }
}
