import { setTimeout as pause } from 'node:timers/promises'

/** Of any version of the driver. */
interface Monitored {
  on(event: 'commandStarted', listener: () => void): unknown
  off(event: 'commandStarted', listener: () => void): unknown
}

/** The commands that a client sends to the database. Heartbeats are none: the driver does not report them as such. */
export async function countCommands(client: Monitored, ms: number): Promise<number> {
  let count = 0
  const countOne = () => count++
  client.on('commandStarted', countOne)
  await pause(ms)
  client.off('commandStarted', countOne)
  return count
}
