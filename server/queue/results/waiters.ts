import { type EndSource, type Ending, type Incarnation, type Wait, isSame } from '../../../common/ending'
import { PassLoop } from '../../pass-loop'
import { Ticks } from '../../ticks'

/** Looks up how tasks ended, in the queue. */
export interface EndStore {
  /**
   * How these tasks ended, in their order; undefined for those that have not.
   *
   * @throws when the database does not answer (rejects)
   */
  endingsOf(tasks: readonly Incarnation[]): Promise<readonly (Ending | undefined)[]>
}

/** Reports by `_id` that tasks have ended. It may miss some. */
export interface EndFeed {
  /** @param opened called whenever it begins to report ends; it may have missed those before */
  open(ended: (_id: string) => void, opened: () => void): void
  close(): void
}

/** The master of this process. */
export interface MasterOfWaiters {
  /** Whether it runs tasks, and learns of most ends itself. */
  readonly isRunning: () => boolean
  /** Whether it holds a claim on a task of this `_id`: then it reports the end itself. */
  readonly holds: (_id: string) => boolean
  /** Somebody begins to wait. */
  readonly waitBegins: () => void
}

interface Waiter {
  readonly task: Incarnation
  readonly resolve: (ending: Ending) => void
  /** Whether the task is in the queue; before that, a poll would not find it. */
  isAdded: boolean
  /** Whether the feed has reported an end before that. */
  mayHaveEnded: boolean
}

/** The pause between two polls in a process without a master. */
const DEFAULT_POLL_EVERY_MS = 1000

/** The pause before a running master sees whether another runs what is waited for. Most tasks it runs itself. */
const FEED_AFTER_MS = 100

/**
 * A feed stays open for this long after a waiter last needed it: the next may come soon, and opening a feed takes
 * milliseconds.
 */
const FEED_LINGERS_MS = 60_000

/**
 * Who waits in this process for the end of a task. A waiter learns of it from the master of this process, which has
 * settled the task; from a feed, if another master did; or from a poll, which finds what neither of them reported.
 */
export class Waiters implements EndSource {
  readonly parent = undefined
  readonly #store: EndStore
  readonly #feed: EndFeed
  readonly #waitersById = new Map<string, Set<Waiter>>()
  #master: MasterOfWaiters | undefined
  /** Milliseconds between two polls of the queue. */
  #pollEvery = DEFAULT_POLL_EVERY_MS
  readonly #ticks = new Ticks(() => {
    this.tick()
  })
  readonly #toPoll = new Set<Waiter>()
  readonly #polls = new PassLoop(() => this.poll())
  #feedLook: NodeJS.Timeout | undefined
  #feedLingers: NodeJS.Timeout | undefined
  #isFeedOpen = false

  constructor(store: EndStore, feed: EndFeed) {
    this.#store = store
    this.#feed = feed
  }

  /** This process has a master. @param pollEvery milliseconds between two polls of the queue */
  useMaster(master: MasterOfWaiters, pollEvery: number): void {
    this.#master = master
    this.#pollEvery = pollEvery
  }

  /** @param milliseconds between two polls of the queue */
  setPollEvery(milliseconds: number): void {
    this.#pollEvery = milliseconds
    if (this.#ticks.areOn) this.#ticks.start(milliseconds)
  }

  checkMayWait(): void {
    // Any code of a master may.
  }

  wait(task: Incarnation): Wait {
    let resolve!: (ending: Ending) => void
    const ending = new Promise<Ending>(settle => (resolve = settle))
    const waiter: Waiter = { task, resolve, isAdded: false, mayHaveEnded: false }
    const ofId = this.#waitersById.get(task._id) ?? new Set()
    this.#waitersById.set(task._id, ofId.add(waiter))
    this.begin()
    return {
      ending,
      taskAdded: mayHaveEnded => {
        waiter.isAdded = true
        if (mayHaveEnded || waiter.mayHaveEnded) this.pollFor([waiter])
        this.#feedLook ??= setTimeout(() => this.lookForFeed(), FEED_AFTER_MS)
      },
      stop: () => this.remove(waiter),
    }
  }

  /** A task has ended. Its event comes after this. @param endingOf makes a copy for each waiter */
  ended(task: Incarnation, endingOf: () => Ending): void {
    for (const waiter of this.#waitersById.get(task._id) ?? []) {
      if (isSame(waiter.task, task)) this.resolveWaiter(waiter, endingOf())
    }
  }

  /** Polls the queue soon for the ends of these tasks, all of them in one query. */
  private pollFor(waiters: Iterable<Waiter>): void {
    for (const waiter of waiters) if (waiter.isAdded) this.#toPoll.add(waiter)
    if (this.#toPoll.size > 0) this.#polls.request()
  }

  /** @returns true: another may follow at once */
  private async poll(): Promise<boolean> {
    const waiters = [...this.#toPoll]
    this.#toPoll.clear()
    try {
      const endings = await this.#store.endingsOf(waiters.map(({ task }) => task))
      for (const [index, waiter] of waiters.entries()) {
        const ending = endings[index]
        if (ending !== undefined) this.resolveWaiter(waiter, ending)
      }
    } catch {
      // The database is away, as the master's poll reports. The next poll tries again.
    }
    return true
  }

  private begin(): void {
    if (!this.#ticks.areOn) this.#ticks.start(this.#pollEvery)
    this.#master?.waitBegins()
    if (this.#master?.isRunning() !== true) this.openFeed()
  }

  private tick(): void {
    if (this.isFeedNeeded) this.openFeed()
    else this.closeFeedSoon()
    this.pollFor(this.all)
  }

  private lookForFeed(): void {
    this.#feedLook = undefined
    if (this.isFeedNeeded) this.openFeed()
  }

  private get isFeedNeeded(): boolean {
    return this.all.some(({ isAdded, task }) => isAdded && !this.isReported(task._id))
  }

  private get all(): Waiter[] {
    return [...this.#waitersById.values()].flatMap(ofId => [...ofId])
  }

  /** Whether the master of this process reports the end of the task, so that nobody else need. */
  private isReported(_id: string): boolean {
    return this.#master?.holds(_id) === true
  }

  private openFeed(): void {
    clearTimeout(this.#feedLingers)
    this.#feedLingers = undefined
    if (this.#isFeedOpen) return
    this.#isFeedOpen = true
    const ended = (_id: string) => {
      if (this.isReported(_id)) return
      const waiters = this.#waitersById.get(_id) ?? []
      for (const waiter of waiters) waiter.mayHaveEnded = true
      this.pollFor(waiters)
    }
    this.#feed.open(ended, () => this.pollFor(this.all))
  }

  private closeFeedSoon(): void {
    if (!this.#isFeedOpen) return
    this.#feedLingers ??= setTimeout(() => {
      this.#feedLingers = undefined
      this.#isFeedOpen = false
      this.#feed.close()
    }, FEED_LINGERS_MS).unref()
  }

  private resolveWaiter(waiter: Waiter, ending: Ending): void {
    this.remove(waiter)
    waiter.resolve(ending)
  }

  private remove(waiter: Waiter): void {
    const ofId = this.#waitersById.get(waiter.task._id)
    ofId?.delete(waiter)
    if (ofId?.size === 0) this.#waitersById.delete(waiter.task._id)
    if (this.#waitersById.size === 0) this.rest()
  }

  private rest(): void {
    this.#ticks.stop()
    clearTimeout(this.#feedLook)
    this.#feedLook = undefined
    this.closeFeedSoon()
  }
}
