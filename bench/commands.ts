import { setTimeout as pause } from 'node:timers/promises'

/** A client of any version of the MongoDB driver. */
interface Monitored {
  on(event: 'commandStarted', listener: () => void): unknown
  off(event: 'commandStarted', listener: () => void): unknown
}

/** Counts the commands that a client sends to the database. The driver does not report heartbeats as commands. */
export async function countCommands(client: Monitored, ms: number): Promise<number> {
  let count = 0
  const countOne = () => count++
  client.on('commandStarted', countOne)
  await pause(ms)
  client.off('commandStarted', countOne)
  return count
}
