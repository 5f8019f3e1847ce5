import { type Encoded, encode } from '../../common/pipe/codec'
import { DuplicateTaskError } from '../../common/errors'
import type { ToWorker } from '../../common/pipe/protocol'
import { errorFromWire } from '../../common/pipe/wire'
import type { Task } from '../../common/task'
import { revive } from '../revive'
import type { ParentLink } from './parent-link'

const MAX_BYTES = 2 ** 16

type AddedMessage = Extract<ToWorker, { kind: 'added' }>

interface Offer {
  readonly _id: string
  readonly resolve: (isStored: boolean) => void
  readonly reject: (error: Error) => void
}

/** Offers the tasks that are added in this worker to the master, which may store them already claimed. */
export class AddedTasks {
  readonly #link: Pick<ParentLink, 'send'>
  readonly #offers = new Map<number, Offer>()
  #offered = 0
  #isOpen = false

  constructor(link: Pick<ParentLink, 'send'>) {
    this.#link = link
  }

  /** From now on, answers are received. */
  open(): void {
    this.#isOpen = true
  }

  /**
   * @returns whether the master has stored the task, already claimed; if not, the caller stores it
   * @throws DuplicateTaskError, or what the driver throws (rejects)
   */
  async offer(task: Task): Promise<boolean> {
    const encoded = this.#isOpen ? encodeSmall(task) : undefined
    if (encoded === undefined) return false
    const offer = this.#offered++
    return new Promise((resolve, reject) => {
      this.#offers.set(offer, { _id: task._id, resolve, reject })
      this.#link.send({ kind: 'add', offer, task: encoded })
    })
  }

  receive({ offer, outcome }: AddedMessage): void {
    const offered = this.#offers.get(offer)
    this.#offers.delete(offer)
    if (outcome.kind === 'failed') offered?.reject(revive(errorFromWire(outcome.error)))
    else if (outcome.kind === 'duplicate') offered?.reject(new DuplicateTaskError([offered._id]))
    else offered?.resolve(outcome.kind === 'stored')
  }
}

/** Undefined for a large task: the pipe and the master would take longer for it than a second write does. */
function encodeSmall(task: Task): Encoded | undefined {
  try {
    return encode(task, MAX_BYTES)
  } catch {
    return undefined
  }
}
