import { TestDatabase } from './database'
import { type MasterSettings, type RemoteMaster, withMaster } from './remote-master'
import { type Command, WireTap } from './wire-tap'

/** A database that can be reached through a tap. */
export async function withTap(test: (database: TestDatabase, tap: WireTap) => Promise<void>): Promise<void> {
  const tap = await WireTap.open(process.env.MONGO_URL ?? '')
  const database = new TestDatabase()
  try {
    await test(database, tap)
  } finally {
    await tap.close()
    await database.drop()
  }
}

/** A master with warm workers that reaches its database through a tap; the test itself does not. */
export function behindTap(
  options: NonNullable<MasterSettings['options']>,
  test: (master: RemoteMaster, tap: WireTap) => Promise<void>,
): Promise<void> {
  return withTap((database, tap) => withMaster(tapped(database, tap, options), master => test(master, tap)))
}

export function tapped(
  database: TestDatabase,
  tap: WireTap,
  options: NonNullable<MasterSettings['options']>,
): MasterSettings {
  return { database, env: { MONGO_URL: tap.urlOf(database.name) }, options: { keepAlive: 'always', ...options } }
}

const WRITES = ['insert', 'update', 'delete', 'findAndModify', 'bulkWrite']

export function isOnQueue({ collection }: Command): boolean {
  return collection === 'taskQueue'
}

export function isWrite(command: Command): boolean {
  return command.name === 'bulkWrite' || (isOnQueue(command) && WRITES.includes(command.name))
}

/** Whether it makes tasks running. */
export function isClaim(command: Command): boolean {
  return isWrite(command) && changeOf(command).includes('"running"')
}

/** Whether it extends leases. */
export function isRenewal(command: Command): boolean {
  return isWrite(command) && !isClaim(command) && changeOf(command).includes('expiresAt')
}

/** Whether it writes what became of claims. */
export function isSettlement(command: Command): boolean {
  return isWrite(command) && !isClaim(command) && !isRenewal(command) && command.name !== 'insert'
}

/** What a write makes of documents, without the filters that find them. */
function changeOf({ body }: Command): string {
  const updates = (body.updates ?? []) as readonly { readonly u: unknown }[]
  return JSON.stringify([body.documents, body.ops, body.update, updates.map(({ u }) => u)])
}
