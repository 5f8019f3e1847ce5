import type { CommandStartedEvent, CommandSucceededEvent, MongoClient } from 'mongodb'
import { MongoInternals } from 'meteor/mongo'
import { now } from '../../clock'
import type { Completions } from './completions'
import { drain } from './drain'
import type { Gate } from './gate'

/**
 * Commands that belong to no claim. A batch is completed by deleting its tasks; every other command about a queued task
 * is part of its claim.
 */
const NOT_CLAIMING = ['delete', 'insert', 'getMore']

/** How many milliseconds the commands of one claim take. */
export async function claimCost(gate: Gate, completions: Completions, count: number): Promise<number> {
  const stopwatch = new Stopwatch()
  await drain(gate, completions, { count, job: { name: 'noop' }, limit: Infinity }, stopwatch)
  return stopwatch.total / count
}

/** Adds up the durations of all claiming commands. */
class Stopwatch {
  readonly #startedAt = new Map<number, number>()
  #total = 0

  get total(): number {
    return this.#total
  }

  start(): void {
    client().on('commandStarted', this.#started).on('commandSucceeded', this.#succeeded)
  }

  stop(): void {
    client().off('commandStarted', this.#started).off('commandSucceeded', this.#succeeded)
  }

  readonly #started = ({ commandName, requestId }: CommandStartedEvent) => {
    if (!NOT_CLAIMING.includes(commandName)) this.#startedAt.set(requestId, now())
  }

  readonly #succeeded = ({ requestId }: CommandSucceededEvent) => {
    const startedAt = this.#startedAt.get(requestId)
    if (startedAt !== undefined) this.#total += now() - startedAt
    this.#startedAt.delete(requestId)
  }
}

/** The MongoDB client of this process. */
export function client(): MongoClient {
  return MongoInternals.defaultRemoteCollectionDriver().mongo.client
}
