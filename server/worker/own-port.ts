import { freePort } from '../free-port'

/**
 * Before this worker's web server listens: another process may have taken its port since the master looked, and then
 * this one would die of it. Takes the next that is free.
 */
export async function keepPortFree(): Promise<void> {
  process.env.PORT = String(await freePort(Number(process.env.PORT), new Set()))
}
