import { CommandGate } from './command-gate'
import type { TestDatabase } from './database'
import { type MasterSettings, type RemoteMaster, withDatabase, withMaster } from './remote-master'

/** A master, and what it and its workers send to the database, which may be held or refused from the start. */
export async function behindCommandGate(
  judge: CommandGate['judge'],
  options: NonNullable<MasterSettings['options']>,
  test: (master: RemoteMaster, gate: CommandGate) => Promise<void>,
  prepare: (database: TestDatabase) => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const gate = await CommandGate.open(process.env.MONGO_URL ?? '')
  gate.judge = judge
  try {
    await withDatabase(async database => {
      await prepare(database)
      const env = { MONGO_URL: gate.urlOf(database.name) }
      await withMaster({ database, env, options }, master => test(master, gate))
    })
  } finally {
    await gate.close()
  }
}
